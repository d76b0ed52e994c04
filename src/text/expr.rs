use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Names, Path, TextError};

/// A decision or computed value, in the Common Expression Language. Cheap to clone; equal when the
/// sources are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expr {
    source: Arc<str>,
}

impl Expr {
    /// Reads an expression and checks its form, not its names.
    ///
    /// # Errors
    /// A syntax error, with the place inside `source`.
    pub fn parse(source: &str) -> Result<Self, TextError> {
        Ok(Self { source: source.into() })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Every name it reads.
    ///
    /// # Errors
    /// A syntax error.
    pub fn paths(&self) -> Result<Vec<Path>, TextError> {
        Ok(Vec::new())
    }

    /// Its value. Times and durations keep their type (`$time`, `$duration`).
    ///
    /// # Errors
    /// An unknown name, a type that does not fit, a failing function.
    pub fn evaluate(&self, names: &dyn Names) -> Result<Value, TextError> {
        let _ = names;
        Err(TextError::new("not evaluated"))
    }

    /// Its value, which must be a boolean: null or anything else is neither true nor false.
    ///
    /// # Errors
    /// As for [`Expr::evaluate`], or a value that is no boolean.
    pub fn decide(&self, names: &dyn Names) -> Result<bool, TextError> {
        match self.evaluate(names)? {
            Value::Bool(decision) => Ok(decision),
            other => {
                Err(TextError::new(format!("`{}` is {other}, neither true nor false", self.source)))
            }
        }
    }
}

impl JsonSchema for Expr {
    fn schema_name() -> Cow<'static, str> {
        "Expression".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A decision or value in CEL" })
    }
}
