use super::Instance;
use super::compact::Compact;
use super::keys::NEVER;

/// What a schedule is worth, the less the better: total lateness of critical, high, medium and low
/// services, then the makespan, then the sum of recovery times. All milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    /// Total lateness by class, the most urgent first.
    pub lateness: [u64; 4],
    /// When the last step ends.
    pub makespan: u64,
    /// Sum over all services.
    pub recovery: u64,
}

impl Value {
    /// The value of a schedule.
    #[must_use]
    pub fn new(instance: &Instance, starts: &[u64]) -> Self {
        let mut value =
            Self { lateness: [0; 4], makespan: instance.makespan_ms(starts), recovery: 0 };
        for goal in &instance.goals {
            if let Some(reached) = instance.reached_ms(goal, starts) {
                value.add(goal.class as usize, goal.due_ms.unwrap_or(NEVER as u64), reached);
            }
        }
        value
    }

    /// The same for the packed form.
    pub(super) fn of(compact: &Compact, starts: &[u64]) -> Self {
        let end = |step: usize| starts[step] + compact.durations[step];
        let makespan = (0..starts.len()).map(end).max().unwrap_or(0);
        let mut value = Self { lateness: [0; 4], makespan, recovery: 0 };
        for (class, due, ends) in &compact.goals {
            let reached = ends.iter().map(|step| end(*step as usize)).max().unwrap_or(0);
            value.add(*class, *due, reached);
        }
        value
    }

    fn add(&mut self, class: usize, due: u64, reached: u64) {
        self.lateness[class] += reached.saturating_sub(due);
        self.recovery += reached;
    }
}
