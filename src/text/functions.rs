//! Which functions there are, and how each is called: those of the language, those of its string
//! library, and ours.

use std::sync::{Arc, LazyLock};

use cel::Env;
use cel::common::ast::CallExpr;
use cel::common::types::{DYN_TYPE, INT_TYPE, LIST_TYPE, STRING_TYPE};

use super::nearest::suggestion;
use super::{Path, Segment, TextError, library};

/// The name of the function that selects hosts.
pub(super) const LABELLED: &str = "labelled";
/// The variable that holds what it selects from: a list of `{name, labels}` in declared order.
pub(super) const HOSTS: &str = "@hosts";

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
pub(super) const TYPES: [&str; 10] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

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
        env.add_overload("json", "dr_json", vec![STRING_TYPE], library::json)?;
        env.add_overload("lines", "dr_lines", vec![STRING_TYPE], library::lines)?;
        env.add_overload("split", "dr_split", vec![STRING_TYPE, STRING_TYPE], library::split)?;
        env.add_overload(
            "extract",
            "dr_extract",
            vec![STRING_TYPE, STRING_TYPE],
            library::extract,
        )?;
        env.add_overload("time", "dr_time", vec![STRING_TYPE, STRING_TYPE], library::time)?;
        env.add_overload("seconds", "dr_seconds_int", vec![INT_TYPE], library::seconds)?;
        env.add_overload("seconds", "dr_seconds", vec![DYN_TYPE], library::fractional_seconds)?;
        env.add_overload("max", "dr_max", vec![LIST_TYPE], library::max)?;
        env.add_overload("max", "dr_max_of_two", vec![DYN_TYPE, DYN_TYPE], library::max_of_two)?;
        env.add_overload("min", "dr_min", vec![LIST_TYPE], library::min)?;
        env.add_overload("min", "dr_min_of_two", vec![DYN_TYPE, DYN_TYPE], library::min_of_two)?;
        env.add_overload("sort", "dr_sort", vec![LIST_TYPE], library::sort)?;
        env.add_overload("distinct", "dr_distinct", vec![LIST_TYPE], library::distinct)?;
        env.add_overload(
            LABELLED,
            "dr_labelled",
            vec![LIST_TYPE, STRING_TYPE, DYN_TYPE],
            library::labelled,
        )
    });
    debug_assert_eq!(declared, Ok(()), "each overload is declared once");
    env
}
