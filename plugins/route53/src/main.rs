//! `dr-plugin-route53`: the plugin as an executable.

fn main() -> std::process::ExitCode {
    dr_plugin::main(&dr_plugin_route53::plugin())
}
