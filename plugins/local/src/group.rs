use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::time::sleep;

/// Ends the process group of a command when it is dropped before its end was seen.
pub(crate) struct Group {
    leader: Option<Pid>,
}

impl Group {
    /// The group that the process `id` leads.
    pub(crate) fn of(id: Option<u32>) -> Self {
        let leader = id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { leader }
    }

    /// The leader was collected: its id may soon be another's.
    pub(crate) fn release(&mut self) {
        self.leader = None;
    }

    /// Asks all processes of the group to end.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends all processes of the group.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Waits until no process of the group is left; whether that came true within `limit`.
    pub(crate) async fn is_gone_within(&self, limit: Duration) -> bool {
        let Some(leader) = self.leader else { return true };
        let step = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        loop {
            if !is_alive(leader) {
                return true;
            }
            if waited >= limit {
                return false;
            }
            sleep(step).await;
            waited += step;
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // It may just have ended: nothing is left to be told.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a process of the group is alive. The dead that nobody has collected still take signals,
/// so where the system lists its processes, those are left out.
fn is_alive(group: Pid) -> bool {
    if test_kill_process_group(group).is_err() {
        return false;
    }
    let Ok(processes) = std::fs::read_dir("/proc") else { return true };
    let mut listed = false;
    for process in processes.flatten() {
        let Ok(stat) = std::fs::read_to_string(process.path().join("stat")) else { continue };
        listed = true;
        let Some((_, fields)) = stat.rsplit_once(") ") else { continue };
        let mut fields = fields.split(' ');
        let (state, process_group) = (fields.next(), fields.nth(1));
        if process_group == Some(group.as_raw_nonzero().to_string().as_str())
            && !matches!(state, Some("Z" | "X"))
        {
            return true;
        }
    }
    !listed
}
