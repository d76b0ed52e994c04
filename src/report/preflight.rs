use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Screen, Tone, fit, width};
use crate::event::Finding;
use crate::id::StepId;
use crate::view::clean_line;

/// Steps that are named where many are found to be plainly ok.
const NAMED: usize = 3;

/// What a preflight found, for people: what is not plainly ok, each with why; the rest counted.
#[must_use]
pub fn preflight(looked: &[Finding], unseen: &[StepId], screen: &Screen) -> String {
    let mut out = String::new();
    let steps =
        |count: usize| if count == 1 { "1 step".to_owned() } else { format!("{count} steps") };
    let title = format!("{} looked at, nothing was touched", steps(looked.len()));
    let _ = writeln!(out, "{}  {title}", screen.paint(Tone::Strong, "PREFLIGHT"));
    let widest = looked
        .iter()
        .filter(|finding| finding.status != "ok")
        .map(|finding| width(finding.step.as_str()))
        .max();
    let name = widest.unwrap_or(0).clamp(4, screen.width.saturating_sub(20).max(20) * 2 / 5);
    let mut counts: BTreeMap<usize, Vec<&Finding>> = BTreeMap::new();
    for finding in looked {
        counts.entry(rank(&finding.status)).or_default().push(finding);
    }
    for (_, findings) in counts {
        let (sign, tone, word) = word(&findings[0].status);
        if findings[0].status == "ok" {
            let names: Vec<&str> =
                findings.iter().take(NAMED).map(|finding| finding.step.as_str()).collect();
            let more = findings.len() - names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let line = format!("{}{more}", names.join(", "));
            lines(&mut out, screen, (sign, tone, word), "", &[line], 0);
            continue;
        }
        for finding in findings {
            lines(
                &mut out,
                screen,
                (sign, tone, word),
                finding.step.as_str(),
                &finding.lines,
                name,
            );
        }
    }
    if !unseen.is_empty() {
        let names: Vec<&str> = unseen.iter().take(NAMED).map(StepId::as_str).collect();
        let more = unseen.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let line = format!("{}{more}", names.join(", "));
        lines(&mut out, screen, ('·', Tone::Faint, "not seen"), "", &[line], 0);
    }
    out
}

/// What to worry about comes last, where the reader's eye is.
fn rank(status: &str) -> usize {
    ["ok", "already_so", "would_change", "not_yet", "unreachable", "failed", "denied"]
        .iter()
        .position(|known| *known == status)
        .unwrap_or(usize::MAX)
}

fn word(status: &str) -> (char, Tone, &'static str) {
    match status {
        "ok" => ('✓', Tone::Good, "ok"),
        "already_so" => ('=', Tone::Good, "already so"),
        "would_change" => ('~', Tone::Plain, "would change"),
        "not_yet" => ('…', Tone::Faint, "not yet"),
        "unreachable" => ('!', Tone::Warning, "unreachable"),
        "failed" => ('✗', Tone::Bad, "would fail"),
        _ => ('✗', Tone::Bad, "denied"),
    }
}

fn lines(
    out: &mut String,
    screen: &Screen,
    (sign, tone, word): (char, Tone, &str),
    step: &str,
    said: &[String],
    name: usize,
) {
    let lead = format!("  {sign} {word:<12}  ");
    let step = fit(step, name);
    let gap = " ".repeat(name.saturating_sub(width(&step)) + if name == 0 { 0 } else { 2 });
    let step = format!("{step}{gap}");
    let room = screen.width.saturating_sub(width(&lead) + width(&step)).max(20);
    let text = said.iter().map(|line| clean_line(line)).collect::<Vec<_>>().join("; ");
    let indent = " ".repeat(width(&lead) + width(&step));
    let mut rest = wrap(&text, room).into_iter();
    let first = rest.next().unwrap_or_default();
    let line = format!("{}{step}{first}", screen.paint(tone, &lead));
    let _ = writeln!(out, "{}", line.trim_end());
    for more in rest {
        let _ = writeln!(out, "{indent}{more}");
    }
}

fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_what_was_found() {
        let of = |step: &str, status: &str, lines: &[&str]| Finding {
            step: StepId::from(step),
            status: status.to_owned(),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        };
        let looked = [
            of(
                "promote",
                "denied",
                &["permission denied for function pg_promote", "help: grant it"],
            ),
            of("a", "ok", &[]),
            of("b", "ok", &[]),
            of("c", "ok", &[]),
            of("d", "ok", &[]),
            of(
                "fence_primary_of_the_database_in_the_first_region",
                "unreachable",
                &[
                    "db1.example.com: no route to host, although it was tried over all three of its addresses",
                ],
            ),
            of("upload", "already_so", &["/etc/shop.conf is the same\u{1b}[31m"]),
            of("writable", "not_yet", &["a standby, which takes no writes yet"]),
            of("restart", "failed", &["the command `systemctll` was not found"]),
        ];
        let unseen = [StepId::from("notify")];
        let text = preflight(&looked, &unseen, &Screen::plain());
        assert!(text.lines().all(|line| width(line) <= 80), "{text}");
        insta::assert_snapshot!(text);
    }
}
