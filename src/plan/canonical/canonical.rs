//! Canonical JSON written as it is serialized: keys sorted, no white space. The same bytes as those of
//! a value that is built first and then written with its keys in order.
//!
//! A crate of its own, compiled with more effort than the rest: what is generic here does nothing but
//! call what is not, so that little is compiled where it is used.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::Range;

use serde::ser::{self, Serialize, Serializer};
use serde_json::Error;

/// Appends the canonical JSON of a struct to `out`, without its fields in `aside`; those are left out
/// of the struct in its field `undo` as well.
///
/// # Errors
/// If a key is no text and does not become one.
pub fn write<T: Serialize + ?Sized>(
    part: &T,
    aside: &[&str],
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    part.serialize(Canonical { out, scratch, aside, depth: 0 })
}

/// The keys of smaller structs are sorted anew each time.
const LARGE: usize = 16;

/// Memory for what is put in order.
#[derive(Debug, Default)]
pub struct Scratch {
    text: Vec<u8>,
    /// The keys of the last large struct, as it was serialized, and their order.
    keys: Vec<&'static str>,
    order: Vec<usize>,
}

/// Where one value is written.
struct Canonical<'w> {
    out: &'w mut Vec<u8>,
    scratch: &'w mut Scratch,
    /// Keys that are left out of this value, if it is a struct.
    aside: &'w [&'w str],
    /// 0 for the whole.
    depth: u8,
}

impl Canonical<'_> {
    fn scalar<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        serde_json::to_writer(self.out, value)
    }

    /// The beginning of a variant that holds something: `{"name":`.
    fn open_variant(&mut self, name: &str) -> Result<(), Error> {
        self.out.push(b'{');
        serde_json::to_writer(&mut *self.out, name)?;
        self.out.push(b':');
        Ok(())
    }
}

/// Appends a text in quotes.
fn write_text(out: &mut Vec<u8>, text: &str) -> Result<(), Error> {
    // All bytes at once: a loop that ends early looks at one after the other.
    let is_special = |byte: u8| matches!(byte, 0..=0x1f | b'"' | b'\\');
    if text.bytes().fold(false, |found, byte| found | is_special(byte)) {
        return serde_json::to_writer(out, text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

/// A list that is being written.
struct List<'w> {
    out: &'w mut Vec<u8>,
    scratch: &'w mut Scratch,
    is_empty: bool,
    /// What follows the last item.
    end: &'static [u8],
}

impl<'w> List<'w> {
    fn new(place: Canonical<'w>, end: &'static [u8]) -> Self {
        let Canonical { out, scratch, .. } = place;
        out.push(b'[');
        Self { out, scratch, is_empty: true, end }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(self.place())
    }

    /// Where the next item is written.
    fn place(&mut self) -> Canonical<'_> {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
        Canonical { out: self.out, scratch: self.scratch, aside: &[], depth: 1 }
    }

    fn finish(self) {
        self.out.extend_from_slice(self.end);
    }
}

/// A key, and where `"key":value` is written.
type Entry = (Cow<'static, str>, Range<usize>);

/// A map or struct that is being written.
struct Map<'w> {
    out: &'w mut Vec<u8>,
    scratch: &'w mut Scratch,
    aside: &'w [&'w str],
    depth: u8,
    /// Where its entries begin in `out`.
    start: usize,
    entries: Vec<Entry>,
    /// The key whose value comes next.
    key: Option<String>,
    end: &'static [u8],
}

impl<'w> Map<'w> {
    fn new(place: Canonical<'w>, length: usize, end: &'static [u8]) -> Self {
        let Canonical { out, scratch, aside, depth } = place;
        out.push(b'{');
        let start = out.len();
        Self {
            out,
            scratch,
            aside,
            depth,
            start,
            entries: Vec::with_capacity(length),
            key: None,
            end,
        }
    }

    fn entry<T: Serialize + ?Sized>(
        &mut self,
        key: Cow<'static, str>,
        value: &T,
    ) -> Result<(), Error> {
        let Some(from) = self.open(&key)? else { return Ok(()) };
        value.serialize(self.place(&key))?;
        self.close(key, from);
        Ok(())
    }

    /// Writes a key, and says where its entry begins; `None` if it is left out.
    fn open(&mut self, key: &str) -> Result<Option<usize>, Error> {
        if self.is_aside(key) {
            return Ok(None);
        }
        if !self.entries.is_empty() {
            self.out.push(b',');
        }
        let from = self.out.len();
        write_text(self.out, key)?;
        self.out.push(b':');
        Ok(Some(from))
    }

    /// Where the value of a key is written.
    fn place(&mut self, key: &str) -> Canonical<'_> {
        // What takes a step back is a step within the step.
        let aside = if self.depth == 0 && key == "undo" { self.aside } else { &[] };
        Canonical { out: self.out, scratch: self.scratch, aside, depth: 1 }
    }

    /// Notes where an entry lies that began at `from`.
    fn close(&mut self, key: Cow<'static, str>, from: usize) {
        self.entries.push((key, from..self.out.len()));
    }

    /// Whether a key is left out.
    fn is_aside(&self, key: &str) -> bool {
        let same = |other: &&str| other.len() == key.len() && *other == key;
        !self.aside.is_empty() && self.aside.iter().any(same)
    }

    fn finish(self) {
        let Self { out, scratch, start, mut entries, end, .. } = self;
        if entries.len() < LARGE && entries.is_sorted_by(|one, other| one.0 <= other.0) {
            // As they were written.
            out.extend_from_slice(end);
            return;
        }
        let Scratch { text, keys, order } = scratch;
        text.clear();
        let mut add = |place: &Range<usize>| {
            if !text.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(&out[place.clone()]);
        };
        if entries.len() < LARGE {
            entries.sort_by(|one, other| one.0.cmp(&other.0));
            for (_, place) in &*entries {
                add(place);
            }
        } else {
            put_in_order(&entries, keys, order);
            for entry in &*order {
                add(&entries[*entry].1);
            }
        }
        out.truncate(start);
        out.extend_from_slice(text);
        out.extend_from_slice(end);
    }
}

/// The order of many keys. One struct after the other has the same, and then it is known already.
fn put_in_order(entries: &[Entry], keys: &mut Vec<&'static str>, order: &mut Vec<usize>) {
    let is_known = keys.len() == entries.len()
        && keys.iter().zip(entries).all(
            |(known, (key, _))| matches!(key, Cow::Borrowed(key) if std::ptr::eq(*known, *key)),
        );
    if is_known {
        return;
    }
    order.clear();
    order.extend(0..entries.len());
    order.sort_by(|one, other| entries[*one].0.cmp(&entries[*other].0));
    keys.clear();
    keys.extend(entries.iter().filter_map(|(key, _)| match key {
        Cow::Borrowed(key) => Some(*key),
        Cow::Owned(_) => None,
    }));
}

macro_rules! scalars {
    ($($method:ident: $type:ty,)*) => {
        $(fn $method(self, value: $type) -> Result<(), Error> {
            self.scalar(&value)
        })*
    };
}

impl<'w> Serializer for Canonical<'w> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'w>;
    type SerializeTuple = List<'w>;
    type SerializeTupleStruct = List<'w>;
    type SerializeTupleVariant = List<'w>;
    type SerializeMap = Map<'w>;
    type SerializeStruct = Map<'w>;
    type SerializeStructVariant = Map<'w>;

    scalars! {
        serialize_bool: bool,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f64: f64,
        serialize_char: char,
        serialize_bytes: &[u8],
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        write_text(self.out, text)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        // As a value keeps it.
        self.scalar(&f64::from(value))
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut map = Map::new(Self { aside: &[], ..self }, 1, b"}");
        map.entry(Cow::Borrowed(variant), value)?;
        map.finish();
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'w>, Error> {
        Ok(List::new(self, b"]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'w>, Error> {
        Ok(List::new(self, b"]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'w>, Error> {
        Ok(List::new(self, b"]"))
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List<'w>, Error> {
        self.open_variant(variant)?;
        Ok(List::new(self, b"]}"))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Map<'w>, Error> {
        Ok(Map::new(self, length.unwrap_or(0), b"}"))
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Map<'w>, Error> {
        Ok(Map::new(self, length, b"}"))
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Map<'w>, Error> {
        self.open_variant(variant)?;
        Ok(Map::new(Self { aside: &[], ..self }, length, b"}}"))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.serialize_str(&value.to_string())
    }
}

macro_rules! lists {
    ($($trait:ident $method:ident,)*) => {
        $(impl ser::$trait for List<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.item(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        })*
    };
}

lists! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

macro_rules! structs {
    ($($trait:ident)*) => {
        $(impl ser::$trait for Map<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.entry(Cow::Borrowed(key), value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        })*
    };
}

structs! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Map<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        // A key is a text, or becomes one as in any JSON.
        let text = match serde_json::to_value(key)? {
            serde_json::Value::String(text) => text,
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::Bool(truth) => truth.to_string(),
            _ => return Err(ser::Error::custom("a key must be a text")),
        };
        self.key = Some(text);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = self.key.take().unwrap_or_default();
        self.entry(Cow::Owned(key), value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}
