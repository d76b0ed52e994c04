//! Every runbook that is shipped, ended wherever it can be: against a model of the world that counts
//! what is done to it, and by all that is told of such a run afterwards.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use dr_plugin::Secret;
use dr_testkit::{SHIPPED, Shipped, cases};

use super::evidence::evidence_of;
use super::source::Examined;
use super::verify::verify;
use crate::bundle;
use crate::event::{Event, EventKind, Purpose, StepState, Verdict};
use crate::evidence::Evidence;
use crate::journal::{self, Head, Masker, MemoryStorage, RunDir, Writer, decode};
use crate::machine::tests::{
    Left, Pick, Played, Setting, Weather, World, check_played, ended_everywhere,
};
use crate::plan::{Plan, digest, undone_by};
use crate::planner::{self, Estimates, PlanRequest};
use crate::rehearse::{Imagined, Script};
use crate::view::View;
use crate::words::{Mode, Style};

/// What targets say when they refuse, and nobody may ever read.
const SECRET: &str = "c4n4ry-p4ssw0rd";

/// How much of what could be tried is.
struct Size {
    /// Of the instants of a run, every so manieth.
    every: u64,
    /// Steps that fail, each in a run of its own.
    failing: usize,
    /// Runs in which nothing can be relied on.
    rough: u64,
    /// Of the instants of a run that is ended twice, every so manieth.
    twice: u64,
}

fn size() -> Size {
    match cases(1, 2) {
        1 => Size { every: 67, failing: 1, rough: 0, twice: 23 },
        2 => Size { every: 1, failing: 3, rough: 2, twice: 1 },
        _ => Size { every: 1, failing: usize::MAX, rough: 20, twice: 1 },
    }
}

/// How a run goes: what the world does depends on nothing else.
#[derive(Clone, Copy)]
struct Course<'a> {
    seed: u64,
    weather: Weather,
    failing: Option<&'a str>,
}

/// A runbook in one of its environments.
struct Case {
    name: String,
    plan: Arc<Plan>,
    imagined: Rc<Imagined>,
}

impl Case {
    fn of(shipped: &Shipped, environment: Option<&str>) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks").join(shipped.file);
        let examined = Examined::read(&path).expect("its plugins");
        let (runbook, catalog) = examined.runbook.as_ref().expect("a runbook");
        let first = environment.is_none() || environment == shipped.environments.first().copied();
        let inputs = shipped.inputs.iter().map(|input| input.split_once('=').expect("an input"));
        let request = PlanRequest {
            environment: environment.map(str::to_owned),
            inputs: inputs.map(|(name, value)| (name.to_owned(), value.into())).collect(),
            mode: if first { Mode::Live } else { Mode::Drill },
            style: Some(Style::Graceful),
            effort: Some(0),
            ..PlanRequest::default()
        };
        let plan = planner::plan(runbook, catalog, &request, &Estimates::default());
        let plan = plan.expect("a plan");
        let mut script = Script::default();
        for told in shipped.told {
            let (name, value) = told.split_once('=').expect("what is told");
            script.set(&plan, name, value).expect("what is told");
        }
        let mut plan = script.apply(plan);
        plan.digest = digest(&plan);
        let schemas = super::rehearse::results(&plan, catalog);
        let imagined = Rc::new(Imagined::new(script, schemas, SECRET));
        let name = format!("{} in {}", shipped.file, environment.unwrap_or("default"));
        Self { name, plan: Arc::new(plan), imagined }
    }

    /// Plays a run, ended as deep as `picks`, and checks all of them.
    fn play(&self, course: Course<'_>, picks: &[Pick], counts: &mut Counts) -> Played {
        let Course { seed, weather, failing } = course;
        let name = format!("{}, seed {seed}, {weather:?}, failing: {failing:?}", self.name);
        let setting = Setting { name: &name, plan: &self.plan, reread: &reread };
        let says = Rc::clone(&self.imagined);
        let world = World::that_says(seed, weather, says, failing.map(str::to_owned));
        let mut whole: Option<Played> = None;
        let played = ended_everywhere(&setting, Left::nothing(world), picks, &mut |_, played| {
            check_played(played);
            self.check_told(played);
            let Some(whole) = &whole else {
                counts.instants += played.points.iter().sum::<u64>();
                whole = Some(played.clone());
                return;
            };
            // Whoever dies while an answer is lost may hear it later after all, without a warning. What
            // has a limit in time may exceed it, for the time goes on while nobody is there.
            if weather == Weather::Fair && failing.is_none() && !was_late(played) {
                for (id, state) in &whole.states {
                    assert_eq!(played.states[id].is_met(), state.is_met(), "`{id}` of {name}");
                }
            }
        });
        counts.runs += 1;
        counts.resumed += played - 1;
        let whole = whole.expect("a run as it goes");
        counts.ends.insert(whole.verdict.as_str());
        whole
    }

    /// A course on which all goes well in the end, although answers get lost on the way.
    fn good(&self) -> Course<'static> {
        let good = |seed| Course { seed, weather: Weather::Fair, failing: None };
        let ends_well = |course: &Course<'_>| {
            let verdict = self.play(*course, &[], &mut Counts::default()).verdict;
            matches!(verdict, Verdict::Succeeded | Verdict::ObjectiveMissed)
        };
        (0..100).map(good).find(ends_well).expect("a run that succeeds")
    }

    /// Who only reads the journal tells what is so.
    fn check_told(&self, played: &Played) {
        let (bytes, head) = written(&played.journal);
        let replay = decode(&bytes, false).expect("a journal that holds");
        assert_eq!((replay.torn, replay.head.seq), (None, head.seq));
        let evidence = evidence_of(&self.plan, &replay).expect("evidence");
        assert_eq!(evidence.result.as_str(), played.verdict.as_str(), "{}", self.name);
        let mut view = View::new(&self.plan);
        for record in &replay.records {
            view.apply_record(record);
        }
        for (id, state) in &played.states {
            let shown = view.step(id).map(|step| view.state(step));
            // Nobody works on it any more: of what it left under way nothing is known.
            let left = *state == StepState::Running;
            let state = if left { &StepState::Unknown } else { state };
            assert_eq!(shown, Some(*state), "`{id}` of {} on the screen", self.name);
            // Where a group begins is no step of its own to whoever reads.
            if played.plan.step(id).is_some_and(|step| step.opens.is_some()) {
                continue;
            }
            let proven = evidence.steps.iter().find(|step| step.id.as_str() == id);
            let proven = proven.map(|step| step.state);
            assert_eq!(proven, Some(*state), "`{id}` of {} in the evidence", self.name);
        }
        self.documents_tell_no_secret(&evidence);
    }

    fn documents_tell_no_secret(&self, evidence: &Evidence) {
        for (name, document) in bundle::documents(evidence) {
            let text = String::from_utf8_lossy(&document);
            assert!(!text.contains(SECRET), "{name} of {} tells a secret", self.name);
        }
    }

    /// The folder of such a run verifies; where its end is missing, that is said.
    fn check_folder(&self, played: &Played) {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = RunDir::new(folder.path());
        let plan = serde_json::to_vec(&*self.plan).expect("a plan");
        std::fs::write(dir.plan(), plan).expect("a file");
        let last = played.journal.len();
        for length in [last, last - 1] {
            let (bytes, _) = written(&played.journal[..length]);
            std::fs::write(dir.journal(), bytes).expect("a file");
            let replay = journal::read(&dir.journal(), false).expect("a journal that holds");
            let evidence = evidence_of(&self.plan, &replay).expect("evidence");
            bundle::write(dir.path(), &evidence).expect("files");
            let found = verify(&dir);
            let wrong: Vec<&String> = found.checks.iter().flat_map(|it| &it.problems).collect();
            if length == last {
                assert!(found.verifies, "{}: {wrong:?}", self.name);
            } else {
                let [wrong] = wrong[..] else { panic!("{}: {wrong:?}", self.name) };
                assert!(wrong.contains("no close record"), "{}: {wrong}", self.name);
            }
        }
    }

    /// Steps that could fail: those that a run as it goes attempts, in this order.
    fn attempted(played: &Played) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let attempts = played.journal.iter().filter_map(|event| match &event.kind {
            EventKind::AttemptStarted { step, purpose, .. } if *purpose != Purpose::Check => {
                Some(step.to_string())
            }
            _ => None,
        });
        attempts.filter(|id| undone_by(id).is_none() && seen.insert(id.clone())).collect()
    }
}

/// Whether a step came to the end of its time.
fn was_late(played: &Played) -> bool {
    played.journal.iter().any(|event| match &event.kind {
        EventKind::StepFinished(finished) => finished.state == StepState::TimedOut,
        _ => false,
    })
}

/// The bytes of a journal.
fn written(events: &[Event]) -> (Vec<u8>, Head) {
    let masker = Masker::default();
    masker.add(&Secret::new(SECRET));
    let storage = MemoryStorage::default();
    let mut writer = Writer::new(storage.clone(), Head::default(), masker);
    writer.append(events.to_vec()).expect("memory");
    let bytes = storage.bytes();
    let holds = |secret: &str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    assert!(!holds(SECRET), "the journal tells a secret");
    (bytes, writer.head())
}

/// What is read of a journal whose last line was being written.
fn reread(events: &[Event]) -> Vec<Event> {
    let (mut bytes, _) = written(events);
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    bytes.extend_from_within(..line / 2);
    let replay = decode(&bytes, false).expect("a journal that goes on");
    assert_eq!(replay.torn.is_some(), line > 1);
    replay.records.into_iter().map(|record| record.event).collect()
}

/// What was tried.
#[derive(Default)]
struct Counts {
    runs: u64,
    /// Instants at which these runs, as they go, could have been ended.
    instants: u64,
    resumed: u64,
    ends: BTreeSet<&'static str>,
}

impl Counts {
    #[expect(clippy::print_stderr, reason = "the counts are the result")]
    fn tell(&self, what: &str) {
        let Self { runs, instants, resumed, ends } = self;
        let ends = ends.iter().copied().collect::<Vec<_>>().join(", ");
        eprintln!(
            "{what}: {runs} runs ({ends}), {instants} instants, {resumed} resumed, 0 violations"
        );
    }
}

/// `few` of `all`, evenly.
fn some<T>(all: Vec<T>, few: usize, first: usize) -> Vec<T> {
    let every = all.len().div_ceil(few.max(1)).max(1);
    all.into_iter().skip(first % every).step_by(every).collect()
}

fn cases_of(file: &str) -> Vec<Case> {
    let shipped = SHIPPED.iter().find(|it| it.file == file).expect("it is shipped");
    match shipped.environments {
        [] => vec![Case::of(shipped, None)],
        all => all.iter().map(|environment| Case::of(shipped, Some(environment))).collect(),
    }
}

/// In each of its environments: as it goes well, with failing steps, and in rough weather.
fn ended_anywhere(file: &str) {
    let Size { every, failing, rough, .. } = size();
    let mut counts = Counts::default();
    let mut first = file.len() as u64;
    let mut pick = || {
        first += 1;
        [Pick { first: 1 + first % every.min(17), every }]
    };
    for (number, case) in cases_of(file).iter().enumerate() {
        let good = case.good();
        let whole = case.play(good, &pick(), &mut counts);
        case.check_folder(&whole);
        let all = Case::attempted(&whole);
        for step in some(all, failing, file.len() + number) {
            let course = Course { failing: Some(&step), ..good };
            let failed = case.play(course, &pick(), &mut counts);
            case.check_folder(&failed);
        }
        for seed in 0..rough {
            let course = Course { seed, weather: Weather::Rough, failing: None };
            case.play(course, &pick(), &mut counts);
        }
    }
    counts.tell(file);
}

/// Ended again while it resumes, and while it goes back: every pair of instants.
fn ended_twice(file: &str) {
    let Size { twice: every, .. } = size();
    let picks = |first: u64| [Pick { first, every }; 2];
    let mut counts = Counts::default();
    let case = cases_of(file).pop().expect("an environment");
    let good = case.good();
    let whole = case.play(good, &picks(3), &mut counts);
    let goes_back = |step: &String| {
        let course = Course { failing: Some(step), ..good };
        let ends = case.play(course, &[], &mut Counts::default()).verdict;
        matches!(ends, Verdict::Unwound | Verdict::Stuck | Verdict::Failed)
    };
    let failing = Case::attempted(&whole).into_iter().rfind(goes_back);
    let failing = failing.expect("a step that fails the run");
    let course = Course { failing: Some(&failing), ..good };
    case.play(course, &picks(5), &mut counts);
    counts.tell(&format!("{file}, twice"));
}

macro_rules! each_shipped {
    ($($name:ident: $file:literal,)*) => {
        $(#[test] fn $name() { ended_anywhere($file) })*

        #[test]
        fn none_is_left_out() {
            let named: BTreeSet<&str> = [$($file),*].into();
            let shipped: BTreeSet<&str> = SHIPPED.iter().map(|it| it.file).collect();
            assert_eq!(named, shipped);
        }
    };
}

#[test]
fn mysql_takeover_twice() {
    ended_twice("mysql-takeover.yaml");
}

#[test]
fn rds_restore_twice() {
    ended_twice("rds-restore.yaml");
}

#[test]
fn velero_read_only_restore_twice() {
    ended_twice("velero-read-only-restore.yaml");
}

each_shipped! {
    cluster_recovery: "cluster-recovery.yaml",
    etcd_quorum_restore: "etcd-quorum-restore.yaml",
    geo_planned_failover: "geo-planned-failover.yaml",
    mastodon_move: "mastodon-move.yaml",
    mysql_takeover: "mysql-takeover.yaml",
    part_velero_restore: "parts/velero-restore.yaml",
    patroni_dc_failover: "patroni-dc-failover.yaml",
    postgres_failover: "postgres-failover.yaml",
    quickstart: "quickstart.yaml",
    rds_restore: "rds-restore.yaml",
    shop_region_failover: "shop-region-failover.yaml",
    velero_read_only_restore: "velero-read-only-restore.yaml",
}
