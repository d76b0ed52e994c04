//! `dr plugins`: what an author of runbooks looks up.

use crate::dr;

#[test]
fn plugins_are_listed_and_explained() {
    let dr = dr();
    for name in ["local", "postgres", "sim", "ssh"] {
        dr.args(["plugins"]).run().code(0).prints(name);
        dr.args(["plugins", name]).run().code(0).prints("with");
    }
    insta::assert_snapshot!(dr.args(["plugins", "postgres"]).run().code(0));
    dr.args(["plugins", "shs"]).run().code(2).says("did you mean `ssh`?");
}
