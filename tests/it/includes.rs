//! Included runbooks from the command line.

use std::fs;

use crate::dr;

const MAIN: &str = "
runbook: shop
services: { web: { priority: high } }
steps:
  - { id: find, needs: [], uses: local.command, effect: pure, with: { argv: [printf, backup-7] }, outputs: { newest: result.stdout } }
  - id: restore
    service: web
    needs: [find]
    uses: ./parts/restore.yaml
    with: { site: west, backup: '{{ steps.find.outputs.newest }}' }
    outputs: { told: steps.load.outputs.told }
  - { id: end, needs: [restore], uses: local.command, effect: idempotent, with: { argv: [echo, '{{ steps.restore.outputs.told }}'] } }
";

const PART: &str = "
runbook: restore
inputs:
  site: { type: string }
  backup: { type: string, pattern: 'backup-.*' }
steps:
  - id: stop
    needs: []
    uses: local.command
    effect: idempotent
    with: { argv: [sh, -c, 'echo \"$0\" >> log', 'stop {{ inputs.site }}'] }
    undo: { uses: local.command, effect: idempotent, with: { argv: [sh, -c, 'echo \"$0\" >> log', 'start {{ inputs.site }} {{ inputs.backup }}'] } }
  - { id: load, needs: [stop], uses: local.command, effect: idempotent, with: { argv: [printf, 'did {{ inputs.backup }}'] }, outputs: { told: result.stdout } }
";

fn with_part(main: &str, part: &str) -> dr_testkit::Dr {
    let dr = dr().runbook(main);
    fs::create_dir_all(dr.path("parts")).unwrap();
    fs::write(dr.path("parts/restore.yaml"), part).unwrap();
    dr
}

#[test]
fn its_steps_are_steps_of_the_plan() {
    let dr = with_part(MAIN, PART);
    dr.args(["check", "runbook.yaml"]).run().code(0);
    dr.args(["execute", "runbook.yaml", "--yes"]).run().code(0);
    let shown = dr.args(["show", "last", "end"]).run().code(0);
    assert!(shown.to_string().contains("did backup-7"), "{shown}");
    let shown = dr.args(["show", "last", "restore/load"]).run().code(0);
    assert!(shown.to_string().contains("did backup-7"), "{shown}");
    assert!(dr.last_run().join("runbook/restore.yaml").exists());
}

#[test]
fn what_it_did_is_taken_back_with_its_own_inputs() {
    let main = MAIN
        .replace("argv: [echo,", "argv: ['false',")
        .replace("id: end, needs", "id: end, on_failure: undo, needs");
    let dr = with_part(&main, PART);
    dr.args(["execute", "runbook.yaml", "--yes"]).run().code(5);
    assert_eq!(fs::read_to_string(dr.path("log")).unwrap(), "stop west\nstart west backup-7\n");
}

#[test]
fn what_is_only_known_later_is_checked_when_it_begins() {
    let dr = with_part(&MAIN.replace("backup-7", "wrong"), PART);
    let ended = dr.args(["execute", "runbook.yaml", "--yes"]).run().code(5);
    assert!(ended.to_string().contains("input `backup`"), "{ended}");
    assert!(!dr.path("log").exists(), "nothing was done");
}

#[test]
fn problems_are_told_where_they_are() {
    let dr = with_part(MAIN, &PART.replace("inputs.site", "inputs.sight"));
    let ended = dr.args(["check", "runbook.yaml"]).run().code(3);
    assert!(ended.stderr.contains("parts/restore.yaml:1"), "{ended}");
    assert!(ended.stderr.contains("inputs.sight"), "{ended}");
    dr.args(["execute", "runbook.yaml", "--yes"]).run().code(3);

    let dr = with_part(&MAIN.replace("site: west", "sight: west"), PART);
    let ended = dr.args(["check", "runbook.yaml"]).run().code(3);
    for told in ["there is no input `sight`", "needs its input `site`"] {
        assert!(ended.stderr.contains(told), "{ended}");
    }
}

#[test]
fn what_cannot_be_included_is_told() {
    for (path, why) in [
        ("./parts/none.yaml", "is not there"),
        ("./runbook.yaml", "is this runbook itself"),
        ("/etc/passwd/x", "absolute path"),
        ("../../../../../../../../etc/hostname", "leads out of"),
    ] {
        let dr = with_part(&MAIN.replace("./parts/restore.yaml", path), PART);
        let ended = dr.args(["check", "runbook.yaml"]).run().code(3);
        let said = ended.stderr.replace("\n  |", "").replace("  ", " ");
        assert!(said.contains(why), "{path}: {ended}");
    }
    let round = PART.replace("uses: local.command\n", "uses: ../runbook.yaml\n");
    let dr = with_part(MAIN, &round);
    let ended = dr.args(["check", "runbook.yaml"]).run().code(3);
    assert!(ended.stderr.contains("includes this runbook"), "{ended}");
}

/// Two runbooks that call different things by the same names; `{jobs}` is where commands are kept.
const OWN: &str = "
hosts:
  db: { address: 10.0.0.1 }
  same: { address: 10.0.0.7 }
secrets: { token: [{ env: OUTER_TOKEN }] }
plugins: { local: { job_dir: '{jobs}/outer' } }
pools: { array: { capacity: 2 }, links: { capacity: 5 } }
steps:";

#[test]
fn each_keeps_what_it_calls_by_the_same_name() {
    let log = "
    uses: local.command
    effect: once
    takes: { array: 1, links: 1 }
    with:
      argv: [sh, -c, 'echo \"$0 $TOKEN\" >> log', '{{ hosts.db.address }} {{ hosts.same.address }} {{ steps.before.outputs.it }}']
      env: { TOKEN: '{{ secrets.token }}' }
";
    let before = "
  - { id: before, needs: [], uses: local.command, effect: pure, with: { argv: [printf, x] }, outputs: { it: result.stdout } }
";
    let dr = dr();
    let jobs = dr.path("jobs");
    let outer = OWN.replace("{jobs}", &jobs.display().to_string());
    let inner = outer
        .replace("10.0.0.1", "10.9.0.1")
        .replace("OUTER", "INNER")
        .replace("outer", "inner")
        .replace("capacity: 2", "capacity: 1");
    let deepest = "runbook: leaf\nhosts: { db: { address: 10.10.0.1 }, same: { address: 10.0.0.7 } }\nsecrets: { token: [{ env: INNER_TOKEN }] }\npools: { array: { capacity: 9 }, links: { capacity: 5 } }\nsteps:";
    fs::create_dir_all(dr.path("parts")).unwrap();
    fs::write(
        dr.path("runbook.yaml"),
        format!(
            "runbook: shop{outer}{before}  - {{ id: inner, needs: [before], uses: ./parts/inner.yaml }}\n  \
             - id: last\n    needs: [inner, before]{log}"
        ),
    )
    .unwrap();
    fs::write(
        dr.path("parts/inner.yaml"),
        format!(
            "runbook: part{inner}{before}  - {{ id: leaf, needs: [before], uses: ./leaf.yaml }}\n  \
             - id: last\n    needs: [leaf, before]{log}"
        ),
    )
    .unwrap();
    fs::write(
        dr.path("parts/leaf.yaml"),
        format!("{deepest}{before}  - id: last\n    needs: [before]{log}"),
    )
    .unwrap();
    dr.args(["check", "runbook.yaml"]).run().code(0);
    let plan = dr.args(["plan", "runbook.yaml", "--format", "json"]).run().code(0).json();
    let keys = |what: &str| plan[what].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys("hosts"), ["db", "leaf/db", "part/db", "same"]);
    assert_eq!(
        keys("secrets"),
        ["part/token", "token"],
        "the innermost has the same as the inner one"
    );
    assert_eq!(keys("plugins"), ["local", "part/local"]);
    assert_eq!(plan["pools"]["part/array"]["capacity"], 1);
    assert_eq!(plan["pools"]["leaf/array"]["capacity"], 9);
    assert!(plan["pools"].get("part/links").is_none(), "one limit: {}", plan["pools"]);
    let notices = plan["notices"].to_string();
    assert!(notices.contains("part has its own host `db` (here `part/db`)"), "{notices}");
    let ended = dr
        .args(["execute", "runbook.yaml", "--yes"])
        .env("OUTER_TOKEN", "outer-secret")
        .env("INNER_TOKEN", "inner-secret")
        .run()
        .code(0);
    assert_eq!(
        dr.read("log"),
        "10.10.0.1 10.0.0.7 x inner-secret\n10.9.0.1 10.0.0.7 x inner-secret\n\
         10.0.0.1 10.0.0.7 x outer-secret\n",
        "{ended}"
    );
    assert!(jobs.join("outer").is_dir() && jobs.join("inner").is_dir(), "{ended}");
}

#[test]
fn a_sealed_plan_knows_the_included_file() {
    let dr = with_part(MAIN, PART);
    dr.args(["plan", "runbook.yaml", "-o", "sealed.json"]).run().code(0);
    let text = fs::read_to_string(dr.path("parts/restore.yaml")).unwrap();
    fs::write(dr.path("parts/restore.yaml"), text.replace("did ", "done ")).unwrap();
    let ended = dr.args(["plan", "sealed.json"]).run();
    let told = ended.to_string();
    assert!(told.contains("restore.yaml") && told.contains("has changed"), "{told}");
}

#[test]
fn an_included_runbook_is_begun_anew_in_each_round() {
    let main = MAIN.replace(
        "outputs: { told: steps.load.outputs.told }",
        "outputs: { told: steps.load.outputs.told }\n    \
         repeat: { until: 'iteration == 2', every: 10ms }",
    );
    let dr = with_part(&main, PART);
    dr.args(["check", "runbook.yaml"]).run().code(0);
    dr.args(["execute", "runbook.yaml", "--yes"]).run().code(0);
    assert_eq!(fs::read_to_string(dr.path("log")).unwrap(), "stop west\nstop west\n");
    let shown = dr.args(["show", "last", "restore@2/load"]).run().code(0);
    assert!(shown.to_string().contains("did backup-7"), "{shown}");
    let shown = dr.args(["show", "last", "end"]).run().code(0);
    assert!(shown.to_string().contains("did backup-7"), "{shown}");
}
