//! Files that are made to hurt: refused, under limits of memory and processor time.

use std::fmt::Write as _;
use std::process::Command;

use crate::dr;

/// Kibibytes of address space, of which what is really used is a part, and seconds of processor
/// time: an unoptimized build is some twenty times slower than the numbers in
/// `docs/performance.md`.
const LIMITS: &str = "ulimit -v 700000; ulimit -t 30; exec \"$0\" check \"$1\"";

#[test]
fn hostile_files_are_refused_under_limits() {
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (name, before) in ('b'..='z').zip('a'..='y') {
        let ten = vec![format!("*{before}"); 10].join(",");
        let _ = writeln!(bomb, "{name}: &{name} [{ten}]");
    }
    let mut keys = String::new();
    for n in 0..20_000 {
        let _ = writeln!(keys, "k{n}: 1\nk{n}: 2");
    }
    let steps = "steps: [{ id: a, expect: ['true'] }]\n";
    for (name, text, code) in [
        ("lists", "[".repeat(100_000), "DR1002"),
        ("maps", "{a: ".repeat(100_000), "DR1002"),
        ("bomb", bomb, "DR1002"),
        ("scalar of 64 MiB", format!("runbook: {}\n", "x".repeat(64 << 20)), "DR1002"),
        ("scalar of 40 MiB", format!("runbook: {}\n", "x".repeat(40 << 20)), "DR1002"),
        ("NUL", format!("runbook: a\0\n{steps}"), "DR1001"),
        ("duplicate keys", format!("runbook: a\n{steps}{keys}"), "DR1006"),
    ] {
        let dr = dr().file("hostile.yaml", &text);
        let ended = Command::new("sh")
            .args(["-c", LIMITS, env!("CARGO_BIN_EXE_dr")])
            .arg(dr.path("hostile.yaml"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        let start: String = said.chars().take(400).collect();
        assert_eq!(ended.status.code(), Some(3), "{name}: {start}");
        assert!(said.contains(code), "{name}: {start}");
        assert!(said.len() < 200_000, "{name}: {} bytes", said.len());
    }
    let marked = format!("\u{feff}runbook: a\r\n{}", steps.replace('\n', "\r\n"));
    dr().runbook(&marked).args(["check", "--strict", "runbook.yaml"]).run().code(0);
}
