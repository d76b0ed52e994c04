//! The plugin keeps the plugin protocol, in this process and as an executable, and what `dr` has
//! built in of it is fresh.

use std::path::Path;

use dr_plugin::conformance;
use dr_plugin_ec2::plugin;

#[test]
fn it_keeps_the_plugin_protocol() {
    let linked = conformance::linked(&plugin(), &[]);
    assert!(linked.is_green(), "{linked}");
    let executable = conformance::executable(Path::new(env!("CARGO_BIN_EXE_dr-plugin-ec2")), &[]);
    assert!(executable.is_green(), "{executable}");
}

#[test]
fn its_manifest_is_fresh() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/plugins/ec2.json");
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    let made = serde_json::to_string_pretty(&plugin().manifest()).unwrap_or_default();
    assert!(
        kept.trim_end() == made,
        "stale: run `cargo run -p dr-plugin-ec2 manifest > schemas/plugins/ec2.json`"
    );
}
