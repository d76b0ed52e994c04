use std::sync::Arc;

use serde_json::{Value, json};

use super::super::*;
use super::support::*;
use crate::event::{RequestKind, Verdict};
use crate::journal::adversary::{Fault, Op};
use crate::journal::{Head, Masker, Writer};
use crate::machine::{Ending, Input};
use crate::plugin::Registry;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_launched_before_it_is_durable() {
    let world = World::new();
    let (engine, mut handle) = world.engine(chains(8, 12), world.adversary(None));
    let ending = engine.run(session()).await.unwrap();
    assert_eq!(ending, Ending::Verdict(Verdict::Succeeded));
    let ops = world.trace.ops();
    assert_eq!(judge(&ops).len(), 96);
    assert_eq!(
        ops.iter().filter(|op| matches!(op, Op::Other(what) if what.starts_with("forget"))).count(),
        96
    );
    assert_eq!(ops.last(), Some(&Op::Other("close".to_owned())));
    let mut seen = Vec::new();
    while let Some(records) = handle.records.recv().await {
        seen.extend(records.iter().map(|record| record.seq));
    }
    assert_eq!(seen, (1..=192).collect::<Vec<_>>(), "everything is told, in order");
}

#[expect(clippy::print_stdout, reason = "the count is what is asked for")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_failure_of_the_journal_nothing_new_is_started() {
    let faults = [
        Fault::Write(0, libc::EIO),
        Fault::Write(40, libc::ENOSPC),
        Fault::Write(usize::MAX, libc::ENOSPC),
        Fault::Sync(libc::EIO),
        Fault::Sync(libc::ENOSPC),
    ];
    let (mut failures, mut kept_aside) = (0, 0);
    for fault in faults {
        for failing in 1..12 {
            let world = World::new();
            let adversary = world.adversary(Some((failing, fault)));
            let (engine, handle) = world.engine(chains(3, 4), adversary);
            // A run with few batches may end before the fault.
            let Err(error) = engine.run(session()).await else { continue };
            drop(handle);
            let launches = judge(&world.trace.ops());
            let EngineError::Unrecorded { recovered, source } = error else { panic!("{error}") };
            assert!(source.to_string().starts_with("cannot write the journal: "), "{source}");
            let durable = String::from_utf8(world.trace.durable()).unwrap();
            let recorded = durable.matches("attempt_finished").count();
            assert_eq!(recorded + recovered.len(), launches.len(), "a result was lost");
            failures += 1;
            kept_aside += recovered.len();
            if !recovered.is_empty() {
                let kept = std::fs::read_to_string(world.dir.recovered()).unwrap();
                let kept: Vec<Recovered> =
                    kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                assert_eq!(kept, recovered);
            }
        }
    }
    println!(
        "{failures} failed writes and syncs: nothing new was started, {kept_aside} results kept"
    );
}

#[tokio::test]
async fn running_attempts_are_waited_for_when_the_journal_fails() {
    let world = World::new();
    let logic = Scripted(|now, input| match input {
        Input::Start(_) => vec![started(now, "one"), launch(1, "one", "slow", Value::Null)],
        Input::Answer(_) => vec![started(now, "two"), launch(2, "two", "ok", Value::Null)],
        _ => panic!("the machine was asked after the journal had failed"),
    });
    let (engine, handle) = world.engine(logic, world.adversary(Some((2, Fault::Sync(libc::EIO)))));
    let requests = handle.requests.clone();
    let run = engine.run(session());
    let poke = async {
        until(|| world.trace.ops().contains(&Op::Other("launch one".to_owned()))).await;
        requests.submit(request("a", RequestKind::Retry));
        until(|| world.trace.ops().contains(&Op::Refused)).await;
        world.release.notify_one();
    };
    let (ended, ()) = tokio::join!(run, poke);
    let Err(EngineError::Unrecorded { recovered, .. }) = ended else { panic!("{ended:?}") };
    assert_eq!(recovered[0].result, RecoveredResult::Applied(json!("released")));
    assert_eq!(judge(&world.trace.ops()), ["one"]);
}

#[tokio::test]
async fn who_leaves_at_once_leaves_jobs_alone() {
    let world = World::new();
    let (logic, out) = single("slow", Value::Null);
    let (engine, handle) = world.engine(logic, world.adversary(None));
    let leave = engine.leave();
    let ask = async {
        until(|| world.trace.ops().contains(&Op::Other("launch one".to_owned()))).await;
        leave();
        handle
    };
    let (ended, _handle) = tokio::join!(engine.run(session()), ask);
    assert!(matches!(ended, Err(EngineError::Abandoned { running: 1 })), "{ended:?}");
    assert!(out.lock().unwrap().is_none(), "the machine is not told: for it this is a crash");
    let durable = String::from_utf8(world.trace.durable()).unwrap();
    assert!(!durable.contains("attempt_finished"));
}

#[tokio::test]
async fn a_plan_whose_plugin_is_missing_is_not_started() {
    let world = World::new();
    let plan = Arc::new(plan());
    let context = RunContext {
        dir: world.dir.clone(),
        clock: Arc::clone(&world.clock),
        registry: Arc::new(Registry::default()),
        secrets: world.secrets(&plan),
        masker: world.masker.clone(),
        journal: Writer::new(world.adversary(None), Head::default(), Masker::default()),
        history: Vec::new(),
        preflight: None,
        signals: false,
        plan,
    };
    let error = Engine::new(context, chains(1, 1)).map(|_| ()).unwrap_err();
    assert!(matches!(error, EngineError::PluginMissing { .. }), "{error}");
    assert!(world.trace.ops().is_empty());
}
