use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use ssh2::{BlockDirections, Error, ErrorCode, Session};
use tokio::io::Interest;
use tokio::time::timeout;

/// libssh2's "would block".
pub(crate) const EAGAIN: i32 = -37;

/// What a session runs over: the network, or the near end of a pair whose far end is pumped through
/// another session.
#[derive(Debug)]
pub(crate) enum Wire {
    Tcp(TcpStream),
    Pair(UnixStream),
}

impl Wire {
    /// Ends the wire under whoever uses it, in any thread.
    pub(crate) fn cut(&self) {
        // It may be gone already, which is what is wanted.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Pair(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    fn events(&self) -> std::io::Result<Events> {
        Ok(match self {
            Self::Tcp(stream) => Events::Tcp(tokio::net::TcpStream::from_std(stream.try_clone()?)?),
            Self::Pair(stream) => {
                Events::Pair(tokio::net::UnixStream::from_std(stream.try_clone()?)?)
            }
        })
    }
}

/// Another handle of a wire, only to wait for what it can do: the session does the reading.
enum Events {
    Tcp(tokio::net::TcpStream),
    Pair(tokio::net::UnixStream),
}

impl Events {
    /// Waits until the wire may do one of `interest`. The next wait is for something new: whoever
    /// comes from here tries the session first.
    async fn wait(&self, interest: Interest) -> std::io::Result<()> {
        let stale = || Err::<(), _>(std::io::ErrorKind::WouldBlock.into());
        let ready = match self {
            Self::Tcp(stream) => stream.ready(interest).await?,
            Self::Pair(stream) => stream.ready(interest).await?,
        };
        for (one, is_ready) in
            [(Interest::READABLE, ready.is_readable()), (Interest::WRITABLE, ready.is_writable())]
        {
            if is_ready {
                let _ = match self {
                    Self::Tcp(stream) => stream.try_io(one, stale),
                    Self::Pair(stream) => stream.try_io(one, stale),
                };
            }
        }
        Ok(())
    }
}

/// A handle of a wire that a session can own.
pub(crate) struct SharedWire(pub(crate) Arc<Wire>);

impl AsRawFd for SharedWire {
    fn as_raw_fd(&self) -> RawFd {
        match &*self.0 {
            Wire::Tcp(stream) => stream.as_raw_fd(),
            Wire::Pair(stream) => stream.as_raw_fd(),
        }
    }
}

/// A session that is logged in. It never blocks: whoever would wait, waits for the wire.
pub(crate) struct Connection {
    session: Session,
    wire: Arc<Wire>,
    events: Events,
    keepalive: Duration,
}

impl Connection {
    /// Takes over a session that blocks.
    pub(crate) fn new(
        session: Session,
        wire: Arc<Wire>,
        keepalive: Duration,
    ) -> std::io::Result<Self> {
        session.set_blocking(false);
        session.set_keepalive(true, u32::try_from(keepalive.as_secs().max(1)).unwrap_or(u32::MAX));
        let events = wire.events()?;
        Ok(Self { session, wire, events, keepalive })
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn wire(&self) -> Arc<Wire> {
        Arc::clone(&self.wire)
    }

    pub(crate) fn keepalive(&self) -> Duration {
        self.keepalive
    }

    /// Repeats `step` until it no longer would block.
    pub(crate) async fn finish<T>(
        &self,
        mut step: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut silence = Silence::default();
        loop {
            match step() {
                Err(error) if error.code() == ErrorCode::Session(EAGAIN) => {}
                done => return done,
            }
            self.listen(&mut silence).await?;
        }
    }

    /// Waits until the wire can do what the session waits for. A host that stays silent is asked
    /// for a sign; one that gives none is lost.
    pub(crate) async fn listen(&self, silence: &mut Silence) -> Result<(), Error> {
        if let Ok(ready) = timeout(self.keepalive, self.ready()).await {
            silence.rounds = 0;
            return ready;
        }
        silence.rounds += 1;
        if silence.rounds > Silence::MOST {
            return Err(lost("the host gave no sign of life"));
        }
        match self.session.keepalive_send() {
            Err(error) if error.code() != ErrorCode::Session(EAGAIN) => Err(error),
            _ => Ok(()),
        }
    }

    async fn ready(&self) -> Result<(), Error> {
        let interest = match self.session.block_directions() {
            BlockDirections::Outbound => Interest::WRITABLE,
            BlockDirections::Both => Interest::READABLE | Interest::WRITABLE,
            BlockDirections::Inbound | BlockDirections::None => Interest::READABLE,
        };
        self.events.wait(interest).await.map_err(|_| lost("the connection broke"))
    }

    /// Says good-bye, as far as that is possible at once.
    pub(crate) async fn close(self) {
        let farewell = self.finish(|| {
            self.session.disconnect(Some(ssh2::DisconnectCode::ByApplication), "done", None)
        });
        let _ = timeout(Duration::from_secs(1), farewell).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Freeing a session that may block does not leave halves behind; on a wire that is cut
        // nothing blocks.
        self.wire.cut();
        self.session.set_blocking(true);
    }
}

/// How often in a row the host was silent for the time of a keepalive.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    rounds: u32,
}

impl Silence {
    const MOST: u32 = 3;
}

/// The error of a wire that is no more.
pub(crate) fn lost(message: &'static str) -> Error {
    const SOCKET_DISCONNECT: i32 = -13;
    Error::new(ErrorCode::Session(SOCKET_DISCONNECT), message)
}
