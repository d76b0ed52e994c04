use serde_json::Value;

use super::codes;
use crate::id::ServiceId;
use crate::plan::Service;
use crate::runbook::{DocPath, Document, PriorityDoc, Problem, nearest};
use crate::time::Millis;
use crate::words::Class;

/// The services with their objectives; predictions follow with the schedule.
pub(super) fn services(document: &Document, problems: &mut Vec<Problem>) -> Vec<Service> {
    document
        .services
        .iter()
        .map(|(name, doc)| {
            let at = DocPath(format!("services.{name}"));
            let tier = doc.tier.as_ref().and_then(|tier| {
                let found = document.tiers.get(tier);
                if found.is_none() {
                    let mut problem = Problem::error(
                        codes::TIER,
                        at.field("tier"),
                        format!("there is no tier `{tier}`"),
                    );
                    if let Some(near) = nearest(tier, document.tiers.keys().map(String::as_str)) {
                        problem = problem.with_help(format!("did you mean `{near}`?"));
                    }
                    problems.push(problem);
                }
                found
            });
            let (priority, priority_number) =
                match doc.priority.or_else(|| tier.and_then(|tier| tier.priority)) {
                    Some(PriorityDoc::Class(class)) => (class, class.number()),
                    Some(PriorityDoc::Number(number)) => (Class::of_number(number), number),
                    None => (Class::Medium, Class::Medium.number()),
                };
            let mut objective = |field: &str, own: &Option<Value>, tier: Option<&Value>| {
                let written = own.as_ref().or(tier)?;
                duration_or_minutes(written)
                    .map_err(|why| {
                        problems.push(Problem::error(codes::UNREADABLE, at.field(field), why));
                    })
                    .ok()
            };
            Service {
                name: ServiceId::from(name.as_str()),
                kind: doc.kind.clone(),
                priority,
                priority_number,
                rto_ms: objective("rto", &doc.rto, tier.and_then(|tier| tier.rto.as_ref())),
                rpo_ms: objective("rpo", &doc.rpo, tier.and_then(|tier| tier.rpo.as_ref())),
                depends_on: doc.depends_on.iter().map(|on| ServiceId::from(on.as_str())).collect(),
                validated: !doc.validation.is_empty(),
                predicted_ms: None,
                p50_ms: None,
                p90_ms: None,
                p95_ms: None,
                lower_bound_ms: None,
                bound: None,
                meets_rto: None,
            }
        })
        .collect()
}

/// `15m`, or a number of minutes.
fn duration_or_minutes(written: &Value) -> Result<u64, String> {
    const MINUTE: u64 = 60_000;
    let minutes = |minutes: u64| {
        minutes
            .checked_mul(MINUTE)
            .ok_or_else(|| format!("`{minutes}` minutes are longer than 100 years"))
    };
    match written {
        Value::Number(number) => match number.as_u64() {
            Some(whole) => minutes(whole),
            None => Err(format!("`{number}` is not a whole number of minutes: write `90s`")),
        },
        Value::String(text) => match text.trim().parse::<u64>() {
            Ok(whole) => minutes(whole),
            Err(_) => text.parse::<Millis>().map(|duration| duration.0),
        },
        other => Err(format!("`{other}` is neither a duration nor a number of minutes")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::duration_or_minutes;

    #[test]
    fn bare_numbers_are_minutes() {
        for (written, ms) in [
            (json!(15), 900_000),
            (json!("15"), 900_000),
            (json!("90s"), 90_000),
            (json!("1h30m"), 5_400_000),
            (json!(0), 0),
        ] {
            assert_eq!(duration_or_minutes(&written), Ok(ms), "{written}");
        }
        for wrong in [json!(1.5), json!(-1), json!("soon"), json!([]), json!(u64::MAX)] {
            assert!(duration_or_minutes(&wrong).is_err(), "{wrong}");
        }
    }
}
