//! `dr plugins`: what plugins there are, and what they take and give.

use std::path::Path;

use dr_plugin::conformance;

use super::args::Plugins;
use super::exit::Exit;
use super::out::Out;
use crate::app::plugins::everything;
use crate::report::{self, Place};
use crate::text::nearest;

pub(super) fn run(args: &Plugins, out: &Out) -> Exit {
    if let Some(executable) = &args.conformance {
        return conformance(executable, args.cases.as_deref(), out);
    }
    let screen = out.screen();
    let (catalog, unusable) = everything();
    let place = |name: &str| match catalog.executable(name) {
        Some(executable) => executable.path.as_str(),
        None if catalog.is_missing(name) => "not installed",
        None => "built in",
    };
    let Some(name) = &args.name else {
        let known: Vec<_> = catalog
            .plugins()
            .filter_map(|manifest| {
                let name = &manifest.name;
                Some((manifest, catalog.digest(name)?, place(name)))
            })
            .collect();
        out.result(&report::plugins(&known, &screen));
        for error in unusable {
            out.fail(&error, Exit::NotReady);
        }
        return Exit::Done;
    };
    if let (Some(manifest), Some(digest)) = (catalog.plugin(name), catalog.digest(name)) {
        let program = catalog.executable(name).map(|it| &it.sha256);
        let place = Place { text: place(name), program, manifest: &digest };
        out.result(&report::plugin(manifest, place, &screen));
        return Exit::Done;
    }
    let names = catalog.plugins().map(|manifest| manifest.name.as_str());
    let help = match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`dr plugins` lists those that are".to_owned(),
    };
    out.refuse(&format!("there is no plugin `{name}`"), &help, Exit::Usage)
}

fn conformance(executable: &Path, cases: Option<&Path>, out: &Out) -> Exit {
    let cases = match cases.map(read_cases).transpose() {
        Ok(cases) => cases.unwrap_or_default(),
        Err(message) => {
            let help = "docs/reference/plugin-protocol.md shows the form of cases";
            return out.refuse(&message, help, Exit::Usage);
        }
    };
    let report = conformance::executable(executable, &cases);
    out.result(&format!("{report}\n"));
    if report.is_green() { Exit::Done } else { Exit::NotReady }
}

fn read_cases(file: &Path) -> Result<Vec<conformance::Case>, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    serde_json::from_str(&text)
        .map_err(|error| format!("{} holds no list of cases: {error}", file.display()))
}
