use std::fmt::Write as _;

use super::clean_line;

/// `text` on one line, such that HTML shows it as it is, in text and in quoted attributes.
#[must_use]
pub fn escape_html(text: &str) -> String {
    let text = clean_line(text);
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(char),
        }
    }
    out
}

/// Colours in both schemes, tables that scroll by themselves, and what prints well.
const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;--line:#d1d9e0;--soft:#f3f5f7;\
--bar:#7aa2d6;--crit:#c2570c;--good:#1a7f37;--bad:#c62828;--warn:#9a6700;--once:#8250df}\
@media(prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e6e9ed;--dim:#9aa5b1;--line:#3a434d;\
--soft:#1d232a;--bar:#4f7fbd;--crit:#f08c3c;--good:#4cc16b;--bad:#ff7b72;--warn:#e0b23c;--once:#bc9cff}}\
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;max-width:72rem;\
margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}\
.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}\
.lead{font-size:1.1rem;margin:.75rem 0}\
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.92rem;min-width:40%}\
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);\
vertical-align:top}th{color:var(--dim);font-weight:600}.n{text-align:right;\
font-variant-numeric:tabular-nums}code,svg text{font-family:ui-monospace,Consolas,monospace}\
code{background:var(--soft);padding:.1em .3em;border-radius:3px;overflow-wrap:anywhere}\
td code{white-space:nowrap}\
svg{max-width:100%;height:auto;display:block}svg text{fill:var(--fg);font-size:12px}\
svg .dim{fill:var(--dim)}svg .grid{stroke:var(--line)}svg .bar{fill:var(--bar)}\
svg .crit{fill:var(--crit)}svg .fold{fill:var(--line)}svg .good{fill:var(--good)}\
svg .bad{fill:var(--bad)}svg .rto{stroke:var(--fg);stroke-width:2}\
ul{padding-left:1.25rem}@media print{body{margin:0;max-width:none}h2{break-after:avoid}}";

/// A page that stands on its own: it loads nothing, runs nothing, and follows the reader's colour
/// scheme. `body` is HTML; `title` is text.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    let mut out = String::with_capacity(body.len() + STYLE.len() + 400);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape_html(title)
    );
    out
}

/// A table. Heads that begin with `#` stand over numbers; cells are HTML.
#[must_use]
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = String::from("<div class=\"scroll\"><table>\n<tr>");
    let is_number: Vec<bool> = heads.iter().map(|head| head.starts_with('#')).collect();
    let class = |position: usize| {
        if is_number.get(position) == Some(&true) { " class=\"n\"" } else { "" }
    };
    for (position, head) in heads.iter().enumerate() {
        let head = escape_html(head.trim_start_matches('#'));
        let _ = write!(out, "<th{}>{head}</th>", class(position));
    }
    out.push_str("</tr>\n");
    for row in rows {
        out.push_str("<tr>");
        for (position, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{cell}</td>", class(position));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table></div>\n");
    out
}

/// A heading and what follows it; nothing where that is empty.
#[must_use]
pub fn section(title: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!("<h2>{}</h2>\n{body}", escape_html(title)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_elsewhere_is_markup() {
        for (text, shown) in [
            ("plain", "plain"),
            ("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
            ("\" onload=\"x", "&quot; onload=&quot;x"),
            ("a & b\u{1b}[31m\u{202e}", "a &amp; b"),
            ("one\ntwo", "one two"),
        ] {
            assert_eq!(escape_html(text), shown);
        }
    }

    #[test]
    fn a_page_loads_and_runs_nothing() {
        let page = page("a <b>", "<p>x</p>\n");
        assert!(page.contains("<title>a &lt;b&gt;</title>"));
        for bad in ["http://", "https://", "<script", "url(", "@import", "src="] {
            assert!(!page.contains(bad), "{bad}");
        }
    }
}
