use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dr_plugin::{Progress, Stream};
use tokio::sync::mpsc;

use crate::event::{Purpose, Volatile};
use crate::id::StepId;
use crate::journal::{MaskStream, Masker, RunDir};

/// Of each stream of an attempt, this many bytes are kept.
const KEPT: u64 = 4 << 20;
/// Text of one volatile event, in bytes at most.
const SHOWN: usize = 16 << 10;

/// Takes what an attempt reports while it runs: output is masked and kept in files, which exist
/// only if there is output; what is to be seen at once goes to a bounded channel and is dropped
/// when nobody keeps up.
pub(super) struct Output {
    of: Attempt,
    dir: RunDir,
    volatile: mpsc::Sender<Volatile>,
    masker: Masker,
    stdout: Mutex<Spill>,
    stderr: Mutex<Spill>,
}

/// Whose output it is.
pub(super) struct Attempt {
    pub(super) step: StepId,
    pub(super) purpose: Purpose,
    pub(super) number: u32,
    /// Nothing of it is kept or shown: it may hold a secret that nobody knows yet.
    pub(super) silent: bool,
}

impl Output {
    pub(super) fn new(
        of: Attempt,
        dir: &RunDir,
        masker: &Masker,
        volatile: mpsc::Sender<Volatile>,
    ) -> Self {
        let spill = || Mutex::new(Spill::new(masker.clone()));
        let (stdout, stderr) = (spill(), spill());
        Self { of, dir: dir.clone(), volatile, masker: masker.clone(), stdout, stderr }
    }

    /// The attempt is over: writes what was held back.
    pub(super) fn finish(&self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.pass_on(stream, Spill::rest);
            self.spill(stream).finish();
        }
    }

    fn spill(&self, stream: Stream) -> MutexGuard<'_, Spill> {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps and shows what `take` gives.
    fn pass_on(&self, stream: Stream, take: impl FnOnce(&mut Spill) -> Vec<u8>) {
        let mut spill = self.spill(stream);
        let bytes = take(&mut spill);
        if bytes.is_empty() {
            return;
        }
        if matches!(spill.file, Kept::Nothing) {
            let Attempt { step, purpose, number, .. } = &self.of;
            spill.file = Kept::open(self.dir.output(step, *purpose, *number, stream));
        }
        spill.keep(&bytes);
        drop(spill);
        self.show(stream, &bytes);
    }

    fn show(&self, stream: Stream, bytes: &[u8]) {
        for piece in bytes.chunks(SHOWN) {
            let text = String::from_utf8_lossy(piece).into_owned();
            // A screen that does not keep up misses something; the file has it all.
            let _ = self.volatile.try_send(Volatile::Output {
                step: self.of.step.clone(),
                stream,
                text,
            });
        }
    }
}

impl Progress for Output {
    fn progress(&self, message: &str, share: Option<f32>) {
        if self.of.silent {
            return;
        }
        let message = self.masker.text(message).into_owned();
        let step = self.of.step.clone();
        let _ = self.volatile.try_send(Volatile::Progress { step, message, share });
    }

    fn output(&self, stream: Stream, chunk: &[u8]) {
        if self.of.silent {
            return;
        }
        self.pass_on(stream, |spill| spill.mask.push(chunk));
    }
}

/// One stream of an attempt on its way to its file.
struct Spill {
    mask: MaskStream,
    file: Kept,
    kept: u64,
    dropped: u64,
}

/// The file of one stream.
enum Kept {
    /// Not there yet: most attempts say nothing.
    Nothing,
    Open {
        file: File,
        path: PathBuf,
    },
    /// It could not be written: the attempt's result matters more.
    Failed,
}

impl Spill {
    fn new(masker: Masker) -> Self {
        Self { mask: MaskStream::new(masker), file: Kept::Nothing, kept: 0, dropped: 0 }
    }

    /// What the mask held back, because a secret might have begun there.
    fn rest(&mut self) -> Vec<u8> {
        self.mask.finish()
    }

    /// Says what was dropped, and closes the file.
    fn finish(&mut self) {
        if self.dropped > 0 {
            let note =
                format!("\n[dr kept the first {} bytes and dropped {}]\n", self.kept, self.dropped);
            self.file.write(note.as_bytes());
        }
        self.file = Kept::Nothing;
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = usize::try_from(KEPT - self.kept).unwrap_or(usize::MAX).min(bytes.len());
        self.file.write(&bytes[..room]);
        self.kept += room as u64;
        self.dropped += (bytes.len() - room) as u64;
    }
}

impl Kept {
    fn open(path: PathBuf) -> Self {
        // A second launch of the same attempt reads its job's output from the beginning.
        let opened =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        match opened {
            Ok(file) => Self::Open { file, path },
            Err(_) => Self::lost(&path),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Self::Open { file, path } = self
            && file.write_all(bytes).is_err()
        {
            *self = Self::lost(path);
        }
    }

    fn lost(path: &Path) -> Self {
        tracing::warn!(path = %path.display(), "output of a step is not kept");
        Self::Failed
    }
}

#[cfg(test)]
mod tests {
    use dr_plugin::Secret;

    use super::*;

    fn output(dir: &RunDir, room: usize) -> (Output, mpsc::Receiver<Volatile>) {
        let masker = Masker::default();
        masker.add(&Secret::new("hunter22"));
        let (sender, receiver) = mpsc::channel(room);
        (
            {
                let of = Attempt {
                    step: "a/b".into(),
                    purpose: Purpose::Apply,
                    number: 1,
                    silent: false,
                };
                Output::new(of, dir, &masker, sender)
            },
            receiver,
        )
    }

    #[test]
    fn output_is_kept_and_masked_over_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::new(folder.path());
        std::fs::create_dir(dir.outputs()).unwrap();
        let (output, mut volatile) = output(&dir, 100);
        output.output(Stream::Stdout, b"user hunt");
        output.output(Stream::Stdout, b"er22 h");
        output.progress("with hunter22", Some(0.5));
        output.finish();
        let kept = std::fs::read_to_string(dir.outputs().join("a-2fb.1.stdout")).unwrap();
        assert_eq!(kept, "user *** h");
        assert!(!dir.outputs().join("a-2fb.1.stderr").exists(), "nothing was said there");
        let mut shown = String::new();
        while let Ok(event) = volatile.try_recv() {
            match event {
                Volatile::Output { text, .. } => shown.push_str(&text),
                Volatile::Progress { message, .. } => assert_eq!(message, "with ***"),
            }
        }
        assert_eq!(shown, kept);
    }

    #[test]
    fn a_flood_is_cut_and_a_full_channel_drops() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::new(folder.path());
        std::fs::create_dir(dir.outputs()).unwrap();
        let (output, _volatile) = output(&dir, 1);
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..5 {
            output.output(Stream::Stderr, &piece);
        }
        output.finish();
        let kept = std::fs::read_to_string(dir.outputs().join("a-2fb.1.stderr")).unwrap();
        assert!(kept.ends_with("x\n[dr kept the first 4194304 bytes and dropped 1048576]\n"));
        assert!(kept.len() < (4 << 20) + 100);
    }

    #[test]
    fn a_folder_that_is_gone_does_not_fail_the_attempt() {
        let (output, _volatile) = output(&RunDir::new("/nonexistent"), 1);
        output.output(Stream::Stdout, b"x");
        output.finish();
    }
}
