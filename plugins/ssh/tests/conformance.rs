//! The plugin keeps the plugin protocol, in this process and as an executable.

use std::path::Path;

use dr_plugin::conformance;
use dr_plugin_ssh::plugin;

#[test]
fn it_keeps_the_plugin_protocol() {
    let linked = conformance::linked(&plugin(), &[]);
    assert!(linked.is_green(), "{linked}");
    let executable = conformance::executable(Path::new(env!("CARGO_BIN_EXE_dr-plugin-ssh")), &[]);
    assert!(executable.is_green(), "{executable}");
}
