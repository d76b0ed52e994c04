//! `dr plugins`: what plugins there are, and what they take and give.

use super::args::Plugins;
use super::exit::Exit;
use super::out::Out;
use crate::app::plugins::everything;
use crate::report;
use crate::text::nearest;

pub(super) fn run(args: &Plugins, out: &Out) -> Exit {
    let screen = out.screen();
    let (catalog, unusable) = everything();
    let Some(name) = &args.name else {
        let known: Vec<_> = catalog
            .plugins()
            .filter_map(|manifest| {
                let place = catalog.executable(&manifest.name).map(|it| it.path.as_str());
                Some((manifest, catalog.digest(&manifest.name)?, place))
            })
            .collect();
        out.result(&report::plugins(&known, &screen));
        for error in unusable {
            out.fail(&error, Exit::NotReady);
        }
        return Exit::Done;
    };
    if let Some(manifest) = catalog.plugin(name) {
        out.result(&report::plugin(manifest, &screen));
        return Exit::Done;
    }
    let names = catalog.plugins().map(|manifest| manifest.name.as_str());
    let help = match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`dr plugins` lists those that are".to_owned(),
    };
    out.refuse(&format!("there is no plugin `{name}`"), &help, Exit::Usage)
}
