//! The plugin keeps the plugin protocol, in this process and as an executable.

use std::path::Path;

use dr_plugin::ErrorClass;
use dr_plugin::conformance::{self, Case, Expected};
use dr_plugin::protocol::Method;
use dr_plugin_sim::plugin;
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
        case("a scripted result", "action", json!({ "result": 1 }), None, Expected::Applied),
        case(
            "a scripted failure",
            "action",
            json!({ "fail": { "class": "denied" } }),
            None,
            Expected::Error(ErrorClass::Denied),
        ),
        case(
            "a stop",
            "action",
            json!({ "delay": "1h" }),
            Some(100),
            Expected::Error(ErrorClass::Cancelled),
        ),
    ];
    let linked = conformance::linked(&plugin(), &cases);
    assert!(linked.is_green(), "{linked}");
    let executable =
        conformance::executable(Path::new(env!("CARGO_BIN_EXE_dr-plugin-sim")), &cases);
    assert!(executable.is_green(), "{executable}");
}
