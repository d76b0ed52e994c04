use serde_json::{Value, json};

use super::Plan;
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
