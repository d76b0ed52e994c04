use std::fmt::Write as _;

use super::escape_html;
use crate::time::Millis;

/// Width of the names, of the picture of time, and of what stands behind it, in pixels.
const NAMES: u64 = 270;
const TIME: u64 = 700;
const AFTER: u64 = 130;
/// Height of a lane.
const LANE: u64 = 20;
/// Columns of a name.
const COLUMNS: usize = 36;

/// A bar on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Shown in front of it, shortened; whole when pointed at.
    pub name: String,
    /// Where it begins, milliseconds after the start.
    pub start_ms: u64,
    /// Where it ends.
    pub finish_ms: u64,
    /// Class of the bar: `bar`, `crit`, `fold`, `good`, `bad`.
    pub class: &'static str,
    /// A mark on its line: an objective.
    pub mark_ms: Option<u64>,
    /// Shown behind it.
    pub after: String,
}

/// Lanes over one axis of time, as an SVG that stands in a page.
#[must_use]
pub fn lanes_svg(title: &str, lanes: &[Lane]) -> String {
    let last = lanes.iter().map(|lane| lane.finish_ms.max(lane.mark_ms.unwrap_or(0))).max();
    let end = last.unwrap_or(0).max(1);
    let height = LANE * (lanes.len() as u64 + 1) + 8;
    let x = |ms: u64| NAMES as f64 + ms as f64 * TIME as f64 / end as f64;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<div class=\"scroll\"><svg role=\"img\" viewBox=\"0 0 {} {height}\" width=\"{}\" \
         height=\"{height}\">\n<title>{}</title>",
        NAMES + TIME + AFTER,
        NAMES + TIME + AFTER,
        escape_html(title)
    );
    for ms in ticks(end) {
        let x = x(ms);
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"18\" x2=\"{x:.1}\" y2=\"{height}\"/>\
             <text class=\"dim\" x=\"{x:.1}\" y=\"13\" text-anchor=\"middle\">{}</text>",
            if ms == 0 { "0".to_owned() } else { Millis(ms).short() }
        );
    }
    for (position, lane) in lanes.iter().enumerate() {
        let top = LANE * (position as u64 + 1) + 4;
        let (from, to) = (x(lane.start_ms), x(lane.finish_ms));
        let name = escape_html(&lane.name);
        let _ = write!(
            out,
            "<g><title>{name}: {} to {}</title><text x=\"0\" y=\"{}\">{}</text>\
             <rect class=\"{}\" x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"12\" rx=\"2\"/>",
            Millis(lane.start_ms).short(),
            Millis(lane.finish_ms).short(),
            top + 11,
            escape_html(&shorten(&lane.name)),
            lane.class,
            top + 1,
            (to - from).max(1.5),
        );
        let mut behind = to;
        if let Some(mark) = lane.mark_ms {
            let x = x(mark);
            behind = behind.max(x);
            let (above, below) = (top - 1, top + 15);
            let _ = write!(
                out,
                "<line class=\"rto\" x1=\"{x:.1}\" y1=\"{above}\" x2=\"{x:.1}\" y2=\"{below}\"/>"
            );
        }
        let _ = writeln!(
            out,
            "<text class=\"dim\" x=\"{:.1}\" y=\"{}\">{}</text></g>",
            behind + 6.0,
            top + 11,
            escape_html(&lane.after)
        );
    }
    out.push_str("</svg></div>\n");
    out
}

/// A name that fits: cut in the middle, since names often differ at their ends.
fn shorten(name: &str) -> String {
    let all: Vec<char> = name.chars().collect();
    if all.len() <= COLUMNS {
        return name.to_owned();
    }
    let tail = COLUMNS / 3;
    let head = COLUMNS - 1 - tail;
    all[..head].iter().chain(&['…']).chain(&all[all.len() - tail..]).collect()
}

/// Round moments from 0 to `end`, some six of them.
fn ticks(end: u64) -> Vec<u64> {
    const STEPS: [u64; 22] = [
        1, 5, 10, 50, 100, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000,
        300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 86_400_000,
    ];
    let rough = end / 6;
    let step = STEPS.iter().copied().find(|step| *step >= rough);
    let step = step.unwrap_or_else(|| rough.div_ceil(86_400_000) * 86_400_000).max(1);
    (0..=end / step).map(|count| count * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_a_few_round_moments() {
        for end in [1, 9, 1_000, 59_000, 61_000, 3_600_000, 900_000_000, 90_000_000_000] {
            let ticks = ticks(end);
            assert!((1..=8).contains(&ticks.len()), "{end}: {ticks:?}");
            assert!(ticks.iter().all(|tick| *tick <= end), "{end}: {ticks:?}");
        }
        assert_eq!(ticks(60_000), [0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
    }
}
