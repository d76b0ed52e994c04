use std::fmt::Write as _;

use serde_json::Value;

use super::model::{Changed, FieldChange, PlanDiff, ServiceDiff, StepLine, WatchKind};
use crate::markup::{clean_line, escape_markdown, value_text};
use crate::time::Millis;

/// Steps of each kind that a comment shows; the rest is counted. Comments have a limit.
const SHOWN: usize = 100;
/// Longest value that is shown whole.
const VALUE: usize = 120;

/// The difference for a terminal. Ends with a newline.
#[must_use]
pub fn text(diff: &PlanDiff, colour: bool) -> String {
    let paint = |code: &str, text: &str| {
        if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}  {} · {}",
        paint("1", &clean_line(&diff.runbook)),
        clean_line(&diff.environment),
        headline(diff)
    );
    if !diff.watch.is_empty() {
        let _ = writeln!(out, "\n{}", paint("1", "LOOK AT THIS"));
        for watch in &diff.watch {
            let place = watch.step.as_ref().map(|step| format!("{step}: ")).unwrap_or_default();
            let code = if watch.kind <= WatchKind::GuardLost { "1;31" } else { "33" };
            let _ = writeln!(
                out,
                "  {} {}{}",
                paint(code, &format!("! {}:", watch.kind.words())),
                clean_line(&place),
                if place.is_empty() {
                    clean_line(&watch.text)
                } else {
                    format!(" {}", clean_line(&watch.text))
                }
            );
        }
    }
    let services: Vec<&ServiceDiff> = diff.services.iter().filter(|it| !it.same).collect();
    if !services.is_empty() {
        let _ = writeln!(out, "\n{}", paint("1", "SERVICES"));
        for service in services {
            let [priority, rto, predicted, p90, _] = cells(service);
            let _ = writeln!(
                out,
                "  {}: priority {priority}, RTO {rto}, recovered after {predicted}, P90 {p90}",
                clean_line(service.name.as_str())
            );
        }
    }
    for (title, sign, code, steps) in
        [("NEW STEPS", '+', "32", &diff.added), ("STEPS THAT ARE GONE", '-', "31", &diff.removed)]
    {
        if !steps.is_empty() {
            let _ = writeln!(out, "\n{}", paint("1", title));
            for step in steps {
                let line = format!("  {sign} {}  {}", step.id, step.what);
                let _ = writeln!(out, "{}", paint(code, &clean(&line)));
            }
        }
    }
    if !diff.changed.is_empty() {
        let _ = writeln!(out, "\n{}", paint("1", "CHANGED STEPS"));
        for step in &diff.changed {
            let _ =
                writeln!(out, "  {}", paint("33", &format!("~ {}", clean_line(step.id.as_str()))));
            for change in &step.fields {
                let _ = writeln!(out, "      {}", field(change));
            }
        }
    }
    if !diff.other.is_empty() {
        let _ = writeln!(out, "\n{}", paint("1", "BESIDES"));
        for change in &diff.other {
            let _ = writeln!(out, "  {}", field(change));
        }
    }
    out
}

/// One line, its indentation kept.
fn clean(line: &str) -> String {
    let blanks = line.len() - line.trim_start().len();
    format!("{}{}", &line[..blanks], clean_line(line))
}

/// The difference as a comment of a pull request.
#[must_use]
pub fn markdown(diff: &PlanDiff) -> String {
    let esc = escape_markdown;
    let mut out = format!("### {} in {}: ", esc(&diff.runbook), esc(&diff.environment));
    let _ = writeln!(out, "{}\n", headline(diff));
    if !diff.watch.is_empty() {
        out.push_str("**Look at this**\n\n");
        for watch in diff.watch.iter().take(SHOWN) {
            let place = watch.step.as_ref().map(|step| format!(" {}:", esc(step.as_str())));
            let _ = writeln!(
                out,
                "- **{}**:{} {}",
                watch.kind.words(),
                place.unwrap_or_default(),
                esc(&watch.text)
            );
        }
        more(&mut out, diff.watch.len());
        out.push('\n');
    }
    if !diff.services.is_empty() {
        out.push_str("| Service | Priority | RTO | Recovered after | P90 | RTO met |\n");
        out.push_str("|---|---|--:|--:|--:|---|\n");
        for service in &diff.services {
            let [priority, rto, predicted, p90, met] = cells(service);
            let name = esc(service.name.as_str());
            let _ = writeln!(out, "| {name} | {priority} | {rto} | {predicted} | {p90} | {met} |");
        }
        out.push('\n');
    }
    for (title, steps) in [("New steps", &diff.added), ("Steps that are gone", &diff.removed)] {
        list(&mut out, title, steps);
    }
    if !diff.changed.is_empty() {
        let _ =
            writeln!(out, "<details><summary>Changed steps: {}</summary>\n", diff.changed.len());
        for step in diff.changed.iter().take(SHOWN) {
            let _ = writeln!(out, "- {}", esc(step.id.as_str()));
            for change in &step.fields {
                let _ = writeln!(out, "  - {}", esc(&field(change)));
            }
        }
        more(&mut out, diff.changed.len());
        out.push_str("\n</details>\n\n");
    }
    if !diff.other.is_empty() {
        let _ = writeln!(out, "<details><summary>Besides: {}</summary>\n", diff.other.len());
        for change in diff.other.iter().take(SHOWN) {
            let _ = writeln!(out, "- {}", esc(&field(change)));
        }
        more(&mut out, diff.other.len());
        out.push_str("\n</details>\n\n");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn list(out: &mut String, title: &str, steps: &[StepLine]) {
    if steps.is_empty() {
        return;
    }
    let _ = writeln!(out, "**{title}**\n");
    for step in steps.iter().take(SHOWN) {
        let what = escape_markdown(&step.what);
        let _ = writeln!(out, "- {} ({what})", escape_markdown(step.id.as_str()));
    }
    more(out, steps.len());
    out.push('\n');
}

fn more(out: &mut String, count: usize) {
    if count > SHOWN {
        let _ = writeln!(out, "- and {} more", count - SHOWN);
    }
}

/// What changes, in a few words.
fn headline(diff: &PlanDiff) -> String {
    match (&diff.digest.old, &diff.digest.new) {
        (None, Some(_)) => return format!("a new runbook, {}", steps(diff.added.len())),
        (Some(_), None) => {
            return format!("the runbook is gone, with {}", steps(diff.removed.len()));
        }
        _ => {}
    }
    let time = match (diff.makespan_ms.old, diff.makespan_ms.new) {
        (Some(old), Some(new)) if old != new => {
            format!(", {} → {} in all", Millis(old).short(), Millis(new).short())
        }
        _ => String::new(),
    };
    if diff.same {
        let foreseen = diff.services.iter().all(|service| service.same);
        let but = if foreseen && time.is_empty() { "" } else { ", predicted otherwise" };
        return format!("does exactly the same{but}{time}");
    }
    let counts = [("+", diff.added.len()), ("−", diff.removed.len()), ("~", diff.changed.len())];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(sign, count)| format!("{sign}{count}"))
        .collect();
    if !counts.is_empty() {
        return format!("steps {}{time}", counts.join(" "));
    }
    let what = match (diff.other.is_empty(), diff.reordered) {
        (false, _) => "no step changes, but what they use",
        (true, true) => "no step changes, but their order, which settles ties",
        (true, false) => "no step changes, but the services",
    };
    format!("{what}{time}")
}

fn steps(count: usize) -> String {
    if count == 1 { "1 step".to_owned() } else { format!("{count} steps") }
}

/// Priority, RTO, prediction, P90, whether the RTO is met.
fn cells(service: &ServiceDiff) -> [String; 5] {
    let ms = |change: &Changed<Option<u64>>| both(change, |ms| Millis(*ms).short());
    [
        both(&service.priority, String::clone),
        ms(&service.rto_ms),
        ms(&service.predicted_ms),
        ms(&service.p90()),
        both(&service.meets_rto, |met| if *met { "yes" } else { "**no**" }.to_owned()),
    ]
}

fn both<T: PartialEq>(change: &Changed<Option<T>>, show: impl Fn(&T) -> String) -> String {
    let show = |value: &Option<T>| value.as_ref().map_or_else(|| "–".to_owned(), &show);
    let (old, new) = (show(&change.old), show(&change.new));
    if old == new { new } else { format!("{old} → {new}") }
}

/// A field that changed, on one line; of lists, what came and went.
fn field(change: &FieldChange) -> String {
    let name = change.field.strip_suffix("_ms").unwrap_or(&change.field);
    if let (Value::Array(old), Value::Array(new)) = (&change.old, &change.new)
        && old.iter().chain(new).all(Value::is_string)
        && matches!(change.field.as_str(), "needs" | "after" | "depends_on" | "phases")
    {
        let went = old.iter().filter(|item| !new.contains(item)).map(|item| ('−', item));
        let came = new.iter().filter(|item| !old.contains(item)).map(|item| ('+', item));
        let items: Vec<String> =
            came.chain(went).map(|(sign, item)| format!("{sign}{}", value_text(item))).collect();
        return format!("{name}: {}", items.join(", "));
    }
    let is_time = change.field.ends_with("_ms");
    let show = |value: &Value| match value {
        Value::Null => "none".to_owned(),
        Value::Number(ms) if is_time => {
            ms.as_u64().map_or_else(|| ms.to_string(), |ms| Millis(ms).short())
        }
        other => short(&value_text(other)),
    };
    format!("{}: {} → {}", clean_line(name), show(&change.old), show(&change.new))
}

fn short(text: &str) -> String {
    let cut: String = text.chars().take(VALUE).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}
