//! What `dr` says to those who have to go on: commands that can be pasted, and help that fits.

use std::fs;

use crate::dr;

const GATE: &str = "runbook: shop
steps:
  - { id: before, needs: [], uses: sim.action, with: { result: 1 } }
  - { id: ask, needs: [before], approve: { message: Go? } }
";

#[test]
fn commands_name_the_state_directory_where_it_is_another_one() {
    let dr = dr().runbook(GATE);
    dr.args(["execute", "runbook.yaml", "--yes", "--state-dir", "elsewhere"]).run().code(7);
    for (args, code) in [
        (["approve", "last", "before"].as_slice(), 2),
        (&["approve", "last", "none"], 2),
        (&["pause", "last"], 2),
        (&["show", "none"], 2),
        (&["cancel", "last"], 0),
    ] {
        let args = args.iter().chain(&["--state-dir", "elsewhere"]);
        let ended = dr.args(args.map(|it| (*it).to_owned())).run().code(code);
        let said = ended.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("--state-dir [DIR]/elsewhere"), "{ended}");
    }
}

#[test]
fn a_lock_is_reached_by_commands_that_name_run_and_state_directory() {
    let text = "runbook: wait\nsteps:\n  - { id: only, uses: local.command, effect: idempotent, \
                with: { argv: [sh, -c, 'touch started; until test -e go; do sleep 0.02; done'] } }\n";
    let dr = dr().runbook(text);
    let execute = || dr.args(["execute", "runbook.yaml", "--yes", "--state-dir", "elsewhere"]);
    let running = execute().spawn();
    while !dr.path("started").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let ended = execute().run().code(9);
    let run = fs::read_dir(dr.path("elsewhere/runs")).unwrap().next().unwrap().unwrap();
    let run = run.file_name();
    let named = format!("`dr watch --state-dir [DIR]/elsewhere {}`", run.display());
    assert!(ended.stderr.contains(&named), "{ended}");
    fs::write(dr.path("go"), "").unwrap();
    running.finish().code(0);
}

#[test]
fn runs_that_cannot_be_listed_are_not_said_to_be_none() {
    let dr = dr().file(".dr/runs", "no folder");
    let ended = dr.args(["runs"]).run().code(4);
    assert!(ended.stderr.contains("cannot read"), "{ended}");
    assert!(!ended.stdout.contains("no runs yet"), "{ended}");
    dr.args(["runs", "--state-dir", "none"]).run().code(0).prints("no runs yet");
}

#[test]
fn an_input_is_given_once() {
    let dr = dr().runbook(
        "runbook: shop\ninputs: { x: { type: string } }\nsteps:\n  - { id: a, uses: sim.action, with: { result: '{{ inputs.x }}' } }\n",
    );
    for command in ["plan", "execute"] {
        let ended = dr.args([command, "runbook.yaml", "-i", "x=1", "-i", "x=2"]).run().code(2);
        assert!(ended.stderr.contains("input `x` is given twice"), "{ended}");
    }
    assert!(!dr.path(".dr").exists());
    dr.args(["plan", "runbook.yaml", "-i", "x=1"]).run().code(0);
}

#[test]
fn a_secret_that_is_missing_before_a_run_says_to_start_again() {
    let dr = dr().runbook(
        "runbook: secret\nsecrets: { pw: [{ env: NO_SUCH_VARIABLE }] }\nsteps:\n  \
         - { id: one, uses: local.command, with: { argv: [env], env: { PW: '{{ secrets.pw }}' } }, effect: pure }\n",
    );
    let ended = dr.args(["execute", "runbook.yaml", "--yes"]).run().code(4);
    assert!(ended.stderr.contains("give the same command again"), "{ended}");
    assert!(!ended.stderr.contains("dr resume"), "{ended}");
    assert!(ended.stderr.contains("not started: nothing was done"), "{ended}");
}

#[test]
fn a_validation_waits_for_a_command_until_its_timeout() {
    let runbook = |timeout: &str| {
        format!(
            "runbook: shop
services:
  web:
    validation:
      - name: up
        timeout: {timeout}
        every: 50ms
        checks: [{{ uses: local.command, effect: pure, with: {{ argv: [test, -e, up] }} }}]
steps:
  - {{ id: start, service: web, uses: local.command, effect: idempotent, with: {{ argv: [sh, -c, '(sleep 0.5; touch up) >/dev/null 2>&1 &'] }} }}
"
        )
    };
    let patient = dr().runbook(&runbook("30s"));
    patient.args(["execute", "runbook.yaml", "--yes"]).run().code(0);
    let hasty = dr().runbook(&runbook("100ms"));
    let ended = hasty.args(["execute", "runbook.yaml", "--yes"]).run().code(5);
    assert!(ended.stderr.contains("did not come true within"), "{ended}");
    let wrong = dr().runbook(&runbook("30s").replace("[test, -e, up]", "[no-such-command]"));
    wrong.args(["execute", "runbook.yaml", "--yes"]).run().code(5);
}
