use dr_plugin::{ActionManifest, HostNeed};
use serde_json::Value;

use super::checker::{Checker, texts};
use crate::runbook::{DocPath, StepDoc, codes, is_path, nearest};
use crate::text::Place;
use crate::text::has_braces;

/// A call of an action, and where.
pub(super) struct Call<'c> {
    pub(super) uses: &'c str,
    pub(super) host: Option<&'c str>,
    /// The host of what it belongs to.
    pub(super) inherited: Option<&'c str>,
    /// The step, as a position in the outline.
    pub(super) step: Option<usize>,
}

impl<'a> Checker<'a> {
    /// The action of a step and of its check: that it exists, its host, its arguments.
    pub(super) fn step_calls(&mut self, index: usize, step: &StepDoc, at: &DocPath) {
        let Some(uses) = &step.uses else {
            self.host_known(step.host.as_deref(), index, at);
            return;
        };
        if is_path(uses) {
            return;
        }
        let inherited = self.outline.host(index).map(|(host, _)| host);
        let call = Call { uses, host: step.host.as_deref(), inherited, step: Some(index) };
        self.call(&call, step.with.as_ref(), at);
        if let Some(check) = &step.check {
            let at = at.field("check");
            let host = check.host.as_deref();
            let call = Call { uses: &check.uses, host, inherited, step: Some(index) };
            self.call(&call, check.with.as_ref(), &at);
        }
    }

    /// Checks one call; gives its action if it exists.
    pub(super) fn call(
        &mut self,
        call: &Call<'_>,
        with: Option<&Value>,
        at: &DocPath,
    ) -> Option<&'a ActionManifest> {
        let Call { uses, host, inherited, step } = *call;
        if let Some(step) = step {
            self.host_known(host, step, at);
        } else {
            self.host_named(host, at);
        }
        let action = self.resolve(uses, || at.field("uses"))?;
        match action.host {
            HostNeed::None if host.is_some() => self.help(
                codes::HOST_MISMATCH,
                at.field("host"),
                format!("`{uses}` acts on no host"),
                "remove `host`",
            ),
            HostNeed::Required if host.or(inherited).is_none() => self.help(
                codes::HOST_MISMATCH,
                at.field("uses"),
                format!("`{uses}` needs a host"),
                "add `host: NAME`, with a name from `hosts`",
            ),
            _ => {}
        }
        self.arguments(uses, action, with, at);
        Some(action)
    }

    fn resolve(&mut self, uses: &str, at: impl FnOnce() -> DocPath) -> Option<&'a ActionManifest> {
        let Some((plugin, name)) = uses.split_once('.') else {
            self.help(
                codes::UNKNOWN_ACTION,
                at(),
                format!("`{uses}` names no action"),
                "write `plugin.action`: `local.command`",
            );
            return None;
        };
        let Some(manifest) = self.catalog.plugin(plugin) else {
            let known: Vec<_> =
                self.catalog.plugins().map(|manifest| manifest.name.clone()).collect();
            let known = known.iter().map(String::as_str);
            self.unknown(codes::UNKNOWN_PLUGIN, at(), "plugin", plugin, known);
            return None;
        };
        if !manifest.actions.contains_key(name) {
            let known = manifest.actions.keys().map(String::as_str);
            let help = match nearest(name, known.clone()) {
                Some(close) => format!("did you mean `{plugin}.{close}`?"),
                None => format!("it has {}", known.collect::<Vec<_>>().join(", ")),
            };
            let message = format!("`{plugin}` has no action `{name}`");
            self.help(codes::UNKNOWN_ACTION, at(), message, help);
            return None;
        }
        self.catalog.action(plugin, name)
    }

    fn host_known(&mut self, host: Option<&str>, step: usize, at: &DocPath) {
        match host {
            Some(text) if has_braces(text) => self.host_text(step, text, &at.field("host")),
            host => self.host_named(host, at),
        }
    }

    fn host_named(&mut self, host: Option<&str>, at: &DocPath) {
        let Some(host) = host else { return };
        if has_braces(host) {
            self.text(Place::StepHost, host, &at.field("host"));
            return;
        }
        let document = self.document;
        let environments = document.environments.values();
        let known = document.hosts.contains_key(host)
            || environments.clone().any(|environment| environment.hosts.contains_key(host));
        if !known {
            let hosts = document.hosts.keys().map(String::as_str);
            self.unknown(codes::UNKNOWN_HOST, at.field("host"), "host", host, hosts);
        }
    }

    /// Settings of plugins, of the runbook and of its environments.
    pub(super) fn plugins(&mut self) {
        let document = self.document;
        for (name, settings) in &document.plugins {
            self.settings(name, settings, false, &DocPath::key("plugins").field(name));
        }
        for (environment, doc) in &document.environments {
            let at = DocPath::key("environments").field(environment).field("plugins");
            for (name, settings) in &doc.plugins {
                self.settings(name, settings, true, &at.field(name));
            }
        }
    }

    fn settings(&mut self, plugin: &str, settings: &Value, partial: bool, at: &DocPath) {
        let Some(manifest) = self.catalog.plugin(plugin) else {
            let known: Vec<_> =
                self.catalog.plugins().map(|manifest| manifest.name.clone()).collect();
            let known = known.iter().map(String::as_str);
            self.unknown(codes::UNKNOWN_PLUGIN, at.clone(), "plugin", plugin, known);
            return;
        };
        self.validate_settings(manifest, settings, partial, at);
        let mut found = Vec::new();
        texts(settings, at, &mut found);
        for (at, text) in found {
            self.text(Place::PluginSetting, text, &at);
        }
    }
}
