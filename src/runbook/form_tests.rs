use std::fmt::Write as _;

use super::testing::problems_of;

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
