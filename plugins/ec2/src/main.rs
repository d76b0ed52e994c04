//! `dr-plugin-ec2`: the plugin as an executable.

fn main() -> std::process::ExitCode {
    dr_plugin::main(&dr_plugin_ec2::plugin())
}
