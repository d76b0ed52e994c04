use dr_plugin::Effect;

use super::compare::{is_join, steps};
use super::model::{PlanDiff, Watch, WatchKind};
use super::waits::Waits;
use crate::plan::{Expectation, OnReject, Plan, Rule, Step, undone_by};
use crate::time::Millis;
use crate::words::{Class, OnFailure, OnUnknown, Severity};

/// A recovery is slower if its prediction grows by more than this share.
const SLOWER: f64 = 1.05;

/// What a reviewer should look at, most serious first.
pub(super) fn watch(diff: &PlanDiff, old: Option<&Plan>, new: Option<&Plan>) -> Vec<Watch> {
    let mut found = Found(Vec::new());
    let (olds, news) = (Waits::of(old), Waits::of(new));
    for step in new.iter().flat_map(|plan| steps(plan)).filter(|step| step.skip.is_none()) {
        let before = olds.step(step.id.as_str());
        irreversible(&mut found, before, step, old.is_some());
        effect(&mut found, before, step);
        if let Some(before) = before {
            undo(&mut found, before, step);
            gate(&mut found, before, Some(step));
            guards(&mut found, before, Some(step));
            policies(&mut found, before, step);
            limits(&mut found, before, step);
            dependencies(&mut found, before, &olds, &news);
        }
    }
    for step in old.iter().flat_map(|plan| steps(plan)).filter(|step| step.skip.is_none()) {
        if news.step(step.id.as_str()).is_none() && new.is_some() {
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

fn irreversible(found: &mut Found, old: Option<&Step>, new: &Step, compared: bool) {
    if new.point_of_no_return && !old.is_some_and(|old| old.point_of_no_return) {
        let asked =
            if new.approve.is_some() { "people are asked before" } else { "nobody is asked" };
        let text = format!("after it there is no way back; {asked}");
        found.step(WatchKind::NewIrreversible, new, text);
    } else if compared && old.is_none() && is_final(new) {
        let text = "is new and done at most once; nothing takes it back or tells whether it was \
                    done";
        found.step(WatchKind::NewIrreversible, new, text.to_owned());
    }
}

/// Whether what the step does stays done, and nobody but a person can tell that it was.
fn is_final(step: &Step) -> bool {
    step.uses.is_some()
        && step.effect == Effect::Once
        && step.undo.is_none()
        && step.check.is_none()
        && !step.action_checks
        && undone_by(step.id.as_str()).is_none()
}

fn undo(found: &mut Found, old: &Step, new: &Step) {
    if let Some(undo) = old.undo.as_ref().filter(|_| new.undo.is_none()) {
        let text = format!("was taken back {}, now by nothing", undo.undo_method());
        found.step(WatchKind::UndoLost, new, text);
    }
}

fn limits(found: &mut Found, old: &Step, new: &Step) {
    let readings = |step: &Step| step.repeat.as_ref().and_then(|repeat| repeat.timeout_ms);
    for (what, old, now) in [
        ("an attempt", old.timeout_ms, new.timeout_ms),
        ("its repetition", readings(old), readings(new)),
    ] {
        if let (Some(old), None) = (old, now) {
            let text = format!("{what} ended after {}, now has no limit", Millis(old).short());
            found.step(WatchKind::LimitLost, new, text);
        }
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

/// Edges count whether the runbook names them or they follow from a service, an order or a group:
/// they protect the same. That a step is gone is said of that step.
fn dependencies(found: &mut Found, old: &Step, olds: &Waits<'_>, news: &Waits<'_>) {
    if is_join(old) && old.opens.is_none() {
        return;
    }
    let (mut lost, mut over, mut weaker) = (Vec::new(), Vec::new(), Vec::new());
    for wait in olds.only_here(old, news) {
        let id = wait.on.id.as_str();
        match (wait.needs, news.awaits(old.id.as_str(), id)) {
            (true, true) => weaker.push(id),
            (true, false) => lost.push(id),
            (false, _) => over.push(id),
        }
    }
    // What a group waits for, its beginning does.
    let shown = old.opens.as_ref().and_then(|group| olds.step(group.as_str())).unwrap_or(old);
    for (words, ids) in [
        ("does not need any more", lost),
        ("does not wait any more for", over),
        ("waits only for the end, not for the success any more, of", weaker),
    ] {
        if !ids.is_empty() {
            let text = format!("{words}: {}", ids.join(", "));
            found.step(WatchKind::DependencyLost, shown, text);
        }
    }
}

fn class(word: Option<&String>) -> Option<Class> {
    word.and_then(|word| word.parse().ok())
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
        if let (Some(old), Some(new)) =
            (class(service.priority.old.as_ref()), class(service.priority.new.as_ref()))
            && new > old
        {
            let text = format!("priority of `{name}`: {old} → {new}");
            add(WatchKind::ObjectiveRelaxed, text);
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
