//! Copies of a command that outlived the `dr` that had started them. A command that is no job dies
//! with `dr`, unless `dr` is killed outright: then it runs on, and must not run twice.
//!
//! Such a command costs nothing to find: its input, which is at its end anyway, is a file in memory
//! whose name says which step of which run it belongs to, and the system shows that name.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use dr_plugin::job::folder_name;
use dr_plugin::{CallError, CallKey};

use crate::direct::{CONFIRM, GRACE};
use crate::group::Group;

/// What the names of the inputs begin with.
const MARK: &str = "dr:";

/// The name of the input of what is executed for a step, whatever the attempt.
pub(crate) fn mark(key: &CallKey) -> String {
    let step = CallKey { purpose: String::new(), attempt: 0, ..key.clone() };
    format!("{MARK}{}", folder_name(&step))
}

/// What was left over when this process began with a run.
#[derive(Default)]
pub(crate) struct LeftOvers {
    found: Mutex<Option<Found>>,
}

struct Found {
    run: String,
    /// Leaders of process groups, by the mark that they carry.
    leaders: HashMap<String, Vec<u32>>,
}

impl LeftOvers {
    /// Ends what an earlier session has left of the step, before it is executed again.
    ///
    /// # Errors
    /// Something of it may still run: nothing must be started beside it.
    pub(crate) async fn end(&self, key: &CallKey) -> Result<(), CallError> {
        let mark = mark(key);
        for leader in self.of(&key.run, &mark) {
            // Its number may be another's by now.
            if mark_of(leader).is_none_or(|carried| carried != mark) {
                continue;
            }
            let mut group = Group::of(Some(leader));
            group.terminate();
            let mut gone = group.is_gone_within(GRACE).await;
            if !gone {
                group.kill();
                gone = group.is_gone_within(CONFIRM).await;
            }
            group.release();
            if !gone {
                let message = format!(
                    "process group {leader}, which an earlier session started for this step, was told \
                     to end and still runs; nothing was started beside it"
                );
                return Err(CallError::unknown("left_over", message).with_help(format!(
                    "end it (`kill -KILL -{leader}`), then go on with the run"
                )));
            }
            tracing::warn!("process group {leader} still worked on {}; it was ended", key.step);
        }
        Ok(())
    }

    fn of(&self, run: &str, mark: &str) -> Vec<u32> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match &mut *found {
            Some(found) if found.run == run => found,
            other => other.insert(Found { run: run.to_owned(), leaders: left_over() }),
        };
        found.leaders.get(mark).cloned().unwrap_or_default()
    }
}

/// Every process that was executed for some step and whose `dr` is gone.
fn left_over() -> HashMap<String, Vec<u32>> {
    let mut leaders: HashMap<String, Vec<u32>> = HashMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(mark) = mark_of(pid) {
            leaders.entry(mark).or_default().push(pid);
        }
    }
    leaders
}

/// The mark that a process carries, if it is this user's, leads its group but no session of its own,
/// and was not started by a `dr` that lives.
fn mark_of(pid: u32) -> Option<String> {
    let folder = Path::new("/proc").join(pid.to_string());
    let input = fs::read_link(folder.join("fd/0")).ok()?;
    let name = input.to_str()?.strip_prefix("/memfd:")?.strip_suffix(" (deleted)")?;
    let mark = name.starts_with(MARK).then(|| name.to_owned())?;
    if fs::metadata(&folder).ok()?.uid() != rustix::process::geteuid().as_raw() {
        return None;
    }
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(1);
    let mut number = || fields.next()?.parse::<u32>().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    let program = |process: &str| fs::read_link(Path::new("/proc").join(process).join("exe")).ok();
    let own = program("self");
    let started_by_a_living = own.is_some() && program(&parent.to_string()) == own;
    (group == pid && session != pid && !started_by_a_living).then_some(mark)
}
