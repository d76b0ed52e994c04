use dr_plugin::Effect;

use super::paint::{Ink, Page, count, fit, fit_right, width};
use super::sections::is_join;
use crate::plan::{EstimateSource, Plan, Step};
use crate::time::Millis;

/// Steps that are shown one by one; of more, those that matter, and the rest counted.
const ONE_BY_ONE: usize = 60;
/// Columns of a time.
const TIME: usize = 7;

/// A line of the timeline.
pub(super) enum Row<'a> {
    Step(&'a Step),
    /// Steps that follow each other and are not shown.
    Folded(Vec<&'a Step>),
}

/// When each step runs, as bars.
pub(super) fn timeline(page: &mut Page, plan: &Plan) {
    let steps = taken(plan);
    if steps.is_empty() {
        page.title("TIMELINE", "nothing to do");
        return;
    }
    let total = Millis(plan.makespan_ms).short();
    let bound = if plan.lower_bound_ms < plan.makespan_ms {
        format!(", no plan takes less than {}", Millis(plan.lower_bound_ms).short())
    } else {
        String::new()
    };
    page.title("TIMELINE", &format!("{total} for {}{bound}", count(steps.len(), "step")));
    let rows = rows(&steps, ONE_BY_ONE);
    let layout = Layout::new(page, &rows, plan.makespan_ms);
    for row in &rows {
        match row {
            Row::Step(step) => layout.step(page, step),
            Row::Folded(steps) => layout.folded(page, steps),
        }
    }
    legend(page, &rows);
}

/// Steps that something is done for, in order of their start.
pub(super) fn taken(plan: &Plan) -> Vec<&Step> {
    let mut steps: Vec<&Step> =
        plan.steps.iter().filter(|step| step.skip.is_none() && !is_join(step)).collect();
    steps.sort_by_key(|step| (step.start_ms, step.finish_ms, step.urgency.order));
    steps
}

/// At most `most` steps one by one; of more, those that matter, and the rest counted.
pub(super) fn rows<'a>(steps: &[&'a Step], most: usize) -> Vec<Row<'a>> {
    if steps.len() <= most {
        return steps.iter().map(|step| Row::Step(step)).collect();
    }
    // The longest steps that fit are shown too, so that the picture is not only the critical path.
    let mut shown: Vec<bool> = steps.iter().map(|step| matters(step)).collect();
    let mut others: Vec<usize> = (0..steps.len()).filter(|at| !shown[*at]).collect();
    others.sort_by_key(|at| std::cmp::Reverse(steps[*at].expected_ms()));
    let room = (most / 2).saturating_sub(shown.iter().filter(|shown| **shown).count());
    for at in others.into_iter().take(room) {
        shown[at] = true;
    }
    let mut rows: Vec<Row<'a>> = Vec::new();
    let mut single = 0;
    for (at, step) in steps.iter().enumerate() {
        if shown[at] && single < most {
            single += 1;
            rows.push(Row::Step(step));
        } else if let Some(Row::Folded(folded)) = rows.last_mut() {
            folded.push(step);
        } else {
            rows.push(Row::Folded(vec![step]));
        }
    }
    rows
}

/// Whether a reviewer must see it.
fn matters(step: &Step) -> bool {
    step.critical || step.approve.is_some() || step.point_of_no_return
}

/// Critical, then what to watch for, then what repeating it would do.
fn marks(step: &Step) -> String {
    let critical = if step.critical { '●' } else { ' ' };
    let watch = if step.point_of_no_return {
        '‼'
    } else if step.approve.is_some() {
        '?'
    } else if step.validates.is_some() {
        '✓'
    } else {
        ' '
    };
    let once = if step.uses.is_some() && step.effect == Effect::Once { '¹' } else { ' ' };
    format!("{critical}{watch}{once}")
}

/// Where its duration is known from, unless it is declared.
fn source(step: &Step) -> char {
    match step.estimate_source {
        EstimateSource::Typical => '~',
        EstimateSource::History => 'ʰ',
        EstimateSource::Declared | EstimateSource::None => ' ',
    }
}

struct Layout {
    id: usize,
    action: usize,
    bar: usize,
    makespan_ms: u64,
}

impl Layout {
    fn new(page: &Page, rows: &[Row<'_>], makespan_ms: u64) -> Self {
        // Marks, two times, and the blanks between six columns.
        let room = page.columns() - 3 - 2 * TIME - 5;
        let longest = |of: &dyn Fn(&Step) -> usize, least: usize, most: usize| {
            let longest = rows.iter().filter_map(|row| match row {
                Row::Step(step) => Some(of(step)),
                Row::Folded(_) => None,
            });
            longest.max().unwrap_or(least).clamp(least, most)
        };
        let id = longest(&|step| width(step.id.as_str()), 10, room * 2 / 5);
        let action = longest(&|step| width(&action(step)), 6, room * 3 / 10);
        Self { id, action, bar: room - id - action, makespan_ms }
    }

    fn step(&self, page: &mut Page, step: &Step) {
        let lead = format!(
            " {} {} {} {}{}",
            fit(step.id.as_str(), self.id),
            fit(&action(step), self.action),
            fit_right(&Millis(step.start_ms).short(), TIME),
            fit_right(&Millis(step.expected_ms()).short(), TIME),
            source(step),
        );
        let ink = if step.critical { Ink::Critical } else { Ink::Plain };
        let bar = self.bar(step.start_ms, step.finish_ms, '█');
        page.line(&[(ink, &marks(step)), (Ink::Plain, &lead), (ink, &bar)]);
    }

    fn folded(&self, page: &mut Page, steps: &[&Step]) {
        let start = steps.iter().map(|step| step.start_ms).min().unwrap_or(0);
        let finish = steps.iter().map(|step| step.finish_ms).max().unwrap_or(0);
        let text = format!("… {}", count(steps.len(), "further step"));
        let lead = format!(
            "    {} {} {} ",
            fit(&text, self.id + 1 + self.action),
            fit_right(&Millis(start).short(), TIME),
            fit_right(&Millis(finish - start).short(), TIME),
        );
        let bar = self.bar(start, finish, '░');
        page.line(&[(Ink::Dim, &lead), (Ink::Dim, &bar)]);
    }

    /// A bar on the scale of the whole plan; what takes no time is a point.
    fn bar(&self, start: u64, finish: u64, block: char) -> String {
        let whole = self.makespan_ms.max(1);
        let at = |moment: u64| (moment * self.bar as u64 / whole) as usize;
        let first = at(start).min(self.bar - 1);
        let length = (at(finish).max(first + 1) - first).min(self.bar - first);
        let mut bar = " ".repeat(first);
        if start == finish {
            bar.push('·');
        } else {
            bar.extend(std::iter::repeat_n(block, length));
        }
        bar
    }
}

/// What it does and where, short.
pub(super) fn action(step: &Step) -> String {
    let what = match &step.uses {
        Some(uses) => uses.to_string(),
        None if step.approve.is_some() => "gate".to_owned(),
        None if step.sleep.is_some() => "sleep".to_owned(),
        None if step.tally.is_some() => "tally".to_owned(),
        None if step.group.as_ref().is_some_and(|group| group.each.is_some()) => "loop".to_owned(),
        None if step.group.is_some() => "group".to_owned(),
        None if !step.expect.is_empty() => "guard".to_owned(),
        None => "value".to_owned(),
    };
    match &step.host {
        Some(host) => format!("{what} @{host}"),
        None => what,
    }
}

/// The signs that were used.
fn legend(page: &mut Page, rows: &[Row<'_>]) {
    let used = |sign: char| {
        rows.iter().any(|row| match row {
            Row::Step(step) => marks(step).contains(sign) || source(step) == sign,
            Row::Folded(_) => false,
        })
    };
    let signs = [
        ('●', "critical"),
        ('‼', "no way back"),
        ('?', "asks people"),
        ('✓', "validation"),
        ('¹', "must not be repeated"),
        ('ʰ', "from past runs"),
        ('~', "a guess"),
    ];
    let mut line = String::new();
    for (sign, meaning) in signs.into_iter().filter(|(sign, _)| used(*sign)) {
        let next = format!("  {sign} {meaning}");
        if width(&line) + width(&next) > page.columns() {
            page.line(&[(Ink::Dim, &std::mem::take(&mut line))]);
        }
        line.push_str(&next);
    }
    if !line.is_empty() {
        page.line(&[(Ink::Dim, &line)]);
    }
}
