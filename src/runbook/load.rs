use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, LazyLock, OnceLock};

use serde_yaml::options::DuplicateKeyPolicy;

use super::yaml::{self, Shapes, Tree};
use super::{DocPath, Document, Problem, Runbook, codes};

/// Larger files are not read: 100,000 steps take 36 MiB.
const MAX_FILE: u64 = 48 << 20;

static SHAPES: LazyLock<Shapes> =
    LazyLock::new(|| Shapes::compile(schemars::schema_for!(Document).as_value()));

/// Reads the text of a runbook.
///
/// # Errors
/// A file that is missing, unreadable, too large or no text.
pub fn read(path: &Path) -> Result<String, Vec<Problem>> {
    let unreadable = |reason: String| {
        vec![
            Problem::in_text(codes::UNREADABLE, 0..0, reason)
                .with_help("check the path, its permissions, and that it is a text in UTF-8"),
        ]
    };
    let shown = path.display();
    let cannot = |error: std::io::Error| unreadable(format!("cannot read `{shown}`: {error}"));
    let file = File::open(path).map_err(cannot)?;
    if file.metadata().map_err(cannot)?.is_dir() {
        return Err(unreadable(format!("`{shown}` is a folder")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        unreadable(format!("`{shown}` is not UTF-8 at byte {at}"))
    })?;
    Ok(text)
}

/// Reads a runbook from its text. `file` is its name for people.
///
/// # Errors
/// Every error of form at once; of syntax, the first.
pub fn load(text: &str, file: &str) -> Result<Runbook, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() as u64 > MAX_FILE {
        return Err(vec![
            Problem::in_text(
                codes::TOO_LARGE,
                0..0,
                format!("the file is larger than {} MiB", MAX_FILE >> 20),
            )
            .with_help("split the runbook"),
        ]);
    }
    if let Some(at) = text.find('\0') {
        return Err(vec![
            Problem::in_text(codes::UNREADABLE, at..at + 1, "the file contains a NUL byte")
                .with_help("remove it: a runbook is a text"),
        ]);
    }
    let tree = Tree::parse(text).map_err(|problem| vec![*problem])?;
    let (problems, _) = yaml::problems(&tree, text, &SHAPES);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut document: Document = if let Some(document) = yaml::typed(&tree) {
        document
    } else {
        drop(tree);
        typed(text).map_err(|problem| vec![*problem])?
    };
    // Up to a half of it was reserve, which in a large runbook is more than its plan takes.
    document.steps.shrink_to_fit();
    Ok(loaded(document, text, file))
}

/// What can be read of a text that has errors of form, with the keys that are missing in it.
pub(super) fn load_rest(text: &str, file: &str) -> Option<(Runbook, Vec<DocPath>)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut tree = Tree::parse(text).ok()?;
    let (problems, wrong) = yaml::problems(&tree, text, &SHAPES);
    if problems.is_empty() {
        return None;
    }
    let dropped = yaml::prune(&mut tree, &wrong)?;
    Some((loaded(yaml::typed(&tree)?, text, file), dropped))
}

fn loaded(document: Document, text: &str, file: &str) -> Runbook {
    Runbook {
        document,
        file: file.to_owned(),
        text: Arc::from(text),
        parts: BTreeMap::new(),
        graph: OnceLock::new(),
    }
}

/// The typed document of a text that has the right form.
fn typed(text: &str) -> Result<Document, Box<Problem>> {
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_events: 12_000_000,
            max_nodes: 4_000_000,
            max_depth: 64,
            max_total_scalar_bytes: 64 << 20,
            max_documents: 1,
            max_aliases: 100_000,
            max_anchors: 10_000,
            alias_anchor_min_aliases: 100_000,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 400_000,
            max_replay_stack_depth: 32,
        },
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        emit_comments: false,
    };
    serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let location = error.location();
        let start = location.and_then(|location| location.span().byte_offset()).unwrap_or_default();
        let length = location.and_then(|location| location.span().byte_len()).unwrap_or_default();
        let (start, length) = (start as usize, length as usize);
        let end = (start + length).min(text.len());
        let message = error.render_with_options(serde_yaml::render_options! {
            formatter: &Plain,
            snippets: serde_yaml::SnippetMode::Off,
        });
        Box::new(Problem::in_text(
            codes::WRONG_TYPE,
            yaml::first_line(text, start.min(end)..end),
            without_place(&message),
        ))
    })
}

/// The library's own words, without its advice.
struct Plain;

impl serde_yaml::MessageFormatter for Plain {
    fn format_message<'e>(&self, error: &'e serde_yaml::Error) -> std::borrow::Cow<'e, str> {
        serde_yaml::UserMessageFormatter.format_message(error)
    }
}

/// The place is shown anyway.
fn without_place(message: &str) -> String {
    let end = message.rfind(" at line ").unwrap_or(message.len());
    message[..end].trim_end_matches(':').to_owned()
}
