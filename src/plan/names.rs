use std::borrow::Cow;

use serde_json::{Value, json};

use super::{Plan, Step};
use crate::text::{Names, Path};

/// What texts can read before a run has done anything: the plan's own names.
pub struct PlanNames<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Name of the host that `host` means.
    pub host: Option<&'a str>,
}

impl PlanNames<'_> {
    /// Whether the name is one of these, or a secret.
    #[must_use]
    pub fn knows(path: &Path) -> bool {
        match path.root() {
            "values" | "inputs" | "hosts" | "host" | "secrets" => true,
            "run" => matches!(path.field(1), Some("mode" | "style" | "environment")),
            _ => false,
        }
    }
}

impl Names for PlanNames<'_> {
    fn get(&self, root: &str, member: Option<&str>) -> Option<Value> {
        let plan = self.plan;
        match (root, member) {
            ("values", Some(name)) => plan.values.get(name).cloned(),
            ("values", None) => Some(json!(plan.values)),
            ("inputs", Some(name)) => plan.inputs.get(name).cloned(),
            ("inputs", None) => Some(json!(plan.inputs)),
            ("hosts", Some(name)) => plan.hosts.get(name).map(|host| json!(host)),
            ("hosts", None) => Some(json!(plan.hosts)),
            ("host", _) => self.host.and_then(|name| plan.hosts.get(name)).map(|host| json!(host)),
            ("run", Some("mode")) => Some(json!(plan.mode)),
            ("run", Some("style")) => Some(json!(plan.style)),
            ("run", Some("environment")) => Some(json!(plan.environment)),
            _ => None,
        }
    }
}

/// The ids that the name of a step may mean in the texts of `own`, nearest first: a step of the same
/// group, else of those around it.
pub fn meanings<'a>(own: &'a Step, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    // What stands in no group, nor takes back what does, sees the outermost steps alone.
    let id = own.id.as_str();
    let is_outermost = own.inside.is_none() && own.group.is_none() && !id.contains('/');
    let mut around = (!is_outermost).then_some(id);
    let mut outermost = Some(name);
    std::iter::from_fn(move || match around {
        Some(text) => {
            around = text.rfind(['/', '@']).map(|end| &text[..end]);
            Some(Cow::Owned(format!("{text}/{name}")))
        }
        None => outermost.take().map(Cow::Borrowed),
    })
}
