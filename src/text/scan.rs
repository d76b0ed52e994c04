//! Cutting a text into what is plain and what stands in `{{ }}`.
//!
//! Braces are found here, so that every tag has its exact place and nothing outside the listed set
//! (blocks, partials, comments, nested calls) ever reaches the Handlebars parser. A tag that is a
//! plain name is read here as well: it is by far the most frequent one, and Handlebars would take
//! about ten microseconds for each. Tags that call a helper are parsed by Handlebars.

use std::ops::Range;

use handlebars::Path as HandlebarsPath;
use handlebars::template::{Parameter, Template, TemplateElement};
use serde_json::Value;

use super::nearest::suggestion;
use super::{Path, TextError};

/// The helpers there are.
pub(super) const HELPERS: [&str; 2] = ["default", "json"];
/// Bytes of the longest tag.
const MAX_TAG: usize = 4 * 1024;

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// As it stands.
    Plain(String),
    /// `{{ … }}`, with its place in the text.
    Tag(Tag, Range<usize>),
}

/// What stands in braces.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tag {
    /// `{{ path }}`.
    Name(Path),
    /// `{{ default path "text" }}`: the value, or the other one if it is absent or null.
    Default(Path, Fallback),
    /// `{{ json path }}`: the value as JSON text.
    Json(Path),
}

/// What stands in for a value that is not there.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fallback {
    Constant(Value),
    Name(Path),
}

/// The parts of `text`.
///
/// # Errors
/// Braces that are not closed, or hold anything but a name or a listed helper.
pub(super) fn scan(text: &str) -> Result<Vec<Piece>, TextError> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let open = at + found;
        let before = &text[at..open];
        let backslashes = before.len() - before.trim_end_matches('\\').len();
        if backslashes == 1 {
            plain.push_str(&before[..before.len() - 1]);
            let braces = if text[open + 2..].starts_with("{{") { 4 } else { 2 };
            plain.push_str(&text[open..open + braces]);
            at = open + braces;
            continue;
        }
        // Two backslashes are one that does not escape.
        plain.push_str(&before[..before.len() - usize::from(backslashes > 1)]);
        let inner = open + 2;
        let close = close(text, inner).ok_or_else(|| {
            TextError::new("`{{` is never closed")
                .at(open..inner)
                .help("close it with `}}`, or write `\\{{` for the braces themselves")
        })?;
        if !plain.is_empty() {
            pieces.push(Piece::Plain(std::mem::take(&mut plain)));
        }
        let tag = tag(&text[inner..close], inner)?;
        pieces.push(Piece::Tag(tag, open..close + 2));
        at = close + 2;
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        pieces.push(Piece::Plain(plain));
    }
    Ok(pieces)
}

/// Where the `}}` stands that closes a tag: not one inside quotes.
fn close(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut at = from;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, mark @ (b'"' | b'\'')) => quote = Some(mark),
            (Some(_), b'\\') => at += 1,
            (Some(mark), byte) if byte == mark => quote = None,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Reads what stands between the braces; `from` is its place in the text.
fn tag(inner: &str, from: usize) -> Result<Tag, TextError> {
    let whole = from..from + inner.len();
    let trimmed = inner.trim();
    let start = from + (inner.len() - inner.trim_start().len());
    let place = start..start + trimmed.len();
    let refused = |what: &str| {
        Err(TextError::new(format!("{what} in `{{{{{inner}}}}}`"))
            .at(place.clone())
            .help("braces hold a name, `default NAME \"text\"` or `json NAME`; decisions belong into `when` and `outputs`"))
    };
    match inner.as_bytes().first() {
        None => return Err(TextError::new("`{{}}` names nothing").at(from - 2..from + 2)),
        Some(b'{') => {
            return Err(TextError::new("three braces")
                .at(whole)
                .help("write two: nothing is escaped"));
        }
        Some(b'#' | b'/' | b'^') => return refused("a block"),
        Some(b'>') => return refused("a partial"),
        Some(b'!') => return refused("a comment"),
        Some(b'&' | b'*' | b'~') => return refused("a mark"),
        _ => {}
    }
    if trimmed.ends_with('~') {
        return refused("a mark");
    }
    if trimmed.is_empty() {
        return Err(TextError::new("`{{ }}` names nothing").at(from - 2..whole.end + 2));
    }
    match trimmed.split_once(char::is_whitespace) {
        Some(_) => helper(trimmed, place),
        None => Ok(Tag::Name(name(trimmed, place)?)),
    }
}

fn name(text: &str, place: Range<usize>) -> Result<Path, TextError> {
    if HELPERS.contains(&text) {
        return Err(TextError::new(format!("`{text}` needs a name")).at(place).help(usage(text)));
    }
    Path::parse(text).map_err(|mut error| {
        error.span = error.span.map(|span| place.start + span.start..place.start + span.end);
        if text.contains(['(', '=', '<', '>', '+', '*', '?', '|', '&', '!']) {
            error.help =
                Some("text holds names only: compute it in `outputs` of a step".to_owned());
        } else if !text.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            error.help = Some("for the braces themselves, write `\\{{`".to_owned());
        }
        error
    })
}

fn usage(helper: &str) -> String {
    match helper {
        "default" => "write `{{default steps.backup.outputs.size \"none\"}}`".to_owned(),
        _ => "write `{{json steps.backup.outputs.sizes}}`".to_owned(),
    }
}

/// Reads `helper argument…`.
fn helper(text: &str, place: Range<usize>) -> Result<Tag, TextError> {
    let called = text.split(char::is_whitespace).next().unwrap_or_default();
    if !HELPERS.contains(&called) {
        let error = TextError::new(format!("there is no helper `{called}`")).at(place);
        let expression = Path::parse(called).is_ok()
            && text.contains(['=', '<', '>', '+', '-', '*', '?', '|', '&']);
        return Err(if expression {
            error.help("text holds names only: compute it in `outputs` of a step")
        } else {
            error.help(suggestion(called, HELPERS).unwrap_or_default())
        });
    }
    let wrong = || TextError::new(format!("`{called}` is not called like this")).at(place.clone());
    if text.len() > MAX_TAG {
        return Err(wrong().help("it is too long"));
    }
    let source = indexed(text).ok_or_else(|| wrong().help(usage(called)))?;
    let template =
        Template::compile(&format!("{{{{{source}}}}}")).map_err(|_| wrong().help(usage(called)))?;
    let call = match template.elements.as_slice() {
        [TemplateElement::Expression(call)] if call.hash.is_empty() => call,
        _ => return Err(wrong().help(usage(called))),
    };
    let path = |parameter: &Parameter| match parameter {
        Parameter::Path(HandlebarsPath::Relative((_, raw))) => {
            Path::parse(raw).map_err(|error| TextError { span: Some(place.clone()), ..error })
        }
        _ => Err(wrong().help(usage(called))),
    };
    match (called, call.params.as_slice()) {
        ("json", [value]) => Ok(Tag::Json(path(value)?)),
        ("default", [value, Parameter::Literal(constant)])
            if !constant.is_array() && !constant.is_object() =>
        {
            Ok(Tag::Default(path(value)?, Fallback::Constant(constant.clone())))
        }
        ("default", [value, other]) => Ok(Tag::Default(path(value)?, Fallback::Name(path(other)?))),
        _ => Err(wrong().help(usage(called))),
    }
}

/// The same with `rows[0]` written `rows.[0]`, as Handlebars has it. `None` if it holds brackets
/// of another kind, which the listed helpers never take.
fn indexed(text: &str) -> Option<String> {
    let mut source = String::with_capacity(text.len() + 4);
    let mut quote = None;
    let mut previous = ' ';
    for letter in text.chars() {
        match (quote, letter) {
            (None, '"' | '\'') if previous != '[' => quote = Some(letter),
            (Some(mark), _) if letter == mark && previous != '\\' => quote = None,
            (None, '(' | ')' | '{' | '}' | '@' | '|') => return None,
            (None, '[') => match previous {
                '.' => {}
                ']' | '_' => source.push('.'),
                _ if previous.is_ascii_alphanumeric() => source.push('.'),
                _ => return None,
            },
            _ => {}
        }
        source.push(letter);
        previous = letter;
    }
    Some(source)
}
