use dr_plugin::Host;
use serde_json::Value;

use super::codes;
use super::names::KnownAt;
use super::steps::Maker;
use crate::runbook::{DocPath, Problem};
use crate::text::{Expr, Path, Templated, TextError};
use crate::time::Millis;

impl Maker<'_> {
    pub(super) fn duration(&mut self, written: Option<&str>, at: &DocPath) -> Option<u64> {
        match written?.parse::<Millis>() {
            Ok(duration) => Some(duration.0),
            Err(why) => {
                self.problems.push(Problem::error(codes::UNREADABLE, at.clone(), why));
                None
            }
        }
    }

    /// Reads an expression.
    pub(super) fn expr(&mut self, source: &str, at: &DocPath) -> Option<Expr> {
        let read = Expr::parse(source).and_then(|expr| {
            let looks_out = source.contains("steps") || source.contains("style");
            let paths = if looks_out { expr.paths()? } else { Vec::new() };
            Ok((expr, paths))
        });
        match read {
            Ok((expr, paths)) => {
                self.note_reads(paths, at);
                Some(expr)
            }
            Err(error) => {
                self.text_problem(codes::UNREADABLE, at.clone(), &error);
                None
            }
        }
    }

    /// Reads texts, and renders those whose names are all known.
    pub(super) fn template(
        &mut self,
        written: Option<&Value>,
        host: Option<&Host>,
        at: &DocPath,
    ) -> Templated {
        let Some(written) = written else { return Templated::literal(Value::Null) };
        let names = KnownAt { known: &self.environment.known, host, around: &self.around };
        let known = |path: &Path| self.knows(path);
        let read = Templated::parse(written).and_then(|template| {
            let looks_out = !template.is_known() && mentions(written, &["steps", "style"]);
            let paths = if looks_out { template.paths()? } else { Vec::new() };
            Ok((template.render_known(&names, &known)?, paths))
        });
        match read {
            Ok((template, paths)) => {
                self.note_reads(paths, at);
                template
            }
            Err(error) => {
                self.text_problem(codes::NOT_KNOWN, at.clone(), &error);
                Templated::literal(Value::Null)
            }
        }
    }

    fn note_reads(&mut self, paths: Vec<Path>, at: &DocPath) {
        for path in paths {
            match (path.root(), path.field(1)) {
                ("steps", Some(step)) => {
                    if let Some(step) = self.outline.named(step, self.inside) {
                        self.reads.push((step, at.clone(), path));
                    }
                }
                ("run", Some("style")) => {
                    self.reads_style.get_or_insert_with(|| at.clone());
                }
                _ => {}
            }
        }
    }

    pub(super) fn text_problem(&mut self, code: &'static str, at: DocPath, error: &TextError) {
        let mut problem = Problem::error(code, at, error.to_string()).within(error.span.clone());
        problem.help.clone_from(&error.help);
        self.problems.push(problem);
    }
}

/// Whether any text of a value holds one of the words.
fn mentions(value: &Value, words: &[&str]) -> bool {
    match value {
        Value::String(text) => words.iter().any(|word| text.contains(word)),
        Value::Array(items) => items.iter().any(|item| mentions(item, words)),
        Value::Object(fields) => fields.values().any(|item| mentions(item, words)),
        _ => false,
    }
}
