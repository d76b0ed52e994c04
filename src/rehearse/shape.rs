use indexmap::IndexMap;
use serde_json::{Map, Value};

/// A result under construction: some of its parts are fixed, some may be chosen.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// It is this.
    Fixed(Value),
    /// It may be chosen: the number of the choice.
    Slot(usize),
    /// A map of such parts.
    Map(IndexMap<String, Shape>),
    /// A list of such parts.
    List(Vec<Shape>),
    /// Several of such items, put together in this way; how many may be chosen: the number of the
    /// choice.
    Repeat(Box<Shape>, usize, Join),
    /// A text, one part a line.
    Lines(Vec<Shape>),
    /// A text of parts with a separator between them.
    Split(String, Vec<Shape>),
    /// A text that is JSON.
    Json(Box<Shape>),
}

/// How items are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Join {
    /// To a list.
    List,
    /// To a text, each on a line.
    Lines,
    /// To a text, with this between them.
    Split(String),
}

/// A step on the way from a result to one of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Field(String),
    Index(usize),
    Line(usize),
    Piece(String, usize),
    Json,
}

/// What stands where nothing else is asked for.
const FILLER: &str = "simulated";
/// Lists, lines and pieces are not made longer than this to reach one of them.
const LONGEST: usize = 64;

impl Shape {
    /// Plausible data of a JSON Schema: every property, one item in every list.
    pub(super) fn of_schema(schema: &Value, depth: u32) -> Self {
        let fixed = Self::Fixed;
        if let Some(value) = ["const", "default"].iter().find_map(|key| schema.get(key)) {
            return fixed(value.clone());
        }
        if let Some(first) = list_of(schema, "enum").or_else(|| list_of(schema, "examples")) {
            return fixed(first.clone());
        }
        let alternatives = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(key)?.as_array());
        if let Some(branch) = alternatives.and_then(|all| all.iter().find(|it| !is_null(it))) {
            return Self::of_schema(branch, depth);
        }
        let kind = match schema.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(Value::Array(kinds)) => {
                kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("")
            }
            _ => "",
        };
        match kind {
            "object" if depth > 0 => {
                let properties = schema.get("properties").and_then(Value::as_object);
                let members = properties.into_iter().flatten();
                Self::Map(
                    members.map(|(name, it)| (name.clone(), of_member(name, it, depth))).collect(),
                )
            }
            "object" => Self::Map(IndexMap::new()),
            "array" if depth > 0 => {
                let item = schema.get("items").map(|items| Self::of_schema(items, depth - 1));
                Self::List(item.into_iter().collect())
            }
            "array" => Self::List(Vec::new()),
            "integer" | "number" => fixed(
                schema
                    .get("minimum")
                    .filter(|it| it.as_f64() > Some(1.0))
                    .cloned()
                    .unwrap_or_else(|| 1.into()),
            ),
            "boolean" => fixed(false.into()),
            "string" | "" => fixed(FILLER.into()),
            _ => fixed(Value::Null),
        }
    }

    /// The part at the end of `path`; what is not there is made, what is of another kind replaced.
    pub(super) fn reach(&mut self, path: &[Part]) -> Option<&mut Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        if let (Self::Repeat(..), Part::Index(_) | Part::Line(_) | Part::Piece(..)) =
            (&*self, first)
        {
            let Self::Repeat(item, ..) = self else { return None };
            return item.reach(rest);
        }
        let filler = || Self::Fixed(FILLER.into());
        let next = match first {
            Part::Field(name) => {
                if !matches!(self, Self::Map(_)) {
                    *self = Self::Map(self.members().unwrap_or_default());
                }
                let Self::Map(members) = self else { return None };
                members.entry(name.clone()).or_insert_with(filler)
            }
            Part::Index(index) => {
                if !matches!(self, Self::List(_)) {
                    *self = Self::List(Vec::new());
                }
                let Self::List(items) = self else { return None };
                let like = items.first().cloned().unwrap_or_else(filler);
                fill(items, *index, || like.clone())?
            }
            Part::Line(index) => {
                if !matches!(self, Self::Lines(_)) {
                    *self = Self::Lines(Vec::new());
                }
                let Self::Lines(lines) = self else { return None };
                fill(lines, *index, filler)?
            }
            Part::Piece(separator, index) => {
                if !matches!(self, Self::Split(known, _) if known == separator) {
                    *self = Self::Split(separator.clone(), Vec::new());
                }
                let Self::Split(_, pieces) = self else { return None };
                fill(pieces, *index, filler)?
            }
            Part::Json => {
                if !matches!(self, Self::Json(_)) {
                    *self = Self::Json(Box::new(Self::Map(IndexMap::new())));
                }
                let Self::Json(inner) = self else { return None };
                &mut **inner
            }
        };
        next.reach(rest)
    }

    fn members(&self) -> Option<IndexMap<String, Self>> {
        let Self::Fixed(Value::Object(map)) = self else { return None };
        Some(map.iter().map(|(key, value)| (key.clone(), Self::Fixed(value.clone()))).collect())
    }

    /// The data, with a value for every choice.
    pub(super) fn value(&self, chosen: &[Value]) -> Value {
        let texts = |parts: &[Self]| -> Vec<String> {
            parts.iter().map(|part| text(&part.value(chosen))).collect()
        };
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Slot(slot) => chosen.get(*slot).cloned().unwrap_or_default(),
            Self::Map(members) => {
                let members = members.iter().map(|(key, it)| (key.clone(), it.value(chosen)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            Self::List(items) => items.iter().map(|item| item.value(chosen)).collect(),
            Self::Repeat(item, slot, join) => {
                let count = chosen.get(*slot).and_then(Value::as_u64).unwrap_or(0) as usize;
                let items = vec![item.value(chosen); count.min(LONGEST)];
                let texts = || items.iter().map(text).collect::<Vec<_>>();
                match join {
                    Join::List => Value::from(items),
                    Join::Lines => Value::String(
                        texts().iter().flat_map(|line| [line.as_str(), "\n"]).collect(),
                    ),
                    Join::Split(separator) => Value::String(texts().join(separator)),
                }
            }
            Self::Lines(lines) => Value::String(texts(lines).join("\n") + "\n"),
            Self::Split(separator, pieces) => Value::String(texts(pieces).join(separator)),
            Self::Json(inner) => Value::String(inner.value(chosen).to_string()),
        }
    }
}

/// What a number says is often in its name.
fn of_member(name: &str, schema: &Value, depth: u32) -> Shape {
    let shape = Shape::of_schema(schema, depth - 1);
    let number = |value: u32| Shape::Fixed(value.into());
    match (name, &shape) {
        ("exit_code" | "code", Shape::Fixed(Value::Number(_))) => number(0),
        ("status" | "status_code", Shape::Fixed(Value::Number(_))) => number(200),
        _ => shape,
    }
}

fn list_of<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    schema.get(key)?.as_array()?.iter().find(|value| !value.is_null())
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn fill(parts: &mut Vec<Shape>, index: usize, filler: impl Fn() -> Shape) -> Option<&mut Shape> {
    if index >= LONGEST {
        return None;
    }
    while parts.len() <= index {
        parts.push(filler());
    }
    parts.get_mut(index)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_give_plausible_data() {
        let schema = json!({
            "type": "object",
            "properties": {
                "exit_code": { "type": "integer" },
                "stdout": { "type": "string" },
                "state": { "enum": ["ready", "failed"] },
                "rows": { "type": "array", "items": { "type": "object", "additionalProperties": true } },
                "note": { "type": ["null", "boolean"] },
            },
        });
        assert_eq!(
            Shape::of_schema(&schema, 4).value(&[]),
            json!({ "exit_code": 0, "stdout": "simulated", "state": "ready", "rows": [{}], "note": false })
        );
    }

    #[test]
    fn parts_are_made_on_the_way() {
        let mut shape = Shape::of_schema(&json!({ "type": "object" }), 4);
        for (path, slot) in [
            (vec![Part::Field("out".into()), Part::Line(1), Part::Piece(" ".into(), 0)], 0),
            (vec![Part::Field("rows".into()), Part::Index(1), Part::Field("n".into())], 1),
            (vec![Part::Field("body".into()), Part::Json, Part::Field("id".into())], 2),
        ] {
            *shape.reach(&path).expect("a part") = Shape::Slot(slot);
        }
        assert_eq!(
            shape.value(&[json!("sum"), json!(7), json!("x")]),
            json!({ "out": "simulated\nsum\n", "rows": ["simulated", { "n": 7 }], "body": "{\"id\":\"x\"}" })
        );
        let item = Box::new(Shape::Fixed("x".into()));
        let lines = Shape::Repeat(item, 0, Join::Lines);
        assert_eq!(lines.value(&[json!(2)]), json!("x\nx\n"));
        assert!(shape.reach(&[Part::Field("rows".into()), Part::Index(1_000_000)]).is_none());
    }
}
