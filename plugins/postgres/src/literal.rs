//! PostgreSQL's text form of arrays: `{1,NULL,"a b"}`.

use serde_json::Value;

/// Deeper arrays do not exist in PostgreSQL (its `MAXDIM` is 6).
const MAX_DEPTH: usize = 8;

/// Reads an array; `element` reads what is not null. None: this is not the text of an array.
pub(crate) fn parse(text: &str, element: &dyn Fn(&str) -> Value) -> Option<Value> {
    // Bounds that do not start at 1 are written before the elements.
    let body = match text.split_once("]={") {
        Some((bounds, _)) if bounds.starts_with('[') => &text[bounds.len() + 2..],
        _ => text,
    };
    let mut reader = Reader { rest: body, element };
    let value = reader.array(0)?;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
    element: &'a dyn Fn(&str) -> Value,
}

impl Reader<'_> {
    fn array(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.rest = self.rest.strip_prefix('{')?;
        let mut items = Vec::new();
        if let Some(rest) = self.rest.strip_prefix('}') {
            self.rest = rest;
            return Some(Value::Array(items));
        }
        loop {
            items.push(match self.rest.as_bytes().first()? {
                b'{' => self.array(depth + 1)?,
                b'"' => self.quoted()?,
                _ => self.bare()?,
            });
            let (separator, rest) = self.rest.split_at_checked(1)?;
            self.rest = rest;
            match separator {
                "," => {}
                "}" => return Some(Value::Array(items)),
                _ => return None,
            }
        }
    }

    fn quoted(&mut self) -> Option<Value> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        loop {
            match characters.next()? {
                (_, '\\') => text.push(characters.next()?.1),
                (end, '"') => {
                    self.rest = &self.rest[end + 1..];
                    return Some((self.element)(&text));
                }
                (_, character) => text.push(character),
            }
        }
    }

    fn bare(&mut self) -> Option<Value> {
        let end = self.rest.find([',', '}'])?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(if text == "NULL" { Value::Null } else { (self.element)(text) })
    }
}

/// Writes an array; `element` writes what is neither null nor a list, unquoted.
///
/// # Errors
/// What `element` says of an item.
pub(crate) fn write<E>(
    items: &[Value],
    element: &dyn Fn(&Value) -> Result<String, E>,
) -> Result<String, E> {
    let mut text = String::from("{");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match item {
            Value::Null => text.push_str("NULL"),
            Value::Array(inner) => text.push_str(&write(inner, element)?),
            other => {
                text.push('"');
                for character in element(other)?.chars() {
                    if matches!(character, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(character);
                }
                text.push('"');
            }
        }
    }
    text.push('}');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let text = |item: &Value| Ok::<_, ()>(item.as_str().unwrap().to_owned());
        for items in [
            json!([]),
            json!(["a", "", "NULL", "null", "a\"b\\c", "{x}", "ü,ö", null]),
            json!([["a", "b"], ["c", null]]),
        ] {
            let written = write(items.as_array().unwrap(), &text).unwrap();
            assert_eq!(parse(&written, &|element| json!(element)), Some(items), "{written}");
        }
    }

    #[test]
    fn other_text_is_no_array() {
        for text in ["", "1 2", "{", "{1", "{1,", "{\"a}", "{1}x", "[0:1]", &"{".repeat(99)] {
            assert_eq!(parse(text, &|element| json!(element)), None, "{text}");
        }
    }
}
