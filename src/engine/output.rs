use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
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
    of: Kept,
    dir: RunDir,
    volatile: mpsc::Sender<Volatile>,
    masker: Masker,
    stdout: Mutex<Spill>,
    stderr: Mutex<Spill>,
}

/// Whose output it is.
pub(super) struct Kept {
    pub(super) step: StepId,
    pub(super) purpose: Purpose,
    pub(super) attempt: u32,
    /// Nothing of it is kept or shown: it may hold a secret that nobody knows yet.
    pub(super) silent: bool,
}

impl Output {
    pub(super) fn new(
        of: Kept,
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
            let shown = self.spill(stream).finish(&|| self.path(stream));
            self.show(stream, &shown);
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

    /// Where it is kept.
    fn path(&self, stream: Stream) -> PathBuf {
        self.dir.output(&self.of.step, self.of.purpose, self.of.attempt, stream)
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
        let shown = self.spill(stream).take(chunk, &|| self.path(stream));
        self.show(stream, &shown);
    }
}

/// One stream of an attempt on its way to its file, whose path is put together once there is something to keep:
/// most attempts say nothing.
struct Spill {
    mask: MaskStream,
    file: Option<File>,
    kept: u64,
    dropped: u64,
    /// The file could not be written: the attempt's result matters more.
    failed: bool,
}

impl Spill {
    fn new(masker: Masker) -> Self {
        let mask = MaskStream::new(masker);
        Self { mask, file: None, kept: 0, dropped: 0, failed: false }
    }

    /// Takes a piece and gives what of it can be shown by now.
    fn take(&mut self, chunk: &[u8], path: &dyn Fn() -> PathBuf) -> Vec<u8> {
        let shown = self.mask.push(chunk);
        self.keep(&shown, path);
        shown
    }

    fn finish(&mut self, path: &dyn Fn() -> PathBuf) -> Vec<u8> {
        let shown = self.mask.finish();
        self.keep(&shown, path);
        if self.dropped > 0 {
            let note =
                format!("\n[dr kept the first {} bytes and dropped {}]\n", self.kept, self.dropped);
            self.write(note.as_bytes(), path);
        }
        self.file = None;
        shown
    }

    fn keep(&mut self, bytes: &[u8], path: &dyn Fn() -> PathBuf) {
        let room = usize::try_from(KEPT - self.kept).unwrap_or(usize::MAX).min(bytes.len());
        self.write(&bytes[..room], path);
        self.kept += room as u64;
        self.dropped += (bytes.len() - room) as u64;
    }

    fn write(&mut self, bytes: &[u8], path: &dyn Fn() -> PathBuf) {
        if bytes.is_empty() || self.failed {
            return;
        }
        if self.file.is_none() {
            // A second launch of the same attempt reads its job's output from the beginning.
            let opened =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path());
            self.file = opened.ok();
        }
        let written = self.file.as_mut().is_some_and(|file| file.write_all(bytes).is_ok());
        if !written {
            self.failed = true;
            tracing::warn!(path = %path().display(), "output of a step is not kept");
        }
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
                let kept =
                    Kept { step: "a/b".into(), purpose: Purpose::Apply, attempt: 1, silent: false };
                Output::new(kept, dir, &masker, sender)
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
