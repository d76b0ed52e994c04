//! The functions of expressions: those of the language, those of its string library, and ours.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cel::common::ast::CallExpr;
use cel::common::types::{
    CelDuration, CelInt, CelList, CelMapKey, CelString, DYN_TYPE, INT_TYPE, LIST_TYPE, STRING_TYPE,
};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError, Value};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use regex::Regex;

use super::nearest::suggestion;
use super::tree::Tree;
use super::values::{from_cel, time_to_cel, to_cel};
use super::{Path, Segment, TextError};

/// The name of the function that selects hosts.
pub(super) const LABELLED: &str = "labelled";
/// The variable that holds what it selects from: a list of `{name, labels}` in declared order.
pub(super) const HOSTS: &str = "@hosts";

type Arguments<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `f(x)`.
    Global,
    /// `x.f()`.
    Member,
    /// Either; as `f(x)` it takes one more.
    Both,
    /// Expanded when read; what is left of one is wrong.
    Macro,
}
use Style::{Both, Global, Macro, Member};

/// Name, how it is called, and how many arguments it takes, the one before the dot not counted.
const KNOWN: [(&str, Style, std::ops::RangeInclusive<usize>); 53] = [
    ("all", Macro, 2..=2),
    ("bool", Global, 1..=1),
    ("bytes", Global, 1..=1),
    ("charAt", Member, 1..=1),
    ("contains", Member, 1..=1),
    ("distinct", Global, 1..=1),
    ("double", Global, 1..=1),
    ("duration", Global, 1..=1),
    ("dyn", Global, 1..=1),
    ("endsWith", Member, 1..=1),
    ("exists", Macro, 2..=2),
    ("exists_one", Macro, 2..=2),
    ("extract", Global, 2..=2),
    ("filter", Macro, 2..=2),
    ("format", Member, 1..=1),
    ("getDate", Member, 0..=1),
    ("getDayOfMonth", Member, 0..=1),
    ("getDayOfWeek", Member, 0..=1),
    ("getDayOfYear", Member, 0..=1),
    ("getFullYear", Member, 0..=1),
    ("getHours", Member, 0..=1),
    ("getMilliseconds", Member, 0..=1),
    ("getMinutes", Member, 0..=1),
    ("getMonth", Member, 0..=1),
    ("getSeconds", Member, 0..=1),
    ("has", Macro, 1..=1),
    ("indexOf", Member, 1..=2),
    ("int", Global, 1..=1),
    ("join", Member, 0..=1),
    ("json", Global, 1..=1),
    (LABELLED, Global, 2..=2),
    ("lastIndexOf", Member, 1..=2),
    ("lines", Global, 1..=1),
    ("lowerAscii", Member, 0..=0),
    ("map", Macro, 2..=3),
    ("matches", Both, 1..=1),
    ("max", Global, 1..=2),
    ("min", Global, 1..=2),
    ("replace", Member, 2..=3),
    ("reverse", Member, 0..=0),
    ("seconds", Global, 1..=1),
    ("size", Both, 0..=0),
    ("sort", Global, 1..=1),
    ("split", Both, 1..=2),
    ("startsWith", Member, 1..=1),
    ("string", Global, 1..=1),
    ("substring", Member, 1..=2),
    ("time", Global, 2..=2),
    ("timestamp", Global, 1..=1),
    ("trim", Member, 0..=0),
    ("type", Global, 1..=1),
    ("uint", Global, 1..=1),
    ("upperAscii", Member, 0..=0),
];

/// Names of types, which expressions compare `type(x)` with.
const TYPES: [&str; 11] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// Whether a name is that of a type.
pub(super) fn is_type(path: &Path) -> bool {
    match path.0.as_slice() {
        [Segment::Field(name)] => TYPES.contains(&name.as_str()),
        _ => path.root() == "google",
    }
}

/// The functions that can be called, for completion and reference.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(name, ..)| *name)
}

/// Whether there is such a function, called in this way.
///
/// # Errors
/// An unknown function, or a known one called in another way.
pub(super) fn check(call: &CallExpr) -> Result<(), TextError> {
    let name = call.func_name.as_str();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Ok(());
    }
    let Some((_, style, arity)) = KNOWN.iter().find(|(known, ..)| *known == name) else {
        let error = TextError::new(format!("there is no function `{name}`"));
        return Err(match suggestion(name, function_names()) {
            Some(help) => error.help(help),
            None => error
                .help(format!("there are `{}`", function_names().collect::<Vec<_>>().join("`, `"))),
        });
    };
    let member = call.target.is_some();
    match (style, member) {
        (Global, true) => {
            return Err(TextError::new(format!("`{name}` is no method"))
                .help(format!("write `{name}(x)` instead of `x.{name}()`")));
        }
        (Member, false) => {
            return Err(TextError::new(format!("`{name}` is a method"))
                .help(format!("write `x.{name}(…)` instead of `{name}(x, …)`")));
        }
        _ => {}
    }
    let given = call.args.len();
    let fits = match style {
        Macro => false,
        Both if !member => given == arity.start() + 1,
        _ => arity.contains(&given),
    };
    if fits {
        return Ok(());
    }
    Err(TextError::new(match style {
        Macro => format!("`{name}` is not written like this"),
        _ => {
            format!("`{name}` does not take {given} argument{}", if given == 1 { "" } else { "s" })
        }
    })
    .help(match name {
        "has" => "`has` takes a name with a field: `has(steps.backup.outputs.size)`".to_owned(),
        "all" | "exists" | "exists_one" | "filter" | "map" => {
            format!("it is called on a list, with a name for the element: `x.{name}(e, e > 0)`")
        }
        _ if *style == Both && !member => format!("it takes {}", arity.start() + 1),
        _ if arity.start() == arity.end() => format!("it takes {}", arity.end()),
        _ => format!("it takes {} or {}", arity.start(), arity.end()),
    }))
}

/// The environment that every expression is evaluated in.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(environment()));

fn environment() -> Env {
    let mut env = Env::default().with_optional_support(false).with_stdlib();
    let declared = cel::extensions::strings(&mut env).and_then(|()| {
        env.add_overload("json", "dr_json", vec![STRING_TYPE], json)?;
        env.add_overload("lines", "dr_lines", vec![STRING_TYPE], lines)?;
        env.add_overload("split", "dr_split", vec![STRING_TYPE, STRING_TYPE], split)?;
        env.add_overload("extract", "dr_extract", vec![STRING_TYPE, STRING_TYPE], extract)?;
        env.add_overload("time", "dr_time", vec![STRING_TYPE, STRING_TYPE], time)?;
        env.add_overload("seconds", "dr_seconds_int", vec![INT_TYPE], seconds)?;
        env.add_overload("seconds", "dr_seconds", vec![DYN_TYPE], fractional_seconds)?;
        env.add_overload("max", "dr_max", vec![LIST_TYPE], max)?;
        env.add_overload("max", "dr_max_of_two", vec![DYN_TYPE, DYN_TYPE], max_of_two)?;
        env.add_overload("min", "dr_min", vec![LIST_TYPE], min)?;
        env.add_overload("min", "dr_min_of_two", vec![DYN_TYPE, DYN_TYPE], min_of_two)?;
        env.add_overload("sort", "dr_sort", vec![LIST_TYPE], sort)?;
        env.add_overload("distinct", "dr_distinct", vec![LIST_TYPE], distinct)?;
        env.add_overload(LABELLED, "dr_labelled", vec![LIST_TYPE, STRING_TYPE, DYN_TYPE], labelled)
    });
    debug_assert_eq!(declared, Ok(()), "each overload is declared once");
    env
}

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

fn texts<'b, 'v, 't>(parts: impl Iterator<Item = &'t str>) -> Answer<'b, 'v> {
    let parts: Vec<Box<dyn Val>> =
        parts.map(|part| Box::new(CelString::from(part.to_owned())) as Box<dyn Val>).collect();
    Ok(CowVal::Owned(Box::new(CelList::from(parts))))
}

fn json<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let value: serde_json::Value = serde_json::from_str(text(&arguments, 0)?)
        .map_err(|wrong| error("json", format!("not JSON: {wrong}")))?;
    Ok(CowVal::Owned(to_cel(&value, &Tree::whole())))
}

fn lines<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    texts(text(&arguments, 0)?.lines())
}

fn split<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let separator = text(&arguments, 1)?;
    if separator.is_empty() {
        return Err(error("split", "the separator is empty"));
    }
    texts(text(&arguments, 0)?.split(separator))
}

fn extract<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
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
fn time<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
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

fn seconds<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let count = arguments.first().and_then(|argument| argument.downcast_ref::<CelInt>());
    let length = count.and_then(|count| chrono::Duration::try_seconds(*count.inner()));
    length
        .map(|length| CowVal::owned(CelDuration::from(length)))
        .ok_or_else(|| error("seconds", "out of range"))
}

fn fractional_seconds<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
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

fn compare(
    function: &str,
    left: &Value,
    right: &Value,
) -> Result<std::cmp::Ordering, ExecutionError> {
    let comparable = !matches!(left, Value::Null | Value::Bool(_));
    left.partial_cmp(right)
        .filter(|_| comparable)
        .ok_or_else(|| ExecutionError::ValuesNotComparable(left.clone(), right.clone()))
        .map_err(|wrong| error(function, super::explain::execution(&wrong)))
}

/// The greatest by `sign` of the items.
fn extreme<'b, 'v>(
    function: &'static str,
    items: &[Value],
    wanted: std::cmp::Ordering,
) -> Answer<'b, 'v> {
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

fn max<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    extreme("max", &list("max", &arguments, 0)?, std::cmp::Ordering::Greater)
}

fn max_of_two<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    extreme("max", &both(&arguments)?, std::cmp::Ordering::Greater)
}

fn min<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    extreme("min", &list("min", &arguments, 0)?, std::cmp::Ordering::Less)
}

fn min_of_two<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    extreme("min", &both(&arguments)?, std::cmp::Ordering::Less)
}

fn sort<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let mut items = list("sort", &arguments, 0)?.to_vec();
    // Checked first: a sort whose comparison fails half-way has no order.
    for pair in items.windows(2) {
        compare("sort", &pair[0], &pair[1])?;
    }
    if let Some(item) = items.first() {
        compare("sort", item, item)?;
    }
    items.sort_by(|left, right| left.partial_cmp(right).unwrap_or(std::cmp::Ordering::Equal));
    owned(Value::List(Arc::new(items)))
}

fn distinct<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
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
fn labelled<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let hosts = arguments.first().and_then(|argument| argument.downcast_ref::<CelList>());
    let key = CelMapKey::String(CelString::from(text(&arguments, 1)?.to_owned()));
    let value = arguments.get(2).ok_or_else(ExecutionError::missing_argument_or_target)?;
    let selected = hosts.map(CelList::inner).unwrap_or_default().iter().filter_map(|host| {
        let host = host.downcast_ref::<cel::common::types::CelMap>()?;
        let labels = host.get(&CelMapKey::from("labels"))?;
        let labels = labels.downcast_ref::<cel::common::types::CelMap>()?;
        let carried = labels.get(&key)?.equals(value.as_ref());
        let name = host.get(&CelMapKey::from("name")).filter(|_| carried)?;
        name.downcast_ref::<CelString>().map(CelString::inner)
    });
    texts(selected)
}
