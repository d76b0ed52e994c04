use std::fmt::{self, Write as _};
use std::ops::Range;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource,
    NarratableReportHandler, Severity, SourceCode,
};
use serde::Serialize;

use super::{DocPath, Level, Problem, Spans, line};

/// More problems than this are counted, not shown.
const SHOWN: usize = 200;

/// A problem with its place in the file: what `--format json` prints, one object each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `DR1xxx` language, `DR2xxx` planning.
    pub code: &'static str,
    /// Error or warning.
    pub level: Level,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
    /// The file as it was given.
    pub file: String,
    /// Where in the document: `steps[3].with.sql`.
    pub path: Option<DocPath>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column in characters, from 1.
    pub column: Option<u32>,
    /// Bytes of the file.
    pub span: Option<Range<usize>>,
    /// The page that explains the code, in the repository.
    pub page: String,
}

/// How a report looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// For a terminal with colours.
    Colour,
    /// The same without colours and line-drawing characters.
    Plain,
    /// In sentences, for a screen reader.
    Narrated,
}

/// Finds the places of problems and sorts by them: errors of form are found in another order than
/// they are read.
#[must_use]
pub fn findings(file: &str, text: &str, problems: &[Problem]) -> Vec<Finding> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let spans = Spans::new(text);
    let mut findings: Vec<Finding> = problems
        .iter()
        .map(|problem| {
            let found = |path| spans.bytes(path, problem.within.as_ref());
            let span = problem.span.clone().or_else(|| problem.at.as_ref().and_then(found));
            let span = span.filter(|span| !text.is_empty() && span.end <= text.len());
            Finding {
                code: problem.code,
                level: problem.level,
                message: problem.message.clone(),
                help: problem.help.clone(),
                file: file.to_owned(),
                path: problem.at.clone(),
                line: span.as_ref().map(|span| line(text, span.start)),
                column: span.as_ref().map(|span| column(text, span.start)),
                span,
                page: page(problem.code),
            }
        })
        .collect();
    findings.sort_by(|a, b| {
        let place = |finding: &Finding| finding.span.as_ref().map(|span| (span.start, span.end));
        (place(a), a.level, a.code, &a.message).cmp(&(place(b), b.level, b.code, &b.message))
    });
    findings.dedup();
    findings
}

/// The page of a code, from the top of the repository.
#[must_use]
pub fn page(code: &str) -> String {
    format!("docs/errors/{code}.md")
}

/// One report of all findings in a file, `width` columns wide, with a last line that counts them.
/// Empty without findings.
#[must_use]
pub fn render(text: &str, findings: &[Finding], look: Look, width: usize) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut out = String::new();
    let Some(first) = findings.first() else { return out };
    let source = NamedSource::new(&first.file, text.to_owned()).with_language("yaml");
    for finding in findings.iter().take(SHOWN) {
        let shown = Shown { finding, source: &source };
        let done = match look {
            Look::Narrated => {
                NarratableReportHandler::new().with_context_lines(0).render_report(&mut out, &shown)
            }
            Look::Colour | Look::Plain => {
                let theme = if look == Look::Colour {
                    GraphicalTheme::unicode()
                } else {
                    GraphicalTheme::none()
                };
                GraphicalReportHandler::new_themed(theme)
                    .with_links(false)
                    .with_width(width)
                    .with_context_lines(1)
                    .render_report(&mut out, &shown)
            }
        };
        if done.is_err() {
            // Only a broken place can hinder the drawing: the words count.
            let _ = writeln!(out, "{}: {}", finding.code, finding.message);
        }
        out.push('\n');
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let counted = [(count(Level::Error), "error"), (count(Level::Warning), "warning")];
    let parts: Vec<_> = counted
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        .collect();
    let hidden = findings.len().saturating_sub(SHOWN);
    let rest =
        if hidden > 0 { format!("; the last {hidden} are not shown") } else { String::new() };
    let _ = writeln!(out, "{}: {}{rest}", first.file, parts.join(", "));
    out
}

fn column(text: &str, at: usize) -> u32 {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    1 + text[start..at].chars().count() as u32
}

/// One finding as miette draws it.
#[derive(Debug)]
struct Shown<'a> {
    finding: &'a Finding,
    source: &'a NamedSource<String>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.finding.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.finding.code))
    }

    fn severity(&self) -> Option<Severity> {
        Some(match self.finding.level {
            Level::Error => Severity::Error,
            Level::Warning => Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.finding.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn url<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.finding.page))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.finding.span.as_ref().map(|_| self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.finding.span.clone()?;
        let label = super::codes::title(self.finding.code).map(str::to_owned);
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(label, span))))
    }
}
