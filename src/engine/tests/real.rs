use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dr_plugin::Effect as Does;
use serde_json::json;

use super::super::{Engine, EngineError, RunContext};
use super::support::{World, plan, session, step};
use crate::event::{EventKind, StepState, Verdict};
use crate::id::Digest;
use crate::journal::{Head, Masker, Replay, Writer, create, read, reopen};
use crate::machine::{Ending, Machine};
use crate::plan::{Plan, PluginUse, Pool, Uses};
use crate::plugin::Registry;
use crate::text::Templated;

/// `count` commands in four chains; the one in the middle is `argv`.
fn commands(folder: &Path, count: usize, middle: &str) -> Plan {
    let mut plan = plan();
    plan.secrets.clear();
    let (settings, manifest) = (Templated::default(), Digest::from("sha256:0"));
    let local = PluginUse { version: "0".to_owned(), manifest, settings, executable: None };
    plan.plugins = BTreeMap::from([("local".to_owned(), local)]);
    plan.pools = BTreeMap::from([("run".to_owned(), Pool { capacity: 4 })]);
    let log = folder.join("log");
    for number in 0..count {
        let last = if number == count / 2 { middle } else { "true" };
        let script = format!("echo s{number} >> {}; {last}", log.display());
        let with = json!({"argv": ["sh", "-c", script]});
        let mut step = step(&format!("s{number}"), "command", with);
        step.uses = Some(Uses { plugin: "local".to_owned(), action: "command".to_owned() });
        step.effect = Does::Idempotent;
        step.takes = BTreeMap::from([("run".to_owned(), 1)]);
        step.needs =
            number.checked_sub(4).map(|need| format!("s{need}").into()).into_iter().collect();
        step.urgency.order = number as u32;
        plan.steps.push(step);
    }
    plan
}

fn context(world: &World, plan: &Arc<Plan>, journal: Writer) -> RunContext {
    RunContext {
        plan: Arc::clone(plan),
        dir: world.dir.clone(),
        clock: Arc::clone(&world.clock),
        registry: Arc::new(Registry::new([dr_plugin_local::plugin()])),
        secrets: world.secrets(plan),
        masker: Masker::default(),
        journal,
        history: Vec::new(),
        preflight: None,
        signals: false,
    }
}

fn states(world: &World) -> BTreeMap<String, StepState> {
    let records = read(&world.dir.journal(), false).unwrap().records;
    let states = records.into_iter().filter_map(|record| match record.event.kind {
        EventKind::StepFinished(finished) => Some((finished.step.to_string(), finished.state)),
        _ => None,
    });
    states.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_run_once_each_and_a_failed_run_goes_on_where_it_failed() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let plan = Arc::new(commands(folder.path(), 24, &format!("test -e {}", gate.display())));

    let journal = create(&world.dir.journal(), Masker::default()).unwrap();
    let machine = Machine::new(Arc::clone(&plan)).unwrap();
    let (engine, _handle) = Engine::new(context(&world, &plan, journal), machine).unwrap();
    let ending = engine.run(session()).await.unwrap();
    assert_eq!(ending, Ending::Verdict(Verdict::Failed));
    assert_eq!(states(&world)["s12"], StepState::Failed);

    std::fs::write(gate, "").unwrap();
    let (replay, journal) =
        reopen(&world.dir.journal(), Replay::default(), false, Masker::default()).unwrap();
    let machine = Machine::new(Arc::clone(&plan)).unwrap();
    let mut context = context(&world, &plan, journal);
    context.history = replay.records;
    let (engine, _handle) = Engine::new(context, machine).unwrap();
    let mut session = session();
    let mut retry = super::support::request("retry", crate::event::RequestKind::Retry);
    retry.step = Some("s12".into());
    session.requests.push(retry);
    let ending = engine.run(session).await.unwrap();
    assert_eq!(ending, Ending::Verdict(Verdict::Succeeded));
    assert!(states(&world).values().all(|state| *state == StepState::Succeeded));

    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    log.lines().for_each(|line| *counts.entry(line).or_default() += 1);
    assert_eq!(counts.len(), 24);
    assert_eq!(counts.remove("s12"), Some(2), "once in each session");
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

/// Whatever refuses a batch, and whether the least or the most of it is on the disk afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the count is what is asked for")]
async fn wherever_the_journal_fails_a_resume_finishes_the_run() {
    use crate::journal::adversary::{Fault, Trace};
    let mut resumed = 0;
    for fault in [
        Fault::Write(0, libc::EIO),
        Fault::Write(200, libc::ENOSPC),
        Fault::Write(usize::MAX, libc::ENOSPC),
        Fault::Sync(libc::EIO),
        Fault::Sync(libc::ENOSPC),
    ] {
        for left in [Trace::durable, Trace::written] {
            let mut failing = 1;
            while fails_and_goes_on(failing, fault, left).await {
                failing += 1;
                resumed += 1;
            }
            assert!(failing > 3, "a chain of two takes more batches");
        }
    }
    println!("{resumed} failed writes and syncs: each run was resumed and finished");
}

/// Whether the run came to its batch number `failing`, which fails; it is resumed and ends well.
async fn fails_and_goes_on(
    failing: usize,
    fault: crate::journal::adversary::Fault,
    left: fn(&crate::journal::adversary::Trace) -> Vec<u8>,
) -> bool {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let plan = Arc::new(commands(folder.path(), 5, "true"));
    let journal =
        Writer::new(world.adversary(Some((failing, fault))), Head::default(), Masker::default());
    let machine = Machine::new(Arc::clone(&plan)).unwrap();
    let (engine, _handle) = Engine::new(context(&world, &plan, journal), machine).unwrap();
    match engine.run(session()).await {
        Err(EngineError::Unrecorded { .. }) => {}
        // It was over before the fault: there are no more batches to fail at.
        Ok(ending) => {
            assert_eq!(ending, Ending::Verdict(Verdict::Succeeded));
            return false;
        }
        Err(other) => panic!("{other}"),
    }
    // Only what is on the disk survives.
    std::fs::write(world.dir.journal(), left(&world.trace)).unwrap();
    let (replay, journal) =
        match reopen(&world.dir.journal(), Replay::default(), false, Masker::default()) {
            Ok(opened) => opened,
            // The close record itself came to the disk whole.
            Err(crate::journal::JournalError::Over { .. }) => return true,
            Err(other) => panic!("{other}"),
        };
    let machine = Machine::new(Arc::clone(&plan)).unwrap();
    let mut context = context(&world, &plan, journal);
    context.history = replay.records;
    let (engine, _handle) = Engine::new(context, machine).unwrap();
    let ending = engine.run(session()).await.unwrap();
    assert_eq!(ending, Ending::Verdict(Verdict::Succeeded), "failed at batch {failing}");
    assert_eq!(states(&world).len(), 5);
    true
}
