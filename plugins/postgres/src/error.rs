use std::error::Error as _;
use std::io;

use dr_plugin::{CallError, ErrorClass};
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::target::Target;

/// How far a call had come when it failed. It decides what may have been applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Connecting, logging in, preparing: nothing that changes anything was sent.
    Before,
    /// The statement was sent.
    Sent,
    /// All statements are done, and the commit was sent.
    Committing,
}

/// What a call does with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Reads, in a read-only transaction.
    Read,
    /// Acts, in one transaction.
    Transaction,
    /// Acts, each statement for itself.
    Plain,
}

impl Mode {
    /// The class of an end that nobody confirmed.
    pub(crate) fn unconfirmed(self, stage: Stage) -> ErrorClass {
        if self == Self::Read || stage == Stage::Before {
            ErrorClass::Transient
        } else {
            ErrorClass::Unknown
        }
    }

    /// The class of a statement that the server confirms to have broken off. In a transaction
    /// nothing is left of it; outside, `vacuum` or `create index concurrently` leave parts behind.
    pub(crate) fn broken_off(self) -> ErrorClass {
        if self == Self::Plain { ErrorClass::Unknown } else { ErrorClass::Transient }
    }
}

/// What the client library reports, as what is known about the call.
pub(crate) fn explain(error: &Error, mode: Mode, stage: Stage, target: &Target) -> CallError {
    if let Some(refusal) = error.as_db_error() {
        return from_server(refusal, mode, stage);
    }
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let text = error.to_string();
    // The library has no kind to ask for; these two come before anything is sent.
    if text.starts_with("invalid configuration") || text.starts_with("authentication error") {
        let reason = error.source().map_or(text, ToString::to_string);
        return CallError::denied(
            "authentication_failed",
            format!("logging in to {target} as {}: {reason}", target.user),
        )
        .with_help("set `user` and `password` in the runbook's `plugins.postgres`");
    }
    if let (Stage::Before, Some(io)) = (stage, io) {
        return unreachable(io, target);
    }
    if error.is_closed() || io.is_some() {
        let class = mode.unconfirmed(stage);
        let what = match (class, stage) {
            (ErrorClass::Unknown, Stage::Committing) => {
                "was lost while the commit was under way: it may or may not be done"
            }
            (ErrorClass::Unknown, _) => {
                "was lost while the statement ran: it may or may not be done"
            }
            _ => "was lost",
        };
        let lost =
            CallError::new(class, "connection_lost", format!("the connection to {target} {what}"));
        return match io {
            Some(io) => lost.with_cause(io),
            None => lost,
        };
    }
    let class = match mode.unconfirmed(stage) {
        ErrorClass::Unknown => ErrorClass::Unknown,
        _ => ErrorClass::Permanent,
    };
    CallError::new(class, "protocol_error", format!("talking to {target}: {text}"))
        .with_help("`copy … to stdout` and replication commands are not supported")
}

/// Why no connection came about. Nothing was applied, and it may work later.
pub(crate) fn unreachable(error: &io::Error, target: &Target) -> CallError {
    let (code, what) = match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            ("connection_refused", "connection refused".to_owned())
        }
        io::ErrorKind::TimedOut => ("connect_timeout", "no answer in time".to_owned()),
        io::ErrorKind::PermissionDenied => {
            return CallError::denied(
                "permission_denied",
                format!("connecting to {target}: {error}"),
            );
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            return CallError::permanent(
                "protocol_error",
                format!("what answers at {target} is not PostgreSQL"),
            )
            .with_cause(error);
        }
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted => ("connection_lost", error.to_string()),
        _ => ("unreachable", error.to_string()),
    };
    CallError::transient(code, format!("connecting to {target}: {what}"))
}

fn from_server(refusal: &DbError, mode: Mode, stage: Stage) -> CallError {
    let sqlstate = refusal.code().code();
    let (class, code) = class_of(sqlstate, mode, stage);
    let mut error = CallError::new(class, code, refusal.message());
    if let Some(help) = refusal.hint().map(str::to_owned).or_else(|| help(sqlstate, mode)) {
        error = error.with_help(help);
    }
    for cause in [refusal.detail(), refusal.where_()].into_iter().flatten() {
        error = error.with_cause(&cause);
    }
    error
}

/// Class and code of a refusal by the server, by its SQLSTATE.
fn class_of(sqlstate: &str, mode: Mode, stage: Stage) -> (ErrorClass, String) {
    let named = |class, code: &str| (class, code.to_owned());
    match sqlstate {
        "57P03" => named(ErrorClass::Transient, "starting_up"),
        "53300" => named(ErrorClass::Transient, "too_many_connections"),
        // The session was ended: what it had begun is rolled back, but a commit under way may
        // have gone through.
        "57P01" | "57P02" | "57P05" => named(mode.unconfirmed(stage), "connection_lost"),
        "57014" => named(mode.broken_off(), "query_canceled"),
        "40001" | "40P01" | "55P03" | "53200" => {
            (ErrorClass::Transient, format!("sqlstate_{sqlstate}"))
        }
        // The sqlstatement is done, but nobody can say whether its commit is.
        "08007" | "40003" => (ErrorClass::Unknown, format!("sqlstate_{sqlstate}")),
        "42501" => named(ErrorClass::Denied, "permission_denied"),
        _ => match &sqlstate[..2.min(sqlstate.len())] {
            "28" => named(ErrorClass::Denied, "authentication_failed"),
            "08" => (mode.unconfirmed(stage), format!("sqlstate_{sqlstate}")),
            _ => (ErrorClass::Permanent, format!("sqlstate_{sqlstate}")),
        },
    }
}

fn help(sqlstate: &str, mode: Mode) -> Option<String> {
    let help = match (sqlstate, mode) {
        ("25006", Mode::Read) => {
            "`postgres.query` only reads; use `postgres.execute` to change something"
        }
        ("25006", _) => "the server takes no writes: it is a standby, or set to read-only",
        ("25001", Mode::Transaction) => "say `transaction: false`",
        ("28000", _) => "see pg_hba.conf on the server; TLS is not supported",
        ("28P01", _) => "check `user` and `password` in the runbook's `plugins.postgres`",
        ("3D000", _) => "check `dbname`",
        ("53300", _) => "end other sessions, or raise max_connections",
        ("53100", _) => "free disk space on the server",
        _ => return None,
    };
    Some(help.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_decides_the_class() {
        use ErrorClass::{Denied, Permanent, Transient, Unknown};
        use Mode::{Plain, Read, Transaction};
        use Stage::{Before, Committing, Sent};
        let cases = [
            ("57P03", Transaction, Before, Transient, "starting_up"),
            ("53300", Transaction, Before, Transient, "too_many_connections"),
            ("28P01", Read, Before, Denied, "authentication_failed"),
            ("28000", Read, Before, Denied, "authentication_failed"),
            ("42501", Transaction, Sent, Denied, "permission_denied"),
            ("42P01", Transaction, Sent, Permanent, "sqlstate_42P01"),
            ("23505", Transaction, Committing, Permanent, "sqlstate_23505"),
            ("40001", Transaction, Committing, Transient, "sqlstate_40001"),
            ("40P01", Plain, Sent, Transient, "sqlstate_40P01"),
            ("57014", Read, Sent, Transient, "query_canceled"),
            ("57014", Transaction, Sent, Transient, "query_canceled"),
            ("57014", Plain, Sent, Unknown, "query_canceled"),
            ("57P01", Read, Sent, Transient, "connection_lost"),
            ("57P01", Transaction, Before, Transient, "connection_lost"),
            ("57P01", Transaction, Sent, Unknown, "connection_lost"),
            ("08006", Transaction, Committing, Unknown, "sqlstate_08006"),
            ("40003", Transaction, Committing, Unknown, "sqlstate_40003"),
            ("25006", Read, Sent, Permanent, "sqlstate_25006"),
        ];
        for (sqlstate, mode, stage, class, code) in cases {
            assert_eq!(
                class_of(sqlstate, mode, stage),
                (class, code.to_owned()),
                "{sqlstate} {mode:?}"
            );
        }
    }
}
