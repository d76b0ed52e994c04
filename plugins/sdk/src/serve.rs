//! A plugin as an executable: the plugin protocol on standard input and output.

use std::collections::HashMap;
use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

use crate::protocol::{CallFrame, CancelFrame, MAX_FRAME, Method, Reply, Request, ResultFrame};
use crate::{Call, CallError, Cancel, CancelLevel, Context, PROTOCOL, Plugin, Progress, Stream};

/// The whole of an executable's `main`: `dr-plugin-NAME manifest` prints the manifest, and without
/// arguments it speaks the protocol until its input ends.
///
/// When the input ends, the process exits at once: whoever asked is gone, and nobody would see a
/// result. What must go on then runs as a job of its own.
#[must_use]
pub fn main(plugin: &Arc<dyn Plugin>) -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("manifest"), None) => match print_manifest(plugin.as_ref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        (None, _) => serve(plugin),
        _ => {
            let name = plugin.manifest().name;
            let _ = writeln!(
                io::stderr(),
                "dr-plugin-{name} speaks the plugin protocol of dr on standard input and output.\n\
                 `dr-plugin-{name} manifest` prints what it offers."
            );
            ExitCode::from(2)
        }
    }
}

fn print_manifest(plugin: &dyn Plugin) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &plugin.manifest())?;
    out.write_all(b"\n")
}

fn serve(plugin: &Arc<dyn Plugin>) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let (replies, outbox) = std::sync::mpsc::channel::<Reply>();
    let (requests, inbox) = mpsc::unbounded_channel();
    start("reader", move || read(&requests));
    start("writer", move || write(&outbox));
    runtime.block_on(answer(plugin, inbox, &replies))
}

#[expect(clippy::disallowed_methods, reason = "the two threads of the executable's own streams")]
fn start(name: &'static str, body: impl FnOnce() + Send + 'static) {
    let _ = name;
    std::thread::spawn(body);
}

/// Reads frames until the input ends, then ends the process.
#[expect(clippy::exit, reason = "nobody is left to see a result")]
fn read(requests: &mpsc::UnboundedSender<Result<Request, String>>) {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = io::Read::take(&mut input, MAX_FRAME as u64 + 1);
        match limited.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => std::process::exit(0),
            Ok(_) if line.len() > MAX_FRAME => {
                let _ = requests.send(Err("frame too long".to_owned()));
                return;
            }
            Ok(_) => {}
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let frame = serde_json::from_slice(&line).map_err(|error| error.to_string());
        if requests.send(frame).is_err() {
            return;
        }
    }
}

/// Writes frames; a reader that is gone ends the process.
#[expect(clippy::exit, reason = "nobody is left to see a result")]
fn write(outbox: &std::sync::mpsc::Receiver<Reply>) {
    let mut out = io::stdout().lock();
    while let Ok(reply) = outbox.recv() {
        let Ok(mut line) = serde_json::to_vec(&reply) else { continue };
        line.push(b'\n');
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            std::process::exit(0);
        }
    }
}

type Replies = std::sync::mpsc::Sender<Reply>;
type Running = Arc<Mutex<HashMap<u64, watch::Sender<CancelLevel>>>>;

async fn answer(
    plugin: &Arc<dyn Plugin>,
    mut inbox: mpsc::UnboundedReceiver<Result<Request, String>>,
    replies: &Replies,
) -> ExitCode {
    let running: Running = Arc::default();
    while let Some(request) = inbox.recv().await {
        match request {
            Ok(Request::Hello { .. }) => {
                let manifest = Box::new(plugin.manifest());
                let _ = replies.send(Reply::Hello { protocol: PROTOCOL, manifest });
            }
            Ok(Request::Call(frame)) => begin(plugin, *frame, replies, &running),
            Ok(Request::Cancel { id, level }) => {
                let running = running.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(cancel) = running.get(&id) {
                    cancel.send_replace(match level {
                        CancelFrame::Stop => CancelLevel::Stop,
                        CancelFrame::Detach => CancelLevel::Detach,
                    });
                }
            }
            Ok(Request::Forget { call }) => plugin.forget(&call.into_call().2).await,
            Err(reason) => {
                let _ = writeln!(io::stderr(), "unreadable frame: {reason}");
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}

#[expect(clippy::disallowed_methods, reason = "a call runs beside the reading of its cancel")]
fn begin(plugin: &Arc<dyn Plugin>, frame: CallFrame, replies: &Replies, running: &Running) {
    let (id, method, call) = frame.into_call();
    let (sender, cancel) = Cancel::new();
    running.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
    let context = Context {
        cancel,
        progress: Arc::new(Reporter { id, replies: Mutex::new(replies.clone()) }),
    };
    let (plugin, replies, running) = (Arc::clone(plugin), replies.clone(), Arc::clone(running));
    tokio::spawn(async move {
        let mut result = ResultFrame { id, ..ResultFrame::default() };
        let answered =
            tokio::spawn(
                async move { answer_call(plugin.as_ref(), &call, method, &context).await },
            );
        match answered.await {
            Ok(answer) => result = ResultFrame { id, ..answer },
            Err(panic) => {
                result.error = Some(CallError::unknown(
                    "plugin_panicked",
                    format!("the plugin broke while it answered: {panic}"),
                ));
            }
        }
        running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let _ = replies.send(Reply::Result(Box::new(result)));
    });
}

/// Asks `plugin` and puts what it says into a frame, without a number.
pub(crate) async fn answer_call(
    plugin: &dyn Plugin,
    call: &Call,
    method: Method,
    context: &Context,
) -> ResultFrame {
    let mut result = ResultFrame::default();
    let outcome = match method {
        Method::Preview => plugin.preview(call, context).await.map(|it| result.preview = Some(it)),
        Method::Apply => plugin.apply(call, context).await.map(|it| result.applied = Some(it)),
        Method::Check => plugin.check(call, context).await.map(|it| result.checked = Some(it)),
        Method::Undo => plugin.undo(call, context).await.map(|it| result.applied = Some(it)),
    };
    result.error = outcome.err();
    result
}

struct Reporter {
    id: u64,
    replies: Mutex<Replies>,
}

impl Reporter {
    fn send(&self, reply: Reply) {
        let _ = self.replies.lock().unwrap_or_else(PoisonError::into_inner).send(reply);
    }
}

impl Progress for Reporter {
    fn progress(&self, message: &str, share: Option<f32>) {
        self.send(Reply::Progress { id: self.id, message: message.to_owned(), share });
    }

    fn output(&self, stream: Stream, chunk: &[u8]) {
        let text = String::from_utf8_lossy(chunk).into_owned();
        self.send(Reply::Output { id: self.id, stream, text });
    }
}
