use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use cel::common::value::Val;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::functions::{ENVIRONMENT, HOSTS};
use super::names::{MEMBERED, resolve};
use super::syntax::{Compiled, compile};
use super::tree::Tree;
use super::values::{from_cel, map_to_cel, to_cel};
use super::{Names, Path, Read, Segment, TextError, explain};

/// A decision or computed value, in the Common Expression Language. Cheap to clone; equal when the
/// sources are equal.
#[derive(Debug, Clone)]
pub struct Expr {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    source: Box<str>,
    compiled: OnceLock<Result<Compiled, TextError>>,
}

impl Expr {
    /// Reads an expression and checks its form and its functions, not its names.
    ///
    /// # Errors
    /// A syntax error or an unknown function, with the place inside `source`.
    pub fn parse(source: &str) -> Result<Self, TextError> {
        let expression = Self::unchecked(source);
        expression.compiled()?;
        Ok(expression)
    }

    fn unchecked(source: &str) -> Self {
        Self { inner: Arc::new(Inner { source: source.into(), compiled: OnceLock::new() }) }
    }

    fn compiled(&self) -> Result<&Compiled, TextError> {
        let compiled = self.inner.compiled.get_or_init(|| compile(&self.inner.source));
        compiled.as_ref().map_err(Clone::clone)
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// Every place where it reads a name, in no particular order.
    ///
    /// # Errors
    /// A syntax error.
    pub fn reads(&self) -> Result<&[Read], TextError> {
        Ok(&self.compiled()?.reads)
    }

    /// Every name it reads, each once.
    ///
    /// # Errors
    /// A syntax error.
    pub fn paths(&self) -> Result<Vec<Path>, TextError> {
        let mut paths: Vec<Path> = self.reads()?.iter().map(|read| read.path.clone()).collect();
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// The names that it asks for by `has(…)`.
    ///
    /// # Errors
    /// A syntax error.
    pub fn guarded_paths(&self) -> Result<&[Path], TextError> {
        Ok(&self.compiled()?.guards)
    }

    /// Its value. Times and durations keep their type (`$time`, `$duration`; the latter in whole
    /// milliseconds).
    ///
    /// # Errors
    /// An unknown name, a type that does not fit, a failing function, a value that held a secret
    /// and is known in its masked form only.
    pub fn evaluate(&self, names: &dyn Names) -> Result<Value, TextError> {
        let compiled = self.compiled()?;
        let mut context = cel::Context::with_env(Arc::clone(&ENVIRONMENT));
        let mut masked = false;
        for (root, value) in variables(&compiled.wanted, names, &mut masked) {
            context.add_variable_as_val(root, value);
        }
        if masked {
            return Err(masked_read(&compiled.reads, names));
        }
        let value = cel::Value::resolve(&compiled.tree, &context)
            .map_err(|error| explained(&error, &compiled.reads, names))?;
        from_cel(&value).map_err(TextError::new)
    }

    /// Its value, which must be a boolean: null or anything else is neither true nor false.
    ///
    /// # Errors
    /// As for [`Expr::evaluate`], or a value that is no boolean.
    pub fn decide(&self, names: &dyn Names) -> Result<bool, TextError> {
        match self.evaluate(names)? {
            Value::Bool(decision) => Ok(decision),
            other => Err(TextError::new(format!(
                "`{}` is {}, neither true nor false",
                self.source(),
                super::values::kind(&other)
            ))),
        }
    }
}

/// The roots that an expression reads, with only those parts of them that it names.
/// `masked` tells whether one of them is known in its masked form only.
fn variables(wanted: &Tree, names: &dyn Names, masked: &mut bool) -> Vec<(String, Box<dyn Val>)> {
    let mut variables = Vec::new();
    for (root, tree) in wanted.fields() {
        let by_member = MEMBERED.contains(&root) && !tree.is_whole() && !tree.has_indexes();
        if by_member {
            let mut members = Vec::new();
            for (member, tree) in tree.fields() {
                names.lend(root, Some(member), &mut |value| {
                    members.push((member.to_owned(), to_cel(value, tree, masked)));
                });
            }
            variables.push((root.to_owned(), map_to_cel(members)));
        } else {
            names.lend(root, None, &mut |value| {
                if root == "hosts" {
                    variables.push((HOSTS.to_owned(), labels(value)));
                }
                variables.push((root.to_owned(), to_cel(value, tree, masked)));
            });
        }
    }
    variables
}

/// Names and labels of all hosts as a list, which keeps their order.
fn labels(hosts: &Value) -> Box<dyn Val> {
    let hosts = hosts.as_object().into_iter().flatten().map(|(name, host)| {
        let labels = host.get("labels").cloned().unwrap_or_default();
        serde_json::json!({ "name": name, "labels": labels })
    });
    to_cel(&Value::Array(hosts.collect()), &Tree::whole(), &mut false)
}

/// Which of `reads` is known in its masked form only.
fn masked_read(reads: &[Read], names: &dyn Names) -> TextError {
    let told = reads.iter().find_map(|read| {
        let known = read.path.0.iter().take_while(|part| **part != Segment::Dynamic);
        let error = resolve(names, &Path(known.cloned().collect())).err()?;
        error.masked.then(|| TextError { span: read.span.clone(), ..error })
    });
    told.unwrap_or_else(|| TextError::masked(&Path(vec![Segment::Dynamic])))
}

/// The evaluator names only the last part of what is missing: the reads tell the whole name.
fn explained(error: &cel::ExecutionError, reads: &[Read], names: &dyn Names) -> TextError {
    use cel::ExecutionError::{IndexOutOfBounds, NoSuchKey, NoSuchOverload, UndeclaredReference};

    let suspect = |read: &&Read| match error {
        NoSuchKey(name) | UndeclaredReference(name) => {
            read.path.0.contains(&Segment::Field(name.to_string()))
        }
        IndexOutOfBounds(_) => true,
        // A field or element of something that has none.
        NoSuchOverload(overload) => matches!(overload.function(), "_[_]" | "_._"),
        _ => false,
    };
    let constant = |read: &&Read| !read.path.0.contains(&Segment::Dynamic);
    for read in reads.iter().filter(suspect).filter(constant).filter(|read| !read.guarded) {
        if let Err(mut missing) = resolve(names, &read.path) {
            missing.span.clone_from(&read.span);
            if let Some(advice) = &read.dashed {
                missing.help = Some(advice.clone());
            }
            return missing;
        }
    }
    let text = TextError::new(explain::execution(error));
    match error {
        cel::ExecutionError::FunctionError { function, .. } if function == "timestamp" => text
            .help("`timestamp()` reads RFC 3339 (`2026-01-31T12:00:00Z`), `time(text, format)` any other form"),
        cel::ExecutionError::FunctionError { function, .. } if function == "duration" => {
            text.help("a duration is written `90s`, `15m`, `1h30m`")
        }
        _ => text,
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Expr {}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.source())
    }
}

impl<'de> Deserialize<'de> for Expr {
    /// Takes any text: one that is no expression says so when it is read or evaluated.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::unchecked(&<Cow<'de, str>>::deserialize(deserializer)?))
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
