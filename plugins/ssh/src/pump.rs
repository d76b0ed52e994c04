use std::io::{ErrorKind, Read as _, Write as _};

use ssh2::Channel;
use tokio::net::UnixStream;

use crate::connection::{Connection, EAGAIN, Silence};

/// Carries bytes between a channel of `connection` and `local` until one of them ends; both end
/// then.
pub(crate) fn pump(connection: Connection, channel: Channel, local: UnixStream) {
    #[expect(clippy::disallowed_methods, reason = "a tunnel lives beside what goes through it")]
    tokio::spawn(async move {
        let mut pump = Pump {
            channel,
            local,
            outward: Bytes::new(),
            inward: Bytes::new(),
            silence: Silence::default(),
        };
        while let Ok(true) = pump.turn(&connection).await {}
        // In this order: a channel must not outlive its session.
        drop(pump);
        drop(connection);
    });
}

struct Pump {
    channel: Channel,
    local: UnixStream,
    /// From here to the channel.
    outward: Bytes,
    /// From the channel to here.
    inward: Bytes,
    silence: Silence,
}

/// Bytes on their way.
struct Bytes {
    bytes: Vec<u8>,
    done: usize,
}

impl Bytes {
    fn new() -> Self {
        Self { bytes: Vec::new(), done: 0 }
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.done..]
    }

    fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> std::io::Result<usize>,
    ) -> std::io::Result<bool> {
        self.bytes.resize(64 * 1024, 0);
        self.done = 0;
        let result = read(&mut self.bytes);
        self.bytes.truncate(*result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn drain(
        &mut self,
        write: impl FnOnce(&[u8]) -> std::io::Result<usize>,
    ) -> std::io::Result<bool> {
        match write(self.rest()) {
            Ok(count) => {
                self.done += count;
                Ok(count > 0)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Pump {
    /// Moves what can be moved, then waits for more; false at the end.
    async fn turn(&mut self, connection: &Connection) -> std::io::Result<bool> {
        let mut moved = false;
        if self.inward.rest().is_empty() && !self.channel.eof() {
            moved |= self.inward.fill(|buffer| self.channel.read(buffer))?;
        }
        if !self.inward.rest().is_empty() {
            moved |= self.inward.drain(|bytes| self.local.try_write(bytes))?;
        } else if self.channel.eof() {
            return Ok(false);
        }
        if self.outward.rest().is_empty() {
            moved |= self.outward.fill(|buffer| self.local.try_read(buffer))?;
        }
        if !self.outward.rest().is_empty() {
            moved |= self.outward.drain(|bytes| self.channel.write(bytes))?;
        }
        if moved {
            return Ok(true);
        }
        let (wants_read, wants_write) =
            (self.outward.rest().is_empty(), !self.inward.rest().is_empty());
        tokio::select! {
            heard = connection.listen(&mut self.silence) => match heard {
                Err(error) if error.code() != ssh2::ErrorCode::Session(EAGAIN) => Ok(false),
                _ => Ok(true),
            },
            ready = self.local.readable(), if wants_read => ready.map(|()| true),
            ready = self.local.writable(), if wants_write => ready.map(|()| true),
        }
    }
}
