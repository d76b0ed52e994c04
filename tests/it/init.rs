//! `dr init`: starters that are right and run as they are.

use crate::dr;

#[test]
fn every_starter_is_right_and_runs() {
    for (template, file, drill) in [
        (None, "first.yaml", false),
        (Some("failover"), "failover.yaml", false),
        (Some("restore"), "restore.yaml", false),
        (Some("backup"), "backup.yaml", false),
        (Some("game-day"), "game-day.yaml", true),
    ] {
        let dr = dr();
        let mut init = dr.args(["init", "books"]);
        if let Some(template) = template {
            init = init.arg("--template").arg(template);
        }
        let path = format!("books/{file}");
        init.run().code(0).prints(&format!("dr execute {path}"));
        dr.args(["check", "--strict", &path]).run().code(0);
        dr.args(["rehearse", "--faults", &path]).run().code(0);
        dr.args(["execute", &path]).run().code(0);
        if drill {
            dr.args(["execute", &path, "--env", "drill", "--mode", "drill"]).run().code(0);
            assert!(!dr.path("dr-game-day/drill").exists(), "a drill puts its traces away");
        }
    }
}

#[test]
fn what_is_there_is_never_touched() {
    let dr = dr().file("first.yaml", "mine");
    dr.args(["init"]).run().code(2).says("is there already");
    assert_eq!(dr.read("first.yaml"), "mine");
    let dr = dr.file("file", "");
    dr.args(["init", "file/below"]).run().code(4).says("cannot write");
    dr.args(["init", "--template", "nothing"]).run().code(2).says("possible values");
}
