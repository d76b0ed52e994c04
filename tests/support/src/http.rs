use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a server does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpReply {
    /// Answers, after a delay.
    Answer {
        /// Status code.
        status: u16,
        /// Besides `Content-Length`.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
        /// How long it takes.
        delay: Duration,
    },
    /// Takes the request and never answers.
    Hang,
    /// Resets the connection instead of answering.
    Reset,
    /// Promises a whole body and closes in the middle of it.
    Truncated {
        /// Status code.
        status: u16,
        /// The whole body.
        body: Vec<u8>,
    },
}

/// A small real HTTP/1.1 server on loopback.
#[derive(Debug)]
pub struct HttpServer {
    address: Ipv4Addr,
    port: u16,
    seen: Arc<Mutex<Vec<HttpRequest>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HttpRequest {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl HttpReply {
    /// An answer at once.
    pub fn of(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into(), delay: Duration::ZERO }
    }

    /// The same answer after a while.
    pub fn after(self, wait: Duration) -> Self {
        match self {
            Self::Answer { status, headers, body, .. } => {
                Self::Answer { status, headers, body, delay: wait }
            }
            other => other,
        }
    }

    /// The same answer with a header more.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

type Handler = Arc<dyn Fn(&HttpRequest) -> HttpReply + Send + Sync>;

impl HttpServer {
    /// Listens on a free port of `address` and answers with `handler`, which may block.
    pub fn start(
        address: Ipv4Addr,
        handler: impl Fn(&HttpRequest) -> HttpReply + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind((address, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<HttpRequest>>> = Arc::default();
        let (stop, mut stopped) = oneshot::channel::<()>();
        let (handler, record): (Handler, _) = (Arc::new(handler), Arc::clone(&seen));
        // In a thread of its own, so that it also starts from within a test's runtime.
        let thread = std::thread::spawn(move || {
            let runtime =
                Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    let accepted = tokio::select! {
                        accepted = listener.accept() => accepted,
                        _ = &mut stopped => return,
                    };
                    let Ok((stream, _)) = accepted else { continue };
                    let (handler, record) = (Arc::clone(&handler), Arc::clone(&record));
                    tokio::spawn(async move {
                        let _ = serve(stream, handler, &record).await;
                    });
                }
            });
            runtime.shutdown_background();
        });
        Self { address, port, seen, stop: Some(stop), thread: Some(thread) }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://ADDRESS:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}:{}", self.address, self.port)
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<HttpRequest> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    stream: TcpStream,
    handler: Handler,
    record: &Mutex<Vec<HttpRequest>>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await? {
        record.lock().unwrap().push(request.clone());
        let handler = Arc::clone(&handler);
        let is_head = request.method == "HEAD";
        let reply = tokio::task::spawn_blocking(move || handler(&request)).await;
        match reply.expect("a handler that does not panic") {
            HttpReply::Answer { status, headers, mut body, delay } => {
                tokio::time::sleep(delay).await;
                let mut head = head(status, body.len());
                for (name, value) in headers {
                    let _ = write!(head, "{name}: {value}\r\n");
                }
                head.push_str("\r\n");
                if is_head {
                    body.clear();
                }
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
                stream.flush().await?;
            }
            HttpReply::Hang => std::future::pending().await,
            HttpReply::Reset => {
                let stream = stream.into_inner();
                stream.set_zero_linger()?;
                return Ok(());
            }
            HttpReply::Truncated { status, body } => {
                let text = format!("{}\r\n", head(status, body.len()));
                stream.write_all(text.as_bytes()).await?;
                stream.write_all(&body[..body.len() / 2]).await?;
                return stream.shutdown().await;
            }
        }
    }
    Ok(())
}

fn head(status: u16, length: usize) -> String {
    format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n")
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<HttpRequest>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, target) = (word(), word());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(HttpRequest { method, target, headers, body }))
}
