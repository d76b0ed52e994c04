use std::collections::HashMap;

use serde_json::Value;

/// What a value may be, as far as the form of a document goes.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Anything.
    Any,
    /// Any scalar: it keeps what is written.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number of at least this.
    Integer(i64),
    /// A number.
    Number,
    /// One of these words.
    Word(Vec<String>),
    /// A list of one shape.
    List(usize),
    /// A map of any keys to one shape.
    Map(usize),
    /// A map of known keys.
    Struct { fields: Fields, required: Vec<String> },
    /// One of these, told apart by whether they are scalars, lists or maps.
    Either(Vec<usize>),
}

/// The known keys of a map, each with the shape of its value.
#[derive(Debug)]
pub(crate) struct Fields(Vec<(String, usize)>);

impl Fields {
    /// All of them, as the schema lists them.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &(String, usize)> + Clone {
        self.0.iter()
    }

    /// The shape of the value of this key.
    pub(crate) fn get(&self, name: &str) -> Option<usize> {
        for (field, shape) in &self.0 {
            if field.len() == name.len() && field == name {
                return Some(*shape);
            }
        }
        None
    }
}

/// Shapes compiled from a JSON Schema; they refer to each other by index.
#[derive(Debug)]
pub(crate) struct Shapes {
    shapes: Vec<Shape>,
    /// The shape of the whole.
    pub(crate) root: usize,
}

impl Shapes {
    /// Compiles a schema. What it cannot express is [`Shape::Any`].
    pub(crate) fn compile(schema: &Value) -> Self {
        let mut shapes = Vec::new();
        let root = Compiler { schema, known: HashMap::new(), shapes: &mut shapes }.shape(schema);
        Self { shapes, root }
    }

    /// The shape with this index.
    pub(crate) fn get(&self, id: usize) -> &Shape {
        &self.shapes[id]
    }
}

struct Compiler<'s> {
    schema: &'s Value,
    known: HashMap<&'s str, usize>,
    shapes: &'s mut Vec<Shape>,
}

impl<'s> Compiler<'s> {
    fn push(&mut self, shape: Shape) -> usize {
        self.shapes.push(shape);
        self.shapes.len() - 1
    }

    fn shape(&mut self, schema: &'s Value) -> usize {
        if let Some(reference) = schema["$ref"].as_str() {
            if let Some(id) = self.known.get(reference) {
                return *id;
            }
            // Reserved first, so that a schema may contain itself.
            let id = self.push(Shape::Any);
            self.known.insert(reference, id);
            let target = reference.strip_prefix('#').and_then(|path| self.schema.pointer(path));
            if let Some(target) = target {
                let inner = self.shape(target);
                self.shapes[id] = Shape::Either(vec![inner]);
            }
            return id;
        }
        for key in ["anyOf", "oneOf"] {
            let Some(options) = schema[key].as_array() else { continue };
            let mut words = Vec::new();
            let mut inner = Vec::new();
            for option in options {
                if let Some(word) = option["const"].as_str() {
                    words.push(word.to_owned());
                } else if option["type"] != "null" {
                    inner.push(self.shape(option));
                }
            }
            if !words.is_empty() {
                inner.push(self.push(Shape::Word(words)));
            }
            return match inner[..] {
                [only] => only,
                _ => self.push(Shape::Either(inner)),
            };
        }
        if let Some(words) = schema["enum"].as_array() {
            let words = words.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            return self.push(Shape::Word(words));
        }
        let kind = match &schema["type"] {
            Value::String(kind) => Some(kind.as_str()),
            Value::Array(kinds) => {
                let mut kinds = kinds.iter().filter_map(Value::as_str).filter(|k| *k != "null");
                kinds.next().filter(|_| kinds.next().is_none())
            }
            _ => None,
        };
        let shape = match kind {
            Some("string") => Shape::Text,
            Some("boolean") => Shape::Bool,
            Some("integer") => Shape::Integer(schema["minimum"].as_i64().unwrap_or(i64::MIN)),
            Some("number") => Shape::Number,
            Some("array") => Shape::List(self.shape(&schema["items"])),
            Some("object") => match (&schema["properties"], &schema["additionalProperties"]) {
                (Value::Object(properties), Value::Bool(false)) => {
                    let fields = properties
                        .iter()
                        .map(|(name, schema)| (name.clone(), self.shape(schema)))
                        .collect();
                    let fields = Fields(fields);
                    let required = schema["required"].as_array().into_iter().flatten();
                    let required = required.filter_map(Value::as_str).map(str::to_owned).collect();
                    Shape::Struct { fields, required }
                }
                (Value::Null, inner @ Value::Object(_)) => Shape::Map(self.shape(inner)),
                (Value::Null, _) => {
                    let any = self.push(Shape::Any);
                    Shape::Map(any)
                }
                _ => Shape::Any,
            },
            _ => Shape::Any,
        };
        self.push(shape)
    }
}
