use std::fmt::Write as _;

use serde_json::json;

use super::testing::{catalog, problems_of};
use super::{check, load, normalize};

fn codes_of(text: &str) -> Vec<&'static str> {
    problems_of(text).into_iter().map(|problem| problem.code).collect()
}

#[test]
fn hostile_files_are_refused() {
    let deep = "[".repeat(100_000);
    let maps = "{a: ".repeat(100_000);
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (name, before) in ('b'..='z').zip('a'..='y') {
        let ten = vec![format!("*{before}"); 10].join(",");
        let _ = writeln!(bomb, "{name}: &{name} [{ten}]");
    }
    let scalar = format!("runbook: {}\n", "x".repeat(2 << 20));
    let file = " ".repeat(64 << 20);
    let blocks = (0..1_000).map(|depth| " ".repeat(depth) + "a:\n").collect::<String>();
    for (text, code) in [
        (deep.as_str(), "DR1002"),
        (&maps, "DR1002"),
        (&bomb, "DR1002"),
        (&scalar, "DR1002"),
        (&file, "DR1002"),
        (&blocks, "DR1002"),
        ("a: &a [*a]", "DR1002"),
        ("runbook: a\0", "DR1001"),
    ] {
        assert_eq!(codes_of(text), [code], "{}", &text[..text.len().min(40)]);
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_mean_nothing() {
    let text = "\u{feff}runbook: a\r\nsteps:\r\n  - { id: x, expect: [\"true\"] }\r\n";
    assert_eq!(codes_of(text), Vec::<&str>::new());
}

#[test]
fn anchors_and_merges_are_read() {
    let text = "
runbook: a
hosts: { h: { address: x } }
steps:
  - &stop { id: a, needs: [], uses: ssh.command, host: h, timeout: 3s, with: &w { argv: [a] } }
  - { <<: *stop, id: b, with: { <<: *w, env: { A: b } } }
";
    assert_eq!(codes_of(text), Vec::<&str>::new());
}

/// What stands without quotes where a text is meant is that text.
#[test]
fn texts_keep_their_source() {
    let text = "
runbook: a
description: 007
inputs: { version: { type: string, default: 1.10, enum: [1.10, 1.1, on] }, day: { type: timestamp, default: 2026-01-01T00:00:00Z } }
hosts: { h: { address: x, user: 0100, labels: { rack: 0644, spare: true } } }
plugins: { postgres: { dbname: 0100, port: 5432 } }
steps:
  - id: a
    uses: local.command
    with: { argv: [chmod, 0644, 1.10, on, true, 2026-01-01, ~x], env: { A: 0x10, B: 1e3, C: no }, exit_codes: [0, 1], detach: true }
    description: 1.10
";
    let mut runbook = load(text, "t.yaml").expect("a runbook");
    normalize(&mut runbook, &catalog());
    assert_eq!(check(&runbook, &catalog()), []);
    let document = &runbook.document;
    assert_eq!(document.description.as_deref(), Some("007"));
    let version = &document.inputs["version"];
    assert_eq!(version.default, Some("1.10".into()));
    assert_eq!(version.choices, Some(vec!["1.10".into(), "1.1".into(), "on".into()]));
    assert_eq!(document.hosts["h"].user.as_deref(), Some("0100"));
    assert_eq!(document.hosts["h"].labels["rack"], "0644");
    assert_eq!(document.hosts["h"].labels["spare"], "true");
    assert_eq!(document.plugins["postgres"], json!({ "dbname": "0100", "port": 5432 }));
    assert_eq!(document.steps[0].description.as_deref(), Some("1.10"));
    assert_eq!(
        document.steps[0].with,
        Some(json!({
            "argv": ["chmod", "0644", "1.10", "on", "true", "2026-01-01", "~x"],
            "env": { "A": "0x10", "B": "1e3", "C": "no" },
            "exit_codes": [0, 1],
            "detach": true,
        }))
    );
}

/// One line of a runbook, and the codes that it must give.
#[test]
fn every_bad_line_has_its_code() {
    let head = "
runbook: a
inputs: { count: { type: integer, default: 1 } }
values: { zone: z }
secrets: { pw: [{ env: PW }] }
hosts: { h: { address: x } }
pools: { p: { capacity: 1 } }
in_order: true
steps:
  - { id: first, uses: local.command, effect: pure, with: { argv: [a] }, outputs: { x: \"result.stdout\" } }
";
    let call = "uses: local.command, with: { argv: [a] }";
    for (line, codes) in [
        (format!("{{ id: s, {call} }}"), vec![]),
        (format!("{{ id: S, {call} }}"), vec!["DR1101"]),
        (format!("{{ id: s, {call}, retry: {{}} }}"), vec![]),
        (format!("{{ id: s, {call}, for_each: {{ a: 1, web-1.x: 2 }} }}"), vec![]),
        (format!("{{ id: s, {call}, for_each: {{ a: 1, \"a/b\": 2 }} }}"), vec!["DR1312"]),
        (format!("{{ id: s, {call}, for_each: {{ \"\": 1, \"x\\ny\": 2, \"*\": 3 }} }}"), vec!["DR1312", "DR1312", "DR1312"]),
        (format!("{{ id: s, {call}, host: h }}"), vec!["DR1304"]),
        (format!("{{ id: s, {call}, host: \"{{{{ values.zone }}}}\" }}"), vec!["DR1304"]),
        (format!("{{ id: s, {call}, needs: [s] }}"), vec!["DR1203"]),
        (format!("{{ id: s, {call}, takes: {{ p: 0 }} }}"), vec!["DR1502"]),
        (format!("{{ id: s, {call}, on_failure: ask }}"), vec![]),
        (format!("{{ id: s, {call}, closes: first }}"), vec![]),
        (format!("{{ id: s, {call}, closes: frist }}"), vec!["DR1201"]),
        (format!("{{ id: s, {call}, outputs: {{ x: {{ value: result.stdout, secret: true }} }} }}"), vec![]),
        (format!("{{ id: s, {call}, outputs: {{ x: {{ value: result.stdout, secrt: true }} }} }}"), vec!["DR1007"]),
        (format!("{{ id: s, {call}, outputs: {{ x: {{ value: inputs.count, secret: true }} }} }}"), vec!["DR1404"]),
        (format!("{{ id: s, {call}, outputs: {{ x: {{ value: result.stdout, secret: true }} }}, expect: [\"outputs.x != ''\"] }}"), vec!["DR1404"]),
        (format!("{{ id: s, {call}, outputs: {{ x: {{ value: result.stdout, secret: true }}, other: outputs.x }} }}"), vec!["DR1404"]),
        (format!("{{ id: s, {call}, closes: s }}"), vec!["DR1203", "DR1205"]),
        (format!("{{ id: s, {call}, closes: first, needs: [first] }}"), vec!["DR1205"]),
        (format!("{{ id: s, {call}, closes: first, after: [] }}"), vec!["DR1910"]),
        (format!("{{ id: s, {call}, closes: first, undo: {{ {call}, effect: idempotent }} }}"), vec!["DR1205"]),
        (format!("{{ id: s, {call}, closes: first, on_failure: undo }}"), vec!["DR1205"]),
        (format!("{{ id: s, {call}, undo: {{ {call} }} }}"), vec!["DR1908"]),
        (format!("{{ id: s, {call}, undo: {{ {call}, effect: idempotent, host: nowhere }} }}"), vec!["DR1104", "DR1304"]),
        (format!("{{ id: s, {call}, undo: {{ {call}, effect: idempotent, on_failure: continue }} }}"), vec!["DR1311"]),
        (format!("{{ id: s, {call}, undo: {{ uses: local.comand }} }}"), vec!["DR1302"]),
        (format!("{{ id: s, {call}, undo: {{ needs: [first] }} }}"), vec!["DR1007"]),
        (format!("{{ id: s, {call}, undo: {{}} }}"), vec!["DR1311"]),
        (format!("{{ id: s, {call}, undo: {{ approve: {{ message: by hand }} }} }}"), vec![]),
        (format!("{{ id: s, {call}, undo: {{ steps: [{{ id: a, {call}, effect: idempotent }}] }} }}"), vec![]),
        (format!("{{ id: s, {call}, undo: {{ steps: [{{ id: a, {call} }}] }} }}"), vec!["DR1908"]),
        (format!("{{ id: s, {call}, undo: {{ steps: [] }} }}"), vec!["DR1311"]),
        (format!("{{ id: s, {call}, undo: {{ in_order: true, approve: {{ message: by hand }} }} }}"), vec!["DR1306"]),
        (format!("{{ id: s, {call}, undo: {{ timeout: 1s, steps: [{{ id: a, {call}, effect: idempotent }}] }} }}"), vec!["DR1306"]),
        (format!("{{ id: s, {call}, undo: {{ steps: [{{ id: a, needs: [first], {call}, effect: idempotent }}] }} }}"), vec!["DR1201"]),
        (format!("{{ id: s, {call}, undo: {{ steps: [{{ id: a, {call}, effect: idempotent, service: x }}] }} }}"), vec!["DR1311"]),
        (format!("{{ id: s, {call}, undo: {{ steps: [{{ id: a, {call}, effect: idempotent }}, {{ id: a, {call}, effect: idempotent }}] }} }}"), vec!["DR1102"]),
        (format!("{{ id: s, {call}, undo: {{ steps: [{{ id: a, needs: [b], {call}, effect: idempotent }}, {{ id: b, after: [a], {call}, effect: idempotent }}] }} }}"), vec!["DR1203", "DR1203"]),
        (format!("{{ id: s, {call}, undo: {{ steps: [{{ id: a, {call}, effect: idempotent, undo: {{}} }}] }} }}"), vec!["DR1311"]),
        (format!("{{ id: s, {call}, undo: {{ steps: [{{ id: a, outputs: {{ x: {{ value: result.stdout, secret: true }} }}, {call}, effect: idempotent }}] }} }}"), vec!["DR1311"]),
        ("{ id: s, expect: [\"true\"], undo: { approve: { message: a } } }".to_owned(), vec!["DR1311"]),
        ("{ id: s, uses: local.command, with: { argv: [\"{{ self.outputs.x }}\"] } }".to_owned(), vec!["DR1404"]),
        ("{ id: s, closes: first, uses: local.command, with: { argv: [\"{{ self.outputs.x }}\"] } }".to_owned(), vec![]),
        ("{ id: s, closes: first, uses: local.command, with: { argv: [\"{{ self.outputs.y }}\"] } }".to_owned(), vec!["DR1406"]),
        (format!("{{ id: s, {call}, undo: {{ uses: local.command, effect: idempotent, with: {{ argv: [\"{{{{ self.outputs.y }}}}\"] }} }} }}"), vec!["DR1406"]),
        (format!("{{ id: s, {call}, undo: {{ uses: local.command, effect: idempotent, with: {{ argv: [\"{{{{ steps.s.status }}}}\"] }} }} }}"), vec!["DR1405"]),
        (format!("{{ id: s, {call}, estimate: soon }}"), vec!["DR1501"]),
        (format!("{{ id: s, {call}, timeout: 0s }}"), vec!["DR1502"]),
        (format!("{{ id: s, {call}, repeat: {{ until: 'true', at_most: 1, stable: 2 }}, effect: pure }}"), vec!["DR1502"]),
        ("{ id: s, uses: ./other.yaml }".to_owned(), vec!["DR1313"]),
        ("{ id: s, uses: local }".to_owned(), vec!["DR1302"]),
        ("{ id: s, uses: local.command }".to_owned(), vec!["DR1303"]),
        ("{ id: s, uses: local.command, with: [a] }".to_owned(), vec!["DR1303"]),
        ("{ id: s, uses: local.command, with: { argv: \"{{ steps.first.outputs.x }}\" } }".to_owned(), vec![]),
        ("{ id: s, uses: local.command, with: { argv: [\"{{ steps.first.outputs.y }}\"] } }".to_owned(), vec!["DR1406"]),
        ("{ id: s, uses: local.command, with: { argv: [\"{{ steps.fist.outputs.x }}\"] } }".to_owned(), vec!["DR1403"]),
        ("{ id: s, uses: local.command, with: { argv: [\"{{ steps.first.output.x }}\"] } }".to_owned(), vec!["DR1403"]),
        ("{ id: s, uses: local.command, with: { argv: [\"{{ run.now }}\"] } }".to_owned(), vec!["DR1404"]),
        ("{ id: s, uses: local.command, with: { argv: [\"{{ item }}\"] } }".to_owned(), vec!["DR1404"]),
        ("{ id: s, uses: local.command, with: { argv: [\"{{ host.adress }}\"] } }".to_owned(), vec!["DR1403"]),
        ("{ id: s, uses: local.command, with: { argv: [\"{{ hosts.h.adress }}\"] } }".to_owned(), vec!["DR1403"]),
        ("{ id: s, uses: local.command, with: { argv: [\"{{ values.zone\"] } }".to_owned(), vec!["DR1401"]),
        ("{ id: s, expect: [\"result.x == 1\"] }".to_owned(), vec!["DR1404"]),
        ("{ id: s, expect: [\"inputs.m == 1\"] }".to_owned(), vec!["DR1403"]),
        ("{ id: s, expect: [\"steps.s.status == ''\"] }".to_owned(), vec!["DR1405"]),
        ("{ id: s, expect: [\"inputs.count ==\"] }".to_owned(), vec!["DR1402"]),
        ("{ id: s, outputs: { a: \"outputs.b\", b: \"1\" } }".to_owned(), vec!["DR1406"]),
        ("{ id: s, outputs: { a: \"1\", b: \"outputs.a\" } }".to_owned(), vec![]),
        ("{ id: s, approve: { message: \"{{ secrets.pw }}?\" } }".to_owned(), vec!["DR1404"]),
        ("{ id: s, approve: { message: go, approvers: 0 } }".to_owned(), vec!["DR1502"]),
        ("{ id: s, uses: ssh.command, host: \"{{ steps.first.outputs.x }}\", timeout: 3s, with: { argv: [a] } }".to_owned(), vec!["DR1404"]),
        ("{ id: s, uses: ssh.command, host: \"{{ values.zone }}\", timeout: 3s, with: { argv: [a] } }".to_owned(), vec![]),
    ] {
        let text = format!("{head}  - {line}\n");
        assert_eq!(codes_of(&text), codes, "{line}");
    }
}

/// One line outside the steps, and the codes that it must give.
#[test]
fn every_bad_section_has_its_code() {
    let step = "steps: [{ id: a, expect: ['true'] }]";
    for (line, codes) in [
        ("values: { a: \"{{ inputs.b }}\" }", vec!["DR1404"]),
        ("values: { A: 1 }", vec!["DR1101"]),
        ("inputs: { a: { type: text } }", vec!["DR1011"]),
        ("inputs: { a: { type: string, pattern: \"(\" } }", vec!["DR1503"]),
        ("inputs: { a: { type: string, pattern: \"a+\", default: b } }", vec!["DR1503"]),
        ("inputs: { a: { type: string, enum: [] } }", vec!["DR1503"]),
        ("inputs: { a: { type: duration, default: 5m }, b: { type: list, default: [1] } }", vec![]),
        ("secrets: { a: [] }", vec!["DR1504"]),
        ("secrets: { a: [{}] }", vec!["DR1504"]),
        ("secrets: { a: [{ prompt: false }] }", vec!["DR1504"]),
        ("secrets: { a: [{ generate: 32 }] }", vec![]),
        ("secrets: { a: [{ generate: 8 }] }", vec!["DR1504"]),
        ("secrets: { a: [{ generate: 32, env: A }] }", vec!["DR1504"]),
        ("secrets: { a: [{ generate: 32, field: b }] }", vec!["DR1504"]),
        ("tiers: { a: { priority: urgent } }", vec!["DR1010"]),
        ("tiers: { a: { priority: 0 } }", vec!["DR1010"]),
        ("tiers: { a: { priority: 7, rto: 15, rpo: 0 } }", vec![]),
        ("tiers: { a: { rto: 0 } }", vec!["DR1502"]),
        ("tiers: { a: { rto: '1.5h' } }", vec!["DR1501"]),
        ("services: { a: { depends_on: [b] } }", vec!["DR1202"]),
        ("hosts: { a: { port: 0 } }", vec!["DR1502"]),
        ("hosts: { a: { address: \"{{ run.mode }}\" } }", vec!["DR1404"]),
        ("hosts: { a: { address: \"{{ values.x }}\" } }", vec!["DR1403"]),
        ("pools: { a: { capacity: 0 } }", vec!["DR1502"]),
        ("plugins: { nothing: {} }", vec!["DR1301"]),
        ("plugins: { postgres: { dbname: a, password: \"{{ secrets.b }}\" } }", vec!["DR1403"]),
        ("parallelism: 0", vec!["DR1502"]),
        ("on_failure: undo", vec!["DR1909"]),
        ("on_cancel: undo", vec!["DR1909"]),
        ("on_cancel: stop", vec!["DR1011"]),
        ("environments: { a: { values: { b: 1 } }, c: {} }", vec!["DR1506"]),
        ("environments: { a: { values: { b: 1 } }, c: { values: { b: 2 } } }", vec![]),
    ] {
        let text = format!("runbook: a\n{line}\n{step}\n");
        let mut found = codes_of(&text);
        found.sort_unstable();
        let mut codes = codes;
        codes.sort_unstable();
        assert_eq!(found, codes, "{line}");
    }
}
