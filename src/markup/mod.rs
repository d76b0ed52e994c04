//! Text from elsewhere, made harmless: for terminals, Markdown and HTML; and the frame of HTML
//! pages that stand on their own.

mod clean;
mod html;
mod lanes;
mod markdown;
mod masked;

pub use clean::{blank, clean, clean_line, value_text, width};
pub use html::{escape_html, page, section, table};
pub use lanes::{Lane, lanes_svg};
pub use markdown::escape_markdown;
pub use masked::{MASKED, holds_masked, is_masked, masked_value, shown};
