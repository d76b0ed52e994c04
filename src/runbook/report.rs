use std::fmt::{self, Write as _};
use std::ops::Range;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, NarratableReportHandler, Severity, SourceCode, SourceSpan, SpanContents,
};
use serde::Serialize;

use super::lines::Lines;
use super::{DocPath, Level, Problem, Spans};
use crate::markup::{blank, clean};

/// More problems than this are counted, not shown.
const SHOWN: usize = 200;
/// Lines of more bytes are not shown, only where they are.
const LONGEST_LINE: usize = 2_000;

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
                line: span.as_ref().map(|span| spans.place(span.start).0),
                column: span.as_ref().map(|span| spans.place(span.start).1),
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
    let text = &*blank(text);
    let source = Source { file: &first.file, text, lines: Lines::new(text) };
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
            let _ = writeln!(out, "{}: {}", finding.code, clean(&finding.message));
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

/// The file as miette sees it. Its own sources count lines from the top for every finding.
struct Source<'a> {
    file: &'a str,
    text: &'a str,
    lines: Lines<'a>,
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("file", &self.file).finish_non_exhaustive()
    }
}

impl SourceCode for Source<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (first, _) = self.lines.place(span.offset());
        let (last, _) = self.lines.place(span.offset() + span.len().saturating_sub(1));
        let from = first.saturating_sub(before as u32).max(1);
        let to = last.saturating_add(after as u32).min(self.lines.count());
        // Without context only the span itself is wanted: that is how labels are placed.
        let start = if before == 0 { span.offset() } else { self.lines.line(from).start };
        let end = if after == 0 { span.offset() + span.len() } else { self.lines.line(to).end };
        let bytes = self.text.as_bytes().get(start..end).ok_or(MietteError::OutOfBounds)?;
        let column = if before == 0 { self.lines.place(span.offset()).1 as usize - 1 } else { 0 };
        Ok(Box::new(MietteSpanContents::new_named(
            self.file.to_owned(),
            bytes,
            (start, end - start).into(),
            from as usize - 1,
            column,
            (to - from) as usize + 1,
        )))
    }
}

/// One finding as miette draws it.
#[derive(Debug)]
struct Shown<'a> {
    finding: &'a Finding,
    source: &'a Source<'a>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&clean(&self.finding.message))?;
        match (self.is_legible(), self.finding.line, self.finding.column) {
            (false, Some(line), Some(column)) => {
                write!(f, " ({}:{line}:{column})", self.finding.file)
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Shown<'_> {}

impl Shown<'_> {
    /// Whether the lines around its place are such as people read.
    fn is_legible(&self) -> bool {
        let Some(span) = &self.finding.span else { return true };
        let lines = &self.source.lines;
        let (first, _) = lines.place(span.start);
        let (last, _) = lines.place(span.end);
        let mut shown = first.saturating_sub(1).max(1)..=last.saturating_add(1);
        shown.all(|line| lines.line(line).len() <= LONGEST_LINE)
    }
}

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
        self.finding.help.as_ref().map(|help| Box::new(clean(help)) as Box<dyn fmt::Display>)
    }

    fn url<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.finding.page))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        let span = self.finding.span.as_ref().filter(|_| self.is_legible());
        span.map(|_| self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.finding.span.clone()?;
        let label = super::codes::title(self.finding.code).map(str::to_owned);
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(label, span))))
    }
}
