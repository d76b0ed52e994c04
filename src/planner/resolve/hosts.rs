use std::collections::BTreeMap;

use dr_plugin::{Become, Host};
use serde_json::Value;

use crate::planner::codes;
use crate::planner::names::Known;
use crate::runbook::{DocPath, Document, EnvironmentDoc, HostDoc, Problem};
use crate::text::Templated;

/// Steps at once on a host that does not say.
const PARALLEL: u32 = 8;

/// Every host with the fields that count in the environment, and how many steps it takes at once.
pub(super) fn resolve(
    document: &Document,
    environment: &EnvironmentDoc,
    known: &Known,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, (Host, u32)> {
    let mut names: Vec<&String> = document.hosts.keys().collect();
    names.extend(environment.hosts.keys().filter(|name| !document.hosts.contains_key(*name)));
    let mut resolved = BTreeMap::new();
    for name in names {
        let (base, over) = (document.hosts.get(name), environment.hosts.get(name));
        let doc = merged(base, over);
        let mut read = Reader { at: DocPath(format!("hosts.{name}")), known, problems };
        let host = Host {
            name: name.clone(),
            address: doc
                .address
                .as_ref()
                .map_or_else(|| name.clone(), |text| read.text("address", text)),
            port: doc.port.as_ref().and_then(|port| read.port(port)),
            user: doc.user.as_ref().map(|text| read.text("user", text)),
            becomes: doc.becomes.as_ref().map(|text| Become { user: read.text("become", text) }),
            labels: doc
                .labels
                .iter()
                .map(|(key, text)| (key.clone(), read.text("labels", text)))
                .collect(),
            job_dir: doc.job_dir.as_ref().map(|text| read.text("job_dir", text)),
        };
        resolved.insert(name.clone(), (host, doc.parallel.unwrap_or(PARALLEL)));
    }
    resolved
}

/// The runbook's host with the fields that the environment gives.
fn merged(base: Option<&HostDoc>, over: Option<&HostDoc>) -> HostDoc {
    let mut host = base.cloned().unwrap_or_default();
    if let Some(over) = over.cloned() {
        host.address = over.address.or(host.address);
        host.port = over.port.or(host.port);
        host.user = over.user.or(host.user);
        host.parallel = over.parallel.or(host.parallel);
        host.becomes = over.becomes.or(host.becomes);
        host.job_dir = over.job_dir.or(host.job_dir);
        if !over.labels.is_empty() {
            host.labels = over.labels;
        }
    }
    host
}

struct Reader<'a> {
    at: DocPath,
    known: &'a Known,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn rendered(&mut self, field: &str, written: &Value) -> Value {
        let rendered = Templated::parse(written).and_then(|template| template.render(self.known));
        rendered.unwrap_or_else(|error| {
            let mut problem = Problem::error(
                codes::UNRESOLVED,
                self.at.field(field),
                format!("this must be known when planning: {error}"),
            )
            .within(error.span);
            problem.help = error.help;
            self.problems.push(problem);
            Value::Null
        })
    }

    fn text(&mut self, field: &str, text: &str) -> String {
        match self.rendered(field, &Value::String(text.to_owned())) {
            Value::String(text) => text,
            Value::Null => String::new(),
            number @ Value::Number(_) => number.to_string(),
            other => {
                self.problems.push(Problem::error(
                    codes::UNRESOLVED,
                    self.at.field(field),
                    format!("`{text}` gives {other}, not a text"),
                ));
                String::new()
            }
        }
    }

    fn port(&mut self, written: &Value) -> Option<u16> {
        let value = self.rendered("port", written);
        let port = match &value {
            Value::Null => return None,
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        if port.is_none() {
            self.problems.push(Problem::error(
                codes::UNRESOLVED,
                self.at.field("port"),
                format!("{value} is not a port from 1 to 65535"),
            ));
        }
        port
    }
}
