//! The guide: every runbook in it is one that `dr check` accepts, and every page is linked.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use crate::{dr, repository};

fn pages() -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(repository("docs/guide")).unwrap();
    let mut pages: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    pages.sort();
    pages
}

/// Blocks of YAML that are a whole runbook.
fn runbooks(page: &str) -> Vec<&str> {
    page.split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block))
        .filter(|block| block.starts_with("runbook:"))
        .collect()
}

/// Blocks that are files which a runbook of the page includes: their first line says which.
fn parts(page: &str) -> Vec<(&str, &str)> {
    page.split("```yaml\n# ")
        .skip(1)
        .filter_map(|rest| rest.split_once("```")?.0.split_once('\n'))
        .filter(|(_, block)| block.starts_with("runbook:"))
        .collect()
}

#[test]
fn runbooks_of_the_guide_are_right() {
    let mut seen = 0;
    for (path, page) in pages() {
        for (number, block) in runbooks(&page).into_iter().enumerate() {
            let dr = dr().runbook(block);
            for (file, block) in parts(&page) {
                fs::create_dir_all(dr.path(file).parent().unwrap()).unwrap();
                fs::write(dr.path(file), block).unwrap();
            }
            let ended = dr.args(["check", "--strict", "runbook.yaml"]).run();
            assert_eq!(ended.code, Some(0), "{}, block {}\n{ended}", path.display(), number + 1);
            dr.args(["plan", "runbook.yaml", "--history", "none"]).run().code(0);
            seen += 1;
        }
    }
    assert!(seen >= 3, "the guide shows runbooks");
}

#[test]
fn every_page_is_linked() {
    let index = fs::read_to_string(repository("docs/guide/README.md")).unwrap();
    for (path, page) in pages() {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "{name}");
        for target in page.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            let file = target.0.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                assert!(path.with_file_name(file).exists(), "{name} links {file}");
            }
        }
    }
}

/// What a line of a console block types, the exit code that it promises, and what is shown then.
struct Typed<'a> {
    command: &'a str,
    code: i32,
    shown: Vec<&'a str>,
}

/// The lines of a `console` block: `$ ` begins a command, which may end in `# exits with N`; what
/// follows is part of its output, with `…` for what differs.
fn typed(block: &str) -> Vec<Typed<'_>> {
    let mut all: Vec<Typed<'_>> = Vec::new();
    for line in block.lines().filter(|line| !line.trim().is_empty()) {
        match (line.strip_prefix("$ "), all.last_mut()) {
            (Some(line), _) => {
                let (command, code) = line.split_once("# exits with ").unwrap_or((line, "0"));
                let code = code.trim().parse().unwrap();
                all.push(Typed { command: command.trim(), code, shown: Vec::new() });
            }
            (None, Some(last)) => last.shown.push(line.trim()),
            (None, None) => panic!("output without a command: {line}"),
        }
    }
    all
}

/// Whether a line of `output` holds `wanted`, whose `…` stand for anything.
fn shows(output: &str, wanted: &str) -> bool {
    output.lines().any(|line| {
        let mut rest = line;
        wanted.split('…').map(str::trim).all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    })
}

#[test]
fn what_the_guide_types_when_things_go_wrong_does_what_it_says() {
    let page = fs::read_to_string(repository("docs/guide/when-things-go-wrong.md")).unwrap();
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_dr")).parent().unwrap().display();
    let path = format!("{path}:{}", std::env::var("PATH").unwrap());
    let mut commands = 0;
    for section in page.split("\n## ").skip(1) {
        let block = |kind: &str| {
            let rest = section.split_once(&format!("```{kind}\n"))?.1;
            Some(rest.split_once("```").unwrap().0)
        };
        assert_eq!(section.matches("```").count(), 4, "nothing is left out: {section}");
        let (Some(runbook), Some(console)) = (block("yaml"), block("console")) else {
            panic!("a section without an example: {section}");
        };
        let dr = dr().runbook(runbook);
        for Typed { command, code, shown } in typed(console) {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("{command} 2>&1")])
                .current_dir(dr.folder())
                .env_clear()
                .env("PATH", &path)
                .env("HOME", dr.path("home"))
                .stdin(std::process::Stdio::null())
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            // As a shell tells of a command that was killed.
            let ended = output.status.code().or(output.status.signal().map(|signal| 128 + signal));
            assert_eq!(ended, Some(code), "{command}\n{text}");
            for wanted in shown {
                assert!(shows(&text, wanted), "{command} does not show {wanted:?}\n{text}");
            }
            commands += 1;
        }
    }
    assert!(commands > 60, "{commands}");
}
