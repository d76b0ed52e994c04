use super::checker::Checker;
use crate::runbook::{DocPath, StepDoc, codes};
use crate::time::Millis;

impl Checker<'_> {
    /// Durations and numbers of a step.
    pub(super) fn step_numbers(&mut self, index: usize, step: &StepDoc, at: &DocPath) {
        self.duration(step.timeout.as_deref(), true, || at.field("timeout"));
        self.duration(step.estimate.as_deref(), false, || at.field("estimate"));
        if let Some(retry) = &step.retry {
            let at = at.field("retry");
            self.least(retry.attempts, 1, || at.field("attempts"));
            self.duration(retry.backoff.as_deref(), false, || at.field("backoff"));
            self.duration(retry.max_backoff.as_deref(), false, || at.field("max_backoff"));
        }
        if let Some(repeat) = &step.repeat {
            let at = at.field("repeat");
            self.duration(repeat.every.as_deref(), true, || at.field("every"));
            self.duration(repeat.timeout.as_deref(), true, || at.field("timeout"));
            self.least(repeat.stable, 1, || at.field("stable"));
            self.least(repeat.at_least, 1, || at.field("at_least"));
            let least = repeat.stable.unwrap_or(1).max(repeat.at_least.unwrap_or(1));
            self.least(repeat.at_most, least, || at.field("at_most"));
        }
        if let Some(check) = &step.check {
            self.duration(check.timeout.as_deref(), true, || at.field("check").field("timeout"));
        }
        if let Some(sleep) = &step.sleep {
            self.duration(Some(&sleep.lasts), true, || at.field("sleep").field("for"));
            if let Some(since) = &sleep.since {
                self.since(index, since, &at.field("sleep").field("since"));
            }
        }
        if let Some(approve) = &step.approve {
            let at = at.field("approve");
            self.duration(approve.timeout.as_deref(), true, || at.field("timeout"));
            self.duration(approve.remind.as_deref(), true, || at.field("remind"));
            self.least(approve.approvers, 1, || at.field("approvers"));
            self.gate(approve, &step.outputs, &at);
        }
        for (pool, units) in &step.takes {
            let at = || at.field("takes").field(pool);
            match self.document.pools.get(pool) {
                None => {
                    let pools = self.document.pools.keys().map(String::as_str);
                    self.unknown(codes::UNKNOWN_POOL, at(), "pool", pool, pools);
                }
                Some(_) => self.least(Some(*units), 1, at),
            }
        }
    }

    /// The step that a wait is counted from.
    fn since(&mut self, index: usize, since: &str, at: &DocPath) {
        let group = self.outline.get(index).parent.map(|group| group as usize);
        let id = self.outline.id(index);
        let Some(named) = self.outline.named(since, group) else {
            let steps = self.outline.names(group);
            self.unknown(codes::UNKNOWN_STEP, at.clone(), "step", since, steps);
            return;
        };
        if !self.waits(self.outline.id(named).as_str(), id.as_str()) {
            self.help(
                codes::NOT_AN_ANCESTOR,
                at.clone(),
                format!("`{id}` does not wait for `{since}`, whose end it counts from"),
                format!("add `{since}` to its `needs` or `after`"),
            );
        }
    }

    /// A duration; `positive` if nothing at all would make no sense.
    pub(super) fn duration(
        &mut self,
        text: Option<&str>,
        positive: bool,
        at: impl FnOnce() -> DocPath,
    ) -> Option<Millis> {
        match text?.parse::<Millis>() {
            Ok(Millis(0)) if positive => {
                self.help(
                    codes::OUT_OF_RANGE,
                    at(),
                    "this must be longer than nothing",
                    "leave it out, or write a duration such as `30s`",
                );
                None
            }
            Ok(duration) => Some(duration),
            Err(reason) => {
                let number = text.is_some_and(|text| text.parse::<u64>().is_ok());
                let help = if number {
                    format!("add a unit: `{0}s`, `{0}m`", text.unwrap_or_default())
                } else {
                    "units are ms, s, m, h and d".to_owned()
                };
                self.help(codes::BAD_DURATION, at(), reason, help);
                None
            }
        }
    }

    /// A number with a least value.
    pub(super) fn least(&mut self, number: Option<u32>, least: u32, at: impl FnOnce() -> DocPath) {
        if let Some(number) = number.filter(|number| *number < least) {
            self.help(
                codes::OUT_OF_RANGE,
                at(),
                format!("{number} is too small"),
                format!("write at least {least}"),
            );
        }
    }
}
