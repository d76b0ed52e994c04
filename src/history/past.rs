use std::path::Path;
use std::sync::Arc;

use crate::event::Record;
use crate::id::RunId;
use crate::plan::Plan;
use crate::view::{Damage, RunSummary, View};

/// One run of the past, or one that goes on.
#[derive(Debug, Clone)]
pub struct Past {
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Its journal, in order.
    pub records: Vec<Record>,
    /// Whether a process works on it now.
    pub alive: bool,
    /// Where its journal does not hold any more: the records are those before.
    pub damage: Option<Damage>,
}

/// Gives runs of a state directory.
pub trait Reader {
    /// Every run, in any order.
    ///
    /// # Errors
    /// The folder cannot be read; one sentence for people.
    fn runs(&self) -> Result<Vec<RunId>, String>;

    /// One run.
    ///
    /// # Errors
    /// Its plan or journal cannot be read; one sentence for people.
    fn load(&self, run: &RunId) -> Result<Past, String>;
}

/// A run that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The run.
    pub run: RunId,
    /// Why not.
    pub why: String,
}

impl Past {
    /// Where it stands.
    #[must_use]
    pub fn view(&self) -> View {
        let mut view = View::new(&self.plan);
        for record in &self.records {
            view.apply_record(record);
        }
        view.damaged(self.damage.clone())
    }
}

/// The runs for a list, the latest first, and those that could not be read: one damaged run does
/// not hide the others. `place`: the state directory, if a command has to name it.
///
/// # Errors
/// The folder of runs cannot be read.
pub fn list(
    reader: &dyn Reader,
    place: Option<&Path>,
) -> Result<(Vec<RunSummary>, Vec<Unreadable>), String> {
    let mut runs = reader.runs()?;
    // Ids begin with the moment of the start.
    runs.sort_by(|one, other| other.cmp(one));
    let mut summaries = Vec::new();
    let mut unreadable = Vec::new();
    for run in runs {
        match reader.load(&run) {
            Ok(past) => {
                let view = past.view().kept_in(place);
                let mut summary = view.summary(past.alive);
                // A run that was killed before its first record has no id of its own.
                summary.attention = view.attention(past.alive, &run);
                summary.run = run;
                summaries.push(summary);
            }
            Err(why) => unreadable.push(Unreadable { run, why }),
        }
    }
    Ok((summaries, unreadable))
}
