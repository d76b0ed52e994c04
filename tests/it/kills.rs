//! `dr` killed at random times, connections cut at random bytes, and two `dr` at once: every step is
//! done once, and nobody is asked, for its job can tell.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dr_testkit::{Dr, Ended, Folder, Proxy, Random, SshHome, Sshd, address, cases};

use crate::dr;

/// A host that can be reached through a proxy, and a place where its steps leave their marks.
struct Site {
    home: SshHome,
    host: Sshd,
    proxy: Proxy,
    marks: PathBuf,
    folder: Folder,
}

impl Site {
    fn start() -> Self {
        let folder = Folder::new();
        let home = SshHome::new(&folder);
        let host = Sshd::start(&folder, "web", address(1), &home);
        let proxy = Proxy::start(address(1), SocketAddr::from((address(1), host.port())));
        home.add(&host.address().to_string(), &host, proxy.port());
        let marks = folder.own_folder("marks");
        Self { home, host, proxy, marks, folder }
    }

    /// A folder for `dr` with a runbook of these steps. Nobody has left a mark.
    fn dr(&self, steps: &str) -> Dr {
        for mark in fs::read_dir(&self.marks).unwrap() {
            fs::remove_file(mark.unwrap().path()).unwrap();
        }
        let text = format!(
            "runbook: marks\nhosts: {{ web: {{ address: {}, user: {} }} }}\nsteps:\n{steps}",
            self.host.address(),
            self.folder.account().name,
        );
        dr().runbook(&text).env("HOME", self.home.path())
    }

    /// A step that leaves a mark: one line in a file of its own.
    fn step(&self, id: &str, needs: &str) -> String {
        let uses = if id.starts_with("here") {
            "uses: local.script"
        } else {
            "uses: ssh.script, host: web"
        };
        let mark = self.marks.join(id);
        format!(
            "  - {{ id: {id}, needs: [{needs}], {uses}, timeout: 80s, \
             retry: {{ attempts: 9, backoff: 50ms, max_backoff: 200ms }}, \
             with: {{ env: {{ MARK: '{}' }}, script: 'echo mark >>\"$MARK\"; sleep 0.03' }} }}\n",
            mark.display()
        )
    }

    /// How often each step was done, where that was not once.
    fn wrong(&self, steps: &[&str]) -> Vec<(String, usize)> {
        let count = |step: &&str| {
            let text = fs::read_to_string(self.marks.join(step)).unwrap_or_default();
            ((*step).to_owned(), text.lines().count())
        };
        steps.iter().map(count).filter(|(_, count)| *count != 1).collect()
    }
}

fn execute(dr: &Dr) -> dr_testkit::Invocation<'_> {
    dr.args(["execute", "runbook.yaml", "--skip-preflight", "--format", "lines"])
}

/// What a run starts or goes on with.
fn go_on(dr: &Dr) -> dr_testkit::Invocation<'_> {
    if dr.path(".dr/runs").is_dir()
        && fs::read_dir(dr.path(".dr/runs"))
            .unwrap()
            .any(|entry| !entry.unwrap().file_name().to_string_lossy().starts_with('.'))
    {
        dr.args(["resume", "last", "--format", "lines"])
    } else {
        execute(dr)
    }
}

/// Whether the run has succeeded, now or before it was resumed.
fn is_done(ended: &Ended) -> bool {
    ended.code == Some(0) || ended.code == Some(2) && ended.stderr.contains("verdict is succeeded")
}

#[test]
fn killed_at_any_time_it_does_everything_once() {
    const STEPS: [&str; 6] = ["here_1", "here_2", "here_3", "there_1", "there_2", "there_3"];
    let wanted = cases(24, 300);
    let site = Site::start();
    let needs = ["", "here_1", "there_1", "", "here_1", "there_2, here_2"];
    let steps: String = STEPS.iter().zip(needs).map(|(id, needs)| site.step(id, needs)).collect();
    let start = Instant::now();
    execute(&site.dr(&steps)).run().code(0);
    let mut whole = u64::try_from(start.elapsed().as_millis()).unwrap();
    assert_eq!(site.wrong(&STEPS), []);

    let (mut kills, mut runs) = (0, 0);
    for seed in 0.. {
        let mut random = Random::new(seed);
        let dr = site.dr(&steps);
        runs += 1;
        for _ in 0..=random.below(5) {
            let running = go_on(&dr).spawn();
            sleep(Duration::from_millis(random.below(whole)));
            let ended = running.kill();
            // How long a run takes changes with what else the machine does: most kills are to come in time.
            if ended.code.is_none() {
                kills += 1;
                whole += whole / 16 + 1;
            } else {
                assert!(is_done(&ended), "seed {seed}\n{ended}");
                whole = whole * 3 / 4 + 1;
            }
            if kills == wanted {
                break;
            }
        }
        let ended = go_on(&dr).run();
        assert!(is_done(&ended), "seed {seed}\n{ended}");
        assert_eq!(site.wrong(&STEPS), [], "seed {seed}\n{ended}");
        if kills == wanted {
            break;
        }
    }
    println!("{kills} kills over {runs} runs of {} steps: 0 lost, 0 repeated", STEPS.len());
}

#[test]
fn cut_off_at_any_byte_it_does_everything_once() {
    const STEPS: [&str; 3] = ["there_1", "there_2", "there_3"];
    let seeds = cases(12, 300) as u64;
    let site = Site::start();
    let needs = ["", "", "there_1"];
    let steps: String = STEPS.iter().zip(needs).map(|(id, needs)| site.step(id, needs)).collect();
    execute(&site.dr(&steps)).run().code(0);
    let whole = site.proxy.passed();
    assert_eq!(site.wrong(&STEPS), []);

    let mut cut = 0;
    for seed in 0..seeds {
        let at = Random::new(seed).below(whole);
        let dr = site.dr(&steps);
        let before = site.proxy.passed();
        site.proxy.cut_after(at);
        let ended = execute(&dr).run();
        cut += u64::from(site.proxy.passed() - before > at);
        site.proxy.cut_after(u64::MAX >> 1);
        assert_eq!(ended.code, Some(0), "cut after {at} bytes\n{ended}");
        assert_eq!(site.wrong(&STEPS), [], "cut after {at} bytes\n{ended}");
    }
    println!("{seeds} runs, cut off in {cut} within {whole} bytes: 0 lost, 0 repeated");
}

#[test]
fn of_two_at_once_one_runs() {
    const RUNBOOK: &str = "runbook: one
steps:
  - id: act
    needs: []
    uses: local.script
    effect: idempotent
    timeout: 80s
    with: { script: 'echo x >>ran; while [ ! -e go ]; do sleep 0.01; done' }
";
    let rounds = cases(12, 200);
    for round in 0..rounds {
        let dr = dr().runbook(RUNBOOK);
        let mut both = [execute(&dr).spawn(), execute(&dr).spawn()];
        // The step waits until both have decided.
        let loser = dr_testkit::eventually("one of them gives way", || {
            both.iter_mut().position(dr_testkit::Running::has_ended)
        });
        let [first, second] = both;
        let (loser, winner) = if loser == 0 { (first, second) } else { (second, first) };
        let loser = loser.finish();
        assert_eq!(loser.code, Some(9), "round {round}\n{loser}");
        fs::write(dr.path("go"), "").unwrap();
        let winner = winner.finish();
        assert_eq!(winner.code, Some(0), "round {round}\n{winner}");
        assert_eq!(dr.read("ran"), "x\n", "round {round}");
        let runs = fs::read_dir(dr.path(".dr/runs")).unwrap().count();
        assert_eq!(runs, 1, "round {round}");
    }
    println!("{rounds} times two at once: one ran");
}
