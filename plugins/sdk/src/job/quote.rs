/// `text` as one word of a POSIX shell, byte for byte.
///
/// A NUL cannot be passed; callers refuse it before.
#[must_use]
pub fn quote(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@%+=,-".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) && !text.starts_with(['-', '=']) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for part in text.chars() {
        if part == '\'' {
            quoted.push_str("'\\''");
        } else {
            quoted.push(part);
        }
    }
    quoted.push('\'');
    quoted
}

/// `text` for `printf %b`, without any character that a shell, of whatever family, reads in its own
/// way between single quotes.
#[must_use]
pub(crate) fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for part in text.chars() {
        match part {
            '\0' | '\n' | '\r' | '!' | '\'' | '\\' => {
                let _ = write!(escaped, "\\0{:03o}", u32::from(part));
            }
            _ => escaped.push(part),
        }
    }
    escaped
}

/// The line that makes a login shell, also one of the csh or fish family, become `/bin/sh` running
/// `text` with `args`; as another user through `sudo -n` where `becomes` names one.
///
/// `args` must be words without quotes, backslashes and control characters.
#[must_use]
pub fn any_shell_line(text: &str, args: &[String], becomes: Option<&str>) -> String {
    let mut line = String::from("exec ");
    if let Some(user) = becomes {
        line.push_str("sudo -n -H -u '");
        line.push_str(user);
        line.push_str("' -- ");
    }
    line.push_str("/bin/sh -c 'dr_text=$(printf %b \"$1\"); shift; eval \"$dr_text\"' dr-job '");
    line.push_str(&escape(text));
    line.push('\'');
    for arg in args {
        line.push_str(" '");
        line.push_str(arg);
        line.push('\'');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_posix_wants() {
        for (text, quoted) in [
            ("", "''"),
            ("plain/path-1.txt", "plain/path-1.txt"),
            ("-rf", "'-rf'"),
            ("$(id)", "'$(id)'"),
            ("'; rm -rf /", "''\\''; rm -rf /'"),
            ("two\nlines", "'two\nlines'"),
            ("a\\b", "'a\\b'"),
            ("grün", "'grün'"),
            ("~", "'~'"),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }

    #[test]
    fn a_line_for_any_shell_holds_nothing_special() {
        assert_eq!(escape("a'b\n!\\é"), "a\\0047b\\0012\\0041\\0134é");
        let line = any_shell_line("echo 'x'", &["poll".into(), "k".into()], Some("postgres"));
        assert!(line.starts_with("exec sudo -n -H -u 'postgres' -- /bin/sh -c '"));
        assert!(line.ends_with("dr-job 'echo \\0047x\\0047' 'poll' 'k'"));
    }
}
