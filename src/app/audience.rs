//! Who is told how a run goes on.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use crate::journal::RunDir;
use crate::report::{Lines, Reporter, Unsaid};

/// A terminal or a pipe; once it takes nothing any more (it was closed, nobody reads it), a file in
/// the run's folder. The run never depends on either.
pub(super) struct Audience {
    reporter: Option<Box<dyn Reporter>>,
    file: PathBuf,
    moved: bool,
}

impl Audience {
    pub(super) fn new(reporter: Box<dyn Reporter>, dir: &RunDir) -> Self {
        Self { reporter: Some(reporter), file: dir.lines(), moved: false }
    }

    /// Tells something to whoever still listens.
    pub(super) fn tell(&mut self, say: impl Fn(&mut dyn Reporter) -> io::Result<()>) {
        let Some(reporter) = self.reporter.as_deref_mut() else { return };
        let Err(error) = say(reporter) else { return };
        self.move_to_file(Unsaid { error, text: String::new() });
        if self.reporter.as_deref_mut().is_some_and(|reporter| say(reporter).is_err()) {
            self.reporter = None;
        }
    }

    /// Whoever listens has been told everything for now.
    pub(super) fn flush(&mut self) {
        let Some(reporter) = self.reporter.as_deref_mut() else { return };
        let Err(unsaid) = reporter.flush() else { return };
        self.move_to_file(unsaid);
        if self.reporter.as_deref_mut().is_some_and(|reporter| reporter.flush().is_err()) {
            self.reporter = None;
        }
    }

    /// Goes on in the file with what was not said; with nobody, if it is the file that takes nothing.
    fn move_to_file(&mut self, unsaid: Unsaid) {
        let Unsaid { error, text } = unsaid;
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        let file = (!self.moved).then(|| options.open(&self.file)).and_then(Result::ok);
        self.moved = true;
        self.reporter = file.map(|file| Box::new(Lines::after(text, file)) as Box<dyn Reporter>);
        if self.reporter.is_some() {
            tracing::warn!(
                "nobody takes the output any more ({error}); the run goes on, and its lines are in {}",
                self.file.display()
            );
        }
    }

    /// The file that took the rest, if it came to that.
    pub(super) fn file(self) -> Option<PathBuf> {
        (self.moved && self.reporter.is_some()).then_some(self.file)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::event::{Record, Volatile};
    use crate::time::Now;
    use crate::view::{View, fixture};

    /// A pipe whose reader goes away after some records.
    struct Closing(usize);

    impl Reporter for Closing {
        fn record(&mut self, _: &View, _: &Record) -> io::Result<()> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(())
        }
        fn volatile(&mut self, _: &View, _: Now, _: &Volatile) -> io::Result<()> {
            Ok(())
        }
        fn tick(&mut self, _: &View, _: Now) -> io::Result<()> {
            Ok(())
        }
        fn end(&mut self, _: &View, _: Now) -> io::Result<()> {
            Ok(())
        }
    }

    /// A disk that has room for so many bytes.
    struct Full {
        room: usize,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let more = bytes.len().min(self.room);
            self.room -= more;
            self.taken.lock().unwrap().extend(&bytes[..more]);
            if more == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(more) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_closed_pipe_does_not_take_is_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::new(folder.path());
        let records = fixture::succeeded();
        let told = |audience: &mut Audience| {
            let mut view = View::new(&fixture::plan());
            for record in &records {
                view.apply_record(record);
                audience.tell(|reporter| reporter.record(&view, record));
            }
            audience.flush();
        };
        let mut whole = Audience::new(Box::new(Closing(0)), &dir);
        told(&mut whole);
        assert_eq!(whole.file(), Some(dir.lines()));
        let all = std::fs::read_to_string(dir.lines()).unwrap();
        std::fs::remove_file(dir.lines()).unwrap();

        let mut rest = Audience::new(Box::new(Closing(records.len() - 1)), &dir);
        told(&mut rest);
        let last = std::fs::read_to_string(dir.lines()).unwrap();
        assert!(all.ends_with(&last) && all.len() > last.len(), "{last}");
        assert!(last.contains("succeeded"), "{last}");

        std::fs::remove_file(dir.lines()).unwrap();
        let full = all.find('\n').unwrap() + 20;
        let taken = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::new(Full { room: full, taken: Arc::clone(&taken) });
        let mut part = Audience::new(Box::new(lines), &dir);
        told(&mut part);
        let taken = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        let (whole_lines, cut) = taken.split_at(taken.rfind('\n').unwrap() + 1);
        let rest = std::fs::read_to_string(dir.lines()).unwrap();
        assert_eq!(format!("{whole_lines}{rest}"), all, "every line is whole somewhere, once");
        assert!(!cut.is_empty() && rest.starts_with(cut), "{cut}");

        let mut heard = Audience::new(Box::new(Closing(records.len())), &dir);
        told(&mut heard);
        assert_eq!(heard.file(), None);
    }
}
