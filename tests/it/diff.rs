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

/// The script of the step that plans and compares, as it stands in the guide.
fn script_of_the_guide() -> String {
    let page = std::fs::read_to_string(crate::repository("docs/guide/pull-requests.md")).unwrap();
    let step = page.split("- name: Plan and compare").nth(1).unwrap();
    let lines = step.split("run: |\n").nth(1).unwrap().lines();
    let lines = lines.take_while(|line| line.starts_with("          "));
    lines.fold(String::new(), |script, line| script + &line[10..] + "\n")
}

#[test]
fn the_workflow_of_the_guide_works() {
    let page = std::fs::read_to_string(crate::repository("docs/guide/pull-requests.md")).unwrap();
    assert!(!page.contains("{{ secrets"), "the job has no secrets");
    let new = NEW.replace("type: integer", "type: integer, default: 3");
    let dr = dr().file("runbooks/shop.yaml", OLD).file("runbooks/same.yaml", OLD);
    git(&dr, &["init", "-q", "-b", "main"]);
    git(&dr, &["add", "runbooks"]);
    git(&dr, &["commit", "-q", "-m", "shop"]);
    git(&dr, &["checkout", "-q", "-b", "change"]);
    std::fs::write(dr.path("runbooks/shop.yaml"), &new).unwrap();
    std::fs::write(
        dr.path("runbooks/more.yaml"),
        "runbook: more\nsteps: [{ id: a, uses: sim.probe }]\n",
    )
    .unwrap();
    git(&dr, &["add", "runbooks"]);
    git(&dr, &["commit", "-q", "-m", "change"]);
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_dr")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let ended = Command::new("bash")
        .args(["-e", "-c", &script_of_the_guide()])
        .current_dir(dr.folder())
        .envs([("PATH", path.as_str()), ("BASE", "main"), ("GITHUB_STEP_SUMMARY", "summary.md")])
        .output()
        .unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let comment = dr.read("comment.md");
    assert!(comment.contains("### shop in default: ") && comment.contains("**gate lost**: stop:"));
    assert!(comment.contains("### more in default: a new runbook"), "{comment}");
    assert_eq!(comment.matches("###").count(), 2, "what did not change is not shown");
    assert!(dr.read("summary.md").contains("# Plan: shop in default"));
}
