use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde_yaml::Spanned;

/// Asks a reader of documents for a text and its line, as a list of the two.
pub(crate) const WRITTEN: &str = "dr::Written";

/// A name, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The name.
    pub value: String,
    /// The line of the file, from 1; 0 if it does not come from a file.
    pub line: u64,
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Written;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Written, D::Error> {
                let Spanned { value, referenced, .. } = Spanned::deserialize(deserializer)?;
                Ok(Written { value, line: referenced.line() })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Written, A::Error> {
                let (value, line) = (parts.next_element()?, parts.next_element()?);
                let (Some(value), Some(line)) = (value, line) else {
                    return Err(de::Error::invalid_length(0, &self));
                };
                Ok(Written { value, line })
            }
        }
        deserializer.deserialize_newtype_struct(WRITTEN, Read)
    }
}
