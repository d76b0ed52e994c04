//! People at other terminals: gates, cancels, locks, watching.

use rustix::process::Signal;
use serde_json::Value;

use crate::dr;

const GATE: &str = "runbook: gate
steps:
  - { id: look, needs: [], uses: sim.probe, with: { result: 1 } }
  - id: act
    needs: [look]
    approve: { message: \"Really?\", timeout: 5m }
    uses: local.script
    effect: idempotent
    timeout: 10s
    with: { script: 'echo done > done.txt' }
";

fn kind(wanted: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["type"] == wanted
}

#[test]
fn a_gate_is_opened_from_another_terminal() {
    let dr = dr().runbook(GATE);
    let run = dr.args(["execute", "runbook.yaml", "--format", "json"]).spawn();
    run.event(kind("approval_requested"));
    assert!(!dr.path("done.txt").exists());
    dr.args(["show", "last"]).run().code(0).prints("dr approve");
    dr.args(["approve", "last", "look"]).run().code(2).says("has no gate");
    dr.args(["approve", "last", "act"]).run().code(0);
    let ended = run.finish().code(0);
    let answered = ended.events().into_iter().find(kind("approval_answered")).unwrap();
    assert_eq!(answered["approved"], true);
    assert_eq!(dr.read("done.txt"), "done\n");
}

#[test]
fn a_rejected_gate_fails_the_run_and_nothing_was_done() {
    let dr = dr().runbook(GATE);
    let run = dr.args(["execute", "runbook.yaml", "--format", "json"]).spawn();
    run.event(kind("approval_requested"));
    dr.args(["approve", "last", "act", "--reject", "not today"]).run().code(0);
    run.finish().code(5).says("not today");
    assert!(!dr.path("done.txt").exists());
}

#[test]
fn without_a_time_limit_and_without_people_the_run_pauses() {
    let dr = dr().runbook(&GATE.replace(", timeout: 5m", ""));
    let paused = dr.args(["execute", "runbook.yaml"]).run().code(7);
    assert!(paused.stdout.contains("dr approve"), "{paused}");
    dr.args(["approve", "last", "act"]).run().code(0).says("dr resume");
    dr.args(["resume", "last"]).run().code(0);
    assert_eq!(dr.read("done.txt"), "done\n");
    // Nothing may follow a success.
    dr.args(["resume", "last"]).run().code(2);
}

const UNHURRIED: &str = "runbook: gate
steps:
  - { id: g, needs: [], approve: { message: 'Really?' } }
  - { id: act, needs: [g], uses: local.script, effect: idempotent, timeout: 10s, with: { script: 'echo done > done.txt' } }
";

#[test]
fn answers_that_waited_are_taken_in_the_order_in_which_they_were_given() {
    let reject = ["approve", "last", "g", "--reject", "first: no"];
    let approve = ["approve", "last", "g"];
    // Whatever their random names are.
    for _ in 0..4 {
        let dr = dr().runbook(UNHURRIED);
        dr.args(["execute", "runbook.yaml"]).run().code(7);
        dr.args(reject).run().code(0).says("dr resume");
        dr.args(approve).run().code(0);
        dr.args(["resume", "last"]).run().code(5).says("first: no");
        assert!(!dr.path("done.txt").exists());
    }
}

#[test]
fn a_kept_answer_that_has_expired_is_refused_and_says_what_to_type() {
    let dr = dr().runbook(UNHURRIED);
    dr.args(["execute", "runbook.yaml"]).run().code(7);
    dr.args(["approve", "last", "g"]).run().code(0);
    let inbox = dr.last_run().join("inbox");
    let letter = std::fs::read_dir(inbox).unwrap().next().unwrap().unwrap().path();
    let mut text: Value = serde_json::from_slice(&std::fs::read(&letter).unwrap()).unwrap();
    assert!(text["asked"].is_string() && text["expires"].is_string(), "{text}");
    text["expires"] = "2026-01-01T00:00:00Z".into();
    std::fs::write(&letter, text.to_string()).unwrap();
    let resumed = dr.args(["resume", "last"]).run().code(7);
    assert!(resumed.to_string().contains("it expired at 2026-01-01T00:00:00Z"), "{resumed}");
    assert!(resumed.to_string().contains("ask again with `dr approve"), "{resumed}");
    let journal = std::fs::read_to_string(dr.last_run().join("journal.jsonl")).unwrap();
    assert!(journal.contains("request_refused"), "{journal}");
    assert!(!letter.exists() && !dr.path("done.txt").exists());
}

#[test]
fn answers_that_cannot_count_are_refused_at_once() {
    let approve = ["approve", "last", "g"];
    let dr = dr().runbook(UNHURRIED);
    dr.args(["execute", "runbook.yaml"]).run().code(7);
    dr.args(approve).run().code(0);
    dr.args(["resume", "last"]).run().code(0);
    let over = dr.args(approve).run().code(2).says("DR3106");
    assert!(over.stderr.contains("its verdict is succeeded"), "{over}");
    dr.args(["cancel", "last", "--undo"]).run().code(2).says("DR3106");
    dr.args(["pause", "last"]).run().code(2).says("DR3106");

    let message = "message: 'Really?'";
    let asks = |more: &str| {
        let dr = crate::dr().runbook(&UNHURRIED.replace(message, &format!("{message}, {more}")));
        dr.args(["execute", "runbook.yaml", "--format", "json"]).run();
        dr
    };
    let decided = asks("timeout: 100ms");
    decided.args(approve).run().code(2).says("DR3130").says("no longer open");
    decided.args(["approve", "last", "g", "--reject", "no"]).run().code(2).says("DR3130");

    let others = asks("from: [nobody_here]");
    others.args(approve).run().code(2).says("DR3130").says("nobody_here may");
    others.args(["approve", "last", "g", "--reject", "no"]).run().code(0);

    let two = asks("approvers: 2");
    two.args(approve).run().code(0);
    two.args(["resume", "last"]).run().code(7);
    two.args(approve).run().code(2).says("DR3130").says("another person must");
    let inbox = std::fs::read_dir(two.last_run().join("inbox")).unwrap();
    assert_eq!(inbox.count(), 0, "what cannot count is not kept");
}

const HOLDS_OPEN: &str = "runbook: holds
steps:
  - { id: mute, needs: [], uses: local.script, effect: idempotent, timeout: 10s, with: { script: 'echo muted >> trace' } }
  - { id: g, needs: [mute], approve: { message: 'Really?' } }
  - { id: act, needs: [g], uses: local.script, effect: idempotent, timeout: 10s, with: { script: 'echo acted >> trace' } }
  - { id: unmute, closes: mute, after: [act], uses: local.script, effect: idempotent, timeout: 10s, with: { script: 'echo unmuted >> trace' } }
";

#[test]
fn a_paused_run_that_holds_something_open_is_cancelled_when_it_is_resumed() {
    for more in [&["--reason", "abandon"][..], &["--now"]] {
        let dr = dr().runbook(HOLDS_OPEN);
        dr.args(["execute", "runbook.yaml"]).run().code(7);
        let cancel = ["cancel", "last"].into_iter().chain(more.iter().copied());
        dr.args(cancel).run().code(0).says("recorded; continue with `dr resume");
        dr.args(["resume", "last"]).run().code(5);
        assert_eq!(dr.read("trace"), "muted\nunmuted\n", "{more:?}");
        dr.args(["show", "last"]).run().code(0).prints("cancelled");
        // Nothing is open any more, and nothing works on it.
        dr.args(["cancel", "last"]).run().code(2).says("nothing to stop");
    }
}

const LEFT: &str = "runbook: left
steps:
  - { id: mute, needs: [], uses: local.script, effect: idempotent, timeout: 10s, with: { script: 'echo muted >> trace' } }
  - { id: act, needs: [mute], uses: local.command, timeout: 60s, with: { argv: [sh, -c, 'echo started >> trace; while [ ! -e go ]; do sleep 0.05; done; echo acted >> trace'] } }
  - { id: unmute, closes: mute, after: [act], uses: local.script, effect: idempotent, timeout: 10s, with: { script: 'echo unmuted >> trace' } }
";

#[test]
fn what_was_left_under_way_is_unknown_and_what_stays_open_is_told() {
    let dr = dr().runbook(LEFT);
    let run = dr.args(["execute", "runbook.yaml", "--format", "json"]).spawn();
    run.event(|event| event["type"] == "attempt_started" && event["step"] == "act");
    while !std::fs::read_to_string(dr.path("trace")).is_ok_and(|it| it.contains("started")) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    run.kill();
    while !dr.args(["show", "last"]).run().code(0).stdout.contains("dr resume") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    dr.args(["show", "last", "act"]).run().code(0).prints("unknown");
    let listed = dr.args(["runs", "--format", "json"]).run().code(0);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed[0]["held_open"], serde_json::json!(["mute"]), "{listed}");
    // What goes on finds the job at work, and waits for it.
    let resumed = dr.args(["resume", "last"]).spawn();
    std::thread::sleep(std::time::Duration::from_millis(300));
    std::fs::write(dr.path("go"), "").unwrap();
    let resumed = resumed.finish().code(0);
    assert!(resumed.to_string().contains("it still runs; its end is waited for"), "{resumed}");
    assert!(!resumed.to_string().contains("launched again"), "{resumed}");
    assert_eq!(dr.read("trace"), "muted\nstarted\nacted\nunmuted\n");
}

const MEASURES: &str = "runbook: measures
steps:
  - { id: m, needs: [], uses: local.command, effect: pure, timeout: 10s, with: { argv: [cat, lag] }, outputs: { lag: 'int(result.stdout)' } }
  - { id: guard, needs: [m], expect: ['steps.m.outputs.lag < 5'] }
  - { id: act, needs: [guard], uses: local.script, effect: idempotent, timeout: 10s, with: { script: 'echo acted >> trace' } }
";

#[test]
fn a_failed_guard_is_tried_again_with_what_it_reads() {
    let dr = dr().runbook(MEASURES).file("lag", "9");
    let failed = dr.args(["execute", "runbook.yaml"]).run().code(5);
    assert!(failed.stdout.contains("--redo m --retry guard"), "{failed}");
    std::fs::write(dr.path("lag"), "7").unwrap();
    // Alone it is done again; what it made fail stays so, and is named with it again.
    for _ in 0..2 {
        let redone = dr.args(["resume", "last", "--redo", "m"]).run().code(5);
        assert!(!redone.to_string().contains("blocked by guard\nm"), "{redone}");
        dr.args(["show", "last", "m"]).run().code(0).prints("succeeded");
        dr.args(["show", "last"]).run().code(0).prints("--redo m --retry guard");
    }
    let again = ["resume", "last", "--redo", "m", "--retry", "guard"];
    dr.args(again).run().code(5).prints("--redo m --retry guard");
    std::fs::write(dr.path("lag"), "1").unwrap();
    dr.args(again).run().code(0);
    assert_eq!(dr.read("trace"), "acted\n");
}

const SLOW: &str = "runbook: slow
steps:
  - { id: first, needs: [], uses: local.command, effect: idempotent, timeout: 60s, with: { argv: [sh, -c, 'echo started; while [ ! -e go ]; do sleep 0.05; done'] } }
  - { id: second, needs: [first], uses: local.command, effect: idempotent, timeout: 60s, with: { argv: [touch, second.txt] } }
";

#[test]
fn a_second_run_is_told_who_holds_the_lock() {
    let dr = dr().runbook(SLOW);
    let run = dr.args(["execute", "runbook.yaml", "--format", "json"]).spawn();
    run.event(kind("attempt_started"));
    dr.args(["execute", "runbook.yaml"])
        .run()
        .code(9)
        .says("slow@default is locked by run")
        .says("`dr watch 2");
    std::fs::write(dr.path("go"), "").unwrap();
    run.finish().code(0);
    assert_eq!(std::fs::read_dir(dr.path(".dr/runs")).unwrap().count(), 1);
}

#[test]
fn one_interrupt_lets_running_steps_finish_and_the_run_can_go_on() {
    let dr = dr().runbook(SLOW);
    let run = dr.args(["execute", "runbook.yaml", "--format", "json"]).spawn();
    run.event(kind("attempt_started"));
    run.signal(Signal::INT);
    run.event(kind("cancel_requested"));
    std::fs::write(dr.path("go"), "").unwrap();
    let ended = run.finish().code(5);
    let finished = ended.events().into_iter().find(kind("run_finished")).unwrap();
    assert_eq!(finished["verdict"], "cancelled");
    assert!(!dr.path("second.txt").exists());
    dr.args(["resume", "last"]).run().code(0);
    assert!(dr.path("second.txt").exists());
}

#[test]
fn two_interrupts_stop_what_runs() {
    let dr = dr().runbook(SLOW);
    let run = dr.args(["execute", "runbook.yaml", "--format", "json"]).spawn();
    run.event(kind("attempt_started"));
    run.signal(Signal::TERM);
    run.event(kind("cancel_requested"));
    run.signal(Signal::TERM);
    run.finish().code(5);
    std::fs::write(dr.path("go"), "").unwrap();
    dr.args(["resume", "last"]).run().code(0);
    assert!(dr.path("second.txt").exists());
}

#[test]
fn a_run_is_stopped_and_watched_from_another_terminal() {
    let dr = dr().runbook(SLOW);
    let run = dr.args(["execute", "runbook.yaml", "--format", "json"]).spawn();
    run.event(kind("attempt_started"));
    let watch = dr.args(["watch", "last", "--format", "json"]).spawn();
    watch.event(kind("run_started"));
    dr.args(["cancel", "last", "--now", "--reason", "wrong site"]).run().code(0);
    run.finish().code(5);
    let seen = watch.finish().code(5);
    assert!(seen.events().iter().any(kind("run_finished")), "{seen}");
    dr.args(["cancel", "last"]).run().code(2).says("no process works");
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let dr = dr().runbook(SLOW);
    let run = dr.args(["execute", "runbook.yaml", "--format", "json"]).spawn();
    run.event(kind("attempt_started"));
    run.kill();
    // What was just being started holds the lock of the run until it is executed.
    while !dr.args(["show", "last"]).run().code(0).stdout.contains("dr resume") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::fs::write(dr.path("go"), "").unwrap();
    let resumed = dr.args(["resume", "last", "--format", "json"]).run().code(0);
    let again = resumed.events().into_iter().find(kind("attempt_started")).unwrap();
    assert_eq!((again["attempt"].clone(), again["launch"].clone()), (1.into(), 2.into()));
    assert!(dr.path("second.txt").exists());
}

#[test]
fn a_gate_takes_what_it_asks_for() {
    let gate = "approve: { message: \"Really?\", timeout: 5m, inputs: { ticket: { type: string, \
                pattern: \"CHG-[0-9]+\" }, share: { type: integer, default: 10 } } }";
    let text = GATE.replace("approve: { message: \"Really?\", timeout: 5m }", gate).replace(
        "    timeout: 10s\n    with: { script: 'echo done > done.txt' }",
        concat!(
            "    timeout: 10s\n",
            "    with:\n",
            "      env: { TICKET: \"{{ outputs.ticket }}\" }\n",
            "      script: 'echo \"$TICKET\" > done.txt'"
        ),
    );
    let dr = dr().runbook(&text);
    let run = dr.args(["execute", "runbook.yaml", "--format", "json"]).spawn();
    run.event(kind("approval_requested"));
    dr.args(["show", "last"]).run().code(0).prints("--input ticket=VALUE");
    let approve = |inputs: &[&str]| {
        let asked = inputs.iter().flat_map(|input| ["--input", input]);
        dr.args(["approve", "last", "act"].into_iter().chain(asked)).run()
    };
    approve(&[]).code(2).says("asks for `ticket`");
    approve(&["ticket=7"]).code(2).says("does not match");
    approve(&["ticket=CHG-7", "shar=5"]).code(2).says("did you mean `share`?");
    approve(&["ticket=CHG-7", "share=half"]).code(2).says("not a whole number");
    approve(&["ticket=CHG-7"]).code(0);
    run.finish().code(0);
    assert_eq!(dr.read("done.txt"), "CHG-7\n");
    dr.args(["report", "last"]).run().code(0).prints("approved, share = 10, ticket = CHG-7");
    dr.args(["show", "last", "act"]).run().code(0).prints("ticket = CHG-7");
}

/// Runs `ssh-keygen`, which must succeed.
fn ssh_keygen(dr: &dr_testkit::Dr, arguments: &[&str]) {
    let ended = std::process::Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(dr.folder())
        .output()
        .unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn a_second_person_approves_by_a_signature_made_elsewhere() {
    let dr = dr();
    for name in ["bob", "eve"] {
        ssh_keygen(&dr, &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name]);
    }
    let gate = format!(
        "approve: {{ message: \"Really?\", timeout: 5m, approvers: 2, keys: {{ bob: \"{}\" }}, \
         inputs: {{ share: {{ type: integer }} }} }}",
        dr.read("bob.pub").trim()
    );
    let dr = dr.runbook(&GATE.replace("approve: { message: \"Really?\", timeout: 5m }", &gate));
    dr.args(["check", "--strict", "runbook.yaml"]).run().code(0);
    let run = dr.args(["execute", "runbook.yaml", "--format", "json"]).spawn();
    run.event(kind("approval_requested"));
    let approve = |more: &[&str]| {
        dr.args(["approve", "last", "act"].into_iter().chain(more.iter().copied())).run()
    };
    let share = ["--input", "share=20"];
    let challenge = approve(&["--challenge", share[0], share[1]]).code(0).stdout;
    assert!(challenge.contains("Really?") && challenge.contains("\"share\":20"), "{challenge}");
    std::fs::write(dr.path("challenge"), &challenge).unwrap();
    let sign = |key: &str| {
        let _ = std::fs::remove_file(dr.path("challenge.sig"));
        ssh_keygen(&dr, &["-q", "-Y", "sign", "-n", "dr-approve@v1", "-f", key, "challenge"]);
    };
    sign("eve");
    let signed = ["--signature", "challenge.sig", share[0], share[1]];
    approve(&signed).code(2).says("by none of bob");
    sign("bob");
    approve(&["--signature", "challenge.sig", "--input", "share=90"])
        .code(2)
        .says("by none of bob");
    approve(&signed).code(0);
    let answered = run.event(kind("approval_answered"));
    assert_eq!(answered["by"]["user"], "bob");
    assert!(answered["signed"]["signature"].as_str().unwrap().contains("SSH SIGNATURE"));
    // The other person is at the terminal, and confirms what bob said.
    approve(&[]).code(0);
    run.finish().code(0);
    assert_eq!(dr.read("done.txt"), "done\n");
    dr.args(["report", "last"]).run().code(0).prints("bob, signed");
}

#[test]
fn what_holds_others_back_is_skipped_for_a_reason_only() {
    let dr = dr().runbook(
        "runbook: held
steps:
  - { id: gate, needs: [], phase: failover, approve: { message: go? } }
  - { id: guard, needs: [], expect: [\"1 > 2\"] }
  - { id: act, needs: [gate, guard], phase: validate, uses: sim.probe, with: { result: 1 }, point_of_no_return: true }
  - { id: stop, needs: [act], phase: validate, approve: { message: really? }, uses: sim.probe, with: { result: 1 } }
",
    );
    for (step, what) in [("gate", "a gate"), ("guard", "a guard"), ("act", "a point of no return")]
    {
        let refused = dr.args(["execute", "runbook.yaml", "--skip", step]).run().code(2);
        refused.says(&format!("`--skip {step}` needs a reason: `{step}` is {what}"));
    }
    let arguments = ["execute", "runbook.yaml", "--phase", "validate", "--skip", "gate"];
    let why = ["--skip", "guard", "--reason", "tested before"];
    let ended = dr.args(arguments.into_iter().chain(why)).run().code(7);
    assert!(ended.stderr.contains("on request: tested before"), "{}", ended.stderr);
    dr.args(["resume", "last", "--skip", "stop"]).run().code(2).says("`stop` is a gate");
    dr.args(["resume", "last", "--skip", "stop", "--reason", "by phone"]).run().code(0);
    let journal = std::fs::read_to_string(dr.last_run().join("journal.jsonl")).unwrap();
    let skipped = |line: &&str| line.contains("\"type\":\"step_skipped\"");
    let skips: Vec<Value> =
        journal.lines().filter(skipped).map(|line| serde_json::from_str(line).unwrap()).collect();
    let notes: Vec<_> = skips.iter().map(|skip| (&skip["step"], &skip["note"])).collect();
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(notes[..2].iter().all(|(_, note)| *note == "tested before"), "{notes:?}");
    assert!(skips.iter().all(|skip| skip["by"]["via"] == "command line"), "{skips:?}");
    dr.args(["show", "last", "gate"])
        .run()
        .code(0)
        .prints("on request, by ")
        .prints("tested before");
    for file in ["report.md", "evidence.json"] {
        let text = std::fs::read_to_string(dr.last_run().join(file)).unwrap();
        assert!(text.contains("tested before") && text.contains("passed over by "), "{file}");
    }
    let page = dr.args(["report", "last", "--format", "html"]).run().code(0);
    page.prints("tested before");
}
