use std::cell::Cell;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, U64Deserializer};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::tree::{Kind, NodeId, Tree};
use crate::runbook::written::WRITTEN;

/// A typed document straight from a tree that was read already. `None`: something in it is not
/// plain enough to be decided here, or does not fit the type; the YAML library then reads the text
/// and has the last word.
pub(crate) fn typed<'t, T: Deserialize<'t>>(tree: &'t Tree<'t>) -> Option<T> {
    let root = tree.root().filter(|_| tree.is_simple())?;
    let has_returns = tree.text().contains('\r');
    let reader = Reader { tree, has_returns, line: Cell::new((0, 1)) };
    T::deserialize(Node::new(&reader, root, None)).ok()
}

struct Reader<'t> {
    tree: &'t Tree<'t>,
    /// Whether a line may end with a carriage return.
    has_returns: bool,
    /// A byte, and the line on which it is, counted from 1.
    line: Cell<(usize, u64)>,
}

impl Reader<'_> {
    /// The line of a byte. Cheap where each byte that is asked for comes after the one before.
    fn line(&self, at: usize) -> u64 {
        let (known, line) = self.line.get();
        let (from, line) = if known <= at { (known, line) } else { (0, 1) };
        let text = self.tree.text();
        let mut breaks = text[from..at].matches('\n').count();
        if self.has_returns {
            let returns = text[from..at].match_indices('\r');
            breaks +=
                returns.filter(|(found, _)| !text[from + found + 1..].starts_with('\n')).count();
        }
        let line = line + breaks as u64;
        self.line.set((at, line));
        line
    }
}

/// Not for us to say.
#[derive(Debug)]
struct Undecided;

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("undecided")
    }
}

impl std::error::Error for Undecided {}

impl de::Error for Undecided {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// What a text without quotes is.
enum Scalar {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text,
}

/// As YAML 1.2 has it, for the forms that everybody writes.
fn plain(text: &str) -> Result<Scalar, Undecided> {
    let Some(first) = text.bytes().next() else { return Ok(Scalar::Null) };
    match first {
        b'0'..=b'9' | b'-' | b'.' | b'+' => number(text),
        b'~' if text.len() == 1 => Ok(Scalar::Null),
        b'n' | b'N' if text.eq_ignore_ascii_case("null") => Ok(Scalar::Null),
        b't' | b'T' if text.eq_ignore_ascii_case("true") => Ok(Scalar::Bool(true)),
        b'f' | b'F' if text.eq_ignore_ascii_case("false") => Ok(Scalar::Bool(false)),
        _ => Ok(Scalar::Text),
    }
}

/// A text that begins like a number.
fn number(text: &str) -> Result<Scalar, Undecided> {
    let (is_negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let bytes = rest.as_bytes();
    if is_unusual(rest) {
        return Err(Undecided);
    }
    if !matches!(bytes, [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..]) {
        return Ok(Scalar::Text);
    }
    if bytes.iter().all(u8::is_ascii_digit) && (bytes[0] != b'0' || bytes.len() == 1) {
        let whole = if is_negative {
            text.parse().map(Scalar::Signed)
        } else {
            text.parse().map(Scalar::Unsigned)
        };
        // More than 64 bits.
        return whole.map_err(|_| Undecided);
    }
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => Ok(Scalar::Float(float)),
        Ok(_) => Err(Undecided),
        Err(_) => Ok(Scalar::Text),
    }
}

/// Whether it may be a number of another base, with separators, with a plus, or none at all.
fn is_unusual(text: &str) -> bool {
    let word = text.trim_start_matches(['+', '.']);
    if word.len() != text.len() {
        let named = word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan");
        return named || text.starts_with('+');
    }
    let digits = |text: &str| text.bytes().all(|byte| byte == b'_' || byte.is_ascii_hexdigit());
    match text.as_bytes() {
        [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..] => digits(&text[2..]),
        _ => text.contains('_') && digits(text),
    }
}

#[derive(Clone, Copy)]
struct Node<'r, 't> {
    reader: &'r Reader<'t>,
    id: NodeId,
    /// The byte at which the alias stands that this is read for.
    alias: Option<usize>,
}

impl<'r, 't> Node<'r, 't> {
    /// A node, or what stands for it.
    fn new(reader: &'r Reader<'t>, id: NodeId, alias: Option<usize>) -> Self {
        let target = reader.tree.target(id);
        let own = (target != id).then(|| reader.tree.span(id).start);
        Self { reader, id: target, alias: alias.or(own) }
    }

    fn kind(&self) -> Kind {
        self.reader.tree.kind(self.id)
    }

    fn scalar(&self) -> Result<&'t str, Undecided> {
        self.reader.tree.scalar(self.id).ok_or(Undecided)
    }

    /// The text of a scalar that is not nothing.
    fn text(&self) -> Result<&'t str, Undecided> {
        let text = self.scalar()?;
        if self.kind() == Kind::Plain && matches!(plain(text), Ok(Scalar::Null)) {
            return Err(Undecided);
        }
        Ok(text)
    }

    fn items(&self) -> Items<'r, 't> {
        Items {
            reader: self.reader,
            next: self.reader.tree.first_child(self.id),
            alias: self.alias,
        }
    }

    fn is_null(&self) -> Result<bool, Undecided> {
        Ok(self.kind() == Kind::Plain && matches!(plain(self.scalar()?), Ok(Scalar::Null)))
    }

    fn whole<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Undecided> {
        match plain(self.scalar()?)? {
            Scalar::Unsigned(number) => visitor.visit_u64(number),
            Scalar::Signed(number) => visitor.visit_i64(number),
            _ => Err(Undecided),
        }
    }

    fn float<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Undecided> {
        match plain(self.scalar()?)? {
            Scalar::Unsigned(number) => visitor.visit_f64(number as f64),
            Scalar::Signed(number) => visitor.visit_f64(number as f64),
            Scalar::Float(number) => visitor.visit_f64(number),
            _ => Err(Undecided),
        }
    }
}

/// Methods that read a scalar in the same way.
macro_rules! alike {
    ($read:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Undecided> {
            self.$read(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Node<'_, 'de> {
    type Error = Undecided;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Undecided> {
        match self.kind() {
            Kind::Quoted => visitor.visit_borrowed_str(self.scalar()?),
            Kind::Plain => {
                let text = self.scalar()?;
                match plain(text)? {
                    Scalar::Null => visitor.visit_unit(),
                    Scalar::Bool(truth) => visitor.visit_bool(truth),
                    Scalar::Unsigned(number) => visitor.visit_u64(number),
                    Scalar::Signed(number) => visitor.visit_i64(number),
                    Scalar::Float(number) => visitor.visit_f64(number),
                    Scalar::Text => visitor.visit_borrowed_str(text),
                }
            }
            Kind::List => self.deserialize_seq(visitor),
            Kind::Map => self.deserialize_map(visitor),
            Kind::Alias => Err(Undecided),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Undecided> {
        visitor.visit_borrowed_str(self.text()?)
    }

    alike! { deserialize_str: deserialize_string deserialize_identifier }
    alike! { whole:
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }
    alike! { float: deserialize_f32 deserialize_f64 }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Undecided> {
        match plain(self.scalar()?)? {
            Scalar::Bool(truth) => visitor.visit_bool(truth),
            _ => Err(Undecided),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Undecided> {
        match self.kind() {
            Kind::Plain if self.is_null()? => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Undecided> {
        if name == WRITTEN {
            let at = self.alias.unwrap_or_else(|| self.reader.tree.span(self.id).start);
            return visitor
                .visit_seq(WithLine { text: Some(self.text()?), line: self.reader.line(at) });
        }
        // The library's own wrappers want more than a tree has.
        if name.starts_with("__") { Err(Undecided) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Undecided> {
        match self.kind() {
            Kind::List => visitor.visit_seq(self.items()),
            _ => Err(Undecided),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Undecided> {
        match self.kind() {
            Kind::Map => visitor.visit_map(self.items()),
            _ => Err(Undecided),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Undecided> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Undecided> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.text()?))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Undecided> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct
    }
}

/// Items of a list, or keys and values of a map.
struct Items<'r, 't> {
    reader: &'r Reader<'t>,
    next: Option<NodeId>,
    alias: Option<usize>,
}

impl<'r, 't> Items<'r, 't> {
    fn take(&mut self) -> Option<Node<'r, 't>> {
        let id = self.next?;
        self.next = self.reader.tree.next_sibling(id);
        Some(Node::new(self.reader, id, self.alias))
    }
}

impl<'t> SeqAccess<'t> for Items<'_, 't> {
    type Error = Undecided;

    fn next_element_seed<T: DeserializeSeed<'t>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Undecided> {
        self.take().map(|node| seed.deserialize(node)).transpose()
    }
}

impl<'t> MapAccess<'t> for Items<'_, 't> {
    type Error = Undecided;

    fn next_key_seed<K: DeserializeSeed<'t>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Undecided> {
        self.take().map(|node| seed.deserialize(node)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Undecided> {
        seed.deserialize(self.take().ok_or(Undecided)?)
    }
}

/// A text, then its line.
struct WithLine<'t> {
    text: Option<&'t str>,
    line: u64,
}

impl<'t> SeqAccess<'t> for WithLine<'t> {
    type Error = Undecided;

    fn next_element_seed<T: DeserializeSeed<'t>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Undecided> {
        match self.text.take() {
            Some(text) => seed.deserialize(BorrowedStrDeserializer::new(text)).map(Some),
            None => seed.deserialize(U64Deserializer::new(self.line)).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::runbook::Written;

    /// What the library reads, as the loader asks it to.
    fn by_library<T: de::DeserializeOwned + fmt::Debug>(text: &str) -> Result<String, String> {
        let options = serde_yaml::options! {
            strict_booleans: true, reject_unsupported_tags: true, with_snippet: false,
        };
        serde_yaml::from_str_with_options::<T>(text, options)
            .map(|value| format!("{value:?}"))
            .map_err(|error| error.to_string())
    }

    fn by_tree<T: de::DeserializeOwned + fmt::Debug>(text: &str) -> Option<String> {
        let tree = Tree::parse(text).ok()?;
        typed::<T>(&tree).map(|value| format!("{value:?}"))
    }

    #[test]
    fn scalars_are_what_the_library_says() {
        for decided in [
            "0",
            "-0",
            "12",
            "-7",
            "007",
            "-01",
            "1.5",
            "-1.5e3",
            ".5",
            "1e400x",
            "0.10",
            "15m",
            "60s",
            "10.0.0.1",
            "2026-01-01T00:00:00Z",
            "-l",
            "--all",
            "--",
            ".",
            "..",
            ".bashrc",
            ".info",
            "~",
            "~/x",
            "null",
            "Null",
            "NULL",
            "nullx",
            "true",
            "True",
            "TRUE",
            "false",
            "yes",
            "on",
            "n",
            "inf",
            "nan",
            "infinity",
            "1_items",
            "0xyz",
            "a b",
            "é",
            "'0'",
            "\"\\u00e9\"",
            "''",
            "'null'",
            "18446744073709551615",
            "-9223372036854775808",
            "[1, a, [b]]",
            "{a: {b: 1}, c: []}",
            "|\n  two\n  lines\n",
            ">-\n  folded\n  line",
        ] {
            let text = format!("v: {decided}\n");
            let expected = by_library::<Value>(&text).expect(decided);
            assert_eq!(by_tree::<Value>(&text).as_ref(), Some(&expected), "{decided}");
        }
        for undecided in ["0x1f", "1_000", "+5", "+.5", ".inf", "-.INF", ".nan", "1e999", "!!str 1"]
        {
            assert_eq!(by_tree::<Value>(&format!("v: {undecided}\n")), None, "{undecided}");
        }
        for simple in ["a: &x 1\nb: *x\n", "a: &x [1, {b: &y 2}]\nc: {d: *x, e: *y, f: *x}\n"] {
            let expected = by_library::<Value>(simple).expect(simple);
            assert_eq!(by_tree::<Value>(simple), Some(expected));
        }
        for other in ["<<: {a: 1}\nb: 2\n", "a: &x 1\nb: &y [*x]\nc: *y\n", "a: &x [*x]\n"] {
            assert_eq!(by_tree::<Value>(other), None, "{other}");
        }
    }

    #[test]
    fn lines_are_what_the_library_says() {
        for text in
            ["a: &x\n  - x\n  - y\nb: [z]\nc:\n  *x\nd: [w]\n", "a: [&x x]\nb:\n  - y\n  - *x\n"]
        {
            type Several = std::collections::BTreeMap<String, Vec<Written>>;
            let found = by_tree::<Several>(text).ok_or("undecided".to_owned());
            assert_eq!(found, by_library::<Several>(text), "{text:?}");
        }
        for text in [
            "a: x\nb: y\n",
            "\r\na: x\r\n\r\nb: 'y'\r\n",
            "a: x\rb: \"y\\\n  z\"\r\r\nc: |\n  one\n  two\nd: e\n",
            "# é\n\n{ a: x,\n  b: y\n z, c: w }\n",
            "a: &x x\nb: y\nc: *x\n",
        ] {
            let expected = by_library::<std::collections::BTreeMap<String, Written>>(text);
            let found = by_tree::<std::collections::BTreeMap<String, Written>>(text);
            assert_eq!(found.ok_or("undecided".to_owned()), expected, "{text:?}");
        }
    }

    #[test]
    fn runbooks_are_what_the_library_says() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks");
        let mut read = 0;
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
            let expected = by_library::<crate::runbook::Document>(&text);
            let (Ok(expected), true) =
                (expected, Tree::parse(&text).is_ok_and(|it| it.is_simple()))
            else {
                continue;
            };
            read += 1;
            let found = by_tree::<crate::runbook::Document>(&text);
            assert_eq!(found, Some(expected), "{}", entry.path().display());
        }
        assert!(read > 3, "{read}");
    }

    type Numbers<T> = std::collections::BTreeMap<String, Option<T>>;

    proptest::proptest! {
        #[test]
        fn nothing_is_read_otherwise_than_by_the_library(
            scalar in "[-+.]{0,2}[0-9xXobBeE_a-fnNiIuUlLtT~. ]{0,10}",
            in_a_list in proptest::bool::ANY,
        ) {
            let text = if in_a_list { format!("v: [{scalar}, x]\n") } else { format!("v: {scalar}\n") };
            if let Some(found) = by_tree::<Value>(&text) {
                proptest::prop_assert_eq!(Ok(found), by_library::<Value>(&text));
            }
            let number = format!("v: {scalar}\n");
            if let Some(found) = by_tree::<Numbers<u32>>(&number) {
                proptest::prop_assert_eq!(Ok(found), by_library::<Numbers<u32>>(&number));
            }
            if let Some(found) = by_tree::<Numbers<f64>>(&number) {
                proptest::prop_assert_eq!(Ok(found), by_library::<Numbers<f64>>(&number));
            }
            if let Some(found) = by_tree::<Numbers<bool>>(&number) {
                proptest::prop_assert_eq!(Ok(found), by_library::<Numbers<bool>>(&number));
            }
            if let Some(found) = by_tree::<Numbers<String>>(&number) {
                proptest::prop_assert_eq!(Ok(found), by_library::<Numbers<String>>(&number));
            }
        }
    }
}
