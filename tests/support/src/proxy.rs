use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};

/// What a proxy does with the connections through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Takes connections and bytes, and passes nothing on: a network that drops packets.
    Hold,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    mode: watch::Sender<Mode>,
    cut: watch::Sender<u64>,
    passed: AtomicU64,
    /// Once so many bytes have passed, all connections are closed.
    limit: AtomicU64,
}

/// A TCP proxy on loopback that can hold everything back, and let it go again; and that can cut
/// connections, at any byte.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port of `address` and passes on to `target`.
    pub fn start(address: Ipv4Addr, target: SocketAddr) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((address, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            mode: watch::channel(Mode::Pass).0,
            cut: watch::channel(0).0,
            passed: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
        });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve(&runtime, &listener, target, &shared, stopped)
        });
        Self { port, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on nothing gets through, in either direction.
    pub fn hold(&self) {
        self.shared.mode.send_replace(Mode::Hold);
    }

    /// Passes on again, first what was held back.
    pub fn release(&self) {
        self.shared.mode.send_replace(Mode::Pass);
    }

    /// Closes all connections that are open now.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Closes all connections once, when `bytes` more have passed, in whichever direction.
    pub fn cut_after(&self, bytes: u64) {
        let limit = self.passed() + bytes;
        self.shared.limit.store(limit, Ordering::SeqCst);
    }

    /// How many bytes have passed, in both directions.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Of `count` bytes, how many may pass before the connections are to be closed, if they are.
    fn admit(&self, count: usize) -> (usize, bool) {
        let before = self.passed.fetch_add(count as u64, Ordering::SeqCst);
        let room = self.limit.load(Ordering::SeqCst).saturating_sub(before);
        if room >= count as u64 {
            return (count, false);
        }
        self.limit.store(u64::MAX, Ordering::SeqCst);
        (usize::try_from(room).unwrap(), true)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    runtime: &Runtime,
    listener: &TcpListener,
    target: SocketAddr,
    shared: &Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = &mut stopped => return,
            };
            let Ok((client, _)) = accepted else { continue };
            let mut cut = shared.cut.subscribe();
            cut.mark_unchanged();
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    _ = cut.changed() => {}
                    _ = relay(client, target, &shared) => {}
                }
            });
        }
    });
}

async fn relay(client: TcpStream, target: SocketAddr, shared: &Shared) -> io::Result<()> {
    let mut mode = shared.mode.subscribe();
    passing(&mut mode).await;
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        pump(from_client, to_server, mode.clone(), shared),
        pump(from_server, to_client, mode, shared)
    )?;
    Ok(())
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    shared: &Shared,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        passing(&mut mode).await;
        if count == 0 {
            return to.shutdown().await;
        }
        let (admitted, cuts) = shared.admit(count);
        to.write_all(&buffer[..admitted]).await?;
        if cuts {
            shared.cut();
            // What closes the connection takes this along.
            std::future::pending::<()>().await;
        }
    }
}

async fn passing(mode: &mut watch::Receiver<Mode>) {
    // The sender outlives all connections.
    let _ = mode.wait_for(|mode| *mode == Mode::Pass).await;
}
