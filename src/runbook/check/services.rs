use dr_plugin::Effect;
use serde_json::Value;

use super::actions::Call;
use super::checker::Checker;
use crate::runbook::{DocPath, ServiceDoc, ValidationCheckDoc, codes};

impl Checker<'_> {
    /// Objectives, tiers and validations of every service. Unknown services in `depends_on` and
    /// cycles among them are found with the graph.
    pub(super) fn services(&mut self) {
        let document = self.document;
        for (name, tier) in &document.tiers {
            let at = DocPath::key("tiers").field(name);
            self.objective(tier.rto.as_ref(), &at, "rto");
            self.objective(tier.rpo.as_ref(), &at, "rpo");
        }
        for (name, service) in &document.services {
            let at = DocPath::key("services").field(name);
            self.objective(service.rto.as_ref(), &at, "rto");
            self.objective(service.rpo.as_ref(), &at, "rpo");
            if let Some(tier) = &service.tier
                && !document.tiers.contains_key(tier)
            {
                let tiers = document.tiers.keys().map(String::as_str);
                self.unknown(codes::UNKNOWN_TIER, at.field("tier"), "tier", tier, tiers);
            }
            self.validations(name, service, &at);
        }
        self.least(document.parallelism, 1, || DocPath::key("parallelism"));
        for (name, pool) in &document.pools {
            self.least(Some(pool.capacity), 1, || {
                DocPath::key("pools").field(name).field("capacity")
            });
        }
    }

    fn validations(&mut self, service: &str, doc: &ServiceDoc, at: &DocPath) {
        for (index, validation) in doc.validation.iter().enumerate() {
            let at = at.field("validation").index(index);
            self.duration(validation.timeout.as_deref(), true, || at.field("timeout"));
            self.duration(validation.every.as_deref(), true, || at.field("every"));
            let share = validation.threshold.unwrap_or(1.0);
            if !(share > 0.0 && share <= 1.0) {
                self.help(
                    codes::OUT_OF_RANGE,
                    at.field("threshold"),
                    format!("{share} is no share of the checks"),
                    "write more than 0 and at most 1: `0.5` is half of them",
                );
            }
            if validation.checks.is_empty() {
                self.help(
                    codes::NO_CHECKS,
                    at.field("checks"),
                    "a validation without checks proves nothing",
                    "add a check, or remove the validation",
                );
            }
            let single = validation.checks.len() == 1;
            for (number, check) in validation.checks.iter().enumerate() {
                let at = at.field("checks").index(number);
                let id = if single {
                    format!("{service}!validation/{}", index + 1)
                } else {
                    format!("{service}!validation/{}/{}", index + 1, number + 1)
                };
                self.validation_check(check, &id, &at);
            }
        }
    }

    fn validation_check(&mut self, check: &ValidationCheckDoc, id: &str, at: &DocPath) {
        let host = check.host.as_deref();
        let call = Call { uses: &check.uses, host, inherited: None, step: None };
        let action = self.call(&call, check.with.as_ref(), at);
        if let Some(action) = action {
            let effect = check.effect.unwrap_or_else(|| action.effect_with(check.with.as_ref()));
            if !effect.is_repeatable() {
                self.help(
                    codes::NOT_PURE,
                    at.field("uses"),
                    format!(
                        "a validation is read again and again, and `{}` is {effect}",
                        check.uses
                    ),
                    format!(
                        "use a probe; if what it does here only reads, say `effect: {}`",
                        Effect::Pure
                    ),
                );
            }
        }
        self.validation_reads(check, id, at);
    }

    /// A duration, or a number of minutes.
    fn objective(&mut self, value: Option<&Value>, at: &DocPath, key: &str) {
        match value {
            None => {}
            Some(Value::Number(number))
                if number.as_u64().is_some_and(|minutes| minutes > 0 || key == "rpo") => {}
            Some(Value::Number(number)) => self.help(
                codes::OUT_OF_RANGE,
                at.field(key),
                format!("{number} is no number of minutes"),
                "write a duration such as `15m`, or a whole number of minutes",
            ),
            Some(Value::String(text)) => {
                // RPO 0 means that nothing may be lost; an RTO of nothing cannot be met.
                let minutes = text.parse::<u64>().map(|minutes| format!("{minutes}m"));
                let text = minutes.as_deref().unwrap_or(text);
                self.duration(Some(text), key == "rto", || at.field(key));
            }
            Some(other) => {
                self.help(
                    codes::BAD_DURATION,
                    at.field(key),
                    format!("{other} is not a duration"),
                    "write a duration such as `15m`, or a whole number of minutes",
                );
            }
        }
    }
}
