//! The quickstart of the README: a whole recovery with nothing but files.

use serde_json::Value;

use crate::{dr, repository};

#[test]
fn the_quickstart_recovers_measures_and_leaves_evidence() {
    let dr = dr().copy(repository("runbooks/quickstart.yaml"));
    let ended = dr.args(["execute", "quickstart.yaml"]).run().code(0);
    assert!(ended.stdout.contains("succeeded"), "{ended}");

    // What it was for: every order is on the standby site, and the primary is gone.
    let orders = dr.read(".dr/quickstart/live/orders.csv");
    assert_eq!(orders.lines().count(), 500);
    assert_eq!(dr.read(".dr/quickstart/live/site-name"), "standby\n");
    assert!(!dr.path(".dr/quickstart/primary").exists());

    let run = dr.last_run();
    let evidence: Value =
        serde_json::from_str(&std::fs::read_to_string(run.join("evidence.json")).unwrap()).unwrap();
    assert_eq!(evidence["result"], "succeeded");
    let report = std::fs::read_to_string(run.join("report.md")).unwrap();
    for service in ["orders", "images", "shop"] {
        assert!(report.contains(service), "{report}");
    }
    dr.args(["show", "last"]).run().code(0).prints("succeeded");
    dr.args(["runs"]).run().code(0).prints("quickstart");
    dr.args(["logs", "last", "restore_orders"]).run().code(0).prints("restore_orders, attempt 1");
    dr.args(["report", "last"]).run().code(0).prints("orders");
}

#[test]
fn events_are_one_a_line_and_numbered() {
    let dr = dr().copy(repository("runbooks/quickstart.yaml"));
    let ended = dr.args(["execute", "quickstart.yaml", "--format", "json"]).run().code(0);
    let durable: Vec<Value> =
        ended.events().into_iter().filter(|event| event["volatile"] != true).collect();
    for (position, event) in durable.iter().enumerate() {
        assert_eq!(event["seq"], position as u64 + 1, "{event}");
        for field in ["at", "elapsed_ms", "type"] {
            assert!(!event[field].is_null(), "{event}");
        }
    }
    let last = durable.last().unwrap();
    assert_eq!(last["type"], "run_finished");
    assert_eq!(last["verdict"], "succeeded");
    for service in last["services"].as_array().unwrap() {
        assert_eq!(service["met_rto"], true, "{service}");
        for field in ["name", "rto_ms", "rta_ms", "met_rto", "rpo_ms", "rpa_ms", "met_rpo"] {
            assert!(service.get(field).is_some(), "{service}");
        }
    }
    // The journal holds the same events.
    let journal = std::fs::read_to_string(dr.last_run().join("journal.jsonl")).unwrap();
    assert_eq!(journal.lines().count(), durable.len());
}
