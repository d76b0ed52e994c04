//! Plugins that are programs of their own: one in Python, and ones that misbehave.

use dr_testkit::{Dr, Ended, eventually};

use crate::{dr, repository};

/// A folder with the plugin `name`, whose text is `program`.
fn with_plugin(name: &str, program: &str, manifest: &str) -> Dr {
    use std::os::unix::fs::PermissionsExt as _;
    let file = format!("plugins/dr-plugin-{name}");
    let dr = dr().file(&file, program).file(format!("{file}.json"), manifest);
    let path = dr.path(&file);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let folder = dr.path("plugins");
    dr.env("DR_PLUGIN_PATH", folder)
}

const NOTES: &str = "runbook: notes
steps:
  - { id: first, needs: [], uses: notes.add, timeout: 20s, with: { file: notes.txt, line: one } }
  - { id: second, needs: [first], uses: notes.add, timeout: 20s, with: { file: notes.txt, line: \"{{ steps.first.outputs.lines }}\" } }
";

fn notes() -> Dr {
    let program = repository("plugins/examples/dr-plugin-notes");
    let manifest = std::process::Command::new(&program).arg("manifest").output().unwrap();
    let text = NOTES.replace("line: one } }", "line: one }, outputs: { lines: result.lines } }");
    with_plugin(
        "notes",
        &std::fs::read_to_string(program).unwrap(),
        &String::from_utf8(manifest.stdout).unwrap(),
    )
    .runbook(&text)
}

#[test]
fn a_plugin_in_python_is_checked_planned_and_run() {
    let dr = notes();
    dr.args(["plugins"]).run().code(0).prints("notes");
    dr.args(["check", "--strict", "runbook.yaml"]).run().code(0);
    dr.args(["execute", "runbook.yaml"]).run().code(0);
    let notes = dr.read("notes.txt");
    let lines: Vec<&str> = notes.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(lines, ["one", "1"]);
    let plan = std::fs::read_to_string(dr.last_run().join("plan.json")).unwrap();
    assert!(plan.contains("dr-plugin-notes\",\"sha256\":\"sha256:"), "{plan}");
}

#[test]
fn what_is_wrong_with_its_arguments_is_said_without_starting_it() {
    let dr = notes().file(
        "bad.yaml",
        "runbook: bad\nsteps:\n  - { id: a, needs: [], uses: notes.add, with: { fil: x, line: y } }\n",
    );
    dr.args(["check", "bad.yaml"]).run().code(3).says("did you mean `file`?");
}

#[test]
fn a_plugin_that_changed_since_the_plan_is_refused() {
    let dr = notes();
    let text = NOTES.replace(
        "uses: notes.add, timeout: 20s, with: { file: notes.txt, line: \"{{ steps.first.outputs.lines }}\" }",
        "uses: notes.add, timeout: 20s, approve: { message: go }, with: { file: notes.txt, line: two }",
    );
    let dr = dr.runbook(&text);
    dr.args(["execute", "runbook.yaml"]).run().code(7);
    let plugin = dr.path("plugins/dr-plugin-notes");
    let text = std::fs::read_to_string(&plugin).unwrap();
    std::fs::write(&plugin, format!("{text}\n# changed\n")).unwrap();
    dr.args(["approve", "last", "second"]).run().code(0);
    dr.args(["resume", "last"]).run().code(4).says("is not the one that was planned with");
    std::fs::write(&plugin, text).unwrap();
    dr.args(["resume", "last"]).run().code(0);
    assert_eq!(dr.read("notes.txt").lines().count(), 2);
}

const MANIFEST: &str = r#"{"name": "evil", "version": "1", "protocol": 1, "description": "", "settings": {},
  "environment": ["PATH"],
  "actions": {"do": {"description": "", "kind": "action", "effect": "once", "keyed": "never", "host": "none",
  "input": {"type": "object"}, "output": {}, "typical_ms": 10}}}"#;

/// A plugin that says hello as it should, and then does `body` with each frame.
fn evil(body: &str) -> Dr {
    let program = format!(
        "#!/usr/bin/env python3\nimport json, sys, os, time, signal\n\
         manifest = {{'name': 'evil', 'version': '1', 'protocol': 1, 'description': '', 'settings': {{}}, 'actions': {{}}}}\n\
         def say(frame):\n    print(json.dumps(frame), flush=True)\n\
         for line in sys.stdin:\n    frame = json.loads(line)\n\
         \x20   if frame['type'] == 'hello':\n        say({{'type': 'hello', 'protocol': 1, 'manifest': manifest}})\n\
         \x20       continue\n{body}\n"
    );
    with_plugin("evil", &program, MANIFEST).runbook(
        "runbook: evil\nsteps:\n  - { id: a, needs: [], uses: evil.do, timeout: 3s, on_unknown: fail, with: {} }\n",
    )
}

fn execute(dr: &Dr) -> Ended {
    dr.args(["execute", "runbook.yaml", "--skip-preflight"]).run()
}

#[test]
fn misbehaviour_costs_one_step_and_is_named() {
    for (body, says) in [
        ("    sys.stderr.write('no disk\\n'); sys.exit(3)", "it ended without a result"),
        ("    sys.exit(0)", "it ended without a result"),
        ("    os.kill(os.getpid(), signal.SIGKILL)", "it ended without a result"),
        ("    print('hello', flush=True)", "a line that is no frame"),
        ("    print('x' * 9_000_000, flush=True)", "more than 8 MiB in a line"),
        (
            "    print('{\"type\": \"resu', end='', flush=True); sys.exit(0)",
            "it ended within a line",
        ),
        ("    say({'type': 'result', 'id': frame['id']})", "neither a result nor an error"),
        ("    signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)", "a: "),
    ] {
        let dr = evil(body);
        let ended = execute(&dr).code(5);
        assert!(ended.to_string().contains(says), "{body}\n{ended}");
    }
    let dr = evil("    sys.stderr.write('no disk\\n'); sys.exit(3)");
    execute(&dr).code(5).says("no disk");
}

/// Output without end is neither kept in memory nor waited for.
#[test]
fn a_flood_is_survived() {
    let dr = evil(
        "    for _ in range(3000):\n        say({'type': 'output', 'id': frame['id'], 'stream': 'stdout', 'text': 'x' * 10000})\n    \
         say({'type': 'result', 'id': frame['id'], 'applied': {}})",
    );
    execute(&dr).code(0);
    let kept = std::fs::read_dir(dr.last_run().join("outputs")).unwrap();
    let bytes: u64 = kept.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 20_000_000, "{bytes}");
}

#[test]
fn another_version_of_the_protocol_is_refused() {
    // By its manifest, before anything starts.
    let dr =
        with_plugin("evil", "#!/bin/sh\n", &MANIFEST.replace("\"protocol\": 1", "\"protocol\": 2"))
            .runbook("runbook: evil\nsteps:\n  - { id: a, needs: [], uses: evil.do, with: {} }\n");
    dr.args(["check", "runbook.yaml"]).run().code(4).says("speaks version 2");
    // By what it says, before anything is done.
    let program = "#!/bin/sh\nread line\necho '{\"type\":\"hello\",\"protocol\":7,\"manifest\":'\"$(tr -d '\\n' < \"$0.json\")\"'}'\nsleep 5\n";
    let dr = with_plugin("evil", program, MANIFEST).runbook(
        "runbook: evil\nsteps:\n  - { id: a, needs: [], uses: evil.do, timeout: 5s, with: {} }\n",
    );
    execute(&dr).code(5).says("speaks version 7");
}

#[test]
fn a_missing_plugin_or_manifest_is_said_so() {
    let text = "runbook: evil\nsteps:\n  - { id: a, needs: [], uses: evil.do, with: {} }\n";
    dr().runbook(text).args(["check", "runbook.yaml"]).run().code(3).says("evil");
    let dr = with_plugin("evil", "#!/bin/sh\n", MANIFEST).runbook(text);
    std::fs::remove_file(dr.path("plugins/dr-plugin-evil.json")).unwrap();
    dr.args(["check", "runbook.yaml"]).run().code(4).says("has no usable manifest");
}

/// The kit that authors of plugins run: it passes the example and names what others do wrong.
#[test]
fn the_conformance_kit_tells_good_from_bad() {
    let dr = notes();
    let cases = r#"[{"name": "a note is kept", "method": "apply", "action": "add",
        "input": {"file": "kept.txt", "line": "one"}, "expect": "applied"},
        {"name": "a note is found again", "method": "check", "action": "add",
        "input": {"file": "kept.txt", "line": "one"}, "expect": {"checked": {"done": {"lines": 1}}}}]"#;
    let dr = dr.file("cases.json", cases);
    let kit = |dr: &Dr, more: &[&str]| {
        let name = if dr.path("plugins/dr-plugin-notes").exists() { "notes" } else { "evil" };
        let executable = format!("plugins/dr-plugin-{name}");
        let arguments = ["plugins", "--conformance", &executable];
        dr.args(arguments.iter().chain(more)).run()
    };
    insta::assert_snapshot!("conformance_good", kit(&dr, &["--cases", "cases.json"]).code(0));
    insta::assert_snapshot!(
        "conformance_bad",
        kit(&evil("    print('x', flush=True)"), &[]).code(4)
    );
    let ended = kit(&dr, &["--cases", "none.json"]).code(2);
    insta::assert_snapshot!("conformance_without_cases", ended);
}

/// A plugin that does not look at its input goes on when `dr` dies; resuming ends it before anything
/// is decided.
#[test]
fn a_call_that_outlives_dr_is_ended_by_resume() {
    let dr = evil("    while True:\n        open('beats', 'a').write('x'); time.sleep(0.02)");
    let running = dr.args(["execute", "runbook.yaml", "--skip-preflight"]).spawn();
    let beats = || std::fs::metadata(dr.path("beats")).map_or(0, |it| it.len());
    eventually("the plugin is at work", || (beats() > 3).then_some(()));
    running.kill();
    let before = beats();
    eventually("it goes on", || (beats() > before).then_some(()));
    dr.args(["resume", "last"]).run().code(5).says("still worked on a after dr had died");
    let ended = beats();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(beats(), ended);
}

#[test]
fn a_copy_that_still_runs_is_ended_before_the_step_runs_again() {
    let script = "echo begin $$ >> ov; sleep 2; echo end $$ >> ov";
    let dr = dr().runbook(&format!(
        "runbook: twice\nsteps:\n  - {{ id: act, needs: [], uses: local.script, effect: idempotent, \
         timeout: 1m, with: {{ script: '{script}' }} }}\n"
    ));
    let running = dr.args(["execute", "runbook.yaml"]).spawn();
    eventually("the first copy begins", || dr.path("ov").exists().then_some(()));
    running.kill();
    dr.args(["resume", "last"]).run().code(0);
    // Longer than the first copy would have taken.
    std::thread::sleep(std::time::Duration::from_secs(1));
    let told = dr.read("ov");
    let words: Vec<&str> = told.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(words, ["begin", "begin", "end"], "{told}");
    let pids: Vec<&str> = told.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(pids[1], pids[2]);
}

#[test]
fn jobs_whose_results_are_on_record_leave_nothing_after_a_resume() {
    const LEAVES: &str = "
runbook: leaves
steps:
  - { id: one, needs: [], uses: local.script, with: { script: 'cp -r ~/.local/state/dr/jobs ~/left' } }
  - { id: two, needs: [one], uses: local.script, with: { script: 'test -e mended' } }
";
    let dr = dr().runbook(LEAVES).file("home/keep", "");
    dr.args(["execute", "runbook.yaml"]).run().code(5);
    // As if `dr` had died once between the record of the first result and the removal of its job, and
    // once within a removal.
    let jobs = dr.path("home/.local/state/dr/jobs");
    let names = || -> Vec<_> {
        std::fs::read_dir(&jobs).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    assert!(names().is_empty(), "{:?}", names());
    std::fs::remove_dir(&jobs).unwrap();
    std::fs::rename(dr.path("home/left"), &jobs).unwrap();
    let left = names();
    assert_eq!(left.len(), 1, "{left:?}");
    std::fs::write(jobs.join(&left[0]).join("rc"), "exit 0 1\n").unwrap();
    std::fs::create_dir_all(jobs.join(format!(".gone.other.{}/half", i32::MAX))).unwrap();
    let own = format!(".gone.mine.{}", std::process::id());
    std::fs::create_dir(jobs.join(&own)).unwrap();
    std::fs::write(dr.path("mended"), "").unwrap();
    dr.args(["resume", "last", "--retry", "two"]).run().code(0);
    assert_eq!(names(), [own.as_str()], "the process of that one lives");
}
