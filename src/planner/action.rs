use dr_plugin::{ActionManifest, Effect, Host, HostNeed, Keyed};
use serde_json::{Value, json};

use super::codes;
use super::steps::Maker;
use crate::plan::{Check, Step, Uses};
use crate::runbook::{CheckDoc, DocPath, Problem, nearest};
use crate::text::Templated;

const CHECK_TIMEOUT: u64 = 30_000;

impl<'a> Maker<'a> {
    /// The action that `uses` names, and whether it may act where it should.
    pub(super) fn action(
        &mut self,
        uses: &str,
        host: Option<&Host>,
        host_written: bool,
        at: &DocPath,
    ) -> Option<(Uses, &'a ActionManifest)> {
        let place = at.field("uses");
        let name = match Uses::try_from(uses.to_owned()) {
            Ok(name) => name,
            Err(why) => {
                self.problems.push(Problem::error(codes::ACTION, place, why));
                return None;
            }
        };
        let Some(manifest) = self.catalog.plugin(&name.plugin) else {
            let mut problem = Problem::error(
                codes::ACTION,
                place,
                format!("there is no plugin `{}`", name.plugin),
            );
            let all = self.catalog.plugins().map(|plugin| plugin.name.as_str());
            if let Some(near) = nearest(&name.plugin, all) {
                problem = problem.with_help(format!("did you mean `{near}.{}`?", name.action));
            }
            self.problems.push(problem);
            return None;
        };
        let Some(action) = manifest.actions.get(&name.action) else {
            let all: Vec<&str> = manifest.actions.keys().map(String::as_str).collect();
            let help = match nearest(&name.action, all.iter().copied()) {
                Some(near) => format!("did you mean `{}.{near}`?", name.plugin),
                None => format!("it has {}", all.join(", ")),
            };
            self.problems.push(
                Problem::error(
                    codes::ACTION,
                    place,
                    format!("plugin `{}` has no action `{}`", name.plugin, name.action),
                )
                .with_help(help),
            );
            return None;
        };
        match action.host {
            HostNeed::Required if !host_written => self.problems.push(
                Problem::error(codes::HOST, place, format!("`{uses}` acts on a host"))
                    .with_help("say which: `host: NAME`"),
            ),
            HostNeed::None if host.is_some() => self.problems.push(Problem::error(
                codes::HOST,
                at.field("host"),
                format!("`{uses}` does not act on a host"),
            )),
            _ => {}
        }
        Some((name, action))
    }

    pub(super) fn check(
        &mut self,
        doc: &CheckDoc,
        host: Option<&Host>,
        at: &DocPath,
    ) -> Option<Check> {
        let at = at.field("check");
        let named = self.host(doc.host.as_deref(), &at.field("host"));
        let takes_host = |need: HostNeed| need != HostNeed::None;
        let (uses, action) =
            self.action(&doc.uses, named.as_ref(), doc.host.is_some() || host.is_some(), &at)?;
        let host = named.as_ref().or(host.filter(|_| takes_host(action.host)));
        let with = match &doc.with {
            Some(with) => self.template(Some(with), host, &at.field("with")),
            None => Templated::literal(json!({})),
        };
        Some(Check {
            uses,
            host: host.map(|host| host.name.clone()),
            with,
            done: self.expr(&doc.done, &at.field("done"))?,
            running: doc
                .running
                .as_deref()
                .and_then(|source| self.expr(source, &at.field("running"))),
            timeout_ms: self
                .duration(doc.timeout.as_deref(), &at.field("timeout"))
                .unwrap_or(CHECK_TIMEOUT),
        })
    }
}

/// Effect, keys and checks: the step's word, else the action's.
pub(super) fn set_action(
    step: &mut Step,
    written: Option<Effect>,
    has_check: bool,
    action: Option<&(Uses, &ActionManifest)>,
) {
    let Some((uses, action)) = action else {
        step.effect = written.unwrap_or(Effect::Pure);
        return;
    };
    step.uses = Some(uses.clone());
    let own = action.effect_with(Some(step.with.as_value()));
    step.effect = match (written, own) {
        (Some(written), _) => written,
        // Something can tell, so nobody needs to be asked.
        (None, Effect::Once) if has_check => Effect::Checkable,
        (None, effect) => effect,
    };
    step.action_effect = (step.effect != own).then_some(own);
    let attached = action.keyed == Keyed::Job
        && step.with.as_value().get("detach") == Some(&Value::Bool(false));
    step.keyed = if attached { Keyed::Never } else { action.keyed };
    step.action_checks = action.has_check && !attached;
    if step.with.as_value().is_null() {
        step.with = Templated::literal(json!({}));
    }
}
