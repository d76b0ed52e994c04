//! `runbooks/shop-region-failover.yaml`: a pair of PostgreSQL servers, an emulated cloud and a small
//! web server, from the disaster to the evidence.

use dr_testkit::{Dr, Fault, HttpReply, HttpServer, Invocation, Sql, address};
use jiff::Timestamp;
use tokio_postgres::Config;

use crate::cloud::Cloud;
use crate::postgres_pair::{Pair, Replication};

const CHANGE: &str = "route53.ChangeResourceRecordSets";

/// Both regions.
struct Regions {
    pair: Pair,
    cloud: Cloud,
    app: HttpServer,
    zone: String,
    instance: String,
}

impl Regions {
    fn start() -> Self {
        let pair = Pair::start(Replication::Synchronous);
        let cloud = Cloud::start();
        let zone = cloud.zone("example.com", "shop.example.com", "10.0.0.1");
        let instance = cloud.instance("shop-standby");
        cloud.stop(&instance);
        let database = pair.standby.config();
        let app = HttpServer::start(address(3), move |_| answer(&database));
        Self { pair, cloud, app, zone, instance }
    }

    fn dr(&self) -> Dr {
        let dr = crate::dr().copy(crate::repository("runbooks/shop-region-failover.yaml"));
        self.cloud.environment(self.pair.with(dr))
    }

    fn execute<'a>(&self, dr: &'a Dr, incident: Timestamp) -> Invocation<'a> {
        let execute = dr.args(["execute", "shop-region-failover.yaml", "--yes", "--incident-at"]);
        self.pair
            .inputs(execute.arg(incident.to_string()))
            .input("app_address", "10.1.0.1")
            .input("health_url", format!("{}/health", self.app.url()))
    }

    fn state_of_instance(&self) -> String {
        self.cloud.state(&self.instance)
    }
}

/// The shop: well as long as its database takes writes.
fn answer(database: &Config) -> HttpReply {
    let database = database.clone();
    let asked = move || Sql::connect(&database).ok()?.value("select pg_is_in_recovery()");
    match asked().as_deref() {
        Some("f") => HttpReply::of(200, "well"),
        _ => HttpReply::of(503, "no database"),
    }
}

#[test]
fn the_shop_moves_to_the_standby_region() {
    let mut regions = Regions::start();
    regions.pair.primary.connect().unwrap().run("insert into written values (1)");
    let incident = regions.pair.crash_primary();
    let dr = regions.dr();
    dr.args(["check", "--strict", "shop-region-failover.yaml"]).run().code(0);
    regions.execute(&dr, incident).run().code(0);

    let new_primary = regions.pair.standby.connect().unwrap();
    assert_eq!(new_primary.value("select n from written").as_deref(), Some("1"));
    assert_eq!(regions.pair.calls("promote"), 1);
    assert_eq!(regions.state_of_instance(), "running");
    assert_eq!(regions.cloud.addresses(&regions.zone), ["10.1.0.1"]);
    assert_eq!(regions.cloud.proxy.carried_out("StartInstances"), 1);
    assert_eq!(regions.cloud.proxy.carried_out(CHANGE), 1);
    regions.pair.assert_primary_is_fenced();

    let report = std::fs::read_to_string(dr.last_run().join("report.md")).unwrap();
    insta::with_settings!({ filters => [(regions.instance.as_str(), "i-0")] }, {
        insta::assert_snapshot!("changes_of_the_failover", section(&report, "## Changes"));
    });
    let html = std::fs::read_to_string(dr.last_run().join("report.html")).unwrap();
    assert!(html.contains("10.0.0.1, TTL 60"), "{html}");
    dr.args(["verify", "last"]).run().code(0);
}

/// After the promotion there is no way back: what is done stays done, and the rest is completed.
#[test]
fn a_record_that_could_not_be_moved_is_moved_by_resume() {
    let mut regions = Regions::start();
    let incident = regions.pair.crash_primary();
    let dr = regions.dr();
    regions.cloud.proxy.plan(CHANGE, Fault::Denied, false, usize::MAX);
    let ended = regions.execute(&dr, incident).run().code(5);
    insta::with_settings!({ filters => filters() }, {
        insta::assert_snapshot!("the_record_was_denied", ended.stdout);
    });
    let shown = dr.args(["show", "last", "move_record"]).run().code(0);
    assert!(shown.stdout.contains("AccessDenied"), "{shown}");
    assert_eq!(regions.cloud.addresses(&regions.zone), ["10.0.0.1"]);

    regions.cloud.proxy.heal();
    // The command that it names.
    dr.args(["resume", "last", "--retry", "move_record"]).run().code(0);
    assert_eq!(regions.cloud.addresses(&regions.zone), ["10.1.0.1"]);
    assert_eq!(regions.pair.calls("promote"), 1);
    assert_eq!(regions.cloud.proxy.carried_out("StartInstances"), 1);
    let report = std::fs::read_to_string(dr.last_run().join("report.md")).unwrap();
    let changes = section(&report, "## Changes");
    for change in ["start_app", "stopped", "10.0.0.1, TTL 60", "10.1.0.1, TTL 60"] {
        assert!(changes.contains(change), "{report}");
    }
    dr.args(["verify", "last"]).run().code(0);
}

/// From one heading to the next.
fn section<'a>(report: &'a str, heading: &str) -> &'a str {
    let from = report.find(heading).unwrap_or_else(|| panic!("no {heading}\n{report}"));
    let text = &report[from..];
    text[2..].find("\n## ").map_or(text, |to| &text[..to + 2]).trim_end()
}

/// What differs from run to run.
fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"\d{8}T\d{6}Z-\w+-[0-9a-f]{4}", "RUN"),
        (r"i-[0-9a-f]{17}", "i-0"),
        (r"\d+m\d+s|\d+(\.\d+)?m?s\b", "TIME"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*( UTC|Z)?", "MOMENT"),
        (r" +(TIME)", " $1"),
    ]
}
