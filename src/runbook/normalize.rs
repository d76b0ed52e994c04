use std::collections::HashMap;

use serde_json::Value;

use super::yaml::{Shape, Shapes};
use super::{DocPath, Document, InputType, Runbook, Spans, StepDoc};
use crate::catalog::Catalog;

/// Gives texts their source: where a plugin's schema or an input's type says text, `0644`, `1.10`
/// and `true` without quotes are what is written, not a number or a decision.
pub fn normalize(runbook: &mut Runbook, catalog: &Catalog) {
    let text = runbook.text.clone();
    let mut normalizer = Normalizer { spans: Spans::new(&text), catalog, actions: HashMap::new() };
    normalizer.document(&mut runbook.document);
}

struct Normalizer<'a> {
    spans: Spans<'a>,
    catalog: &'a Catalog,
    /// Shapes of the arguments of each action that is used; `None`: no such action.
    actions: HashMap<String, Option<Shapes>>,
}

impl Normalizer<'_> {
    fn document(&mut self, document: &mut Document) {
        for (name, input) in &mut document.inputs {
            let is_text = matches!(
                input.kind,
                InputType::String | InputType::Duration | InputType::Timestamp
            );
            if is_text {
                let at = DocPath::key("inputs").field(name);
                if let Some(default) = &mut input.default {
                    self.text(default, &|| at.field("default"));
                }
                for (index, choice) in input.choices.iter_mut().flatten().enumerate() {
                    self.text(choice, &|| at.field("enum").index(index));
                }
            }
        }
        self.plugins(&mut document.plugins, &DocPath::key("plugins"));
        for (name, environment) in &mut document.environments {
            let at = DocPath::key("environments").field(name).field("plugins");
            self.plugins(&mut environment.plugins, &at);
        }
        for (name, service) in &mut document.services {
            for (v, validation) in service.validation.iter_mut().enumerate() {
                for (c, check) in validation.checks.iter_mut().enumerate() {
                    if let Some(with) = &mut check.with {
                        let at = || {
                            let service = DocPath::key("services").field(name);
                            let validation = service.field("validation").index(v);
                            validation.field("checks").index(c).field("with")
                        };
                        self.with(&check.uses, with, &at);
                    }
                }
            }
        }
        self.steps(&mut document.steps, &|index| DocPath::step(index));
    }

    fn steps(&mut self, steps: &mut [StepDoc], at: &dyn Fn(usize) -> DocPath) {
        for (index, step) in steps.iter_mut().enumerate() {
            if let (Some(uses), Some(with)) = (&step.uses, &mut step.with) {
                self.with(uses, with, &|| at(index).field("with"));
            }
            if let Some(check) = &mut step.check
                && let Some(with) = &mut check.with
            {
                let at = || at(index).field("check").field("with");
                self.with(&check.uses, with, &at);
            }
            if let Some(undo) = &mut step.undo {
                let at = || at(index).field("undo");
                if let (Some(uses), Some(with)) = (&undo.uses, &mut undo.with) {
                    self.with(uses, with, &|| at().field("with"));
                }
                if let Some(check) = &mut undo.check
                    && let Some(with) = &mut check.with
                {
                    self.with(&check.uses, with, &|| at().field("check").field("with"));
                }
            }
            if let Some(inner) = step.undo.as_mut().and_then(|undo| undo.steps.as_mut()) {
                let at = || at(index).field("undo").field("steps");
                self.steps(inner, &|inner| at().index(inner));
            }
            if let Some(inner) = &mut step.steps {
                self.steps(inner, &|inner| at(index).field("steps").index(inner));
            }
        }
    }

    fn plugins(&mut self, plugins: &mut super::Named<Value>, at: &DocPath) {
        for (name, settings) in plugins {
            if let Some(manifest) = self.catalog.plugin(name) {
                let shapes = Shapes::compile(manifest.settings.as_value());
                self.value(settings, &shapes, shapes.root, &|| at.field(name));
            }
        }
    }

    fn with(&mut self, uses: &str, with: &mut Value, at: &dyn Fn() -> DocPath) {
        if !has_other_than_text(with) {
            return;
        }
        let shapes = match self.actions.remove(uses) {
            Some(known) => known,
            None => uses
                .split_once('.')
                .and_then(|(plugin, action)| self.catalog.action(plugin, action))
                .map(|action| Shapes::compile(action.input.as_value())),
        };
        if let Some(shapes) = &shapes {
            self.value(with, shapes, shapes.root, at);
        }
        self.actions.insert(uses.to_owned(), shapes);
    }

    fn value(&self, value: &mut Value, shapes: &Shapes, shape: usize, at: &dyn Fn() -> DocPath) {
        match (shapes.get(shape), value) {
            (Shape::Struct { fields, .. }, Value::Object(map)) => {
                for (name, shape) in fields.iter() {
                    if let Some(value) = map.get_mut(name) {
                        self.value(value, shapes, *shape, &|| at().field(name));
                    }
                }
            }
            (Shape::Map(inner), Value::Object(map)) => {
                for (name, value) in map {
                    self.value(value, shapes, *inner, &|| at().field(name));
                }
            }
            (Shape::List(inner), Value::Array(items)) => {
                for (index, value) in items.iter_mut().enumerate() {
                    self.value(value, shapes, *inner, &|| at().index(index));
                }
            }
            (Shape::Either(options), value) => {
                let suits = |option: &&usize| match (shapes.get(**option), &*value) {
                    (Shape::Any | Shape::Either(_), _) => true,
                    (Shape::Struct { .. } | Shape::Map(_), other) => other.is_object(),
                    (Shape::List(_), other) => other.is_array(),
                    (Shape::Bool, other) => other.is_boolean(),
                    (Shape::Integer(_) | Shape::Number, other) => other.is_number(),
                    (Shape::Text | Shape::Word(_), other) => {
                        !other.is_object() && !other.is_array()
                    }
                };
                // What has the type already stays; only what would not fit becomes its text.
                let natural = |option: &&usize| {
                    suits(option) && !matches!(shapes.get(**option), Shape::Text | Shape::Word(_))
                };
                let option = options.iter().find(natural).or_else(|| options.iter().find(suits));
                if let Some(option) = option {
                    self.value(value, shapes, *option, at);
                }
            }
            (Shape::Text | Shape::Word(_), value) => self.text(value, at),
            _ => {}
        }
    }

    fn text(&self, value: &mut Value, at: &dyn Fn() -> DocPath) {
        if matches!(value, Value::Number(_) | Value::Bool(_))
            && let Some(written) = self.spans.plain(&at())
        {
            *value = Value::String(written);
        }
    }
}

/// Most arguments are texts already.
fn has_other_than_text(value: &Value) -> bool {
    match value {
        Value::Number(_) | Value::Bool(_) => true,
        Value::Array(items) => items.iter().any(has_other_than_text),
        Value::Object(map) => map.values().any(has_other_than_text),
        _ => false,
    }
}
