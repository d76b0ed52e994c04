use std::sync::Arc;
use std::time::Duration;

use dr_plugin::CallError;
use ssh2::{ErrorCode, Session};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::auth::log_in;
use crate::connection::{Connection, SharedWire, Wire};
use crate::host_key;
use crate::known_hosts::KnownKeys;
use crate::pump::pump;
use crate::target::Target;

/// How often a host that hangs up before the login is asked again: it may have had too many at
/// once.
const ATTEMPTS: u32 = 6;
/// The same for a failed key exchange, of which libssh2 does not tell whether the host hung up or
/// there was no agreement.
const EXCHANGES: u32 = 3;

/// Connects and logs in, through the hosts in between.
pub(crate) async fn connect(target: &Target) -> Result<Connection, CallError> {
    let mut attempt = 1;
    loop {
        let error = match reach(target).await {
            Ok(connection) => return Ok(connection),
            Err(Failed::HungUp(error)) if attempt < ATTEMPTS => error,
            Err(Failed::Exchange(error)) if attempt < EXCHANGES => error,
            Err(Failed::HungUp(error) | Failed::Exchange(error) | Failed::For(error)) => {
                return Err(error);
            }
        };
        tracing::debug!(host = target.host, attempt, %error, "connecting again");
        // Not all of those that were turned away come back at the same time.
        let spread = u64::from(std::process::id() % 7) * 20;
        sleep(Duration::from_millis((100 << attempt) + spread)).await;
        attempt += 1;
    }
}

async fn reach(target: &Target) -> Result<Connection, Failed> {
    let mut before: Option<Connection> = None;
    for hop in target.jumps.iter().chain([target]) {
        let wire = match before {
            Some(before) => through(hop, before).await,
            None => dial(hop).await,
        };
        before = Some(shake_hands(hop, wire.map_err(Failed::For)?).await?);
    }
    before.ok_or_else(|| Failed::For(unreachable(target, "no way there")))
}

fn unreachable(target: &Target, why: &str) -> CallError {
    CallError::transient("unreachable", format!("{} cannot be reached: {why}", target.place()))
        .with_help("check the address, the port and the network between here and there")
}

async fn dial(target: &Target) -> Result<Wire, CallError> {
    let connecting = TcpStream::connect((target.host.as_str(), target.port));
    let stream = match timeout(target.connect_timeout, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(unreachable(target, &error.to_string())),
        Err(_) => return Err(unreachable(target, "no answer in time")),
    };
    stream
        .set_nodelay(true)
        .and_then(|()| stream.into_std())
        .map(Wire::Tcp)
        .map_err(|error| unreachable(target, &error.to_string()))
}

/// A wire through another connection.
async fn through(target: &Target, before: Connection) -> Result<Wire, CallError> {
    let failed = |error: &dyn std::fmt::Display| {
        unreachable(target, &format!("the host in between could not connect there: {error}"))
    };
    let opening =
        before.finish(|| before.session().channel_direct_tcpip(&target.host, target.port, None));
    let channel = match timeout(target.connect_timeout, opening).await {
        Ok(Ok(channel)) => channel,
        Ok(Err(error)) => return Err(failed(&error)),
        Err(_) => return Err(failed(&"no answer in time")),
    };
    let (near, far) = std::os::unix::net::UnixStream::pair().map_err(|error| failed(&error))?;
    near.set_nonblocking(true).map_err(|error| failed(&error))?;
    far.set_nonblocking(true).map_err(|error| failed(&error))?;
    let far = tokio::net::UnixStream::from_std(far).map_err(|error| failed(&error))?;
    pump(before, channel, far);
    Ok(Wire::Pair(near))
}

/// Why a connection did not come about.
enum Failed {
    /// The other side ended it before the login: it may take the next one.
    HungUp(CallError),
    /// The key exchange failed.
    Exchange(CallError),
    For(CallError),
}

/// Cuts the wire when it is dropped, so that the thread below does not stay.
struct CutOnDrop(Option<Arc<Wire>>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        if let Some(wire) = self.0.take() {
            wire.cut();
        }
    }
}

/// Key exchange, the host's key and the login: a few blocking steps in a thread of their own, which
/// may take as long as a slow agent does.
async fn shake_hands(target: &Target, wire: Wire) -> Result<Connection, Failed> {
    let wire = Arc::new(wire);
    let mut guard = CutOnDrop(Some(Arc::clone(&wire)));
    let (sender, receiver) = oneshot::channel();
    let (theirs, far) = (target.clone(), Arc::clone(&wire));
    #[expect(clippy::disallowed_methods, reason = "a login blocks; plugins may spawn")]
    std::thread::spawn(move || {
        let _ = sender.send(log_in_blocking(&theirs, far));
    });
    let gave_up = || Failed::For(unreachable(target, "no answer in time"));
    // libssh2 ends each of its steps in time; this ends all of them together.
    let limit = target.connect_timeout * 3;
    let session = match timeout(limit, receiver).await {
        Ok(Ok(session)) => session?,
        Ok(Err(_)) | Err(_) => return Err(gave_up()),
    };
    guard.0 = None;
    Connection::new(session, wire, target.keepalive)
        .map_err(|error| Failed::For(unreachable(target, &error.to_string())))
}

fn log_in_blocking(target: &Target, wire: Arc<Wire>) -> Result<Session, Failed> {
    let broken = |error: &ssh2::Error| Failed::For(unreachable(target, &error.to_string()));
    let mut session = Session::new().map_err(|error| broken(&error))?;
    session.set_timeout(u32::try_from(target.connect_timeout.as_millis()).unwrap_or(u32::MAX));
    let known = KnownKeys::read(&target.known_hosts, &target.key_name, target.port);
    host_key::prefer(&session, &known);
    session.set_tcp_stream(SharedWire(wire));
    session.handshake().map_err(|error| hung_up(target, &error))?;
    host_key::verify(&session, &known, target).map_err(Failed::For)?;
    log_in(&session, target).map_err(Failed::For)?;
    session.set_timeout(0);
    Ok(session)
}

fn hung_up(target: &Target, error: &ssh2::Error) -> Failed {
    // No banner, errors of the socket, disconnect.
    const HUNG_UP: [i32; 6] = [-2, -3, -7, -13, -43, -45];
    const EXCHANGE: [i32; 2] = [-5, -8];
    match error.code() {
        ErrorCode::Session(code) if HUNG_UP.contains(&code) => Failed::HungUp(unreachable(
            target,
            &format!("it ended the connection before the login ({error})"),
        )),
        ErrorCode::Session(code) if EXCHANGE.contains(&code) => Failed::Exchange(
            CallError::permanent(
                "no_agreement",
                format!("the key exchange with {} failed each time", target.place()),
            )
            .with_help(
                "the host and dr may have nothing in common: allow curve25519-sha256 and \
                 aes256-gcm or aes256-ctr on the host",
            )
            .with_cause(error),
        ),
        _ => Failed::For(unreachable(target, &error.to_string())),
    }
}
