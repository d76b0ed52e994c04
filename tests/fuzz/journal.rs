//! The reader of journals: nothing that was changed is believed.

use std::collections::BTreeMap;
use std::sync::Arc;

use dr::app::plugins::catalog;
use dr::journal::{Head, Masker, MemoryStorage, Writer, decode};
use dr::planner::{Estimates, PlanRequest, plan};
use dr::rehearse::{Script, rehearse};

use crate::{fuzz, mutate};

/// The journal of a rehearsed run.
fn journal() -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/quickstart.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let mut runbook = dr::runbook::load(&text, "quickstart.yaml").unwrap();
    dr::runbook::normalize(&mut runbook, catalog());
    let made = plan(&runbook, catalog(), &PlanRequest::default(), &Estimates::default()).unwrap();
    let json = serde_json::to_string(&made).unwrap();
    assert_eq!(serde_json::from_str::<dr::plan::Plan>(&json).unwrap(), made, "printed and read");
    let mut events = Vec::new();
    let mut keep = |record: &dr::event::Record| events.push(record.event.clone());
    rehearse(&Arc::new(made), &Script::default(), BTreeMap::new(), &mut keep).unwrap();
    let storage = MemoryStorage::default();
    let mut writer = Writer::new(storage.clone(), Head::default(), Masker::default());
    for events in events.chunks(3) {
        writer.append(events.to_vec()).unwrap();
    }
    storage.bytes()
}

#[test]
fn nothing_that_was_changed_is_believed() {
    let bytes = journal();
    let whole = decode(&bytes, false).unwrap().records;
    assert!(whole.len() > 10);
    fuzz("journals", 2_000, |random| {
        let changed = mutate::bytes(random, &bytes);
        for accept_loss in [false, true] {
            let tried = std::panic::catch_unwind(|| decode(&changed, accept_loss));
            let read = tried.unwrap_or_else(|_| panic!("{}", changed.escape_ascii()));
            let Ok(read) = read else { continue };
            let known = whole.starts_with(&read.records);
            assert!(known, "believed: {}", changed.escape_ascii());
        }
    });
}
