//! Runbooks that others include: found, read, and kept with whoever names them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Document, Problem, Runbook, load};

/// Runbooks inside runbooks.
const DEEPEST: usize = 8;

/// Where included runbooks are read from.
pub trait Library {
    /// The text that `path` means in a runbook in the file `from`.
    ///
    /// # Errors
    /// Why it cannot be had, in a few words that follow the path.
    fn find(&self, from: &str, path: &str) -> Result<Found, String>;
}

/// A text that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file's name for people, and for what it includes itself.
    pub file: String,
    /// What tells it from every other file, however it is named.
    pub identity: String,
    /// Its text.
    pub text: String,
}

/// What the path of an included runbook leads to.
#[derive(Debug, Clone)]
pub enum Part {
    /// A runbook.
    Runbook(Arc<Runbook>),
    /// A text that is no runbook, with what is wrong with it.
    Unread(Arc<Unread>),
    /// Nothing that could be included, and why.
    Nothing(String),
}

/// A text that is no runbook.
#[derive(Debug)]
pub struct Unread {
    /// Its file's name for people.
    pub file: String,
    /// Itself.
    pub text: String,
    /// Errors of form.
    pub problems: Vec<Problem>,
}

/// Whether `uses` names a runbook by its path, not an action.
#[must_use]
pub fn is_path(uses: &str) -> bool {
    uses.contains('/')
}

/// Reads every runbook that this one includes, directly or not. What cannot be had is told where
/// the runbook is checked.
pub fn include(runbook: &mut Runbook, library: &dyn Library, identity: &str) {
    let mut reader = Reader { library, read: BTreeMap::new() };
    runbook.parts = reader.parts(&runbook.document, &runbook.file, &mut vec![identity.to_owned()]);
}

struct Reader<'a> {
    library: &'a dyn Library,
    /// What was read already, by identity.
    read: BTreeMap<String, Part>,
}

impl Reader<'_> {
    fn parts(
        &mut self,
        document: &Document,
        file: &str,
        around: &mut Vec<String>,
    ) -> BTreeMap<String, Part> {
        let mut named = BTreeSet::new();
        paths(&document.steps, &mut named);
        named.into_iter().map(|path| (path.to_owned(), self.part(file, path, around))).collect()
    }

    fn part(&mut self, from: &str, path: &str, around: &mut Vec<String>) -> Part {
        let found = match self.library.find(from, path) {
            Ok(found) => found,
            Err(why) => return Part::Nothing(why),
        };
        if let Some(start) = around.iter().position(|other| *other == found.identity) {
            let round = around.len() - start;
            let how = if round == 1 { "is this runbook itself" } else { "includes this runbook" };
            return Part::Nothing(format!("{how}: it would never end"));
        }
        if around.len() >= DEEPEST {
            return Part::Nothing(format!("is more than {DEEPEST} runbooks deep"));
        }
        if let Some(known) = self.read.get(&found.identity) {
            return known.clone();
        }
        let Found { file, identity, text } = found;
        let part = match load(&text, &file) {
            Ok(mut runbook) => {
                around.push(identity.clone());
                runbook.parts = self.parts(&runbook.document, &file, around);
                around.pop();
                Part::Runbook(Arc::new(runbook))
            }
            Err(problems) => Part::Unread(Arc::new(Unread { file, text, problems })),
        };
        self.read.insert(identity, part.clone());
        part
    }
}

/// The paths that steps name.
fn paths<'d>(steps: &'d [super::StepDoc], named: &mut BTreeSet<&'d str>) {
    for step in steps {
        named.extend(step.uses.as_deref().filter(|uses| is_path(uses)));
        paths(step.steps.as_deref().unwrap_or_default(), named);
    }
}

impl Runbook {
    /// The runbook that a step includes, if it does and it can be had.
    #[must_use]
    pub fn part(&self, uses: &str) -> Option<&Arc<Self>> {
        match self.parts.get(uses)? {
            Part::Runbook(runbook) => Some(runbook),
            Part::Unread(_) | Part::Nothing(_) => None,
        }
    }

    /// It and every runbook that it includes, each once, itself first.
    #[must_use]
    pub fn all(&self) -> Vec<&Self> {
        let mut all = vec![self];
        let mut next = 0;
        while let Some(runbook) = all.get(next).copied() {
            next += 1;
            for part in runbook.parts.values() {
                if let Part::Runbook(part) = part
                    && all.iter().all(|known| known.file != part.file)
                {
                    all.push(part);
                }
            }
        }
        all
    }

    /// Texts that it includes, directly or not, and that are no runbooks.
    #[must_use]
    pub fn unread(&self) -> Vec<&Unread> {
        let mut found: Vec<&Unread> = Vec::new();
        for runbook in self.all() {
            for part in runbook.parts.values() {
                if let Part::Unread(unread) = part
                    && found.iter().all(|known| known.file != unread.file)
                {
                    found.push(unread);
                }
            }
        }
        found
    }

    /// Changes it and every runbook that it includes.
    pub fn each_mut(&mut self, change: &mut dyn FnMut(&mut Self)) {
        change(self);
        for part in self.parts.values_mut() {
            if let Part::Runbook(part) = part {
                Arc::make_mut(part).each_mut(change);
            }
        }
    }
}
