/// A text that a regular expression probably finds itself in. Whoever asks tries it out.
pub(super) fn sample(pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern.strip_prefix('^').unwrap_or(pattern);
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let one = match c {
            '\\' => {
                let Some(class) = rest.chars().next() else { break };
                rest = &rest[class.len_utf8()..];
                match class {
                    'd' => '1',
                    'w' => 'a',
                    's' => ' ',
                    'S' | 'D' => 'x',
                    'b' | 'B' => continue,
                    other => other,
                }
            }
            '[' => {
                let first = rest.chars().next().map_or(0, char::len_utf8);
                let Some(end) = rest[first..].find(']').map(|end| first + end) else { break };
                let class = &rest[..end];
                rest = &rest[end + 1..];
                let first = class.chars().next().unwrap_or('x');
                match (first, class.chars().nth(1)) {
                    ('^', _) => 'x',
                    ('\\', Some('w')) => 'a',
                    // Of digits rather 1 than 0.
                    ('\\', Some('d')) | ('0', Some('-')) => '1',
                    (first, _) => first,
                }
            }
            '.' => 'x',
            '(' => {
                if let Some(named) = rest.strip_prefix("?P<").or_else(|| rest.strip_prefix("?<")) {
                    rest = named.split_once('>').map_or("", |(_, rest)| rest);
                } else if let Some(plain) = rest.strip_prefix("?:") {
                    rest = plain;
                }
                continue;
            }
            ')' | '$' | '^' | '+' | '*' | '?' => continue,
            // The first alternative is enough: what follows it goes up to the end of its group.
            '|' => {
                rest = rest.find(')').map_or("", |end| &rest[end..]);
                continue;
            }
            '{' => {
                let Some((times, after)) = rest.split_once('}') else { break };
                rest = after;
                let least = times.split(',').next().and_then(|it| it.parse::<usize>().ok());
                if let (Some(last), Some(least)) = (out.chars().next_back(), least) {
                    out.extend(std::iter::repeat_n(last, least.min(1_000).saturating_sub(1)));
                }
                continue;
            }
            plain => plain,
        };
        out.push(one);
    }
    out
}

/// The same, with this text where the pattern captures something. Nothing if it captures nothing.
pub(super) fn sample_around(pattern: &str, captured: &str) -> Option<String> {
    let mut depth = 0_u32;
    let mut open = None;
    let mut escaped = false;
    for (at, c) in pattern.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => {
                if depth == 0 && open.is_none() && !pattern[at..].starts_with("(?:") {
                    open = Some(at);
                }
                depth += 1;
            }
            ')' => {
                depth = depth.saturating_sub(1);
                if let (0, Some(open)) = (depth, open) {
                    let (before, after) = (sample(&pattern[..open]), sample(&pattern[at + 1..]));
                    return Some(format!("{before}{captured}{after}"));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_match_their_patterns() {
        for pattern in [
            "lag: (\\d+)",
            "^state=(?P<state>[a-z_]+);$",
            "[0-9a-f]{8}",
            "(up|down) since \\S+",
            "i-[0-9a-f]+",
            "v(\\d+)\\.(\\d+)",
            "x{2,3}y?",
        ] {
            let text = sample(pattern);
            let regex = regex::Regex::new(pattern).expect("a pattern");
            assert!(regex.is_match(&text), "{pattern}: {text}");
        }
        let around = |pattern| sample_around(pattern, "5s");
        assert_eq!(around("lag\\(s\\): (.+)$").as_deref(), Some("lag(s): 5s"));
        assert_eq!(around("lag").as_deref(), None);
    }
}
