//! `dr init`: a runbook to begin with.

use std::io::ErrorKind;

use super::args::{Init, TemplateName};
use super::exit::Exit;
use super::out::Out;
use crate::app::init::{Template, write};
use crate::view::quote;

pub(super) fn run(args: &Init, out: &Out) -> Exit {
    let template = match args.template {
        None => Template::First,
        Some(TemplateName::Failover) => Template::Failover,
        Some(TemplateName::Restore) => Template::Restore,
        Some(TemplateName::Backup) => Template::Backup,
        Some(TemplateName::GameDay) => Template::GameDay,
    };
    match write(template, &args.dir) {
        Ok(path) => {
            let shown = path.strip_prefix(".").unwrap_or(&path).display().to_string();
            let path = quote(&shown);
            out.result(&format!(
                "wrote {shown}\n\nnext:\n  dr check {path}\n  dr plan {path}\n  dr rehearse {path}\n  dr execute {path}"
            ));
            Exit::Done
        }
        Err((path, error)) if error.kind() == ErrorKind::AlreadyExists => out.refuse(
            &format!("{} is there already", path.display()),
            "nothing was changed; name another folder",
            Exit::Usage,
        ),
        Err((path, error)) => out.refuse(
            &format!("cannot write {}: {error}", path.display()),
            "name a folder that can be written",
            Exit::NotReady,
        ),
    }
}
