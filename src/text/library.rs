//! Our functions. The environment only calls them with arguments of the types that it declares.
#![expect(clippy::needless_pass_by_value, reason = "the evaluator hands the arguments over")]

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cel::common::types::{CelDuration, CelInt, CelList, CelMap, CelMapKey, CelString};
use cel::common::value::{CowVal, Val};
use cel::{ExecutionError, Value};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use regex::Regex;

use super::tree::Tree;
use super::values::{from_cel, time_to_cel, to_cel};

type Arguments<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn error(function: &str, message: impl ToString) -> ExecutionError {
    ExecutionError::function_error(function, message)
}

/// The text at `position`.
fn text<'a>(arguments: &'a Arguments<'_, '_>, position: usize) -> Result<&'a str, ExecutionError> {
    arguments
        .get(position)
        .and_then(|argument| argument.downcast_ref::<CelString>())
        .map(CelString::inner)
        .ok_or_else(|| error("text", "not a text"))
}

/// The list at `position`.
fn list(
    function: &str,
    arguments: &Arguments<'_, '_>,
    position: usize,
) -> Result<Arc<Vec<Value>>, ExecutionError> {
    match arguments.get(position).map(|argument| Value::try_from(argument.as_ref())) {
        Some(Ok(Value::List(items))) => Ok(items),
        _ => Err(error(function, "not a list")),
    }
}

fn owned<'b, 'v>(value: Value) -> Answer<'b, 'v> {
    Ok(CowVal::Owned(Box::<dyn Val>::try_from(value)?))
}

fn texts<'b, 'v, 't>(parts: impl Iterator<Item = &'t str>) -> CowVal<'b, 'v> {
    let parts: Vec<Box<dyn Val>> =
        parts.map(|part| Box::new(CelString::from(part.to_owned())) as Box<dyn Val>).collect();
    CowVal::Owned(Box::new(CelList::from(parts)))
}

pub(super) fn json<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let value: serde_json::Value = serde_json::from_str(text(&arguments, 0)?)
        .map_err(|wrong| error("json", format!("not JSON: {wrong}")))?;
    Ok(CowVal::Owned(to_cel(&value, &Tree::whole(), &mut false)))
}

pub(super) fn lines<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    Ok(texts(text(&arguments, 0)?.lines()))
}

pub(super) fn split<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let separator = text(&arguments, 1)?;
    if separator.is_empty() {
        return Err(error("split", "the separator is empty"));
    }
    Ok(texts(text(&arguments, 0)?.split(separator)))
}

pub(super) fn extract<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let pattern = pattern(text(&arguments, 1)?)?;
    let found = pattern.captures(text(&arguments, 0)?).and_then(|captures| {
        captures.get(usize::from(captures.len() > 1)).map(|part| part.as_str().to_owned())
    });
    owned(found.map_or(Value::Null, |found| Value::String(Arc::new(found))))
}

/// A compiled pattern: those of a run are few and asked for again and again.
fn pattern(source: &str) -> Result<Regex, ExecutionError> {
    const KEPT: usize = 256;
    static PATTERNS: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);

    let kept = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner).get(source).cloned();
    if let Some(pattern) = kept {
        return Ok(pattern);
    }
    let pattern = regex::RegexBuilder::new(source)
        .size_limit(1 << 20)
        .build()
        .map_err(|wrong| error("extract", wrong))?;
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    if patterns.len() >= KEPT {
        patterns.clear();
    }
    patterns.insert(source.to_owned(), pattern.clone());
    Ok(pattern)
}

/// Without an offset in the text, the time is in UTC; without a time of day, it is midnight.
pub(super) fn time<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let (written, format) = (text(&arguments, 0)?, text(&arguments, 1)?);
    let parsed = BrokenDownTime::parse(format, written).map_err(|wrong| error("time", wrong))?;
    let at = parsed.to_timestamp().or_else(|_| {
        parsed
            .to_datetime()
            .or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0)))
            .and_then(|local| local.to_zoned(TimeZone::UTC))
            .map(|zoned| zoned.timestamp())
    });
    Ok(CowVal::Owned(time_to_cel(at.map_err(|wrong| error("time", wrong))?)))
}

pub(super) fn seconds<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let count = arguments.first().and_then(|argument| argument.downcast_ref::<CelInt>());
    let length = count.and_then(|count| chrono::Duration::try_seconds(*count.inner()));
    length
        .map(|length| CowVal::owned(CelDuration::from(length)))
        .ok_or_else(|| error("seconds", "out of range"))
}

pub(super) fn fractional_seconds<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let count = match arguments.first().map(|argument| Value::try_from(argument.as_ref())) {
        Some(Ok(Value::Float(count))) => count,
        Some(Ok(Value::UInt(count))) => count as f64,
        _ => return Err(error("seconds", "not a number")),
    };
    // A year has about 3e7 seconds; more than that many thousand of them is no duration.
    if !count.is_finite() || count.abs() > 1e11 {
        return Err(error("seconds", "out of range"));
    }
    let length = chrono::Duration::microseconds((count * 1e6).round() as i64);
    Ok(CowVal::owned(CelDuration::from(length)))
}

fn compare(function: &str, left: &Value, right: &Value) -> Result<Ordering, ExecutionError> {
    let comparable = !matches!(left, Value::Null | Value::Bool(_));
    left.partial_cmp(right)
        .filter(|_| comparable)
        .ok_or_else(|| ExecutionError::ValuesNotComparable(left.clone(), right.clone()))
        .map_err(|wrong| error(function, super::explain::execution(&wrong)))
}

/// The greatest by `sign` of the items.
fn extreme<'b, 'v>(function: &'static str, items: &[Value], wanted: Ordering) -> Answer<'b, 'v> {
    let (first, rest) = items.split_first().ok_or_else(|| error(function, "the list is empty"))?;
    compare(function, first, first)?;
    let mut best = first;
    for item in rest {
        if compare(function, item, best)? == wanted {
            best = item;
        }
    }
    owned(best.clone())
}

fn both(arguments: &Arguments<'_, '_>) -> Result<Vec<Value>, ExecutionError> {
    arguments.iter().map(|argument| Value::try_from(argument.as_ref())).collect()
}

pub(super) fn max<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    extreme("max", &list("max", &arguments, 0)?, Ordering::Greater)
}

pub(super) fn max_of_two<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    extreme("max", &both(&arguments)?, Ordering::Greater)
}

pub(super) fn min<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    extreme("min", &list("min", &arguments, 0)?, Ordering::Less)
}

pub(super) fn min_of_two<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    extreme("min", &both(&arguments)?, Ordering::Less)
}

pub(super) fn sort<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let mut items = list("sort", &arguments, 0)?.to_vec();
    // Checked first: a sort whose comparison fails half-way has no order.
    for pair in items.windows(2) {
        compare("sort", &pair[0], &pair[1])?;
    }
    if let Some(item) = items.first() {
        compare("sort", item, item)?;
    }
    items.sort_by(|left, right| left.partial_cmp(right).unwrap_or(Ordering::Equal));
    owned(Value::List(Arc::new(items)))
}

pub(super) fn distinct<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let items = list("distinct", &arguments, 0)?;
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for item in items.iter() {
        let key = match item {
            // 1 and 1.0 are equal.
            Value::Float(float) if float.fract() == 0.0 && float.abs() < 9e15 => {
                (*float as i64).to_string()
            }
            other => from_cel(other).map_err(|wrong| error("distinct", wrong))?.to_string(),
        };
        if seen.insert(key) {
            kept.push(item.clone());
        }
    }
    owned(Value::List(Arc::new(kept)))
}

/// The names of the hosts that carry the label, in declared order.
pub(super) fn labelled<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let hosts = arguments.first().and_then(|argument| argument.downcast_ref::<CelList>());
    let key = CelMapKey::String(CelString::from(text(&arguments, 1)?.to_owned()));
    let value = arguments.get(2).ok_or_else(ExecutionError::missing_argument_or_target)?;
    let selected = hosts.map(CelList::inner).unwrap_or_default().iter().filter_map(|host| {
        let host = host.downcast_ref::<CelMap>()?;
        let labels = host.get(&CelMapKey::from("labels"))?;
        let labels = labels.downcast_ref::<CelMap>()?;
        let carried = labels.get(&key)?.equals(value.as_ref());
        let name = host.get(&CelMapKey::from("name")).filter(|_| carried)?;
        name.downcast_ref::<CelString>().map(CelString::inner)
    });
    Ok(texts(selected))
}
