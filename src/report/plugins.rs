use std::fmt::Write as _;

use dr_plugin::{ActionManifest, HostNeed, Keyed, Kind, Manifest};
use serde_json::Value;

use super::{Cell, Screen, Tone, table};
use crate::id::Digest;
use crate::time::Millis;

/// One line a plugin: the text of `dr plugins`.
#[must_use]
pub fn plugins(known: &[(&Manifest, Digest, &str)], screen: &Screen) -> String {
    let mut rows =
        vec![["plugin", "version", "where", "manifest", "actions"].map(Cell::from).to_vec()];
    for (manifest, digest, place) in known {
        let actions: Vec<&str> = manifest.actions.keys().map(String::as_str).collect();
        rows.push(vec![
            Cell::new(Tone::Strong, manifest.name.clone()),
            Cell::new(Tone::Plain, manifest.version.clone()),
            Cell::new(Tone::Plain, *place),
            Cell::new(Tone::Faint, short(digest)),
            Cell::new(Tone::Plain, actions.join(", ")),
        ]);
    }
    table(screen, &rows)
}

/// The first digits of a digest, as plans show them.
fn short(digest: &Digest) -> String {
    digest.hex().chars().take(12).collect()
}

/// Where a plugin is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// A path, or that it is built in or not installed.
    pub text: &'a str,
    /// The hash of its program, where it is one of its own.
    pub program: Option<&'a Digest>,
    /// The hash of its manifest.
    pub manifest: &'a Digest,
}

/// Everything about one plugin: the text of `dr plugins NAME`.
#[must_use]
pub fn plugin(manifest: &Manifest, place: Place<'_>, screen: &Screen) -> String {
    let mut out = String::new();
    let name = screen.paint(Tone::Strong, &manifest.name);
    let _ = writeln!(out, "{name} {}\n{}", manifest.version, manifest.description);
    let _ = writeln!(out, "where     {}", place.text);
    if let Some(program) = place.program {
        let _ = writeln!(out, "program   {program}");
    }
    let _ = writeln!(out, "manifest  {}, protocol {}", place.manifest, manifest.protocol);
    fields(&mut out, "settings", manifest.settings.as_value(), screen);
    for (action, about) in &manifest.actions {
        let title = screen.paint(Tone::Strong, &format!("{}.{action}", manifest.name));
        let _ = writeln!(out, "\n{title}  {}", facts(about));
        let _ = writeln!(out, "  {}", about.description);
        fields(&mut out, "with", about.input.as_value(), screen);
        fields(&mut out, "result", about.output.as_value(), screen);
    }
    out
}

/// What an action does to the world, in a few words.
fn facts(action: &ActionManifest) -> String {
    let mut facts = vec![
        match action.kind {
            Kind::Action => "action".to_owned(),
            Kind::Probe => "probe".to_owned(),
        },
        effect(action),
    ];
    match action.keyed {
        Keyed::Never => {}
        Keyed::Job => facts.push("runs as a job".to_owned()),
        Keyed::Token => facts.push("with a client token".to_owned()),
    }
    match action.host {
        HostNeed::None => {}
        HostNeed::Optional => facts.push("host optional".to_owned()),
        HostNeed::Required => facts.push("needs a host".to_owned()),
    }
    let can =
        [(action.has_preview, "preview"), (action.has_check, "check"), (action.has_undo, "undo")];
    facts.extend(can.iter().filter(|(has, _)| *has).map(|(_, what)| (*what).to_owned()));
    facts.push(format!("typically {}", Millis(action.typical_ms).short()));
    facts.join(" · ")
}

/// `once, pure if method is null, "GET" or "HEAD"`.
fn effect(action: &ActionManifest) -> String {
    let mut text = action.effect.to_string();
    for when in &action.effect_when {
        let values: Vec<String> = when
            .is
            .iter()
            .map(|value| match value {
                Value::Null => "not given".to_owned(),
                Value::String(word) => word.clone(),
                other => other.to_string(),
            })
            .collect();
        let _ = write!(text, ", {} if `{}` is {}", when.effect, when.field, values.join(" or "));
    }
    text
}

/// The fields of a schema, with type and description.
fn fields(out: &mut String, title: &str, schema: &Value, screen: &Screen) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let _ = writeln!(out, "  {}", screen.paint(Tone::Faint, title));
    for (name, field) in properties {
        let star = if title != "result" && required.contains(&name.as_str()) { "*" } else { "" };
        let about = field.get("description").and_then(Value::as_str).unwrap_or_default();
        let about = about.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(out, "    {name}{star}  {}  {about}", kind(field));
    }
}

/// The type of a field in a word.
fn kind(schema: &Value) -> String {
    match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            kinds.collect::<Vec<_>>().join(" or ")
        }
        _ => match schema.get("anyOf").and_then(Value::as_array) {
            Some(variants) => {
                let kinds = variants.iter().map(kind).filter(|kind| kind != "null");
                kinds.collect::<Vec<_>>().join(" or ")
            }
            None => "any".to_owned(),
        },
    }
}
