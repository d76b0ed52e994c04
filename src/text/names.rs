use std::fmt;

use serde_json::Value;

/// One part of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// `.name`, or `['name']` with a constant.
    Field(String),
    /// `[0]`.
    Index(usize),
    /// An index that is only known when evaluated.
    Dynamic,
}

/// A name that a text or decision reads, from its root as far as it is constant:
/// `steps.last_commit.outputs.at`, `result.rows[0].standby`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(pub Vec<Segment>);

impl Path {
    /// The first name: `steps`, `values`, `result`, …
    #[must_use]
    pub fn root(&self) -> &str {
        self.field(0).unwrap_or_default()
    }

    /// The field at `position`, if that part is one.
    #[must_use]
    pub fn field(&self, position: usize) -> Option<&str> {
        match self.0.get(position) {
            Some(Segment::Field(name)) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if position == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Dynamic => f.write_str("[…]")?,
            }
        }
        Ok(())
    }
}

/// Gives names their values. Times and durations are `{"$time": RFC 3339}` and
/// `{"$duration": milliseconds}`; `run`, `values`, `inputs`, `hosts`, `host`, `steps`, `item`,
/// `result`, `outputs`, `error`, `iteration`, `previous` are the roots.
///
/// `secrets` is never asked for: a text that names one renders to a reference.
pub trait Names {
    /// The value of `root` or, for `steps`, `hosts`, `values`, `inputs` and `run`, of `root.member`:
    /// only what is read is ever built. `None`: there is no such name.
    fn get(&self, root: &str, member: Option<&str>) -> Option<Value>;
}

/// No names at all.
#[derive(Debug, Clone, Copy)]
pub struct NoNames;

impl Names for NoNames {
    fn get(&self, _: &str, _: Option<&str>) -> Option<Value> {
        None
    }
}
