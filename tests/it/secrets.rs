//! Secrets that a run captures and makes: the same after a resume, nowhere to be read, gone at the end.

use std::fs;
use std::path::Path;

use age::secrecy::ExposeSecret as _;
use dr_testkit::Dr;

use crate::dr;

const PASSWORD: &str = "hunter2-correct-horse";

const RUNBOOK: &str = r#"runbook: rotate
secrets: { made: [{ generate: 24 }] }
steps:
  - id: before
    needs: []
    uses: local.command
    effect: pure
    with: { argv: [cat, secret.json] }
    outputs:
      user: json(result.stdout).user
      password: { value: json(result.stdout).password, secret: true }
  - id: use
    needs: [before]
    uses: local.script
    effect: idempotent
    with:
      env: { USER_NAME: "{{ steps.before.outputs.user }}", PW: "{{ steps.before.outputs.password }}", BOTH: "u:{{ steps.before.outputs.password }}!", MADE: "{{ secrets.made }}" }
      script: 'printf "%s|%s|%s\n" "$USER_NAME" "$BOTH" "$MADE" >>used; printf %s "$PW" | base64'
  - id: confirm
    needs: [use]
    approve: { message: "Put {{ steps.before.outputs.password }} back?" }
  - id: back
    needs: [confirm]
    uses: local.script
    effect: idempotent
    with:
      env: { BOTH: "u:{{ steps.before.outputs.password }}!", MADE: "{{ secrets.made }}" }
      script: 'printf "shop|%s|%s\n" "$BOTH" "$MADE" >>used'
"#;

/// The same with an identity that secrets can be sealed to.
pub(crate) fn with_identity(dr: Dr) -> Dr {
    let identity = age::x25519::Identity::generate();
    let dr = dr.file("identity", identity.to_string().expose_secret());
    let path = dr.path("identity");
    dr.env("DR_IDENTITY", path)
}

fn rotating() -> Dr {
    let json = format!(r#"{{"user": "shop", "password": "{PASSWORD}"}}"#);
    with_identity(dr().runbook(RUNBOOK).file("secret.json", &json))
}

/// Files below `folder` that hold `text`.
pub(crate) fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if fs::read(&path).unwrap().windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn what_a_run_captures_and_makes_outlives_it_and_is_nowhere_to_be_read() {
    let dr = rotating();
    let paused = dr.args(["execute", "runbook.yaml"]).run().code(7);
    assert!(paused.to_string().contains("Put *** back?"), "{paused}");
    let sealed = || fs::read_dir(dr.last_run().join("sealed")).map(Iterator::count);
    assert_eq!(sealed().unwrap(), 2);
    dr.args(["approve", "last", "confirm"]).run().code(0);

    // Without the identity, or with another one, nothing goes on.
    let other = age::x25519::Identity::generate();
    fs::write(dr.path("other"), other.to_string().expose_secret()).unwrap();
    for (name, says) in [("nowhere", "there is no identity"), ("other", "No matching keys found")] {
        let refused = dr.args(["resume", "last"]).env("DR_IDENTITY", dr.path(name)).run();
        refused.code(4).says("DR3203").says(says);
    }
    let resumed = dr.args(["resume", "last"]).run().code(0);
    let used = dr.read("used");
    let lines: Vec<&str> = used.lines().collect();
    assert_eq!(lines.len(), 2, "{used}");
    assert_eq!(lines[0], lines[1], "the same in both sessions");
    let made = lines[0].strip_prefix(&format!("shop|u:{PASSWORD}!|")).unwrap();
    assert_eq!(made.len(), 24);

    assert!(sealed().is_err(), "removed when the run is over for good");
    let told = dr.args(["show", "last", "before"]).run().to_string()
        + &dr.args(["logs", "last"]).run().to_string()
        + &dr.args(["report", "last", "--format", "html"]).run().to_string()
        + &resumed.to_string()
        + &paused.to_string();
    let state = dr.path(".dr");
    // As base64 prints it, less the digits at its end.
    for text in [PASSWORD, made, "aHVudGVyMi1jb3JyZWN0LWhvcn"] {
        assert_eq!(holding(&state, text), Vec::<String>::new(), "{text}");
        assert!(!told.contains(text), "{text}\n{told}");
    }
    assert_eq!(holding(&state, "shop").len().min(1), 1, "what is no secret is kept");
}

#[test]
fn without_an_identity_such_a_runbook_is_planned_and_not_started() {
    let dr = rotating();
    let plan = |dr: &Dr| dr.args(["plan", "runbook.yaml", "--format", "json"]).run().code(0);
    let with = plan(&dr).stdout;
    let dr = dr.env("DR_IDENTITY", "/nonexistent/identity");
    let planned = plan(&dr).says("note: ").says("there is no identity at /nonexistent/identity");
    assert_eq!(planned.stdout, with, "the plan is that of everybody");
    for verb in [&["check"][..], &["plan", "-o", "sealed.json"], &["rehearse"]] {
        dr.args(verb.iter().chain(&["runbook.yaml"])).run().code(0);
    }
    for (verb, file) in [("execute", "runbook.yaml"), ("execute", "sealed.json")] {
        dr.args([verb, file])
            .run()
            .code(4)
            .says("DR3203")
            .says("there is no identity at /nonexistent/identity")
            .says("age-keygen -o /nonexistent/identity");
    }
    let observed = dr.args(["plan", "--observe", "runbook.yaml"]).run();
    observed.code(4).says("there is no identity at /nonexistent/identity");
    assert!(!dr.path(".dr/runs").exists(), "nothing was started");
    fs::write(dr.path("identity"), "not a key").unwrap();
    let path = dr.path("identity");
    dr.args(["execute", "runbook.yaml"])
        .env("DR_IDENTITY", path)
        .run()
        .code(4)
        .says("no age identity");
}

/// Data that looks like a reference to a secret gives none away.
#[test]
fn data_cannot_pass_for_a_secret() {
    let dr = rotating().runbook(
        r#"runbook: forged
secrets: { pw: [{ env: FORGED_PW }] }
steps:
  - id: read
    needs: []
    uses: local.command
    effect: pure
    with: { argv: [printf, "%s", '{"pw": {"$secret": "pw"}}'] }
    outputs: { pw: json(result.stdout).pw }
  - id: use
    needs: [read]
    uses: local.script
    effect: pure
    with: { env: { A: "{{ steps.read.outputs.pw }}", B: "{{ secrets.pw }}" }, script: 'printf %s "$A"' }
"#,
    );
    let ended = dr.args(["execute", "runbook.yaml"]).env("FORGED_PW", "swordfish-99").run().code(5);
    assert!(ended.to_string().contains("passes for a reference to a secret"), "{ended}");
}

#[test]
fn a_secret_that_cannot_be_kept_out_of_sight_fails_its_step() {
    let dr = rotating();
    for (json, says) in [
        (r#"{"user": "u", "password": "abc"}"#, "shorter than 4 bytes"),
        (r#"{"user": "u", "password": ["a", "b"]}"#, "it is no text"),
        (r#"{"user": "u"}"#, "was not captured"),
    ] {
        fs::write(dr.path("secret.json"), json).unwrap();
        let ended = dr.args(["execute", "runbook.yaml"]).run().code(5);
        assert!(ended.to_string().contains(says), "{json}\n{ended}");
    }
}

const TAINT: &str = r#"runbook: taint
secrets: { pw: [{ env: PW }] }
steps:
  - { id: leak, needs: [], uses: local.script, effect: idempotent, with: { env: { A: "{{ secrets.pw }}" }, script: 'echo "user:$A"' }, outputs: { o: "lines(result.stdout)[0]" } }
  - { id: use, needs: [leak], uses: local.script, effect: idempotent, with: { env: { O: "{{ steps.leak.outputs.o }}" }, script: 'echo "$O" > got; test -e ok' } }
"#;

#[test]
fn a_run_never_goes_on_with_a_mask_in_place_of_a_value() {
    let dr = dr().runbook(TAINT).env("PW", PASSWORD);
    dr.args(["execute", "runbook.yaml"]).run().code(5);
    let made = format!("user:{PASSWORD}\n");
    assert_eq!(dr.read("got"), made, "within a session values are whole");
    let dr = dr.file("ok", "").file("got", "untouched");
    let refused = dr.args(["resume", "last", "--retry", "use"]).run().code(5);
    refused.prints("held a secret").prints("--redo leak");
    assert_eq!(dr.read("got"), "untouched");
    let journal = fs::read_to_string(dr.last_run().join("journal.jsonl")).unwrap();
    assert!(journal.contains(r#""code":"masked_value""#), "{journal}");
    assert!(journal.contains(r#"{"o":{"$masked":"user:***"}}"#), "{journal}");
    dr.args(["show", "last", "leak"]).run().code(0).prints("o = user:***");
    for (file, shown) in [("report.md", r"user:\*\*\*"), ("evidence.json", "user:***")] {
        let text = fs::read_to_string(dr.last_run().join(file)).unwrap();
        assert!(text.contains(shown) && !text.contains("$masked"), "{file}: {text}");
    }
    let again = ["resume", "last", "--redo", "leak", "--retry", "use"];
    dr.args(again).run().code(0);
    assert_eq!(dr.read("got"), made, "it was given once more");
    assert!(holding(&dr.path(".dr"), PASSWORD).is_empty());
    dr.args(["verify", "last"]).run().code(0);
}

#[test]
fn a_secret_that_could_not_be_masked_is_refused() {
    let dr = dr().runbook(TAINT).env("PW", "abc");
    let refused = dr.args(["execute", "runbook.yaml"]).run().code(4);
    refused.says("DR3201").says("the variable PW gives fewer than 4 bytes, which could not be");
    assert!(!dr.path("got").exists());
    let lines = "line1abcdef\nline2defghi";
    dr.args(["execute", "runbook.yaml"]).env("PW", lines).run().code(5);
    dr.args(["show", "last", "leak"]).run().code(0).prints("o = user:***");
    assert!(holding(&dr.path(".dr"), "line1abcdef").is_empty());
}
