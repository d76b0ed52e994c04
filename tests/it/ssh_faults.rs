//! Hosts that cannot be reached or refuse us: a failed run with evidence, which goes on once the
//! cause is mended.

use dr_testkit::{Dr, Ended, Folder, SshHome, Sshd, address};

use crate::dr;

/// One host, and a runbook with one step on it.
struct Site {
    folder: Folder,
    home: SshHome,
    host: Sshd,
}

impl Site {
    fn start() -> Self {
        let folder = Folder::new();
        let home = SshHome::new(&folder);
        let host = Sshd::start(&folder, "db1", address(1), &home);
        Self { folder, home, host }
    }

    fn dr(&self) -> Dr {
        let text = format!(
            "runbook: ssh\n\
             hosts: {{ db1: {{ address: {}, user: {} }} }}\n\
             steps:\n\
             \x20 - {{ id: touch, needs: [], uses: ssh.command, host: db1, effect: idempotent, \
             timeout: 20s, retry: {{ attempts: 2, backoff: 100ms }}, with: {{ argv: [echo, hello] }} }}\n",
            self.host.address(),
            self.folder.account().name,
        );
        dr().runbook(&text).env("HOME", self.home.path())
    }
}

/// The run failed with this error of its step, which `dr show` names with the way out, and its
/// evidence says so too.
fn failed(dr: &Dr, ended: &Ended, code: &str) {
    let finished =
        ended.events().into_iter().find(|event| event["type"] == "step_finished").unwrap();
    assert_eq!(finished["error"]["code"], code, "{ended}");
    let evidence = std::fs::read_to_string(dr.last_run().join("evidence.json")).unwrap();
    assert!(evidence.contains(code), "{evidence}");
    dr.args(["show", "last"]).run().code(0).prints("dr resume");
}

fn execute(dr: &Dr) -> Ended {
    dr.args(["execute", "runbook.yaml", "--skip-preflight", "--format", "json"]).run()
}

fn mended(dr: &Dr) {
    dr.args(["resume", "last", "--retry", "touch"]).run().code(0);
    dr.args(["logs", "last", "touch"]).run().code(0).prints("hello");
}

#[test]
fn an_unreachable_host_fails_the_run_until_it_answers() {
    let mut site = Site::start();
    site.home.add(&site.host.address().to_string(), &site.host, site.host.port());
    site.host.stop();
    let dr = site.dr();
    let ended = execute(&dr).code(5);
    failed(&dr, &ended, "unreachable");
    site.host.restart();
    mended(&dr);
}

#[test]
fn a_host_key_that_is_not_the_known_one_is_refused() {
    let site = Site::start();
    let other = Sshd::start(&site.folder, "other", address(2), &site.home);
    site.home.add(&site.host.address().to_string(), &site.host, site.host.port());
    let known = site.home.path().join(".ssh/known_hosts");
    let right = std::fs::read_to_string(&known).unwrap();
    std::fs::write(&known, "").unwrap();
    site.home.trust(site.host.address(), site.host.port(), &other.host_key());
    let dr = site.dr();
    let ended = execute(&dr).code(5);
    failed(&dr, &ended, "host_key_mismatch");
    std::fs::write(&known, right).unwrap();
    mended(&dr);
}

#[test]
fn a_refused_login_is_said_as_such() {
    let site = Site::start();
    site.home.add(&site.host.address().to_string(), &site.host, site.host.port());
    let keys = site.host.authorized_keys();
    let right = std::fs::read_to_string(&keys).unwrap();
    std::fs::write(&keys, "").unwrap();
    let dr = site.dr();
    let ended = execute(&dr).code(5);
    failed(&dr, &ended, "login_refused");
    std::fs::write(&keys, right).unwrap();
    mended(&dr);
}
