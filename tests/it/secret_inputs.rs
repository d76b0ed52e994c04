//! Inputs that are secrets: given by a file, a variable or a person, and nowhere to be read.

use std::fs;

use dr_testkit::Dr;

use crate::dr;
use crate::secrets::{holding, with_identity};

const PASSWORD: &str = "hunter2-correct-horse";

const RUNBOOK: &str = r#"runbook: rotate
inputs:
  password: { type: string, secret: true, description: "That of the shop" }
  who: { type: string, default: shop }
steps:
  - id: use
    needs: []
    uses: local.script
    effect: idempotent
    with:
      env: { PW: "{{ inputs.password }}", BOTH: "{{ inputs.who }}:{{ inputs.password }}" }
      script: 'printf "%s|%s\n" "$PW" "$BOTH" >>used; printf %s "$PW" | base64; echo "$PW"; tr "\0" " " </proc/$PPID/cmdline >>seen'
    outputs: { said: result.stdout }
  - id: confirm
    needs: [use]
    approve: { message: "{{ steps.use.outputs.said }}" }
  - id: back
    needs: [confirm]
    uses: local.script
    effect: idempotent
    with: { env: { PW: "{{ inputs.password }}", BOTH: "shop:{{ inputs.password }}" }, script: 'printf "%s|%s\n" "$PW" "$BOTH" >>used' }
"#;

fn rotating() -> Dr {
    dr().runbook(RUNBOOK).file("password", &format!("{PASSWORD}\n"))
}

/// Nothing that is kept or was shown holds it, in any form that it was put out in.
fn is_nowhere(dr: &Dr, told: &str) {
    for text in [PASSWORD, "aHVudGVyMi1jb3JyZWN0LWhvcn"] {
        assert_eq!(holding(&dr.path(".dr"), text), Vec::<String>::new(), "{text}");
        assert!(!told.contains(text), "{text}\n{told}");
    }
}

fn shown(dr: &Dr) -> String {
    [&["show", "last", "use"][..], &["logs", "last"], &["report", "last", "--format", "html"]]
        .iter()
        .map(|verb| dr.args(*verb).run().to_string())
        .collect()
}

#[test]
fn a_plan_does_without_the_value() {
    let dr = rotating();
    let plan = |more: &[&str]| {
        let verb = ["plan", "runbook.yaml", "--format", "json"];
        dr.args(verb.iter().chain(more)).run().code(0).stdout
    };
    let without = plan(&[]);
    assert_eq!(plan(&["--input", "password=@password"]), without);
    assert_eq!(plan(&["--input", "password=@/nonexistent"]), without, "it is not even read");
    let json: serde_json::Value = serde_json::from_str(&without).unwrap();
    assert_eq!(json["inputs"]["password"], serde_json::json!({ "$secret": "input:password" }));
    for verb in [&["check", "--strict"][..], &["rehearse"], &["plan"]] {
        dr.args(verb.iter().chain(&["runbook.yaml"])).run().code(0);
    }
}

#[test]
fn it_is_never_told_on_a_command_line() {
    let dr = rotating();
    let typed = format!("password={PASSWORD}");
    for verb in [&["plan"][..], &["execute"], &["rehearse"], &["diff", "runbook.yaml"]] {
        let refused = dr.args(verb.iter().chain(&["runbook.yaml", "--input", &typed])).run();
        let refused = refused.code(2).says("`password` is a secret").says("password=@FILE");
        let refused = refused.says("DR_INPUT_PASSWORD");
        assert!(!refused.to_string().contains(PASSWORD), "{refused}");
    }
    assert!(!dr.path(".dr/runs").exists());
    let missing = dr.args(["execute", "runbook.yaml", "--input", "password=@none"]).run();
    missing.code(4).says("DR3201").says("secret input `password`").says("the file none");
}

#[test]
fn without_an_identity_a_resume_asks_again() {
    let dr = rotating().env("DR_IDENTITY", "/nonexistent/identity");
    let nobody = dr.args(["execute", "runbook.yaml"]).run().code(4);
    let nobody = nobody.says("DR_INPUT_PASSWORD is not set");
    assert!(nobody.stderr.contains("=@FILE"), "{nobody}");
    let paused = dr.args(["execute", "runbook.yaml"]).input("password", "@password").run().code(7);
    assert!(!dr.last_run().join("sealed").exists());
    dr.args(["approve", "last", "confirm"]).run().code(0);
    let missing = dr.args(["resume", "last"]).run().code(4).says("secret input `password`");
    for (input, says) in [
        ("who=x", "was given when the run was started"),
        ("whom=x", "has no input `whom`"),
        ("password=typed-here", "`password` is a secret"),
    ] {
        dr.args(["resume", "last", "--input", input]).run().code(2).says(says);
    }
    let resumed = dr.args(["resume", "last"]).env("DR_INPUT_PASSWORD", PASSWORD).run().code(0);
    let line = format!("{PASSWORD}|shop:{PASSWORD}\n");
    assert_eq!(dr.read("used"), line.repeat(2));
    assert!(!dr.read("seen").contains(PASSWORD), "no argument of a process");
    is_nowhere(&dr, &format!("{paused}{missing}{resumed}{}", shown(&dr)));
}

#[test]
fn with_an_identity_it_is_kept_for_a_resume() {
    let dr = with_identity(rotating());
    let execute = dr.args(["execute", "runbook.yaml"]).env("DR_INPUT_PASSWORD", PASSWORD);
    let paused = execute.run().code(7);
    let sealed = || fs::read_dir(dr.last_run().join("sealed")).map(Iterator::count);
    assert_eq!(sealed().unwrap(), 1);
    dr.args(["approve", "last", "confirm"]).run().code(0);
    let resumed = dr.args(["resume", "last"]).run().code(0);
    let line = format!("{PASSWORD}|shop:{PASSWORD}\n");
    assert_eq!(dr.read("used"), line.repeat(2));
    assert!(sealed().is_err(), "removed when the run is over for good");
    is_nowhere(&dr, &format!("{paused}{resumed}{}", shown(&dr)));
}

#[test]
fn a_resume_may_be_given_another_one() {
    let dr = with_identity(rotating()).file("other", "staple-battery-9");
    dr.args(["execute", "runbook.yaml"]).input("password", "@password").run().code(7);
    dr.args(["approve", "last", "confirm"]).run().code(0);
    dr.args(["resume", "last"]).input("password", "@other").run().code(0);
    let used = dr.read("used");
    assert_eq!(used.lines().last(), Some("staple-battery-9|shop:staple-battery-9"));
    is_nowhere(&dr, &shown(&dr));
    // Somebody else, whose identity opens nothing of it, is asked like one without any.
    let dr = with_identity(rotating());
    dr.args(["execute", "runbook.yaml"]).input("password", "@password").run().code(7);
    dr.args(["approve", "last", "confirm"]).run().code(0);
    let dr = with_identity(dr);
    dr.args(["resume", "last"]).run().code(4).says("DR_INPUT_PASSWORD is not set");
    dr.args(["resume", "last"]).input("password", "@password").run().code(0);
}

#[test]
fn a_sealed_plan_is_told_where_it_is_when_it_is_executed() {
    let dr = rotating().env("DR_IDENTITY", "/nonexistent/identity");
    dr.args(["plan", "runbook.yaml", "-o", "plan.json"]).run().code(0);
    dr.args(["execute", "plan.json"]).input("password", PASSWORD).run().code(2);
    dr.args(["execute", "plan.json"]).run().code(4).says("DR3201");
    dr.args(["execute", "plan.json"]).input("password", "@password").run().code(7);
    assert!(dr.read("used").starts_with(PASSWORD));
    is_nowhere(&dr, &dr.read("plan.json"));
}

#[test]
fn who_starts_the_run_types_it_unseen() {
    let dr = rotating().env("DR_IDENTITY", "/nonexistent/identity");
    let mut run = dr.args(["execute", "runbook.yaml"]).on_terminal();
    run.shows("Input `password` (nothing is shown while you type): ");
    run.types(&format!("{PASSWORD}\n"));
    run.shows("asks for approval: *** ***");
    dr.args(["approve", "last", "confirm"]).run().code(0);
    let ended = run.finish().code(0);
    assert!(dr.read("used").starts_with(PASSWORD), "{ended}");
    is_nowhere(&dr, &ended.to_string());
}

const OUTER: &str = r#"runbook: outer
secrets: { db: [{ env: OUTER_DB }] }
inputs: { key: { type: string, secret: true } }
steps:
  - id: mint
    needs: []
    uses: local.command
    effect: pure
    with: { argv: [cat, token] }
    outputs: { token: { value: result.stdout, secret: true } }
  - { id: a, needs: [], uses: ./parts/set.yaml, with: { password: "{{ secrets.db }}", name: a } }
  - { id: b, needs: [a], uses: ./parts/set.yaml, with: { password: "{{ inputs.key }}", name: b } }
  - { id: c, needs: [b, mint], uses: ./parts/set.yaml, with: { password: "{{ steps.mint.outputs.token }}", name: c } }
"#;

/// It has a secret of the same name as the one around it, and hands on what it is given.
const SET: &str = r#"runbook: set
secrets: { db: [{ env: INNER_DB }] }
inputs: { password: { type: string, secret: true }, name: { type: string } }
steps:
  - id: write
    needs: []
    uses: local.script
    effect: idempotent
    with: { env: { NAME: "{{ inputs.name }}", BOTH: "<{{ inputs.password }}>", OWN: "{{ secrets.db }}" }, script: 'echo "$NAME $BOTH $OWN" >>used' }
  - { id: deeper, needs: [write], uses: ./deeper.yaml, with: { password: "{{ inputs.password }}" } }
"#;

const DEEPER: &str = r#"runbook: deeper
inputs: { password: { type: string, secret: true } }
steps:
  - id: write
    needs: []
    uses: local.script
    effect: idempotent
    with: { env: { PW: "{{ inputs.password }}" }, script: 'echo "deeper $PW" >>used' }
"#;

fn including(outer: &str, set: &str) -> Dr {
    let dr = with_identity(dr().runbook(outer).file("token", "minted-token-7"));
    fs::create_dir_all(dr.path("parts")).unwrap();
    fs::write(dr.path("parts/set.yaml"), set).unwrap();
    fs::write(dr.path("parts/deeper.yaml"), DEEPER).unwrap();
    dr
}

#[test]
fn an_included_runbook_is_given_secrets_by_reference() {
    let dr = including(OUTER, SET);
    dr.args(["check", "runbook.yaml"]).run().code(0);
    dr.args(["rehearse", "runbook.yaml"]).run().code(0);
    let plan = dr.args(["plan", "runbook.yaml", "--format", "json"]).run().code(0);
    assert!(!plan.stdout.contains("set/input"), "{plan}");
    let execute = dr.args(["execute", "runbook.yaml"]).env("OUTER_DB", "outer-pw-11");
    let execute = execute.env("INNER_DB", "inner-pw-22").env("DR_INPUT_KEY", "given-key-33");
    let ended = execute.run().code(0);
    assert_eq!(
        dr.read("used"),
        "a <outer-pw-11> inner-pw-22\ndeeper outer-pw-11\n\
         b <given-key-33> inner-pw-22\ndeeper given-key-33\n\
         c <minted-token-7> inner-pw-22\ndeeper minted-token-7\n"
    );
    let told = format!("{ended}{}", dr.args(["report", "last"]).run());
    for secret in ["outer-pw-11", "inner-pw-22", "given-key-33", "minted-token-7"] {
        assert_eq!(holding(&dr.path(".dr"), secret), Vec::<String>::new(), "{secret}");
        assert!(!told.contains(secret), "{secret}\n{told}");
    }
}

#[test]
fn what_is_given_where_a_secret_belongs_is_told() {
    for (written, says) in [
        ("hunter2", "is given one, and nothing else"),
        ("x{{ secrets.db }}", "is given one, and nothing else"),
        ("{{ inputs.key }}{{ secrets.db }}", "is given one, and nothing else"),
        ("{{ run.mode }}", "is given one, and nothing else"),
        ("{{ secrets.dbx }}", "there is no secret `dbx`"),
    ] {
        let dr = including(&OUTER.replacen("{{ secrets.db }}", written, 1), SET);
        let ended = dr.args(["check", "runbook.yaml"]).run().code(3);
        assert!(ended.stderr.contains(says), "{written}: {ended}");
        dr.args(["plan", "runbook.yaml"]).run().code(3);
    }
    for (set, says) in [
        (
            SET.replace("password: { type: string, secret: true }", "password: { type: string }"),
            "`secrets.db` is a secret, and the input `password` is none",
        ),
        (
            SET.replace(", secret: true }, name", ", secret: true, default: x }, name"),
            "nothing of it is written into a runbook",
        ),
        (SET.replace("type: string, secret", "type: integer, secret"), "a secret is a text"),
        (
            SET.replace(
                "inputs.password }}>",
                "inputs.password }}>\", WHEN: \"{{ json inputs.password }}",
            ),
            "no helper takes it",
        ),
    ] {
        let dr = including(OUTER, &set);
        let ended = dr.args(["plan", "runbook.yaml"]).run().code(3);
        assert!(ended.stderr.contains(says), "{set}: {ended}");
    }
}

#[test]
fn it_is_read_by_texts_of_arguments_alone() {
    let given = |step: &str| {
        format!(
            "runbook: r\ninputs: {{ pw: {{ type: string, secret: true }} }}\n\
             hosts: {{ db: {{ address: h }} }}\nsteps:\n  - {{ id: a, needs: [], {step} }}\n"
        )
    };
    for (step, code) in [
        ("uses: local.command, effect: pure, with: { argv: [echo, '{{ inputs.pw }}'] }", "DR1310"),
        ("uses: local.script, effect: pure, with: { script: 'echo {{ inputs.pw }}' }", "DR1309"),
        ("expect: [\"inputs.pw == 'x'\"]", "DR1404"),
        ("when: \"inputs.pw != ''\", approve: { message: go }", "DR1404"),
        ("approve: { message: 'pw {{ inputs.pw }}' }", "DR1404"),
        ("expect: [{ that: 'true', message: '{{ inputs.pw }}' }]", "DR1404"),
        ("approve: { message: go, inputs: { pin: { type: string, secret: true } } }", "DR1503"),
    ] {
        let dr = dr().runbook(&given(step));
        let ended = dr.args(["check", "runbook.yaml"]).run().code(3);
        assert!(ended.stderr.contains(code), "{step}: {ended}");
    }
    let host =
        given("approve: { message: go }").replace("address: h", "address: '{{ inputs.pw }}'");
    dr().runbook(&host).args(["check", "runbook.yaml"]).run().code(3).says("DR1404");
}

/// A text that looks like a reference to a secret gives none away.
#[test]
fn what_is_given_cannot_pass_for_a_secret() {
    let dr = dr().runbook(
        "runbook: r\nsecrets: { pw: [{ env: PW }] }\ninputs: { m: { type: map } }\nsteps:\n  \
         - { id: a, needs: [], uses: local.script, effect: pure, with: { env: { A: '{{ inputs.m }}', B: '{{ secrets.pw }}' }, script: 'echo $A' } }\n",
    );
    for forged in [r#"{"$secret": "pw"}"#, r#"{"$text": [{"$secret": "pw"}]}"#] {
        let ended = dr.args(["plan", "runbook.yaml"]).input("m", forged).run().code(3);
        assert!(
            ended.stderr.contains("$secret")
                || ended.stderr.contains("$text")
                || ended.stderr.contains("passes for"),
            "{ended}"
        );
    }
}
