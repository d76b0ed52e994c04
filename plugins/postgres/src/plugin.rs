use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dr_plugin::{
    ActionManifest, Call, CallError, CancelLevel, Context, Effect, ErrorClass, HostNeed, Manifest,
    Plugin, Preview, PreviewStatus,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::connect::connect;
use crate::error::{self, Mode};
use crate::input::{Execute, ExecuteResult, Query, QueryResult, Settings};
use crate::pool::Pool;
use crate::session::{Cause, Done, Place, Session, Work};
use crate::target::Target;

/// Time for handing in a cancel request, and then for its confirmation: together under 2 s.
const CANCEL_SENT: Duration = Duration::from_millis(700);
const CANCEL_DONE: Duration = Duration::from_secs(1);

/// The plugin, ready to be registered.
#[must_use]
pub fn plugin() -> Arc<dyn Plugin> {
    Arc::new(Postgres::default())
}

#[derive(Debug, Default)]
struct Postgres {
    pool: Pool,
}

/// What a call asks for, read from its input.
struct Request {
    target: Target,
    sql: String,
    params: Vec<Value>,
    mode: Mode,
}

/// Why a call is broken off from this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interrupt {
    Asked,
    TimedOut,
}

impl Request {
    fn of(call: &Call) -> Result<Self, CallError> {
        let settings: Settings = call.settings()?;
        match call.action.as_str() {
            "query" => {
                let input: Query = call.input()?;
                let target = Target::of(call, &settings, input.login())?;
                Ok(Self { target, sql: input.sql, params: input.params, mode: Mode::Read })
            }
            "execute" => {
                let input: Execute = call.input()?;
                let target = Target::of(call, &settings, input.login())?;
                let mode = if input.transaction { Mode::Transaction } else { Mode::Plain };
                Ok(Self { target, sql: input.sql, params: input.params, mode })
            }
            other => Err(CallError::permanent(
                "unknown_action",
                format!("the postgres plugin has no action `{other}`"),
            )),
        }
    }
}

#[async_trait]
impl Plugin for Postgres {
    fn manifest(&self) -> Manifest {
        let mut query = ActionManifest::probe::<Query, QueryResult>(
            "Runs one statement in a read-only transaction, in UTC, and gives its rows. Times are \
             RFC 3339 text, numbers beyond 64 bits and decimals are text, bytea is hexadecimal, \
             arrays are lists, other types are the text that PostgreSQL prints.",
        )
        .on_host(HostNeed::Optional)
        .typically_ms(100);
        query.has_preview = true;
        let mut execute = ActionManifest::action::<Execute, ExecuteResult>(
            "Runs SQL that may change things, by default all of it in one transaction, in UTC. \
             Functions that act outside the transaction, such as pg_promote(), are not taken back \
             when it fails: give such a step a `check`.",
            Effect::Once,
        )
        .on_host(HostNeed::Optional)
        .typically_ms(200);
        execute.has_preview = true;
        Manifest::new::<Settings>(
            "postgres",
            env!("CARGO_PKG_VERSION"),
            "Reads and changes PostgreSQL databases. The server is the address of the step's host, \
             else `host` in the settings; the port is `port` in `with` or in the settings.",
        )
        .with("query", query)
        .with("execute", execute)
    }

    async fn preview(&self, call: &Call, context: &Context) -> Result<Preview, CallError> {
        let request = Request::of(call)?;
        let mut cancel = context.cancel.clone();
        let looking = async {
            let session = connect(&request.target).await?;
            let standby = session.is_standby().await.unwrap_or(false);
            Ok::<_, CallError>(standby)
        };
        let found = tokio::select! {
            found = looking => found,
            _ = cancel.cancelled() => return Err(CallError::cancelled("the preview was stopped")),
        };
        let at = format!("{} as {}", request.target, request.target.user);
        Ok(match found {
            Ok(_) if request.mode == Mode::Read => Preview::of(PreviewStatus::Ok),
            Ok(true) => Preview {
                status: PreviewStatus::NotYet,
                changes: vec![format!("{at}: a standby, which takes no writes yet")],
            },
            Ok(false) => Preview {
                status: PreviewStatus::WouldChange,
                changes: vec![format!("{at}: {}", headline(&call.input))],
            },
            Err(error) => Preview {
                status: match (error.class, error.code.as_str()) {
                    (ErrorClass::Denied, _) => PreviewStatus::Denied,
                    (_, "starting_up" | "sqlstate_3D000") => PreviewStatus::NotYet,
                    _ => PreviewStatus::Unreachable,
                },
                changes: vec![format!("{at}: {error}")],
            },
        })
    }

    async fn apply(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        let request = Request::of(call)?;
        let done = self.run(call, context, &request).await?;
        Ok(match request.mode {
            Mode::Read => json!(QueryResult { row_count: done.rows.len(), rows: done.rows }),
            Mode::Transaction | Mode::Plain => {
                json!(ExecuteResult { affected: done.affected, rows: done.rows })
            }
        })
    }

    async fn close(&self) {
        self.pool.clear();
    }
}

impl Postgres {
    async fn run(
        &self,
        call: &Call,
        context: &Context,
        request: &Request,
    ) -> Result<Done, CallError> {
        let limits = call.timeout_ms.map(|limit| Limits::new(Duration::from_millis(limit)));
        let mut interrupted = pin!(interrupt(context.clone(), limits.as_ref().map(|l| l.own)));
        let target = &request.target;
        let session = tokio::select! {
            session = self.session(target) => session?,
            why = &mut interrupted => return Err(match why {
                Interrupt::Asked => CallError::cancelled("stopped before anything was sent"),
                Interrupt::TimedOut => CallError::transient(
                    "timeout",
                    format!("{target} was not reached within the step's timeout"),
                ),
            }),
        };
        let work = Work {
            sql: &request.sql,
            params: &request.params,
            mode: request.mode,
            statement_timeout: limits.as_ref().map(Limits::left_for_statement),
        };
        let place = Place::new();
        let cancel_token = session.cancel_token();
        let (outcome, why) = {
            let mut working = pin!(session.perform(&work, &place));
            tokio::select! {
                outcome = &mut working => (Some(outcome), None),
                why = &mut interrupted => {
                    let asked = timeout(CANCEL_SENT, cancel_token.cancel_query(NoTls)).await;
                    tracing::debug!(?asked, "asked the server to stop the statement");
                    (timeout(CANCEL_DONE, working).await.ok(), Some(why))
                }
            }
        };
        let error = match outcome {
            Some(Ok(done)) => {
                // Only a poll comes back soon.
                if matches!(call.key.purpose.as_str(), "repeat" | "validate")
                    && request.mode == Mode::Read
                {
                    self.pool.keep(target.clone(), session);
                }
                return Ok(done);
            }
            Some(Err(Cause::Own(error))) => {
                let asked = timeout(CANCEL_SENT, cancel_token.cancel_query(NoTls)).await;
                tracing::debug!(?asked, "asked the server to stop the statement");
                own(error, request.mode, &place)
            }
            Some(Err(Cause::Postgres(error))) => match why {
                Some(why) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
                    broken_off(why, request.mode)
                }
                _ if error.code() == Some(&SqlState::QUERY_CANCELED)
                    && limits.as_ref().is_some_and(Limits::statement_is_over) =>
                {
                    broken_off(Interrupt::TimedOut, request.mode)
                }
                _ => error::explain(&error, request.mode, place.stage(), target),
            },
            None => unconfirmed(why.unwrap_or(Interrupt::TimedOut), request, &place),
        };
        session.abandon();
        Err(error)
    }

    async fn session(&self, target: &Target) -> Result<Session, CallError> {
        match self.pool.take(target).await {
            Some(session) => Ok(session),
            None => connect(target).await,
        }
    }
}

/// The two limits within the engine's: first the server stops the statement, then we do; so that
/// the engine is told what came of it instead of having to give up.
struct Limits {
    server: Instant,
    own: Instant,
}

impl Limits {
    #[expect(clippy::disallowed_methods, reason = "a limit that is never recorded")]
    fn new(limit: Duration) -> Self {
        let margin = (limit / 10).min(Duration::from_secs(4));
        let start = Instant::now();
        Self { server: start + limit - margin, own: start + limit - margin / 2 }
    }

    #[expect(clippy::disallowed_methods, reason = "a limit that is never recorded")]
    fn left_for_statement(&self) -> Duration {
        self.server.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }

    fn statement_is_over(&self) -> bool {
        self.left_for_statement() <= Duration::from_millis(1)
    }
}

async fn interrupt(mut context: Context, limit: Option<Instant>) -> Interrupt {
    let too_late = async {
        match limit {
            Some(limit) => sleep_until(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        level = context.cancel.cancelled() => {
            tracing::debug!(detach = level == CancelLevel::Detach, "asked to stop");
            Interrupt::Asked
        }
        () = too_late => Interrupt::TimedOut,
    }
}

/// The server confirmed that it stopped the statement on our request or by its own limit.
fn broken_off(why: Interrupt, mode: Mode) -> CallError {
    let left = match mode {
        Mode::Read => "",
        Mode::Transaction => "; its transaction is rolled back",
        Mode::Plain => "; what it did before is not taken back",
    };
    match (why, mode) {
        (Interrupt::Asked, Mode::Read | Mode::Transaction) => {
            CallError::cancelled(format!("the server stopped the statement on request{left}"))
        }
        (Interrupt::Asked, Mode::Plain) => CallError::unknown(
            "cancel_incomplete",
            format!("the server stopped the statement on request{left}"),
        ),
        (Interrupt::TimedOut, _) => CallError::new(
            mode.broken_off(),
            "statement_timeout",
            format!("the statement did not end within the step's timeout{left}"),
        ),
    }
}

/// The statement was asked to stop, and nobody said that it did.
fn unconfirmed(why: Interrupt, request: &Request, place: &Place) -> CallError {
    let class = request.mode.unconfirmed(place.stage());
    let target = &request.target;
    match (why, class) {
        (Interrupt::Asked, ErrorClass::Unknown) => CallError::unknown(
            "cancel_unconfirmed",
            format!("{target} did not confirm that it stopped: it may or may not be done"),
        ),
        (Interrupt::Asked, _) => {
            CallError::cancelled(format!("{target} did not confirm the stop; nothing was changed"))
        }
        (Interrupt::TimedOut, ErrorClass::Unknown) => CallError::unknown(
            "timeout",
            format!("{target} did not answer in time: it may or may not be done"),
        ),
        (Interrupt::TimedOut, class) => {
            CallError::new(class, "timeout", format!("{target} did not answer in time"))
        }
    }
}

/// A limit of our own was passed while rows came in. Outside a transaction the statement has
/// acted by then.
fn own(error: CallError, mode: Mode, place: &Place) -> CallError {
    if mode == Mode::Plain && mode.unconfirmed(place.stage()) == ErrorClass::Unknown {
        return CallError { class: ErrorClass::Unknown, ..error };
    }
    error
}

/// The first line of the SQL, as written: a reference to a secret is not shown.
fn headline(input: &Value) -> String {
    const WIDTH: usize = 80;
    let Some(sql) = input.get("sql").and_then(Value::as_str) else {
        return "runs SQL".to_owned();
    };
    let mut lines = sql.trim().lines();
    let first = lines.next().unwrap_or_default();
    let mut short: String = first.chars().take(WIDTH).collect();
    if short.len() < first.len() || lines.next().is_some() {
        short.push('…');
    }
    short
}
