//! What a person on call meets: commands that can be pasted, failures and their ways out, secrets,
//! hostile output, damage.

use std::path::Path;

use dr_testkit::Dr;

use crate::dr;

/// Every file below `folder`, with its path.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    files
}

const UNATTENDED_GATE: &str = "runbook: gate
steps:
  - { id: act, needs: [], approve: { message: 'Really?' }, uses: sim.action, effect: idempotent, with: {} }
";

#[test]
fn printed_commands_name_a_state_folder_that_would_not_be_found() {
    let dr = dr().runbook(UNATTENDED_GATE).file("else where/keep", "");
    let state = ["--state-dir", "else where"];
    let paused = dr.args(state).arg("execute").arg("runbook.yaml").run().code(7);
    let run = std::fs::read_dir(dr.path("else where/runs")).unwrap().next().unwrap().unwrap();
    let run = run.file_name().into_string().unwrap();
    let approve = format!("dr approve --state-dir '[DIR]/else where' {run} act");
    assert!(paused.stdout.contains(&approve), "{paused}");
    assert!(paused.stderr.contains(&approve), "{paused}");
    let resume = format!("dr resume --state-dir '[DIR]/else where' {run}");
    dr.args(state.into_iter().chain(["approve", "last", "act"])).run().code(0).says(&resume);

    // Where they would be found, nothing is added.
    let paused = dr.args(["execute", "runbook.yaml"]).run().code(7);
    assert!(!paused.stdout.contains("--state-dir"), "{paused}");
}

const UNKNOWN: &str = "runbook: unknown
steps:
  - { id: act, needs: [], uses: local.command, timeout: 300ms, with: { detach: false, argv: [sleep, '600'] } }
  - { id: next, needs: [act], uses: sim.action, effect: idempotent, with: {} }
";

#[test]
fn a_question_is_answered_with_what_it_offers() {
    let dr = dr().runbook(UNKNOWN);
    let asked = dr.args(["execute", "runbook.yaml"]).run().code(7);
    assert!(asked.stdout.contains("--assume act=done"), "{asked}");
    assert!(asked.stdout.contains("act --reject"), "{asked}");
    dr.args(["approve", "last", "act"]).run().code(2).says("does not ask for approval");
    dr.args(["approve", "last", "act", "--reject", "it is gone"]).run().code(0);
    dr.args(["resume", "last"]).run().code(5).says("it is gone");
    dr.args(["resume", "last", "--assume", "act=done", "--reason", "by hand"]).run().code(0);
    dr.args(["report", "last"]).run().code(0).prints("by hand");
}

const FAILS: &str = "runbook: fails
steps:
  - id: act
    needs: []
    uses: local.script
    effect: idempotent
    timeout: 60s
    with:
      script: |
        test -e mended
        echo it worked
  - { id: next, needs: [act], uses: sim.action, effect: idempotent, with: {} }
";

#[test]
fn a_failed_step_that_is_passed_over_keeps_its_ways_out() {
    let dr = dr().runbook(FAILS);
    let failed = dr.args(["execute", "runbook.yaml"]).run().code(5);
    assert!(failed.stdout.contains("--retry act"), "{failed}");
    // A script is shown as it was written.
    dr.args(["show", "last", "act"])
        .run()
        .code(0)
        .prints("    test -e mended\n    echo it worked\n");
    let skipped = dr.args(["resume", "last", "--skip", "act", "--reason", "why not"]).run().code(5);
    assert!(skipped.stdout.contains("--redo act"), "{skipped}");
    assert!(skipped.stdout.contains("--assume act=done"), "{skipped}");
    std::fs::write(dr.path("mended"), "").unwrap();
    dr.args(["resume", "last", "--redo", "act"]).run().code(0);
}

const SECRETS: &str = "runbook: secrets
secrets:
  of_env: [{ env: SHOP_PW }]
  of_file: [{ file: pw.txt }]
  of_command: [{ command: [sh, -c, 'printf hidden; printf -- -of-command'] }]
steps:
  - id: act
    needs: []
    uses: local.script
    effect: idempotent
    timeout: 60s
    with:
      env: { A: '{{ secrets.of_env }}', B: '{{ secrets.of_file }}', C: 'x{{ secrets.of_command }}y' }
      script: 'test \"${#A} ${#B} ${#C}\" = \"13 14 19\" && echo \"$A $B $C\" && echo \"$C\" >&2 && exit 3'
";

#[test]
fn secrets_reach_the_script_and_nothing_else() {
    let dr =
        dr().runbook(SECRETS).file("pw.txt", "hidden-of-file\n").env("SHOP_PW", "hidden-of-env");
    // It ends with 3 only if the values are right, so that the error's text is checked as well.
    let mut said =
        dr.args(["execute", "runbook.yaml"]).run().code(5).says("exited with 3").to_string();
    for look in ["show last", "show last act", "logs last", "report last"] {
        said += &dr.args(look.split(' ')).run().code(0).to_string();
    }
    assert!(said.contains("***"), "{said}");
    for secret in ["hidden-of-env", "hidden-of-file", "hidden-of-command"] {
        assert!(!said.contains(secret), "{secret}\n{said}");
        for (path, bytes) in files(&dr.path(".dr")) {
            let held = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!held, "{secret} is in {path}");
        }
    }
}

#[test]
fn output_cannot_steer_the_terminal() {
    let text = "runbook: hostile
steps:
  - { id: act, needs: [], uses: local.command, effect: pure, timeout: 60s, with: { argv: [printf, '\\033[2Jred\\033]0;owned\\007 \\u202e evil'] }, outputs: { said: result.stdout } }
  - { id: ask, needs: [act], approve: { message: 'It said {{ steps.act.outputs.said }}' } }
";
    let dr = dr().runbook(text);
    let mut said = dr.args(["execute", "runbook.yaml"]).run().code(7).to_string();
    for look in [["show", "last"], ["logs", "last"], ["report", "last"]] {
        said += &dr.args(look).run().code(0).to_string();
    }
    assert!(said.contains("red"), "{said}");
    assert!(!said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said:?}");
}

/// Flips a bit in the middle of the journal of the last run.
fn damage(dr: &Dr) {
    let path = dr.last_run().join("journal.jsonl");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_journal_is_shown_refused_and_given_up_on_request() {
    let dr = dr().runbook(FAILS);
    dr.args(["execute", "runbook.yaml"]).run().code(5);
    damage(&dr);
    for look in ["show", "report", "logs", "watch"] {
        dr.args([look, "last"]).run().says("DR3102");
    }
    let run = dr.last_run().file_name().unwrap().to_str().unwrap().to_owned();
    let go_on = format!("dr resume {run} --accept-loss");
    let ended = dr.args(["show", "last"]).run().code(0).says("only what comes before is shown");
    let ended = ended.says(&go_on).prints("damaged after").prints(&go_on);
    assert!(!ended.stdout.contains("nothing is lost"), "{ended}");
    let ended = dr.args(["runs"]).run().code(0).prints("damaged !").prints(&go_on);
    ended.prints("its journal is damaged at record");
    let runs = dr.args(["runs", "--format", "json"]).run().code(0).json();
    assert!(runs[0]["damage"]["record"].is_u64(), "{runs}");
    dr.args(["approve", "last", "act"]).run().code(3).says("DR3102");
    dr.args(["resume", "last"]).run().code(3).says("--accept-loss");
    std::fs::write(dr.path("mended"), "").unwrap();
    dr.args(["resume", "last", "--accept-loss"]).run().code(0);
    assert!(dr.last_run().join("journal.jsonl").exists());
}

const LOSES: &str = "runbook: loses
steps:
  - { id: first, needs: [], uses: local.script, timeout: 60s, with: { script: 'echo first >>done' } }
  - { id: second, needs: [first], uses: local.script, timeout: 60s, with: { script: 'echo second >>done' } }
  - { id: third, needs: [second], uses: local.command, timeout: 60s, with: { detach: false, argv: [sh, -c, 'echo third >>done; exit 1'] } }
";

#[test]
fn what_was_done_in_a_lost_part_of_the_journal_is_not_repeated() {
    let dr = dr().runbook(LOSES);
    dr.args(["execute", "runbook.yaml"]).run().code(5);
    let path = dr.last_run().join("journal.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    // All that was recorded of the second step and what follows is damaged.
    let record = text.lines().position(|line| line.contains("\"step\":\"second\"")).unwrap();
    let at: usize = text.lines().take(record).map(|line| line.len() + 1).sum();
    let mut bytes = text.clone().into_bytes();
    bytes[at + 30] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    dr.args(["resume", "last"]).run().code(3).says("DR3102");
    let resumed = dr.args(["resume", "last", "--accept-loss"]).run().code(7);
    assert!(resumed.stderr.contains("goes on without what followed record"), "{resumed}");
    // Neither the job of the second, which was put away, nor anything else can tell.
    dr.args(["show", "last"]).run().code(0).prints("--assume second=done");
    for (step, code) in [("second", 7), ("third", 0)] {
        let done = format!("{step}=done");
        let done = ["resume", "last", "--assume", &done, "--reason", "I looked"];
        dr.args(done).run().code(code);
        assert_eq!(dr.read("done"), "first\nsecond\nthird\n", "{resumed}");
    }
    dr.args(["report", "last"]).run().code(0).prints("are lost");
}

#[test]
fn a_new_run_tells_of_one_that_was_interrupted() {
    let dr = dr();
    let runbook = format!(
        "runbook: slow\nsteps:\n  - {{ id: act, needs: [], uses: local.script, effect: idempotent, \
         with: {{ script: 'test -e {} || sleep 60' }} }}\n",
        dr.path("quick").display()
    );
    let dr = dr.runbook(&runbook);
    let running = dr.args(["execute", "runbook.yaml", "--format", "json"]).spawn();
    running.event(|event| event["type"] == "attempt_started");
    running.kill();
    let first = dr.last_run().file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::write(dr.path("quick"), "").unwrap();
    let ended = dr.args(["execute", "runbook.yaml"]).run().code(0);
    ended.says(&format!("note: run {first} of this runbook")).says(&format!("`dr resume {first}`"));
    let ended = dr.args(["execute", "runbook.yaml"]).run().code(0);
    assert!(!ended.stderr.contains("interrupted"), "the last one was not\n{ended}");
}
