//! Captured values are data: they arrive as one argument, byte for byte, through a local command and
//! through a real SSH server, and nothing evaluates them again.

use dr_testkit::{Dr, Folder, SshHome, Sshd, address, cases};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::dr;

/// What a shell, an option parser, a template or a terminal would take for something else.
const NASTY: &[&str] = &[
    "$(id)",
    "`id`",
    "'; rm -rf /",
    "\"; id; \"",
    "a\nb",
    "\n",
    "{{x}}",
    "{{ values.out }}",
    "{{{a}}}",
    "-oProxyCommand=touch /tmp/owned",
    "--",
    "-rf",
    "",
    " ",
    "*",
    "~",
    "$HOME",
    "${IFS}",
    "\\",
    "\\n",
    "&& id",
    "| id",
    "; id",
    "> /tmp/owned",
    "#",
    "!!",
    "%s%n",
    "\u{1b}[31m",
    "\r\n",
    "é東🦀",
    "$secret",
    "{\"$secret\": \"pw\"}",
    "{\"$time\": 1}",
    "\u{7f}\u{1}",
    "a=b",
    "a\tb",
    "'",
    "\"",
];

/// Writes each of its arguments to a file, each followed by a NUL, which none of them can contain.
const WRITE: &str = "for word do printf '%s\\0' \"$word\"; done > \"$OUT\"";

fn words(count: usize) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let pieces = prop::collection::vec(
        prop_oneof![
            prop::sample::select(NASTY.to_vec()).prop_map(str::to_owned),
            "[ -~]{0,8}".prop_map(|text| text),
            proptest::char::any().prop_map(String::from),
        ],
        1..6,
    );
    let random = (NASTY.len()..count.max(NASTY.len())).map(|_| {
        let made = pieces.new_tree(&mut runner).expect("a value").current().concat();
        made.replace('\0', "")
    });
    NASTY.iter().map(|&word| word.to_owned()).chain(random).collect()
}

/// One step captures the words; the next hands them on as arguments.
fn runbook(hosts: &str, uses: &str, host: &str, out: &str) -> String {
    // JSON is YAML.
    let write = serde_json::Value::from(WRITE);
    format!(
        "runbook: injection
values: {{ out: '{out}', write: {write} }}
{hosts}steps:
  - id: capture
    needs: []
    uses: local.command
    effect: pure
    with: {{ argv: [cat, words.json] }}
    outputs:
      argv: \"['sh', '-c', values.write, 'sh'] + json(result.stdout)\"
      first: \"json(result.stdout)[0]\"
  - id: hand_on
    needs: [capture]
    uses: {uses}
    {host}
    effect: idempotent
    timeout: 1m
    with: {{ argv: '{{{{ steps.capture.outputs.argv }}}}', env: {{ OUT: '{{{{ values.out }}}}' }} }}
  - id: paste
    needs: [hand_on]
    uses: local.command
    effect: pure
    with: {{ argv: [printf, '%s', '<{{{{ steps.capture.outputs.first }}}}>'] }}
    outputs: {{ text: result.stdout }}
    expect: [\"outputs.text == '<' + steps.capture.outputs.first + '>'\"]
"
    )
}

fn arrives(dr: &Dr, out: &std::path::Path, words: &[String]) {
    for words in words.chunks(250) {
        let json = serde_json::to_string(words).unwrap();
        std::fs::write(dr.path("words.json"), json).unwrap();
        let _ = std::fs::remove_file(out);
        dr.args(["execute", "runbook.yaml", "--skip-preflight"]).run().code(0);
        let bytes = std::fs::read(out).unwrap();
        let mut arrived: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
        assert_eq!(arrived.pop(), Some(&b""[..]), "it ends with a NUL");
        assert_eq!(arrived.len(), words.len());
        for (arrived, word) in arrived.iter().zip(words) {
            assert_eq!(
                arrived.escape_ascii().to_string(),
                word.as_bytes().escape_ascii().to_string()
            );
        }
    }
    println!("{} strings arrived byte for byte", words.len());
}

#[test]
fn captured_values_arrive_byte_for_byte_in_local_commands() {
    let dr = dr();
    let out = dr.path("arrived");
    let dr =
        dr.runbook(&runbook("", "local.command", "description: here", &out.display().to_string()));
    arrives(&dr, &out, &words(cases(250, 10_000)));
}

#[test]
fn captured_values_arrive_byte_for_byte_over_ssh() {
    let folder = Folder::new();
    let home = SshHome::new(&folder);
    let host = Sshd::start(&folder, "db1", address(1), &home);
    home.add(&host.address().to_string(), &host, host.port());
    let hosts = format!(
        "hosts: {{ db1: {{ address: {}, user: {} }} }}\n",
        host.address(),
        folder.account().name
    );
    let out = folder.own_folder("arrived").join("words");
    let text = runbook(&hosts, "ssh.command", "host: db1", &out.display().to_string());
    let dr = dr().runbook(&text).env("HOME", home.path());
    arrives(&dr, &out, &words(cases(250, 10_000)));
}
