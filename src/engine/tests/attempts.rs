use std::path::Path;

use dr_plugin::{CallError, ErrorClass};
use serde_json::{Value, json};

use super::support::*;
use crate::event::{CancelRequest, Volatile};
use crate::journal::MemoryStorage;
use crate::journal::adversary::Op;
use crate::machine::AttemptResult;

async fn result_of(action: &'static str, input: Value) -> (AttemptResult, World) {
    let world = World::new();
    let (logic, out) = single(action, input);
    let (engine, _handle) = world.engine(logic, world.adversary(None));
    engine.run(session()).await.unwrap();
    let result = out.lock().unwrap().take().unwrap();
    (result, world)
}

fn error(result: AttemptResult) -> CallError {
    match result {
        AttemptResult::Applied(Err(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_plugin_that_panics_leaves_an_unknown_outcome() {
    let (result, world) = result_of("panic", Value::Null).await;
    let error = error(result);
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Unknown, "plugin_panicked"));
    assert_eq!(error.causes, ["as asked"]);
    let forgotten = Op::Other("forget one".to_owned());
    assert!(!world.trace.ops().contains(&forgotten), "what is unknown is not cleaned away");
}

#[tokio::test]
async fn an_attempt_is_stopped_on_request() {
    let world = World::new();
    let (logic, out) = single("slow", Value::Null);
    let (engine, handle) = world.engine(logic, world.adversary(None));
    let ask = async {
        until(|| world.trace.ops().contains(&Op::Other("launch one".to_owned()))).await;
        handle.requests.cancel(actor(), CancelRequest::Stop, None);
    };
    let (ended, ()) = tokio::join!(engine.run(session()), ask);
    ended.unwrap();
    let error = error(out.lock().unwrap().take().unwrap());
    assert_eq!((error.class, error.message.as_str()), (ErrorClass::Cancelled, "Stop"));
}

#[tokio::test]
async fn secrets_reach_the_plugin_and_nothing_else() {
    let text = json!({"text": {"$text": ["with ", {"$secret": "pw"}]}});
    let world = World::new();
    let (logic, out) = single("say", text);
    let storage = MemoryStorage::default();
    let (engine, mut handle) = world.engine(logic, storage.clone());
    engine.run(session()).await.unwrap();
    let told = error(out.lock().unwrap().take().unwrap());
    assert!(told.message.contains(CANARY), "the machine's own data are whole");
    let journal = String::from_utf8(storage.bytes()).unwrap();
    assert!(journal.contains("failed with with ***"), "{journal}");
    let mut shown = String::new();
    while let Ok(event) = handle.volatile.try_recv() {
        match event {
            Volatile::Output { text, .. } => shown.push_str(&text),
            Volatile::Progress { message, .. } => assert_eq!(message, "with ***"),
        }
    }
    assert_eq!(shown, "with ***");
    let kept = std::fs::read_to_string(world.dir.outputs().join("one.1.stdout")).unwrap();
    assert_eq!(kept, "with ***");
    assert_no_canary(world.dir.path());
    assert!(!journal.contains("c4nary"));
}

fn assert_no_canary(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_canary(&path);
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("c4nary"), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_secret_that_is_not_to_be_had_applies_nothing() {
    let world = World::new();
    let (logic, out) = single("ok", json!({"$text": [{"$secret": "other"}]}));
    let (engine, _handle) = world.engine(logic, world.adversary(None));
    engine.run(session()).await.unwrap();
    let error = error(out.lock().unwrap().take().unwrap());
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Permanent, "secret_unavailable"));
    assert!(judge(&world.trace.ops()).is_empty());
}
