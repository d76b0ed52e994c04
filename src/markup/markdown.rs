use super::clean_line;

/// `text` on one line, such that Markdown and HTML show it as it is.
#[must_use]
pub fn escape_markdown(text: &str) -> String {
    let text = clean_line(text);
    let mut out = String::with_capacity(text.len());
    let chars: Vec<char> = text.chars().collect();
    for (position, &char) in chars.iter().enumerate() {
        let near = |distance: isize| {
            position.checked_add_signed(distance).and_then(|near| chars.get(near)).copied()
        };
        let inside = |distance: isize| near(distance).is_some_and(char::is_alphanumeric);
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Underscores within a word do not format, and names are full of them.
            '_' if inside(-1) && inside(1) => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(char);
            }
            '#' | '-' | '+' | '=' | '!' if position == 0 => {
                out.push('\\');
                out.push(char);
            }
            // `1. ` begins a list.
            '.' | ')'
                if chars[..position].iter().all(char::is_ascii_digit)
                    && near(1).is_none_or(char::is_whitespace) =>
            {
                out.push('\\');
                out.push(char);
            }
            // `https://` and `www.` would become links.
            ':' if near(1) == Some('/') => out.push_str("&#58;"),
            '.' if position >= 3
                && chars[position - 3..position].iter().all(|char| matches!(char, 'w' | 'W')) =>
            {
                out.push_str("&#46;");
            }
            // `@name` would mention somebody.
            '@' if !inside(-1) => out.push_str("&#64;"),
            _ => out.push(char),
        }
    }
    out
}
