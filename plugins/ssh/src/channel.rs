use std::fs::File;
use std::io::{ErrorKind, Read, Write as _};
use std::time::Duration;

use dr_plugin::Stream;
use dr_plugin::job::Ended;
use sha2::{Digest as _, Sha256};
use ssh2::Channel;
use tokio::time::timeout;

use crate::connection::{Connection, Silence};
use crate::encode::hex;
use crate::input::Transferred;

/// What a command is fed with: bytes, then a file.
pub(crate) struct Feed {
    bytes: Vec<u8>,
    done: usize,
    file: Option<File>,
    /// Of what was read of the file.
    pub(crate) digest: Digested,
}

impl Feed {
    pub(crate) fn new(bytes: Vec<u8>, file: Option<File>) -> Self {
        Self { bytes, done: 0, file, digest: Digested::default() }
    }

    /// What comes next; empty at the end.
    fn next(&mut self) -> std::io::Result<&[u8]> {
        if self.done == self.bytes.len()
            && let Some(file) = &mut self.file
        {
            self.bytes.resize(64 * 1024, 0);
            self.done = 0;
            let count = file.read(&mut self.bytes)?;
            self.bytes.truncate(count);
            self.digest.take(&self.bytes);
            if count == 0 {
                self.file = None;
            }
        }
        Ok(&self.bytes[self.done..])
    }
}

/// Size and SHA-256 of what passed by.
#[derive(Default)]
pub(crate) struct Digested {
    bytes: u64,
    sha256: Sha256,
}

impl Digested {
    pub(crate) fn take(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.sha256.update(chunk);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn finish(self) -> Transferred {
        Transferred { bytes: self.bytes, sha256: hex(&self.sha256.finalize()) }
    }
}

/// Where a command's output goes.
pub(crate) trait Sink: Send {
    /// Takes a chunk of one stream.
    fn take(&mut self, stream: Stream, chunk: &[u8]) -> std::io::Result<()>;
    /// Whether the command is known to be over, whoever still holds its streams.
    fn is_over(&self) -> bool;
}

/// How a channel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// In order; how the command ended, as far as the host said so.
    InOrder(Option<Ended>),
    /// The command is over, but something it left behind holds its streams.
    LeftOpen,
}

/// Once a command is over, its streams are read until they were silent for so long.
const SILENCE: Duration = Duration::from_millis(200);
/// The host has so long for the close that follows the end.
const CLOSING: Duration = Duration::from_secs(3);

/// Runs `line` on a fresh channel: feeds it and takes both its streams as they come, because each
/// of them alone can stop the other.
pub(crate) async fn run(
    connection: &Connection,
    channel: &mut Channel,
    line: &str,
    feed: &mut Feed,
    sink: &mut dyn Sink,
) -> std::io::Result<Closed> {
    connection.finish(|| channel.exec(line)).await?;
    let mut silence = Silence::default();
    let mut buffer = vec![0; 32 * 1024];
    let mut feeding = true;
    loop {
        let mut moved = false;
        if feeding {
            let chunk = feed.next()?;
            if chunk.is_empty() {
                feeding = would_block(channel.send_eof())?.is_none();
                moved |= !feeding;
            } else {
                match channel.write(chunk) {
                    Ok(count) => {
                        feed.done += count;
                        moved |= count > 0;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    // It closed its input, or is gone; its output tells which.
                    Err(_) => feeding = false,
                }
            }
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            let read = match stream {
                Stream::Stdout => channel.read(&mut buffer),
                Stream::Stderr => channel.stderr().read(&mut buffer),
            };
            match read {
                Ok(0) => {}
                Ok(count) => {
                    sink.take(stream, &buffer[..count])?;
                    moved = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if moved {
            continue;
        }
        if channel.eof() {
            return Ok(Closed::InOrder(close(connection, channel).await));
        }
        if sink.is_over() {
            match timeout(SILENCE, connection.listen(&mut silence)).await {
                Ok(heard) => heard?,
                Err(_) => return Ok(Closed::LeftOpen),
            }
        } else {
            connection.listen(&mut silence).await?;
        }
    }
}

fn would_block(result: Result<(), ssh2::Error>) -> std::io::Result<Option<()>> {
    match result.map_err(std::io::Error::from) {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Closes a channel at its end. libssh2 says 0 for a status that never came, so only an orderly
/// close from the other side makes one.
async fn close(connection: &Connection, channel: &mut Channel) -> Option<Ended> {
    let closing = async {
        connection.finish(|| channel.close()).await?;
        connection.finish(|| channel.wait_close()).await
    };
    timeout(CLOSING, closing).await.ok()?.ok()?;
    let signal = channel.exit_signal().ok().and_then(|signal| signal.exit_signal);
    match signal {
        Some(name) => Some(Ended::Signal(signal_number(&name))),
        None => channel.exit_status().ok().map(Ended::Code),
    }
}

fn signal_number(name: &str) -> i32 {
    match name {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "ILL" => 4,
        "ABRT" => 6,
        "FPE" => 8,
        "KILL" => 9,
        "USR1" => 10,
        "SEGV" => 11,
        "USR2" => 12,
        "PIPE" => 13,
        "ALRM" => 14,
        "TERM" => 15,
        _ => 0,
    }
}
