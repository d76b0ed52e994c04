use super::checker::{Checker, texts};
use crate::runbook::{DocPath, EnvironmentDoc, HostDoc, Named, SecretSourceDoc, codes};
use crate::text::Place;

/// Characters of a secret that is made up.
const GENERATED: std::ops::RangeInclusive<u32> = 16..=1024;

impl Checker<'_> {
    /// Environments, and what they may override: values, hosts, secrets, plugin settings, pools.
    pub(super) fn environments(&mut self) {
        let document = self.document;
        let mut default: Option<&str> = None;
        for (name, environment) in &document.environments {
            let at = DocPath::key("environments").field(name);
            if environment.default {
                if let Some(first) = default {
                    self.help(
                        codes::ENVIRONMENTS,
                        at.field("default"),
                        format!("`{first}` is the default already"),
                        "keep one `default: true`",
                    );
                }
                default = default.or(Some(name));
            }
            self.overrides(environment, &at);
        }
        self.hosts(&document.hosts, &DocPath::key("hosts"));
        self.secrets(&document.secrets, &DocPath::key("secrets"));
        self.shared_hosts();
    }

    fn overrides(&mut self, environment: &EnvironmentDoc, at: &DocPath) {
        let document = self.document;
        self.override_names(&environment.values, &document.values, at, "values", |e| &e.values);
        self.override_names(&environment.hosts, &document.hosts, at, "hosts", |e| &e.hosts);
        self.override_names(&environment.secrets, &document.secrets, at, "secrets", |e| &e.secrets);
        self.override_names(&environment.pools, &document.pools, at, "pools", |e| &e.pools);
        self.hosts(&environment.hosts, &at.field("hosts"));
        self.secrets(&environment.secrets, &at.field("secrets"));
        self.least(environment.parallelism, 1, || at.field("parallelism"));
        for (name, pool) in &environment.pools {
            self.least(Some(pool.capacity), 1, || at.field("pools").field(name).field("capacity"));
        }
        for (name, value) in &environment.values {
            self.constant(value, &at.field("values").field(name));
        }
    }

    /// An override must have something to override: in the runbook, or in every environment.
    fn override_names<T>(
        &mut self,
        own: &Named<T>,
        base: &Named<T>,
        at: &DocPath,
        section: &str,
        of: impl Fn(&EnvironmentDoc) -> &Named<T>,
    ) {
        let environments = &self.document.environments;
        for name in own.keys() {
            let known = base.contains_key(name)
                || environments.values().all(|environment| of(environment).contains_key(name));
            if !known {
                let what = section.trim_end_matches('s');
                let help = match crate::runbook::nearest(name, base.keys().map(String::as_str)) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => format!("add `{name}` to the runbook's `{section}`"),
                };
                self.help(
                    codes::UNKNOWN_OVERRIDE,
                    at.field(section).field(name),
                    format!("the runbook has no {what} `{name}` that could be overridden here"),
                    help,
                );
            }
        }
    }

    fn hosts(&mut self, hosts: &Named<HostDoc>, at: &DocPath) {
        for (name, host) in hosts {
            let at = at.field(name);
            self.least(host.parallel, 1, || at.field("parallel"));
            for (key, text) in [
                ("address", &host.address),
                ("user", &host.user),
                ("become", &host.becomes),
                ("job_dir", &host.job_dir),
            ] {
                if let Some(text) = text {
                    self.text(Place::HostSetting, text, &at.field(key));
                }
            }
            for (label, text) in &host.labels {
                self.text(Place::HostSetting, text, &at.field("labels").field(label));
            }
            match &host.port {
                Some(serde_json::Value::String(text)) if text.contains("{{") => {
                    self.text(Place::HostSetting, text, &at.field("port"));
                }
                Some(port) => {
                    let number = port.as_u64().or_else(|| port.as_str()?.parse().ok());
                    if !number.is_some_and(|port| (1..=65_535).contains(&port)) {
                        self.help(
                            codes::OUT_OF_RANGE,
                            at.field("port"),
                            format!("{port} is no port"),
                            "write a number from 1 to 65535",
                        );
                    }
                }
                None => {}
            }
        }
    }

    fn secrets(&mut self, secrets: &Named<Vec<SecretSourceDoc>>, at: &DocPath) {
        for (name, sources) in secrets {
            let at = at.field(name);
            if sources.is_empty() {
                self.help(
                    codes::SECRET_SOURCE,
                    at.clone(),
                    format!("`{name}` comes from nowhere"),
                    "add a source: `[{ env: NAME }]`, `[{ file: PATH }]`, `[{ command: [...] }]`, \
                     `[{ prompt: true }]`, `[{ generate: 32 }]`",
                );
            }
            for (index, source) in sources.iter().enumerate() {
                let at = at.index(index);
                let given = [
                    source.env.is_some(),
                    source.file.is_some(),
                    source.command.is_some(),
                    source.prompt.is_some(),
                    source.generate.is_some(),
                ];
                let given = given.into_iter().filter(|given| *given).count();
                if given != 1 {
                    let message = if given == 0 {
                        "this source says nothing".to_owned()
                    } else {
                        "a source is one thing, and here are several".to_owned()
                    };
                    self.help(
                        codes::SECRET_SOURCE,
                        at.clone(),
                        message,
                        "write exactly one of env, file, command, prompt, generate; list items are tried in \
                         order",
                    );
                }
                if let Some(characters) = source.generate
                    && (!GENERATED.contains(&characters) || source.field.is_some())
                {
                    self.help(
                        codes::SECRET_SOURCE,
                        at.field("generate"),
                        "this makes no secret: it is letters and digits, and how many is said here",
                        format!(
                            "write a number from {} to {}, and no `field`",
                            GENERATED.start(),
                            GENERATED.end()
                        ),
                    );
                }
                if source.prompt == Some(false) {
                    self.help(
                        codes::SECRET_SOURCE,
                        at.field("prompt"),
                        "a prompt that does not ask gives nothing",
                        "write `prompt: true`, or remove the source",
                    );
                }
                let is_path = |path: &String| path.split('.').all(|name| !name.is_empty());
                if source.field.as_ref().is_some_and(|field| !is_path(field)) {
                    self.help(
                        codes::SECRET_SOURCE,
                        at.field("field"),
                        "this names no field",
                        "write the names down to it, with dots between them: `data.password`",
                    );
                }
                if source.command.as_ref().is_some_and(Vec::is_empty) {
                    self.help(
                        codes::SECRET_SOURCE,
                        at.field("command"),
                        "the command is empty",
                        "write the program and its arguments: `[vault, kv, get, …]`",
                    );
                }
            }
        }
    }

    /// Values are constants: nothing in them is rendered.
    pub(super) fn constant(&mut self, value: &serde_json::Value, at: &DocPath) {
        let mut found = Vec::new();
        texts(value, at, &mut found);
        for (at, _) in found {
            self.help(
                codes::NAME_NOT_HERE,
                at,
                "a value is a constant: nothing is filled in here",
                "write the value itself, or `{{ … }}` where the value is used",
            );
        }
    }

    /// A drill must not reach what production stands on.
    fn shared_hosts(&mut self) {
        let document = self.document;
        let environments = &document.environments;
        for (drill, open) in environments.iter().filter(|(_, e)| !e.protected) {
            for (live, closed) in environments.iter().filter(|(_, e)| e.protected) {
                let names = document
                    .hosts
                    .keys()
                    .chain(open.hosts.keys().filter(|name| !document.hosts.contains_key(*name)));
                let shared: Vec<_> = names
                    .filter(|name| {
                        let base = document.hosts.get(*name);
                        let there = endpoint(name, closed.hosts.get(*name), base);
                        there.is_some() && there == endpoint(name, open.hosts.get(*name), base)
                    })
                    .map(|name| format!("`{name}`"))
                    .collect();
                if !shared.is_empty() {
                    self.warn(
                        codes::SHARED_HOST,
                        DocPath::key("environments").field(drill),
                        format!(
                            "`{drill}` acts on hosts of the protected `{live}`: {}",
                            shared.join(", ")
                        ),
                        format!("give them other addresses in `environments.{drill}.hosts`"),
                    );
                }
            }
        }
    }
}

/// Where a host is, in an environment that overrides it; unknown if a template decides.
fn endpoint(
    name: &str,
    own: Option<&HostDoc>,
    base: Option<&HostDoc>,
) -> Option<(String, Option<String>)> {
    let address = own.and_then(|host| host.address.as_ref());
    let address = address.or_else(|| base?.address.as_ref());
    let port = own.and_then(|host| host.port.as_ref()).or_else(|| base?.port.as_ref());
    let address = address.map_or(name, String::as_str);
    let port = port.map(|port| match port {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let fixed = !address.contains("{{") && !port.as_ref().is_some_and(|port| port.contains("{{"));
    fixed.then(|| (address.to_owned(), port))
}
