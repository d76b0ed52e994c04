//! `dr plugins`: what an author of runbooks looks up.

use crate::{dr, repository};

#[test]
fn plugins_are_listed_and_explained() {
    let dr = dr();
    for name in ["http", "local", "postgres", "sim", "ssh"] {
        dr.args(["plugins"]).run().code(0).prints(name);
        dr.args(["plugins", name]).run().code(0).prints("with");
    }
    insta::with_settings!({ filters => [("sha256:[0-9a-f]{64}", "sha256:…")] }, {
        insta::assert_snapshot!(dr.args(["plugins", "postgres"]).run().code(0));
    });
    dr.args(["plugins", "shs"]).run().code(2).says("did you mean `ssh`?");
}

/// Every plugin that belongs to `dr` has a page; its actions are named there, and its runbooks are
/// right.
#[test]
fn every_plugin_has_a_page() {
    let index = std::fs::read_to_string(repository("docs/reference/plugins/README.md")).unwrap();
    for entry in std::fs::read_dir(repository("schemas/plugins")).unwrap() {
        let manifest = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        let name = manifest["name"].as_str().unwrap();
        assert!(index.contains(&format!("]({name}.md)")), "{name} is not linked");
        let page =
            std::fs::read_to_string(repository(&format!("docs/reference/plugins/{name}.md")));
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        for action in manifest["actions"].as_object().unwrap().keys() {
            assert!(page.contains(action.as_str()), "{name}.{action} is not on its page");
        }
        let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
        for block in blocks {
            let dr = dr().runbook(block);
            let ended = dr.args(["check", "--strict", "runbook.yaml"]).run();
            assert_eq!(ended.code, Some(0), "{name}\n{ended}");
        }
    }
}
