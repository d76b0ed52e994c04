//! The folder that a run works in.

use dr_testkit::Dr;

use crate::dr;

fn stopped() -> Dr {
    let dr = dr()
        .file("work/other/.keep", "")
        .file("work/runbook.yaml", RUNBOOK)
        .file("work/pw", "hunter2hunter2");
    dr.args(["execute", "runbook.yaml"]).within("work").run().code(5);
    dr
}

const RUNBOOK: &str = "runbook: here
secrets: { pw: [{ file: pw }] }
steps:
  - id: act
    needs: []
    uses: local.script
    effect: idempotent
    with: { env: { PW: \"{{ secrets.pw }}\" }, script: 'pwd >> seen; test -e mended' }
";

#[test]
fn a_run_goes_on_in_the_folder_it_was_started_in() {
    let dr = stopped().file("work/mended", "");
    let resume = ["resume", "last", "--retry", "act", "--state-dir", "../.dr"];
    dr.args(resume).within("work/other").run().code(0);
    let work = dr.path("work").canonicalize().unwrap();
    assert_eq!(dr.read("work/seen"), format!("{0}\n{0}\n", work.display()));
}

#[test]
fn detached_too() {
    let dr = stopped().file("work/mended", "").file("elsewhere/.keep", "");
    let arguments = ["resume", "last", "--retry", "act", "--detach", "--state-dir", "../work/.dr"];
    let told = dr.args(arguments).within("elsewhere").run().code(0);
    assert!(told.stdout.contains("--state-dir"), "as seen from there: {}", told.stdout);
    let followed = dr.args(["watch", "last"]).within("work").run();
    followed.code(0);
    assert_eq!(dr.read("work/seen").lines().count(), 2);
    assert!(!dr.path("elsewhere/seen").exists());
}

#[test]
fn without_its_folder_a_run_does_not_go_on() {
    let dr =
        dr().file("state/.keep", "").file("work/runbook.yaml", RUNBOOK).file("work/pw", "abcd");
    let state = dr.path("state").display().to_string();
    let with = |arguments: &[&str]| {
        let state = ["--state-dir", state.as_str()];
        arguments.iter().copied().chain(state).map(str::to_owned).collect::<Vec<_>>()
    };
    dr.args(with(&["execute", "runbook.yaml"])).within("work").run().code(5);
    std::fs::rename(dr.path("work"), dr.path("moved")).unwrap();
    let journal = || {
        let run = std::fs::read_dir(dr.path("state/runs")).unwrap().next().unwrap().unwrap();
        std::fs::read_to_string(run.path().join("journal.jsonl")).unwrap()
    };
    let before = journal();
    let refused = dr.args(with(&["resume", "last", "--retry", "act"])).run();
    refused.code(4).says("DR3004").says("which cannot be entered");
    assert_eq!(journal(), before, "nothing was done");
}
