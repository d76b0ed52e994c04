//! `dr diff` between files, revisions and sealed plans.

use std::process::Command;

use crate::dr;

const OLD: &str = "
runbook: shop
services: { db: { rto: 5m } }
steps:
  - { id: stop, service: db, needs: [], uses: sim.action, effect: once, approve: { message: Stop? } }
  - { id: start, service: db, needs: [stop], uses: sim.action, with: { delay: 5 } }
";

const NEW: &str = "
runbook: shop
services: { db: { rto: 5m } }
inputs: { size: { type: integer } }
steps:
  - { id: stop, service: db, needs: [], uses: sim.action, effect: idempotent }
  - { id: start, service: db, needs: [stop], uses: sim.action, with: { delay: 7 } }
  - { id: tell, service: db, needs: [start], uses: sim.action, with: { output: '{{ inputs.size }}' }, point_of_no_return: true }
";

fn git(dr: &dr_testkit::Dr, args: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=ann", "-c", "user.email=ann@example.com"]);
    let status = command.args(args).current_dir(dr.folder()).env("HOME", dr.folder()).status();
    assert!(status.unwrap().success(), "{args:?}");
}

#[test]
fn files_and_revisions_are_compared() {
    let dr = dr().file("ops/shop.yaml", OLD);
    git(&dr, &["init", "-q", "-b", "main"]);
    git(&dr, &["add", "ops"]);
    git(&dr, &["commit", "-q", "-m", "shop"]);
    std::fs::write(dr.path("ops/shop.yaml"), NEW).unwrap();
    let diff = |arguments: &[&str]| dr.args(["diff"].iter().chain(arguments)).run();
    let ended = diff(&["main:ops/shop.yaml", "ops/shop.yaml", "--input", "size=3"]).code(0);
    insta::assert_snapshot!(ended.stdout);
    let json = diff(&["main:ops/shop.yaml", "ops/shop.yaml", "-i", "size=3", "--format", "json"]);
    let json = json.code(0).json();
    assert_eq!(json["watch"][0]["kind"], "new_irreversible");
    assert_eq!(json["added"][0]["id"], "tell");
    assert!(json["services"][0]["p90_ms"]["new"].is_u64());
    let comment =
        diff(&["HEAD:ops/shop.yaml", "ops/shop.yaml", "-i", "size=3", "--format", "markdown"]);
    comment.code(0).prints("**no way back**: tell:").prints("| db |");

    git(&dr, &["commit", "-q", "-a", "-m", "larger"]);
    let same = diff(&["HEAD:ops/shop.yaml", "ops/shop.yaml", "-i", "size=3"]).code(0);
    same.prints("does exactly the same");
    let back = diff(&["HEAD:ops/shop.yaml", "HEAD~1:ops/shop.yaml", "-i", "size=3"]).code(0);
    back.prints("- tell");
    diff(&["HEAD:ops/new.yaml", "ops/shop.yaml", "-i", "size=3"]).code(0).prints("a new runbook");

    dr.args(["plan", "ops/shop.yaml", "-i", "size=3", "-o", "p.json"]).run().code(0);
    diff(&["p.json", "ops/shop.yaml", "-i", "size=3"]).code(0).prints("does exactly the same");

    diff(&["nothing:ops/shop.yaml", "ops/shop.yaml"]).code(3).says("DR2212");
    diff(&["HEAD:a.yaml", "HEAD:b.yaml"]).code(2).says("neither");
    diff(&["HEAD:ops/shop.yaml", "ops/shop.yaml"]).code(3).says("cannot be planned");
    diff(&["none.yaml", "ops/shop.yaml"]).code(3).says("none.yaml");
}

/// The script of a step, as it stands in the guide.
fn script_of_the_guide(name: &str) -> String {
    let page = std::fs::read_to_string(crate::repository("docs/guide/pull-requests.md")).unwrap();
    let step = page.split(&format!("- name: {name}")).nth(1).unwrap();
    let lines = step.split("run: |\n").nth(1).unwrap().lines();
    let lines = lines.take_while(|line| line.starts_with("          "));
    lines.fold(String::new(), |script, line| script + &line[10..] + "\n")
}

/// Runs a script of the guide as the job does: `gh` is whatever lies in `bin`.
fn run_script(dr: &dr_testkit::Dr, name: &str, base: &str) {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_dr")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", dr.path("bin").display(), binary.display());
    let ended = Command::new("bash")
        .args(["-e", "-c", &script_of_the_guide(name)])
        .current_dir(dr.folder())
        .envs([("PATH", path.as_str()), ("BASE", base), ("GITHUB_STEP_SUMMARY", "summary.md")])
        .envs([("GITHUB_REPOSITORY", "ann/shop"), ("PR", "7")])
        .output()
        .unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

const PART: &str = "runbook: part\nsteps: [{ id: a, uses: sim.probe, timeout: 5s }]\n";
const WHOLE: &str = "runbook: whole\nsteps: [{ id: first, needs: [], uses: ./part/part.yaml }]\n";
const ASKS: &str = "runbook: asks\ninputs: { who: { type: string } }\nsteps:\n  \
                    - { id: a, uses: sim.action, effect: idempotent, with: { output: '{{ inputs.who }}' } }\n";

#[test]
fn the_workflow_of_the_guide_works() {
    let page = std::fs::read_to_string(crate::repository("docs/guide/pull-requests.md")).unwrap();
    assert!(!page.contains("{{ secrets"), "the job has no secrets");
    let dr = dr()
        .file("runbooks/shop.yaml", OLD)
        .file("runbooks/same.yaml", &OLD.replace("runbook: shop", "runbook: same"))
        .file("runbooks/asks.yaml", ASKS)
        .file("runbooks/asks.inputs", "# for the review\nwho=ann and joe\n")
        .file("runbooks/silent.yaml", &ASKS.replace("runbook: asks", "runbook: silent"))
        .file("runbooks/gone.yaml", &PART.replace("runbook: part", "runbook: gone"))
        .file("runbooks/named.yaml", &PART.replace("runbook: part", "runbook: named"))
        .file("runbooks/whole.yaml", WHOLE)
        .file("runbooks/part/part.yaml", PART);
    git(&dr, &["init", "-q", "-b", "main"]);
    git(&dr, &["commit", "-q", "-m", "nothing", "--allow-empty"]);
    git(&dr, &["add", "runbooks"]);
    git(&dr, &["commit", "-q", "-m", "shop"]);
    run_script(&dr, "Plan and compare", "HEAD~1");
    assert_eq!(dr.read("comment.md").matches(": a new runbook, ").count(), 7);
    git(&dr, &["checkout", "-q", "-b", "change"]);
    let write = |path: &str, text: &str| std::fs::write(dr.path(path), text).unwrap();
    write("runbooks/shop.yaml", &NEW.replace("type: integer", "type: integer, default: 3"));
    write("runbooks/more.yaml", "runbook: more\nsteps: [{ id: a, uses: sim.probe }]\n");
    write("runbooks/asks.yaml", &ASKS.replace("idempotent", "once"));
    write("runbooks/part/part.yaml", &PART.replace("timeout: 5s", "timeout: 9s"));
    git(&dr, &["rm", "-q", "runbooks/gone.yaml"]);
    git(&dr, &["mv", "runbooks/named.yaml", "runbooks/renamed.yaml"]);
    git(&dr, &["add", "runbooks"]);
    git(&dr, &["commit", "-q", "-m", "change"]);
    run_script(&dr, "Plan and compare", "main");
    let comment = dr.read("comment.md");
    assert!(comment.starts_with("<!-- dr diff -->\n"), "{comment}");
    for part in [
        "### shop in default: steps",
        "**gate lost**: stop:",
        "### more in default: a new runbook",
        "### asks in default: steps ~1",
        "### gone in default: the runbook is gone",
        "### named in default: a new runbook",
        "### named in default: the runbook is gone",
        "### part in default: steps ~1",
        "### whole in default: steps ~1",
        "### A runbook that cannot be compared\n\n    runbooks/silent.yaml\n\n    DR2002",
    ] {
        assert!(comment.contains(part), "{part}: {comment}");
    }
    assert_eq!(comment.matches("###").count(), 9, "what did not change is not shown: {comment}");
    let summary = dr.read("summary.md");
    assert!(summary.contains("# Plan: shop in default") && summary.contains("# Plan: asks in"));

    git(&dr, &["checkout", "-q", "main"]);
    run_script(&dr, "Plan and compare", "main");
    let comment = dr.read("comment.md");
    assert!(comment.contains("cannot be compared"), "{comment}");
    git(&dr, &["rm", "-q", "runbooks/silent.yaml"]);
    git(&dr, &["commit", "-q", "-m", "said"]);
    run_script(&dr, "Plan and compare", "main");
    let comment = dr.read("comment.md");
    assert!(comment.ends_with("Every runbook does exactly what it did.\n"), "{comment}");
}

#[test]
fn the_comment_of_the_guide_is_found_by_its_mark() {
    use std::os::unix::fs::PermissionsExt as _;
    let dr = dr().file("bin/gh", "#!/bin/sh\necho \"$@\" >> calls\ncat found 2> none || true\n");
    let program = dr.path("bin/gh");
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
    run_script(&dr, "Comment", "main");
    let calls = dr.read("calls");
    assert!(calls.contains("startswith(\"<!-- dr diff -->\")"), "{calls}");
    assert!(calls.ends_with("pr comment 7 --repo ann/shop --body-file comment.md\n"), "{calls}");
    std::fs::write(dr.path("found"), "12\n34\n").unwrap();
    run_script(&dr, "Comment", "main");
    let last = "api --method PATCH repos/ann/shop/issues/comments/12 -F body=@comment.md\n";
    assert!(dr.read("calls").ends_with(last), "{}", dr.read("calls"));
}

/// Runs are simulated with the same luck on both sides: what differs is what the change does.
#[test]
fn a_forecast_differs_only_by_what_changed() {
    let hosts = |address: &str| {
        format!(
            "runbook: shop\nhosts: {{ h: {{ address: {address} }} }}\nservices: {{ db: {{ rto: 5m }} }}\n\
             steps: [{{ id: a, service: db, needs: [], uses: ssh.command, effect: idempotent, host: h, \
             estimate: 2m, with: {{ argv: ['true'] }} }}]\n"
        )
    };
    let dr = dr().file("old.yaml", &hosts("db1")).file("new.yaml", &hosts("db2"));
    let found = dr.args(["diff", "old.yaml", "new.yaml", "--format", "json"]).run().code(0).json();
    assert_eq!(found["same"], false);
    let p90 = &found["services"][0]["p90_ms"];
    assert!(p90["old"].is_u64() && p90["old"] == p90["new"], "{p90}");
}
