use std::net::IpAddr;
use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

use dr_plugin::CallError;
use futures_util::TryStreamExt;
use serde_json::{Map, Value};
use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{
    CancelToken, Client, Connection, Error, SimpleQueryMessage, Socket, Statement,
};

use crate::error::{Mode, Stage};
use crate::params::{self, Param};
use crate::rows::Rows;

/// So many ends of a statement are tried, counted from the last.
const MAX_SEMICOLONS: usize = 32;

/// A connection that is logged in.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    wire: AbortHandle,
    /// What the server's name stood for when the connection was made.
    pub(crate) addresses: Vec<IpAddr>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub(crate) sql: &'a str,
    pub(crate) params: &'a [Value],
    pub(crate) mode: Mode,
    /// After this time the server breaks a statement off; none: as the server is configured.
    pub(crate) statement_timeout: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) rows: Vec<Map<String, Value>>,
    pub(crate) affected: u64,
}

/// Why nothing came of it.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The server or the connection.
    Postgres(Error),
    /// A limit or rule of this plugin.
    Own(CallError),
}

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<CallError> for Cause {
    fn from(error: CallError) -> Self {
        Self::Own(error)
    }
}

/// Where the work stands; read by whoever interrupts it.
#[derive(Debug)]
pub(crate) struct Place(Mutex<Stage>);

impl Place {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Stage::Before))
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn enter(&self, stage: Stage) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = stage;
    }
}

/// How one statement is carried out, decided before anything is sent that acts.
enum Way {
    /// As its text: it has no parameters. Without columns it may be several statements.
    Text(Option<Statement>),
    /// With parameters, returning nothing.
    Count(Statement, Vec<Param>),
    /// With parameters, returning rows: the first knows the types, the second reads them as text.
    Rows(Statement, Statement, Vec<Param>),
}

impl Session {
    #[expect(clippy::disallowed_methods, reason = "a plugin drives its own connections")]
    pub(crate) fn new(
        client: Client,
        connection: Connection<Socket, NoTlsStream>,
        addresses: Vec<IpAddr>,
    ) -> Self {
        let wire = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        Self { client, wire: wire.abort_handle(), addresses }
    }

    /// Asks the server whether the connection lives.
    pub(crate) async fn is_alive(&self) -> bool {
        !self.client.is_closed() && self.client.check_connection().await.is_ok()
    }

    /// Closes the connection at once, whatever is under way.
    pub(crate) fn abandon(self) {
        self.wire.abort();
    }

    /// What cancels the running statement from outside.
    pub(crate) fn cancel_token(&self) -> CancelToken {
        self.client.cancel_token()
    }

    /// Whether the server is a standby.
    pub(crate) async fn is_standby(&self) -> Result<bool, Error> {
        self.client.query_one_scalar("select pg_is_in_recovery()", &[]).await
    }

    /// Does the work; `place` always says how far it is.
    pub(crate) async fn perform(&self, work: &Work<'_>, place: &Place) -> Result<Done, Cause> {
        self.client.batch_execute(&settings(work.statement_timeout)).await?;
        let way = self.prepare(work).await?;
        match work.mode {
            Mode::Read => self.client.batch_execute("begin read only").await?,
            Mode::Transaction => self.client.batch_execute("begin").await?,
            Mode::Plain => {}
        }
        place.enter(Stage::Sent);
        let done = self.run(work.sql, &way).await?;
        match work.mode {
            Mode::Read => self.client.batch_execute("rollback").await?,
            Mode::Transaction => {
                place.enter(Stage::Committing);
                self.client.batch_execute("commit").await?;
            }
            Mode::Plain => {}
        }
        Ok(done)
    }

    /// Lets the server parse the statement, which finds most mistakes before a transaction begins,
    /// and takes only one statement: nothing can slip out of a read-only transaction behind it.
    async fn prepare(&self, work: &Work<'_>) -> Result<Way, Cause> {
        let statement = match self.client.prepare(work.sql).await {
            Ok(statement) => statement,
            // Several statements are a syntax error here; if it is another one, running says so.
            Err(error)
                if work.mode != Mode::Read
                    && work.params.is_empty()
                    && error.code() == Some(&SqlState::SYNTAX_ERROR) =>
            {
                return Ok(Way::Text(None));
            }
            Err(error) => return Err(error.into()),
        };
        let params = params::bind(statement.params(), work.params)?;
        Rows::new(statement.columns())?;
        if params.is_empty() {
            return Ok(Way::Text(Some(statement)));
        }
        if statement.columns().is_empty() {
            return Ok(Way::Count(statement, params));
        }
        let reader = self.reader(work.sql, statement.columns().len()).await?;
        Ok(Way::Rows(statement, reader, params))
    }

    /// A statement, known to be a single valid one, with all its columns as text. What may follow
    /// it, a semicolon and comments, has no place in the middle of another: it is cut off at the
    /// last semicolon with which the whole parses.
    async fn reader(&self, sql: &str, columns: usize) -> Result<Statement, Error> {
        let mut first = None;
        let ends = std::iter::once(sql.len()).chain(sql.rmatch_indices(';').map(|(end, _)| end));
        for end in ends.take(MAX_SEMICOLONS) {
            match self.client.prepare(&as_text(&sql[..end], columns)).await {
                Ok(reader) => return Ok(reader),
                Err(error) if error.code() != Some(&SqlState::SYNTAX_ERROR) => return Err(error),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.expect("the loop ran at least once"))
    }

    async fn run(&self, sql: &str, way: &Way) -> Result<Done, Cause> {
        match way {
            Way::Text(statement) => {
                let columns = statement.as_ref().map_or(&[][..], Statement::columns);
                let mut rows = Rows::new(columns)?;
                let mut affected = 0;
                let mut messages = pin!(self.client.simple_query_raw(sql).await?);
                while let Some(message) = messages.try_next().await? {
                    match message {
                        SimpleQueryMessage::Row(row) if statement.is_some() => {
                            rows.push(|index| row.get(index))?;
                        }
                        SimpleQueryMessage::CommandComplete(count) => affected += count,
                        _ => {}
                    }
                }
                Ok(Done { rows: rows.into_rows(), affected })
            }
            Way::Count(statement, params) => {
                let affected = self.client.execute_raw(statement, params).await?;
                Ok(Done { rows: Vec::new(), affected })
            }
            Way::Rows(statement, reader, params) => {
                let mut rows = Rows::new(statement.columns())?;
                let mut found = pin!(self.client.query_raw(reader, params).await?);
                while let Some(row) = found.try_next().await? {
                    rows.push(|index| row.get::<_, Option<&str>>(index))?;
                }
                let rows = rows.into_rows();
                Ok(Done { affected: rows.len() as u64, rows })
            }
        }
    }
}

/// The server's text form is the same everywhere: ISO dates in UTC, whatever its configuration.
fn settings(statement_timeout: Option<Duration>) -> String {
    let limit = statement_timeout
        .map_or_else(|| "default".to_owned(), |limit| limit.as_millis().max(1).to_string());
    format!(
        "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; \
         set bytea_output = 'hex'; set extra_float_digits = 1; set statement_timeout = {limit}"
    )
}

/// The same statement with all its columns as text, for the protocol's extended form, which gives
/// binary values of types that this plugin may not know.
fn as_text(sql: &str, columns: usize) -> String {
    let list = |suffix: &str| {
        (1..=columns).map(|n| format!("c{n}{suffix}")).collect::<Vec<_>>().join(", ")
    };
    format!("with dr_rows({}) as (\n{sql}\n) select {} from dr_rows", list(""), list("::text"))
}
