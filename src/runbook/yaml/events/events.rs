//! The events of a YAML text.
//!
//! The parser is generic over what it reads, so that it is compiled where it is used, with the effort
//! that is taken there. Here it is used for texts in memory and nothing else: this crate is small, and
//! is compiled with more effort than the rest.

pub use serde_yaml::granit_parser::{
    ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput,
};

/// The events of one text, each with its place.
pub struct Events<'t>(Parser<'t, StrInput<'t>>);

impl<'t> Events<'t> {
    /// Reads a text.
    #[must_use]
    pub fn new(text: &'t str, options: Options) -> Self {
        Self(Parser::new_from_str_with_options(text, options))
    }
}

impl<'t> Iterator for Events<'t> {
    type Item = Result<(Event<'t>, Span), ScanError>;

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
