//! The plugin keeps the plugin protocol, in this process and as an executable.

use std::path::Path;

use dr_plugin::ErrorClass;
use dr_plugin::conformance::{self, Case, Expected};
use dr_plugin::protocol::Method;
use dr_plugin_local::plugin;
use serde_json::{Value, json};

fn case(name: &str, action: &str, input: Value, stop: Option<u64>, expect: Expected) -> Case {
    Case {
        name: name.to_owned(),
        method: Method::Apply,
        action: action.to_owned(),
        input,
        settings: Value::Null,
        host: None,
        stop_after_ms: stop,
        expect,
    }
}

#[test]
fn it_keeps_the_plugin_protocol() {
    let cases = [
        case(
            "a command",
            "command",
            json!({ "argv": ["true"], "detach": false }),
            None,
            Expected::Applied,
        ),
        case(
            "a failing command",
            "command",
            json!({ "argv": ["false"], "detach": false }),
            None,
            Expected::Error(ErrorClass::Permanent),
        ),
        case(
            "a stop",
            "command",
            json!({ "argv": ["sleep", "60"], "detach": false }),
            Some(300),
            Expected::Error(ErrorClass::Cancelled),
        ),
    ];
    let linked = conformance::linked(&plugin(), &cases);
    assert!(linked.is_green(), "{linked}");
    let executable =
        conformance::executable(Path::new(env!("CARGO_BIN_EXE_dr-plugin-local")), &cases);
    assert!(executable.is_green(), "{executable}");
}
