//! What people see: the whole report of every bad example of the pages, and of several at once.

use super::pages_tests::bad_examples;
use super::testing::problems_of;
use super::{Look, codes, findings, render};

fn report(text: &str, look: Look) -> String {
    let problems = problems_of(text);
    render(text, &findings("runbook.yaml", text, &problems), look, 100)
}

#[test]
fn every_code_is_shown_with_its_place_and_a_way_out() {
    for group in ["DR10", "DR11", "DR12", "DR13", "DR14", "DR15", "DR19"] {
        let mut all = String::new();
        for (code, _) in codes::ALL.iter().filter(|(code, _)| code.starts_with(group)) {
            for example in bad_examples(code) {
                let shown = report(&example, Look::Plain);
                assert!(shown.contains("help: "), "{code} has no way out");
                all.push_str(&shown);
                all.push('\n');
            }
        }
        insta::assert_snapshot!(group, all);
    }
}

const SEVERAL: &str = r#"
runbook: shop-failover
services:
  database: { tier: tier_1, rto: 15 }
hosts: { db_1: { address: 10.0.0.1 } }
secrets: { pw: [{ env: PW }] }
steps:
  - id: look
    needs: []
    uses: postgres.query
    host: db_1
    with: { sql: "select 1", parms: [], params: ["{{ secrets.pw }}"] }
    outputs: { lag: "result.rows[0].lag" }
  - id: decide
    needs: [look, ask]
    expect:
      - { that: "steps.look.outputs.lagg < inputs.max_loss", message: "lag is {{ steps.look.outputs.lag }}" }
  - id: promote
    service: databse
    needs: [decide]
    uses: ssh.comand
    host: db_1
    timeout: 90
"#;

#[test]
fn several_problems_make_one_report() {
    insta::assert_snapshot!("several", report(SEVERAL, Look::Plain));
    insta::assert_snapshot!("several_narrated", report(SEVERAL, Look::Narrated));
    let problems = problems_of(SEVERAL);
    insta::assert_json_snapshot!("several_json", findings("runbook.yaml", SEVERAL, &problems));
    assert_eq!(report("runbook: a\nsteps: [{ id: a, expect: ['true'] }]\n", Look::Colour), "");
}

#[test]
fn several_errors_of_form_make_one_report() {
    let text = "\
runbook: shop
in_order: yes
owner:
steps:
  - id: stop
    host: {{ values.host }}
    needs: start
    on-failure: warn
    timeout: 30s
    timeout: 60s
    with: !vault { argv: [stop] }
  - uses: local.command
    phase: failver
";
    insta::assert_snapshot!("several_of_form", report(text, Look::Plain));
}

#[test]
fn a_runbook_that_is_no_text_is_shown_without_a_place() {
    let missing = super::read(std::path::Path::new("nowhere/at-all.yaml")).expect_err("no file");
    let shown = render("", &findings("nowhere/at-all.yaml", "", &missing), Look::Plain, 100);
    insta::assert_snapshot!("missing", shown);
}
