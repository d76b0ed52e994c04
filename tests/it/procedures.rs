//! Public procedures as runbooks: what their text numbers is there, as constructs of the language,
//! and every fault has a way on.

use std::collections::BTreeSet;

use dr_testkit::{SHIPPED, Shipped, VERSIONS};
use serde_json::Value;

use crate::secrets::with_identity;
use crate::{dr, repository};

/// A runbook, and what its procedure numbers.
struct Procedure {
    file: &'static str,
    chapter: &'static str,
    numbers: &'static [&'static str],
}

const PROCEDURES: [Procedure; 8] = [
    Procedure {
        file: "rds-restore.yaml",
        chapter: "R-1",
        numbers: &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"],
    },
    Procedure {
        file: "etcd-quorum-restore.yaml",
        chapter: "R-2",
        numbers: &["1", "2", "3", "4", "5", "6", "7", "8"],
    },
    Procedure {
        file: "cluster-recovery.yaml",
        chapter: "R-3",
        // A namespace, a whole cluster, its state file, the drill.
        numbers: &[
            "n0", "n1", "n2", "n3", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "s1", "s2",
            "s3", "d",
        ],
    },
    Procedure {
        file: "velero-read-only-restore.yaml",
        chapter: "R-4",
        numbers: &["1", "2", "3", "4"],
    },
    Procedure {
        file: "geo-planned-failover.yaml",
        chapter: "R-5",
        numbers: &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14"],
    },
    Procedure {
        file: "mastodon-move.yaml",
        chapter: "R-6",
        numbers: &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"],
    },
    Procedure {
        file: "mysql-takeover.yaml",
        chapter: "R-7",
        numbers: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"],
    },
    Procedure {
        file: "patroni-dc-failover.yaml",
        chapter: "R-8",
        numbers: &["1", "2", "3", "4", "5", "6", "7", "8"],
    },
];

fn shipped(file: &str) -> &'static Shipped {
    SHIPPED.iter().find(|it| it.file == file).unwrap()
}

/// What a shipped runbook must be given.
pub(crate) fn inputs_of(file: &str) -> Vec<&'static str> {
    let inputs = shipped(file).inputs;
    inputs.iter().flat_map(|input| ["--input", input]).collect()
}

/// A folder with the runbook and its parts, and with an identity for its secrets.
fn copied(file: &str) -> dr_testkit::Dr {
    let dr = dr().copy(repository(&format!("runbooks/{file}")));
    with_identity(dr.copy(repository("runbooks/parts")))
}

fn holds(file: &'static str) {
    let procedure = PROCEDURES.iter().find(|it| it.file == file).unwrap();
    let dr = copied(file);
    dr.args(["check", "--strict", file]).run().code(0);
    for environment in shipped(file).environments {
        let args = ["plan", file, "--history", "none", "--format", "json", "--env", environment];
        let planned = dr.args(args.into_iter().chain(inputs_of(file))).run().code(0);
        let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
        assert_eq!(plan["environment"], *environment);
    }
    let text = std::fs::read_to_string(repository(&format!("runbooks/{file}"))).unwrap();
    let sources = sources(&dr, procedure);
    let named: BTreeSet<&str> = sources.iter().map(String::as_str).collect();
    let wanted: BTreeSet<String> =
        procedure.numbers.iter().map(|number| format!("{}.{number}", procedure.chapter)).collect();
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    assert_eq!(named, wanted, "{file}: every numbered step, and no other, is a construct");
    assert_eq!(hidden(&text), Vec::<String>::new(), "{file} hides logic in a shell");
    let args = ["rehearse", file, "--faults"].into_iter().chain(inputs_of(file));
    let told = shipped(file).told.iter().flat_map(|told| ["--set", told]);
    let rehearsed = dr.args(args.chain(told)).run().code(0);
    assert!(rehearsed.stdout.contains("there is a defined way on"), "{rehearsed}");
}

/// Every source that a step of the plan names, whatever its phase, or a step within a loop.
fn sources(dr: &dr_testkit::Dr, procedure: &Procedure) -> Vec<String> {
    let args = ["plan", procedure.file, "--history", "none", "--format", "json"];
    let planned = dr.args(args.into_iter().chain(inputs_of(procedure.file))).run().code(0);
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    let mut open: Vec<&Value> = plan["steps"].as_array().unwrap().iter().collect();
    let mut found = Vec::new();
    while let Some(step) = open.pop() {
        let sources = step["source"].as_array().into_iter().flatten();
        found.extend(sources.map(|source| source.as_str().unwrap().to_owned()));
        let template = step["group"]["each"]["items"]["template"].as_array();
        open.extend(template.into_iter().flatten());
    }
    found
}

/// Lines that start a shell, loop, wait or sort within a command.
fn hidden(runbook: &str) -> Vec<String> {
    let shell = ["script:", "sh, -c", "bash", "while ", "until [", "sleep,", "| sort", "$("];
    let lines = runbook.lines().filter(|line| !line.trim_start().starts_with('#'));
    let lines = lines.filter(|line| shell.iter().any(|word| line.contains(word)));
    lines.map(str::to_owned).collect()
}

#[test]
fn rds_restore() {
    holds("rds-restore.yaml");
}

#[test]
fn etcd_quorum_restore() {
    holds("etcd-quorum-restore.yaml");
}

#[test]
fn cluster_recovery() {
    holds("cluster-recovery.yaml");
}

/// Each of its scenarios is a way of its own through the runbook.
#[test]
fn cluster_recovery_in_its_other_scenarios() {
    let dr = copied("cluster-recovery.yaml");
    let [backups] = shipped("cluster-recovery.yaml").told else { panic!("one thing is told") };
    for (scenario, told) in [("scenario=namespace", *backups), ("scenario=state_file", VERSIONS)] {
        let args = ["rehearse", "cluster-recovery.yaml", "--faults", "--set", told];
        let inputs = ["--input", scenario, "--input", "namespace=shop"];
        dr.args(args.into_iter().chain(inputs)).run().code(0).prints("there is a defined way on");
    }
}

/// Going home is a procedure of its own.
#[test]
fn patroni_failback() {
    let dr = copied("patroni-dc-failover.yaml");
    let args = ["rehearse", "patroni-dc-failover.yaml", "--faults", "--phase", "failback"];
    dr.args(args).run().code(0).prints("there is a defined way on");
}

#[test]
fn velero_read_only_restore() {
    holds("velero-read-only-restore.yaml");
}

#[test]
fn geo_planned_failover() {
    holds("geo-planned-failover.yaml");
}

#[test]
fn mastodon_move() {
    holds("mastodon-move.yaml");
}

#[test]
fn mysql_takeover() {
    holds("mysql-takeover.yaml");
}

#[test]
fn patroni_dc_failover() {
    holds("patroni-dc-failover.yaml");
}

/// Its three outcomes, and that the backups are writable again after each.
#[test]
fn velero_ends_in_three_ways() {
    let dr = dr().copy(repository("runbooks/velero-read-only-restore.yaml"));
    let base = ["rehearse", "velero-read-only-restore.yaml", "--input", "backup=a-20261119010000"];
    let partly = ["--set", "finished.phase=PartiallyFailed", "--set", "finished.errors=3"];
    let partly = dr.args(base.into_iter().chain(partly)).run().code(0);
    partly.prints("Restored in part, with 3 errors").prints("set_read_write: succeeded");
    let failed = r#"finished.result={exit_code: 0, stdout: '{"status": {"phase": "Failed"}}'}"#;
    let failed = dr.args(base.into_iter().chain(["--set", failed])).run().code(5);
    failed.prints("could not restore").prints("set_read_write: succeeded");
}

#[test]
fn a_source_is_shown_and_changes_nothing_that_is_done() {
    let runbook = "runbook: r
steps:
  - { id: a, source: [OPS-2.10, \"OPS-2.9 <i>\"], needs: [], uses: sim.action, effect: idempotent, with: {} }
  - { id: b, source: [OPS-2.9 <i>], needs: [a], expect: ['true'] }
";
    let dr = dr().runbook(runbook);
    let digest = |dr: &dr_testkit::Dr| {
        let planned = dr.args(["plan", "runbook.yaml", "--format", "json"]).run().code(0);
        serde_json::from_str::<Value>(&planned.stdout).unwrap()["digest"].clone()
    };
    let with = digest(&dr);
    dr.args(["plan", "runbook.yaml", "--format", "markdown"])
        .run()
        .code(0)
        .prints("## By the procedure\n\n- OPS-2.9 &lt;i&gt;: a, b\n- OPS-2.10: a\n");
    dr.args(["execute", "runbook.yaml"]).run().code(0);
    dr.args(["show", "last", "a"]).run().code(0).prints("source       OPS-2.10, OPS-2.9 <i>");
    dr.args(["report", "last", "--format", "markdown"])
        .run()
        .code(0)
        .prints("| OPS-2.9 &lt;i&gt; | a: succeeded; b: succeeded |")
        .prints("| OPS-2.10 | a: succeeded |");
    let page = dr.args(["report", "last", "--format", "html"]).run().code(0);
    page.prints("<td>OPS-2.9 &lt;i&gt;</td><td><code>a</code> succeeded, <code>b</code> succeeded");
    let bare = runbook.replace("source: [OPS-2.10, \"OPS-2.9 <i>\"], ", "");
    assert_eq!(digest(&dr.runbook(&bare)), with);
}
