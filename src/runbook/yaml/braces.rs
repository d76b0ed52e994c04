//! `{{` without quotes: YAML reads the braces as a map.

use std::ops::Range;

use crate::runbook::{Problem, codes};

/// A `{{` outside quotes on the line of `at` or on the line before: what most likely broke there.
pub(super) fn near(text: &str, at: usize) -> Option<Range<usize>> {
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let before = text[..line.saturating_sub(1)].rfind('\n').map_or(0, |newline| newline + 1);
    on_line(text, line).or_else(|| on_line(text, before))
}

fn on_line(text: &str, start: usize) -> Option<Range<usize>> {
    let line = text[start..].lines().next().unwrap_or_default();
    let mut quote = None;
    let mut before = ' ';
    for (offset, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'')
                && matches!(before, ' ' | ':' | '-' | '[' | '{' | ',') =>
            {
                quote = Some(c);
            }
            None if c == '#' && before == ' ' => return None,
            None if line[offset..].starts_with("{{") => {
                let end = line[offset..].find("}}").map_or(line.len(), |end| offset + end + 2);
                return Some(start + offset..start + end);
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// The problem, about `place`.
pub(super) fn problem(text: &str, place: Range<usize>) -> Problem {
    let written = text.get(place.clone()).unwrap_or("{{ … }}");
    Problem::in_text(codes::BARE_TEMPLATE, place, "YAML reads `{{` without quotes as a map")
        .with_help(format!("put the whole value into quotes: \"{written}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_in_quotes_and_comments_are_left_alone() {
        for (line, found) in [
            ("url: {{ a }}/b", Some("{{ a }}")),
            ("{ url: https://{{ a }}, b: 1 }", Some("{{ a }}")),
            ("url: \"{{ a }}\"", None),
            ("url: '{{ a }}'", None),
            ("# {{ a }}", None),
            ("it's: {{ a }}", Some("{{ a }}")),
        ] {
            assert_eq!(on_line(line, 0).map(|range| &line[range]), found, "{line}");
        }
    }
}
