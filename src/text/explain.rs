//! What the evaluator says, in the words of the rest of the program.

use cel::{ExecutionError, Value};

/// A lower-case fragment about an evaluation that failed.
pub(super) fn execution(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no `{key}`"),
        ExecutionError::UndeclaredReference(name) => format!("there is no `{name}`"),
        ExecutionError::NoSuchOverload(overload) => {
            let types: Vec<&str> =
                overload.argument_types().iter().map(|name| type_name(name)).collect();
            match (operator(overload.function()), types.as_slice()) {
                (Some("!"), [only]) => format!("`!` takes a boolean, not {only}"),
                (Some(symbol), [left, right]) => {
                    format!("`{symbol}` cannot be applied to {left} and {right}")
                }
                (Some(symbol), [only]) => format!("`{symbol}` cannot be applied to {only}"),
                (_, types) => {
                    format!("`{}` cannot be applied to {}", overload.function(), listed(types))
                }
            }
        }
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("{} cannot be compared with {}", kind(left), kind(right))
        }
        ExecutionError::UnsupportedBinaryOperator(symbol, left, right) => format!(
            "`{}` cannot be applied to {} and {}",
            operator(symbol).unwrap_or(symbol),
            kind(left),
            kind(right)
        ),
        ExecutionError::FunctionError { function, message } => format!("`{function}`: {message}"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(symbol, ..) => {
            format!("the result of `{}` is out of range", operator(symbol).unwrap_or(symbol))
        }
        ExecutionError::IndexOutOfBounds(index) => match index {
            Value::Int(index) => format!("there is no element {index}"),
            _ => "there is no such element".to_owned(),
        },
        ExecutionError::UnexpectedType { got, want } => {
            format!("{} where {} is needed", type_name(got), type_name(want))
        }
        other => {
            let text = other.to_string();
            let mut letters = text.chars();
            letters
                .next()
                .map(|first| first.to_lowercase().chain(letters).collect())
                .unwrap_or_default()
        }
    }
}

fn listed(types: &[&str]) -> String {
    match types {
        [] => "nothing".to_owned(),
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        [only, ..] => (*only).to_owned(),
    }
}

/// `_-_` is `-`.
fn operator(function: &str) -> Option<&str> {
    match function {
        "_[_]" => Some("[…]"),
        "@in" => Some("in"),
        "add" => Some("+"),
        "sub" => Some("-"),
        "mul" => Some("*"),
        "div" => Some("/"),
        "rem" => Some("%"),
        "_?_:_" => Some("? :"),
        _ => {
            let symbol = function.trim_matches('_');
            let symbolic = !symbol.is_empty() && !symbol.contains(char::is_alphanumeric);
            symbolic.then_some(symbol)
        }
    }
}

fn type_name(name: &str) -> &str {
    match name {
        "bool" => "a boolean",
        "int" | "uint" => "an integer",
        "double" => "a number",
        "string" => "a text",
        "bytes" => "bytes",
        "list" => "a list",
        "map" => "a map",
        "null_type" | "null" => "null",
        "google.protobuf.Timestamp" | "timestamp" => "a time",
        "google.protobuf.Duration" | "duration" => "a duration",
        other => other,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::UInt(_) => "an integer",
        Value::Float(_) => "a number",
        Value::String(_) => "a text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Timestamp(_) => "a time",
        Value::Duration(_) => "a duration",
        _ => "something else",
    }
}
