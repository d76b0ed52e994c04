use super::compare::{by_id, is_join, steps};
use super::model::{PlanDiff, Watch, WatchKind};
use crate::id::StepId;
use crate::plan::{Expectation, OnReject, Plan, Rule, Step};
use crate::time::Millis;
use crate::words::{OnFailure, OnUnknown, Severity};

/// A recovery is slower if its prediction grows by more than this share.
const SLOWER: f64 = 1.05;

/// What a reviewer should look at, most serious first.
pub(super) fn watch(diff: &PlanDiff, old: Option<&Plan>, new: Option<&Plan>) -> Vec<Watch> {
    let mut found = Found(Vec::new());
    let (olds, news) = (by_id(old), by_id(new));
    for step in new.iter().flat_map(|plan| steps(plan)).filter(|step| step.skip.is_none()) {
        let before = olds.get(step.id.as_str()).copied().filter(|step| step.skip.is_none());
        irreversible(&mut found, before, step);
        effect(&mut found, before, step);
        if let Some(before) = before {
            gate(&mut found, before, Some(step));
            guards(&mut found, before, Some(step));
            policies(&mut found, before, step);
            dependencies(&mut found, before, step, &|id| {
                news.get(id).is_some_and(|step| step.skip.is_none())
            });
        }
    }
    for step in old.iter().flat_map(|plan| steps(plan)).filter(|step| step.skip.is_none()) {
        if news.get(step.id.as_str()).is_none_or(|step| step.skip.is_some()) && new.is_some() {
            gate(&mut found, step, None);
            guards(&mut found, step, None);
            if step.validates.is_some() && !is_join(step) {
                found.step(WatchKind::ValidationLost, step, "it is not validated any more".into());
            }
        }
    }
    if let (Some(old), Some(new)) = (old, new)
        && old.protected
        && !new.protected
    {
        found.0.push(Watch {
            kind: WatchKind::ProtectionLost,
            step: None,
            service: None,
            text: format!("`{}` was protected and is not any more", new.environment),
        });
    }
    objectives(&mut found, diff);
    found.0.sort_by_key(|watch| watch.kind);
    found.0
}

struct Found(Vec<Watch>);

impl Found {
    fn step(&mut self, kind: WatchKind, step: &Step, text: String) {
        let (id, service) = (step.id.clone(), step.service.clone());
        self.0.push(Watch { kind, step: Some(id), service, text });
    }
}

fn irreversible(found: &mut Found, old: Option<&Step>, new: &Step) {
    if new.point_of_no_return && !old.is_some_and(|old| old.point_of_no_return) {
        let asked =
            if new.approve.is_some() { "people are asked before" } else { "nobody is asked" };
        let text = format!("after it there is no way back; {asked}");
        found.step(WatchKind::NewIrreversible, new, text);
    }
}

fn effect(found: &mut Found, old: Option<&Step>, new: &Step) {
    if new.uses.is_none() {
        return;
    }
    let now = new.effect.as_str();
    if let Some(old) = old.filter(|old| old.uses.is_some() && new.effect < old.effect) {
        let text = format!(
            "was {}, is {now}: when its outcome is unknown it is repeated more freely",
            old.effect.as_str()
        );
        found.step(WatchKind::LaxerEffect, new, text);
    } else if let Some(action) = new.action_effect.filter(|action| new.effect < *action)
        && old.is_none_or(|old| old.action_effect.is_none() || old.uses != new.uses)
    {
        let text = format!("its action is {}, the runbook says {now}", action.as_str());
        found.step(WatchKind::LaxerEffect, new, text);
    }
}

fn gate(found: &mut Found, old: &Step, new: Option<&Step>) {
    let Some(before) = &old.approve else { return };
    let text = match new.map(|new| &new.approve) {
        None => "a step that asked people is gone".to_owned(),
        Some(None) => "nobody is asked before it any more".to_owned(),
        Some(Some(now)) if now.approvers < before.approvers => {
            format!("{} had to approve, now {}", before.approvers, now.approvers)
        }
        Some(Some(now))
            if now.on_reject == OnReject::Skip && before.on_reject == OnReject::Fail =>
        {
            "a rejection failed it, now it passes it over".to_owned()
        }
        Some(Some(_)) => return,
    };
    found.step(WatchKind::GateLost, old, text);
}

fn guards(found: &mut Found, old: &Step, new: Option<&Step>) {
    let fails = |it: &Expectation| it.severity != Rule::Fixed(Severity::Warn);
    for before in old.expect.iter().filter(|it| fails(it)) {
        let now = new.into_iter().flat_map(|new| &new.expect).find(|now| now.that == before.that);
        let text = match now {
            Some(now) if fails(now) => continue,
            Some(_) => format!("only warns now, where it failed: `{}`", before.that.source()),
            None => format!("need not hold any more: `{}`", before.that.source()),
        };
        found.step(WatchKind::GuardLost, old, text);
    }
    let checked = |step: &Step| step.check.is_some() || step.action_checks;
    if let Some(new) = new.filter(|new| checked(old) && !checked(new) && new.uses.is_some()) {
        let text = "nothing can tell any more whether it was done".to_owned();
        found.step(WatchKind::GuardLost, new, text);
    }
}

fn policies(found: &mut Found, old: &Step, new: &Step) {
    let stops = |policy: OnFailure| match policy {
        OnFailure::Warn => 0,
        OnFailure::Continue => 1,
        _ => 2,
    };
    if stops(new.on_failure) < stops(old.on_failure) {
        let text = format!("its failure was `{}`, is `{}`", old.on_failure, new.on_failure);
        found.step(WatchKind::LaxerPolicy, new, text);
    }
    let guesses = |policy: OnUnknown| matches!(policy, OnUnknown::Retry | OnUnknown::Done);
    if guesses(new.on_unknown) && !guesses(old.on_unknown) {
        let text = format!(
            "an unknown outcome was `{}`, is `{}`: nobody is asked",
            old.on_unknown, new.on_unknown
        );
        found.step(WatchKind::LaxerPolicy, new, text);
    }
}

fn dependencies(found: &mut Found, old: &Step, new: &Step, is_there: &dyn Fn(&str) -> bool) {
    let lost: Vec<&str> = old
        .needs
        .iter()
        .filter(|id| !old.because.contains_key(*id) && !new.needs.contains(id))
        // That a step is gone is said of that step.
        .filter(|id| is_there(id.as_str()))
        .map(StepId::as_str)
        .collect();
    if !lost.is_empty() {
        let text = format!("does not need any more: {}", lost.join(", "));
        found.step(WatchKind::DependencyLost, new, text);
    }
}

fn objectives(found: &mut Found, diff: &PlanDiff) {
    let short = |ms: u64| Millis(ms).short();
    for service in &diff.services {
        let name = &service.name;
        let mut add = |kind: WatchKind, text: String| {
            found.0.push(Watch { kind, step: None, service: Some(name.clone()), text });
        };
        if service.priority.old.is_none() {
            if service.meets_rto.new == Some(false) {
                let text = format!("`{name}` is new, and its RTO is missed");
                add(WatchKind::ObjectiveMissed, text);
            }
            continue;
        }
        if service.priority.new.is_none() {
            if diff.digest.new.is_some() {
                add(WatchKind::ObjectiveRelaxed, format!("`{name}` is not recovered any more"));
            }
            continue;
        }
        if service.meets_rto.old != Some(false) && service.meets_rto.new == Some(false) {
            let text = match (service.predicted_ms.new, service.rto_ms.new) {
                (Some(predicted), Some(rto)) => {
                    format!(
                        "`{name}` recovers after {}, its RTO is {}",
                        short(predicted),
                        short(rto)
                    )
                }
                _ => format!("`{name}` misses its RTO"),
            };
            add(WatchKind::ObjectiveMissed, text);
        }
        for (what, change) in [("RTO", &service.rto_ms), ("RPO", &service.rpo_ms)] {
            match (change.old, change.new) {
                (Some(old), Some(new)) if new > old => add(
                    WatchKind::ObjectiveRelaxed,
                    format!("{what} of `{name}`: {} → {}", short(old), short(new)),
                ),
                (Some(old), None) => add(
                    WatchKind::ObjectiveRelaxed,
                    format!("{what} of `{name}`: {} → none", short(old)),
                ),
                _ => {}
            }
        }
        if let (Some(old), Some(new)) = (service.predicted_ms.old, service.predicted_ms.new)
            && new as f64 > old as f64 * SLOWER
        {
            let text = format!("`{name}` recovers after {}, was {}", short(new), short(old));
            add(WatchKind::Slower, text);
        }
    }
}
