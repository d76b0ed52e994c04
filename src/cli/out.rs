//! Where results and remarks go: results to standard output, everything else to standard error.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, ReportHandler};

use super::args::Colour;
use super::exit::Exit;
use super::zone;
use crate::markup::clean;
use crate::report::Screen;
use crate::runbook::{Look, page};

/// The two streams of the program, and what can be shown on them.
#[derive(Debug, Clone)]
pub(super) struct Out {
    colour: Colour,
    no_colour: bool,
}

#[expect(
    clippy::unused_self,
    reason = "who prints holds the streams, though the system keeps them"
)]
impl Out {
    /// For the streams as they are.
    #[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
    pub(super) fn new(colour: Colour) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour, no_colour: no_colour || dumb }
    }

    fn coloured(&self, terminal: bool) -> bool {
        match self.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && !self.no_colour,
        }
    }

    /// What standard output can show.
    pub(super) fn screen(&self) -> Screen {
        screen(self.coloured(io::stdout().is_terminal()), size(&io::stdout()))
    }

    /// What standard error can show.
    pub(super) fn error_screen(&self) -> Screen {
        screen(self.coloured(io::stderr().is_terminal()), size(&io::stderr()))
    }

    /// Whether a person sees standard error as it is written.
    pub(super) fn is_live() -> bool {
        io::stderr().is_terminal()
    }

    /// Whether a person can answer.
    pub(super) fn is_attended() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Logs to standard error.
    pub(super) fn start_log(&self, verbose: u8) {
        super::log::start(verbose, self.coloured(io::stderr().is_terminal()));
    }

    /// How reports of problems look.
    pub(super) fn look(&self) -> Look {
        if self.coloured(io::stderr().is_terminal()) { Look::Colour } else { Look::Plain }
    }

    /// Prints a result. A reader that went away (`dr … | head`) is no error.
    pub(super) fn result(&self, text: &str) {
        let _ = self.part(text);
    }

    /// Prints a part of a result that goes on: it ends when nobody reads it any more.
    pub(super) fn part(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') && !text.is_empty() {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Prints a remark.
    pub(super) fn remark(&self, text: &str) {
        let mut out = io::stderr().lock();
        let _ = out.write_all(text.as_bytes());
        if !text.ends_with('\n') && !text.is_empty() {
            let _ = out.write_all(b"\n");
        }
    }

    /// Prints a question, and leaves the cursor behind it.
    pub(super) fn ask(&self, question: &str) {
        let mut out = io::stderr().lock();
        let _ = out.write_all(question.as_bytes());
        let _ = out.flush();
    }

    /// Prints an error with its code, causes and help, and gives `exit`.
    pub(super) fn fail(&self, error: &dyn Diagnostic, exit: Exit) -> Exit {
        let screen = self.error_screen();
        let theme = if screen.colour { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .without_cause_chain()
            .with_width(screen.width);
        self.remark(&Shown { error: &Explained::new(error), handler }.to_string());
        exit
    }

    /// Prints a message as an error, with a way out, and gives `exit`.
    pub(super) fn refuse(&self, message: &str, help: &str, exit: Exit) -> Exit {
        let mut text = format!("error: {message}");
        if !help.is_empty() {
            let _ = write!(text, "\n  help: {help}");
        }
        self.remark(&clean(&text));
        exit
    }
}

/// An error with the page that explains its code, and nothing in it that a terminal obeys.
#[derive(Debug)]
struct Explained<'a> {
    error: &'a dyn Diagnostic,
    page: Option<String>,
}

impl<'a> Explained<'a> {
    fn new(error: &'a dyn Diagnostic) -> Self {
        let code = error.code().map(|code| code.to_string());
        let code = code.filter(|code| code.starts_with("DR"));
        Self { error, page: code.map(|code| page(&code)) }
    }
}

impl std::fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&clean(&self.error.to_string()))
    }
}

impl std::error::Error for Explained<'_> {}

impl Diagnostic for Explained<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.error.code()
    }

    fn severity(&self) -> Option<miette::Severity> {
        self.error.severity()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        let help = self.error.help()?;
        Some(Box::new(clean(&help.to_string())))
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.error.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        self.error.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        self.error.related()
    }

    fn url<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.page.as_ref().map(|page| Box::new(page) as Box<dyn std::fmt::Display>)
    }
}

struct Shown<'a> {
    error: &'a dyn Diagnostic,
    handler: GraphicalReportHandler,
}

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        struct Debugged<'a>(&'a Shown<'a>);
        impl std::fmt::Debug for Debugged<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.handler.debug(self.0.error, f)
            }
        }
        write!(f, "{:?}", Debugged(self))
    }
}

fn screen(colour: bool, (width, height): (usize, usize)) -> Screen {
    Screen { width, height, colour, zone: zone::local() }
}

/// Columns and lines of a terminal; 100 columns elsewhere.
fn size(stream: &impl rustix::fd::AsFd) -> (usize, usize) {
    match rustix::termios::tcgetwinsize(stream) {
        Ok(size) if size.ws_col > 0 => (usize::from(size.ws_col), usize::from(size.ws_row)),
        _ => (100, 40),
    }
}
