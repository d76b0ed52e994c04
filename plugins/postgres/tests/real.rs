//! The plugin against a real PostgreSQL.

#![expect(clippy::disallowed_methods, reason = "tests measure time")]
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dr_plugin::{
    Call, CallError, CallKey, Cancel, CancelLevel, Context, Effect, ErrorClass, Host, Plugin,
    Preview, PreviewStatus, Secret, Secrets,
};
use dr_plugin_postgres::plugin;
use dr_testkit::{Folder, Postgres, Proxy, address, eventually, free_port};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// The plugin, on a runtime of its own, pointed at a port.
struct Bench {
    runtime: Runtime,
    plugin: Arc<dyn Plugin>,
    port: u16,
}

type Outcome = Result<Value, CallError>;

impl Bench {
    fn new(port: u16) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { runtime, plugin: plugin(), port }
    }

    fn call(&self, action: &str, with: Value) -> Call {
        Call {
            action: action.into(),
            input: with,
            settings: json!({
                "port": self.port,
                "password": {"$text": [{"$secret": "pw"}]},
                "connect_timeout": "3s",
            }),
            host: Some(Host {
                name: "db".into(),
                address: address(0).to_string(),
                port: Some(22),
                user: Some("nobody".into()),
                becomes: None,
                labels: BTreeMap::new(),
                job_dir: None,
            }),
            secrets: Secrets::from([("pw".into(), Secret::new(Postgres::PASSWORD))]),
            key: CallKey { run: "r".into(), step: "s".into(), purpose: "apply".into(), attempt: 1 },
            timeout_ms: Some(60_000),
            effect: Effect::Once,
        }
    }

    fn start(&self, call: Call, context: Context) -> JoinHandle<Outcome> {
        let plugin = Arc::clone(&self.plugin);
        self.runtime.spawn(async move { plugin.apply(&call, &context).await })
    }

    fn end(&self, started: JoinHandle<Outcome>) -> Outcome {
        self.runtime.block_on(started).unwrap()
    }

    fn apply(&self, call: Call) -> Outcome {
        self.end(self.start(call, Context::silent()))
    }

    fn query(&self, with: Value) -> Outcome {
        self.apply(self.call("query", with))
    }

    fn execute(&self, with: Value) -> Outcome {
        self.apply(self.call("execute", with))
    }

    fn preview(&self, call: &Call) -> Preview {
        self.runtime.block_on(self.plugin.preview(call, &Context::silent())).unwrap()
    }

    fn refused(&self, action: &str, with: Value) -> (ErrorClass, String) {
        let what = with.to_string();
        refusal(self.apply(self.call(action, with)), &what)
    }
}

fn refusal(outcome: Outcome, what: &str) -> (ErrorClass, String) {
    let error = outcome.expect_err(what);
    (error.class, error.code)
}

fn server(folder: &Folder) -> Postgres {
    let mut server = Postgres::init(folder, "db", address(0));
    server.start(&[]);
    server
}

#[test]
fn values_pass_both_ways() {
    let folder = Folder::new();
    let mut server = Postgres::init(&folder, "db", address(0));
    server.start(&["timezone=Asia/Kolkata", "datestyle=German", "bytea_output=escape"]);
    server
        .connect()
        .unwrap()
        .run("create type mood as enum ('fine', 'bad'); create domain positive as int");
    let bench = Bench::new(server.port());

    let row = bench
        .query(json!({"sql": "select true as b, 1::int2 as i2, -5::int8 as i8, 1.5::float8 as f, \
            'NaN'::float4 as nan, 3::numeric as n, 1.10::numeric as d, 'ä''\"'::text as t, null as nothing, \
            '2026-01-31 12:00:00.123456+02'::timestamptz as at, '2026-01-31 12:00'::timestamp as local, \
            date '2026-01-31' as day, 'infinity'::timestamptz as never, interval '1 day 2 h' as span, \
            '\\x00ff'::bytea as raw, '0/16B3748'::pg_lsn as lsn, array[1,null,3] as list, \
            array['a,b', '', 'NULL'] as texts, '{\"a\": [1]}'::jsonb as doc, 'fine'::mood as mood, \
            array['bad']::mood[] as moods, 7::positive as pos, row(1, 'x') as pair, \
            '10.0.0.0/8'::cidr as net, int4range(1, 5) as span_of, pg_sleep(0) as void, \
            gen_random_uuid() is not null as has_uuid, current_setting('application_name') as app"}))

        .unwrap();
    assert_eq!(
        row,
        json!({"row_count": 1, "rows": [{
            "b": true, "i2": 1, "i8": -5, "f": 1.5, "nan": "NaN", "n": 3, "d": "1.10", "t": "ä'\"",
            "nothing": null, "at": "2026-01-31T10:00:00.123456Z", "local": "2026-01-31T12:00:00",
            "day": "2026-01-31", "never": "infinity", "span": "1 day 02:00:00", "raw": "00ff",
            "lsn": "0/16B3748", "list": [1, null, 3], "texts": ["a,b", "", "NULL"],
            "doc": {"a": [1]}, "mood": "fine", "moods": ["bad"], "pos": 7, "pair": "(1,x)",
            "net": "10.0.0.0/8", "span_of": "[1,5)", "void": "", "has_uuid": true, "app": "dr"
        }]})
    );

    // The same forms come out where parameters go in, which takes another way.
    let hostile = "'; drop table x; -- \\ $1 \" é";
    let row = bench
        .query(json!({
            "sql": "select $1::text as t, $2::int as i, $3::timestamptz as at, $4::jsonb as doc, \
                    $5::text[] as list, $6::bool as b, $7::numeric as d, $8::mood as mood, \
                    $9::int as nothing, pg_sleep(0) as void, ';' as semi; -- the; end\n",
            "params": [hostile, 5, "2026-01-31T10:00:00Z", {"k": hostile}, ["a", null, hostile],
                       false, "1.50", "bad", null],
        }))
        .unwrap();
    assert_eq!(
        row["rows"][0],
        json!({"t": hostile, "i": 5, "at": "2026-01-31T10:00:00Z", "doc": {"k": hostile},
               "list": ["a", null, hostile], "b": false, "d": "1.50", "mood": "bad",
               "nothing": null, "void": "", "semi": ";"})
    );
    assert_eq!(bench.query(json!({"sql": "show server_encoding"})).unwrap()["row_count"], 1);
}

#[test]
fn a_probe_changes_nothing_and_an_action_all_or_nothing() {
    use ErrorClass::{Denied, Permanent};

    let folder = Folder::new();
    let server = server(&folder);
    let bench = Bench::new(server.port());
    let count = || {
        bench.query(json!({"sql": "select count(*) as n from t"})).unwrap()["rows"][0]["n"].clone()
    };

    let made = bench
        .execute(
            json!({"sql": "create table t (n int primary key); insert into t values (1), (2)"}),
        )
        .unwrap();
    assert_eq!(made, json!({"affected": 2, "rows": []}));
    let inserted = bench
        .execute(json!({"sql": "insert into t values ($1) returning n, now() > 'epoch' as late",
                        "params": [3]}))
        .unwrap();
    assert_eq!(inserted, json!({"affected": 1, "rows": [{"n": 3, "late": true}]}));
    let changed = bench
        .execute(json!({"sql": "update t set n = n + 10 where n > $1", "params": [1]}))
        .unwrap();
    assert_eq!(changed, json!({"affected": 2, "rows": []}));
    let listed = bench.execute(json!({"sql": "select max(n) as top from t"})).unwrap();
    assert_eq!(listed, json!({"affected": 1, "rows": [{"top": 13}]}));

    for (action, with, expected) in [
        ("query", json!({"sql": "insert into t values (9)"}), (Permanent, "sqlstate_25006")),
        (
            "query",
            json!({"sql": "commit; insert into t values (9)"}),
            (Permanent, "sqlstate_42601"),
        ),
        ("query", json!({"sql": "select * from nowhere"}), (Permanent, "sqlstate_42P01")),
        ("query", json!({"sql": "select 1 as a, 2 as a"}), (Permanent, "duplicate_column")),
        ("query", json!({"sql": "select $1::int as a"}), (Permanent, "bad_param")),
        (
            "query",
            json!({"sql": "select $1::int as a", "params": ["x"]}),
            (Permanent, "sqlstate_22P02"),
        ),
        (
            "query",
            json!({"sql": "select generate_series(1, 10001)"}),
            (Permanent, "result_too_large"),
        ),
        ("query", json!({"sql": "select repeat('x', 2000000)"}), (Permanent, "result_too_large")),
        ("query", json!({"sql": "select 1", "dbname": "nowhere"}), (Permanent, "sqlstate_3D000")),
        ("query", json!({"sql": "select 1", "user": "nobody"}), (Denied, "authentication_failed")),
        ("query", json!({"sql": "select 1", "password": "no"}), (Denied, "authentication_failed")),
        ("query", json!({"sql": "select 1", "extra": 1}), (Permanent, "bad_input")),
        (
            "execute",
            json!({"sql": "insert into t values (20); insert into t values (20)"}),
            (Permanent, "sqlstate_23505"),
        ),
        (
            "execute",
            json!({"sql": "insert into t values (21); nonsense"}),
            (Permanent, "sqlstate_42601"),
        ),
        ("execute", json!({"sql": "create database other"}), (Permanent, "sqlstate_25001")),
        (
            "execute",
            json!({"sql": "delete from t returning n, n"}),
            (Permanent, "duplicate_column"),
        ),
        (
            "execute",
            json!({"sql": "insert into t select generate_series(1000, 20000) returning n"}),
            (Permanent, "result_too_large"),
        ),
    ] {
        let (class, code) = bench.refused(action, with.clone());
        assert_eq!((class, code.as_str()), expected, "{with}");
    }
    assert_eq!(count(), 3);

    bench.execute(json!({"sql": "create database other", "transaction": false})).unwrap();
    let other = bench.query(json!({"sql": "select current_database() as d", "dbname": "other"}));
    assert_eq!(other.unwrap()["rows"][0]["d"], "other");
}

const SLEEPING: &str = "select pg_sleep(600)";
const SLEEPERS: &str = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";

fn until_sleepers(server: &Postgres, count: &str) {
    let look = server.connect().unwrap();
    eventually(&format!("{count} statements sleep"), || {
        (look.value(SLEEPERS).as_deref() == Some(count)).then_some(())
    });
}

/// Ends what was left running when its connection was lost.
fn wake(server: &Postgres) {
    let ending = "select pg_terminate_backend(pid) from pg_stat_activity \
                  where wait_event = 'PgSleep'";
    server.connect().unwrap().run(ending);
    until_sleepers(server, "0");
}

#[test]
fn the_class_of_a_failure_says_what_may_be_left_behind() {
    use ErrorClass::{Transient, Unknown};

    let folder = Folder::new();
    let mut server = server(&folder);
    let proxy = Proxy::start(address(0), (address(0), server.port()).into());
    let bench = Bench::new(proxy.port());

    for (action, class) in [("query", Transient), ("execute", Unknown)] {
        let call = bench.call(action, json!({"sql": SLEEPING}));
        let started = bench.start(call, Context::silent());
        until_sleepers(&server, "1");
        proxy.cut();
        let found = refusal(bench.end(started), action);
        assert_eq!(found, (class, "connection_lost".to_owned()), "cut while it runs");
        wake(&server);
    }

    for action in ["query", "execute"] {
        let mut call = bench.call(action, json!({"sql": SLEEPING}));
        call.timeout_ms = Some(1_500);
        let found = refusal(bench.apply(call), action);
        assert_eq!(found, (Transient, "statement_timeout".to_owned()), "its time is up");
    }

    let started = ["query", "execute"].map(|action| {
        let mut call = bench.call(action, json!({"sql": SLEEPING}));
        call.timeout_ms = Some(6_000);
        bench.start(call, Context::silent())
    });
    until_sleepers(&server, "2");
    proxy.hold();
    for (started, class) in started.into_iter().zip([Transient, Unknown]) {
        let found = refusal(bench.end(started), "held");
        assert_eq!(found, (class, "timeout".to_owned()), "the network swallows the answer");
    }

    let found = bench.refused("execute", json!({"sql": "select 1"}));
    assert_eq!(found, (Transient, "connect_timeout".to_owned()));
    let nowhere = Bench::new(free_port(address(0)));
    let found = nowhere.refused("execute", json!({"sql": "select 1"}));
    assert_eq!(found, (Transient, "connection_refused".to_owned()));
    let mut call = nowhere.call("query", json!({"sql": "select 1"}));
    call.host.as_mut().unwrap().address = "no-such-host.invalid".into();
    let found = refusal(nowhere.apply(call), "no such host");
    assert_eq!(found, (Transient, "name_not_resolved".to_owned()));

    proxy.cut();
    proxy.release();
    server.crash();
    server.start(&["max_connections=5", "superuser_reserved_connections=0", "max_wal_senders=0"]);
    let held: Vec<_> = std::iter::from_fn(|| server.connect().ok()).take(9).collect();
    let found = bench.refused("execute", json!({"sql": "select 1"}));
    assert_eq!(found, (Transient, "too_many_connections".to_owned()));
    drop(held);
}

#[test]
fn a_stop_reaches_the_server() {
    let folder = Folder::new();
    let server = server(&folder);
    let bench = Bench::new(server.port());
    let look = server.connect().unwrap();
    look.run("create table t (n int)");

    for (action, sql, level) in [
        ("query", SLEEPING, CancelLevel::Stop),
        ("execute", "insert into t values (1); select pg_sleep(600)", CancelLevel::Stop),
        ("execute", "insert into t values (1); select pg_sleep(600)", CancelLevel::Detach),
    ] {
        let (stop, cancel) = Cancel::new();
        let call = bench.call(action, json!({"sql": sql}));
        let started = bench.start(call, Context { cancel, ..Context::silent() });
        until_sleepers(&server, "1");
        let asked = Instant::now();
        stop.send_replace(level);
        let (class, _) = refusal(bench.end(started), action);
        assert_eq!(class, ErrorClass::Cancelled, "{action}");
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        until_sleepers(&server, "0");
    }
    assert_eq!(look.value("select count(*) from t").as_deref(), Some("0"));
}

#[test]
fn polls_share_a_connection_and_do_not_believe_a_stale_one() {
    let folder = Folder::new();
    let mut server = server(&folder);
    let bench = Bench::new(server.port());
    let sql = "select pg_backend_pid() as pid, pg_is_in_recovery() as standby";
    let mut poll = bench.call("query", json!({"sql": sql}));
    poll.key.purpose = "repeat".into();

    let first = bench.apply(poll.clone()).unwrap();
    assert_eq!(bench.apply(poll.clone()).unwrap(), first);

    // A step that is no poll leaves no connection behind that would hinder `drop database`.
    bench.query(json!({"sql": sql, "dbname": "template1"})).unwrap();
    let left = "select count(*) from pg_stat_activity \
                where datname = 'template1' and backend_type = 'client backend'";
    let look = server.connect().unwrap();
    eventually("it is closed", || (look.value(left).as_deref() == Some("0")).then_some(()));

    // The server goes, and comes back as a standby.
    server.crash();
    server.configure("postgresql.conf", "restore_command = 'false'\n");
    std::fs::write(server.data().join("standby.signal"), "").unwrap();
    server.start(&[]);
    assert_eq!(bench.apply(poll).unwrap()["rows"][0]["standby"], true);

    let call = |action| bench.call(action, json!({"sql": "select 1\n, 2"}));
    assert_eq!(bench.preview(&call("query")).status, PreviewStatus::Ok);
    assert_eq!(bench.preview(&call("execute")).status, PreviewStatus::NotYet);
    let mut other = bench.call("query", json!({"sql": "select 1", "password": "wrong"}));
    assert_eq!(bench.preview(&other).status, PreviewStatus::Denied);
    other.settings["port"] = json!(free_port(address(0)));
    assert_eq!(bench.preview(&other).status, PreviewStatus::Unreachable);

    bench.runtime.block_on(bench.plugin.close());
    server.connect().unwrap().run("select pg_promote(true, 60)");
    let promoted = bench.preview(&call("execute"));
    assert_eq!(promoted.status, PreviewStatus::WouldChange);
    assert!(promoted.changes[0].ends_with("as postgres: select 1…"), "{promoted:?}");
}
