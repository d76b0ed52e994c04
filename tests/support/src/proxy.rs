use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
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

/// A TCP proxy on loopback that can hold everything back, and let it go again.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    mode: Arc<watch::Sender<Mode>>,
    cut: Arc<watch::Sender<u64>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port of `address` and passes on to `target`.
    pub fn start(address: Ipv4Addr, target: SocketAddr) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((address, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(watch::channel(Mode::Pass).0);
        let cut = Arc::new(watch::channel(0).0);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn({
            let (mode, cut) = (Arc::clone(&mode), Arc::clone(&cut));
            move || serve(&runtime, &listener, target, &mode, &cut, stopped)
        });
        Self { port, mode, cut, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on nothing gets through, in either direction.
    pub fn hold(&self) {
        self.mode.send_replace(Mode::Hold);
    }

    /// Passes on again, first what was held back.
    pub fn release(&self) {
        self.mode.send_replace(Mode::Pass);
    }

    /// Closes all connections that are open now.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
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
    mode: &watch::Sender<Mode>,
    cut: &watch::Sender<u64>,
    mut stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = &mut stopped => return,
            };
            let Ok((client, _)) = accepted else { continue };
            let (mode, mut cut) = (mode.subscribe(), cut.subscribe());
            cut.mark_unchanged();
            tokio::spawn(async move {
                tokio::select! {
                    _ = relay(client, target, mode) => {}
                    _ = cut.changed() => {}
                }
            });
        }
    });
}

async fn relay(
    client: TcpStream,
    target: SocketAddr,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    passing(&mut mode).await;
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        pump(from_client, to_server, mode.clone()),
        pump(from_server, to_client, mode)
    )?;
    Ok(())
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        passing(&mut mode).await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
    }
}

async fn passing(mode: &mut watch::Receiver<Mode>) {
    // The sender outlives all connections.
    let _ = mode.wait_for(|mode| *mode == Mode::Pass).await;
}
