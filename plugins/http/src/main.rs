//! `dr-plugin-http`: the plugin as an executable.

fn main() -> std::process::ExitCode {
    dr_plugin::main(&dr_plugin_http::plugin())
}
