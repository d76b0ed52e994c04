//! The pages of constructs in the guide: what is marked `run=CODE` is run, and ends with that code.

use std::fs;

use crate::{dr, repository};

#[test]
fn examples_of_the_guide_run_as_they_say() {
    let mut seen = 0;
    for entry in fs::read_dir(repository("docs/guide")).unwrap() {
        let path = entry.unwrap().path();
        let page = fs::read_to_string(&path).unwrap();
        for block in page.split("```yaml run=").skip(1) {
            let (code, rest) = block.split_once('\n').unwrap();
            let (runbook, _) = rest.split_once("```").unwrap();
            let dr = dr().runbook(runbook);
            let checked = dr.args(["check", "--strict", "runbook.yaml"]).run();
            assert_eq!(checked.code, Some(0), "{}\n{checked}", path.display());
            dr.args(["plan", "runbook.yaml", "--history", "none"]).run().code(0);
            let ended = dr.args(["execute", "runbook.yaml"]).run();
            assert_eq!(ended.code, code.parse().ok(), "{}\n{ended}", path.display());
            dr.args(["report", "last"]).run().code(0);
            seen += 1;
        }
    }
    assert!(seen >= 6, "the guide shows what runs");
}
