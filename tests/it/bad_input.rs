//! What a person sees who made a mistake: every kind of bad input, whole, with its exit code.

use dr_testkit::Ended;

use crate::dr;

/// A step that is right, for runbooks that are wrong elsewhere.
const STEP: &str = "  - { id: a, needs: [], uses: sim.probe, with: { result: 1 } }\n";

fn check(text: &str) -> Ended {
    let dr = dr().runbook(text);
    let ended = dr.args(["check", "runbook.yaml"]).run();
    assert!(!dr.path(".dr").exists(), "a check leaves nothing behind");
    ended
}

macro_rules! refused {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            let text: String = $text.into();
            insta::assert_snapshot!(stringify!($name), check(&text).code(3));
        }
    )*};
}

refused! {
    unknown_key: format!("runbook: shop\nstep:\n{STEP}steps:\n{STEP}");
    unknown_key_of_a_step: "runbook: shop\nsteps:\n  - { id: a, needs: [], uses: sim.probe, with: { result: 1 }, timout: 5s }\n";
    duplicate_key: format!("runbook: shop\nrunbook: shop\nsteps:\n{STEP}");
    unknown_tag: format!("runbook: !!python/object:os.system shop\nsteps:\n{STEP}");
    key_without_value: "runbook: shop\nsteps:\n  - id: a\n    needs: []\n    uses: sim.probe\n    with:\n";
    unquoted_template: "runbook: shop\nvalues: { zone: {{ inputs.zone }} }\nsteps:\n  - { id: a, needs: [], uses: sim.probe, with: { result: 1 } }\n";
    dashed_id: "runbook: shop\nsteps:\n  - { id: stop-db, needs: [], uses: sim.probe, with: { result: 1 } }\n";
    unknown_step_in_needs: format!("runbook: shop\nsteps:\n{STEP}  - {{ id: b, needs: [aa], uses: sim.probe, with: {{ result: 1 }} }}\n");
    cycle: "runbook: shop\nsteps:\n  - { id: a, needs: [c], uses: sim.probe, with: { result: 1 } }\n  - { id: b, needs: [a], uses: sim.probe, with: { result: 1 } }\n  - { id: c, after: [b], uses: sim.probe, with: { result: 1 } }\n";
    unknown_action: "runbook: shop\nsteps:\n  - { id: a, needs: [], uses: ssh.comand, host: db, with: { argv: [id] } }\nhosts:\n  db: { address: db1 }\n";
    unknown_plugin: "runbook: shop\nsteps:\n  - { id: a, needs: [], uses: shh.command, with: { argv: [id] } }\n";
    wrong_type_under_with: "runbook: shop\nsteps:\n  - { id: a, needs: [], uses: local.command, effect: pure, with: { argv: id, cwd: [x] } }\n";
    unknown_name_in_text: "runbook: shop\nvalues: { zone: shop.example.com }\nsteps:\n  - { id: a, needs: [], uses: local.command, effect: pure, with: { argv: [echo, '{{ values.zome }}'] } }\n";
    unknown_name_in_a_decision: "runbook: shop\ninputs: { max_loss: { type: duration, default: 5m } }\nsteps:\n  - { id: a, needs: [], expect: ['inputs.maxloss > duration(\"1m\")'] }\n";
    not_an_ancestor: format!("runbook: shop\nsteps:\n{STEP}  - {{ id: b, needs: [], uses: local.command, effect: pure, with: {{ argv: [echo, '{{{{ steps.a.status }}}}'] }} }}\n");
    bad_expression: "runbook: shop\nsteps:\n  - { id: a, needs: [], expect: ['1 +'] }\n";
    not_yaml: "runbook: shop\nsteps: [\n";
    not_a_runbook: "- just\n- a list\n";
    secret_in_argv: "runbook: shop\nsecrets: { pw: [{ env: PW }] }\nsteps:\n  - { id: a, needs: [], uses: local.command, effect: pure, with: { argv: [login, '{{ secrets.pw }}'] } }\n";
}

#[test]
fn everything_is_said_at_once() {
    let text = "runbook: shop-x\nowner: me\nsteps:\n  - { id: A, needs: [zz], uses: sim.prob }\n  \
                - { id: b, needs: [], timeout: soon, uses: sim.probe, with: { result: 1 } }\n";
    insta::assert_snapshot!(check(text).code(3));
}

#[test]
fn errors_of_form_hide_no_others() {
    let text = "runbook: shop\nparalelism: 3\nsteps:\n  - { id: a, needs: [zz], uses: local.comand, with: { argv: ['{{ values.nope }}'] } }\n";
    let ended = check(text).code(3);
    for code in ["DR1007", "DR1201", "DR1302", "DR1403"] {
        assert!(ended.stderr.contains(code), "{ended}");
    }
}

#[test]
fn a_missing_file_and_an_empty_folder() {
    let dr = dr();
    insta::assert_snapshot!("missing_file", dr.args(["check", "none.yaml"]).run().code(3));
    insta::assert_snapshot!("empty_folder", dr.args(["check"]).run().code(2));
}

const INPUTS: &str = "runbook: shop
inputs:
  zone: { type: string, pattern: '[a-z.]+' }
  days: { type: integer, default: 3 }
environments:
  staging: { default: true }
  production: { protected: true }
steps:
  - { id: a, needs: [], uses: local.command, effect: pure, with: { argv: [echo, '{{ inputs.zone }}'] } }
";

#[test]
fn inputs_and_environments_that_do_not_fit() {
    let dr = dr().runbook(INPUTS);
    let plan = |more: &[&str]| dr.args(["plan", "runbook.yaml"].iter().chain(more)).run().code(3);
    insta::assert_snapshot!("missing_input", plan(&[]));
    insta::assert_snapshot!("unknown_input", plan(&["--input", "zone=a", "--input", "dais=1"]));
    insta::assert_snapshot!("wrong_inputs", plan(&["--input", "zone=A!", "--input", "days=many"]));
    insta::assert_snapshot!("unknown_environment", plan(&["--env", "prod", "--input", "zone=a"]));
    assert!(!dr.path(".dr").exists(), "a plan leaves nothing behind");
}

#[test]
fn a_state_folder_that_cannot_be_written_starts_nothing() {
    let text = format!("runbook: shop\nsteps:\n{STEP}");
    let dr = dr().runbook(&text).file("taken", "a file, not a folder");
    let ended = dr.args(["--state-dir", "taken", "execute", "runbook.yaml"]).run().code(4);
    insta::assert_snapshot!(ended);
    assert_eq!(dr.read("taken"), "a file, not a folder");
}

#[test]
fn a_missing_secret_starts_nothing() {
    let text = "runbook: shop\nsecrets: { pw: [{ env: SHOP_PW }, { file: none.txt }] }\n\
                plugins: { postgres: { user: dr, password: '{{ secrets.pw }}' } }\n\
                hosts: { db: { address: 127.0.0.1 } }\n\
                steps:\n  - { id: a, needs: [], uses: postgres.query, host: db, timeout: 1s, with: { sql: select 1 } }\n";
    let dr = dr().runbook(text);
    insta::assert_snapshot!(dr.args(["execute", "runbook.yaml"]).run().code(4));
    let runs = std::fs::read_dir(dr.path(".dr/runs")).unwrap().count();
    assert_eq!(runs, 0, "no half-made run is left behind");
}

#[test]
fn wrong_words_on_the_command_line() {
    let dr = dr().runbook(&format!("runbook: shop\nsteps:\n{STEP}"));
    for (arguments, says) in [
        (vec!["execute", "runbook.yaml", "--phase", "restor"], "restor"),
        (vec!["execute", "runbook.yaml", "--incident-at", "2999-01-01T00:00:00Z"], "in the future"),
        (vec!["execute", "runbook.yaml", "--assume", "a=done"], "needs a reason"),
        (vec!["execute", "runbook.yaml", "--assume", "zz=done", "--reason", "x"], "no step `zz`"),
        (vec!["show", "nothing"], "no run `nothing`"),
        (vec!["resume", "last"], "no run was ever started"),
        (vec!["frobnicate"], "unrecognized subcommand"),
    ] {
        dr.args(arguments).run().code(2).says(says);
    }
}
