use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::subject::{Answer, PATIENCE, STOP, Subject};
use crate::protocol::{CallFrame, CancelFrame, MAX_FRAME, Method, Reply, Request};
use crate::{Call, Manifest, PROTOCOL};

/// A running executable.
pub(super) struct Executable {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    calls: u64,
}

/// What `PATH manifest` prints.
pub(super) fn printed(path: &Path) -> Result<(Manifest, Value), String> {
    let output = command(path)
        .arg("manifest")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{} cannot be started: {error}", path.display()))?;
    if !output.status.success() {
        return Err(format!("it ended with {}", output.status));
    }
    let value: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("what it prints is no JSON: {error}"))?;
    let manifest = serde_json::from_value(value.clone())
        .map_err(|error| format!("what it prints is no manifest: {error}"))?;
    Ok((manifest, value))
}

#[expect(clippy::disallowed_methods, reason = "the kit starts what it looks at")]
fn command(path: &Path) -> Command {
    // Found in the working directory only where that is said.
    let path =
        if path.components().count() == 1 { PathBuf::from(".").join(path) } else { path.into() };
    Command::new(path)
}

impl Executable {
    #[expect(clippy::disallowed_methods, reason = "a thread of its own reads what it says")]
    pub(super) fn start(path: &Path) -> Result<Self, String> {
        let mut child = command(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", path.display()))?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or("no pipe from it")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            loop {
                let mut line = Vec::new();
                match output.by_ref().take(MAX_FRAME as u64 + 1).read_until(b'\n', &mut line) {
                    Ok(1..) => {}
                    _ => return,
                }
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, input, lines, calls: 0 })
    }

    /// Says hello, with a field that a later `dr` might send, and gives the answer.
    pub(super) fn greet(&mut self) -> Result<Manifest, String> {
        self.send(&json!({ "type": "hello", "protocol": PROTOCOL, "said_by_later_versions": 1 }))?;
        match self.receive(Duration::from_secs(10))? {
            Reply::Hello { protocol: PROTOCOL, manifest } => Ok(*manifest),
            Reply::Hello { protocol, .. } => Err(format!("it speaks version {protocol}")),
            _ => Err("its first frame is no hello".to_owned()),
        }
    }

    /// Sends frames that are not answered: the process must still serve the next call.
    pub(super) fn tease(&mut self, call: &Call) -> Result<(), String> {
        self.frame(&Request::Cancel { id: 987_654, level: CancelFrame::Stop })?;
        self.frame(&Request::Forget { call: Box::new(CallFrame::new(0, Method::Apply, call)) })
    }

    /// Ends its input: it must go within [`STOP`].
    #[expect(clippy::disallowed_methods, reason = "how long it takes is what is looked at")]
    pub(super) fn end(mut self) -> Result<(), String> {
        drop(self.input.take());
        let start = Instant::now();
        while start.elapsed() < STOP {
            if let Ok(Some(_)) = self.child.try_wait() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("it still ran {} s after its input had ended", STOP.as_secs()))
    }

    fn frame(&mut self, frame: &Request) -> Result<(), String> {
        self.send(&serde_json::to_value(frame).map_err(|error| error.to_string())?)
    }

    fn send(&mut self, frame: &Value) -> Result<(), String> {
        let input = self.input.as_mut().ok_or("no pipe to it")?;
        writeln!(input, "{frame}")
            .and_then(|()| input.flush())
            .map_err(|error| format!("it takes no more frames: {error}"))
    }

    fn receive(&mut self, patience: Duration) -> Result<Reply, String> {
        let line = self.lines.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                format!("it said nothing within {} s", patience.as_secs_f32())
            }
            RecvTimeoutError::Disconnected => "it ended without an answer".to_owned(),
        })?;
        if line.len() > MAX_FRAME {
            return Err("it sent a line longer than 8 MiB".to_owned());
        }
        let text = String::from_utf8(line).map_err(|_| "it sent a line that is not UTF-8")?;
        serde_json::from_str(&text)
            .map_err(|error| format!("it sent a line that is no frame: {error}: {}", text.trim()))
    }
}

impl Subject for Executable {
    #[expect(clippy::disallowed_methods, reason = "how long a call takes is what is looked at")]
    fn call(&mut self, call: &Call, method: Method, stop_after: Option<Duration>) -> Answer {
        self.calls += 1;
        let id = self.calls;
        self.frame(&Request::Call(Box::new(CallFrame::new(id, method, call))))?;
        let start = Instant::now();
        let mut stop_after = stop_after;
        let mut limit = PATIENCE;
        loop {
            let until = stop_after.unwrap_or(limit);
            let left = until.saturating_sub(start.elapsed());
            match self.receive(left) {
                Ok(Reply::Result(result)) if result.id == id => {
                    let said = [
                        result.applied.is_some(),
                        result.checked.is_some(),
                        result.preview.is_some(),
                        result.error.is_some(),
                    ];
                    let count = said.into_iter().filter(|it| *it).count();
                    return match count {
                        1 => Ok(*result),
                        _ => Err(format!("its result holds {count} answers instead of one")),
                    };
                }
                Ok(Reply::Result(result)) => {
                    return Err(format!("it answered call {} and was asked {id}", result.id));
                }
                Ok(Reply::Hello { .. }) => return Err("it said hello twice".to_owned()),
                Ok(Reply::Progress { .. } | Reply::Output { .. }) => {}
                Err(_) if stop_after.is_some() && start.elapsed() >= until => {
                    self.frame(&Request::Cancel { id, level: CancelFrame::Stop })?;
                    stop_after = None;
                    limit = start.elapsed() + STOP;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Executable {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
