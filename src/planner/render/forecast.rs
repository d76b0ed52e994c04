use super::paint::{Ink, Page, count, fit, fit_right, width};
use crate::plan::{Forecast, Plan};
use crate::time::Millis;

/// Steps named as those that matter most.
const NAMES: usize = 5;
/// A chance below this is bad news; below the next, a warning.
const UNLIKELY: f64 = 0.5;
const UNSURE: f64 = 0.9;

/// What a run will probably take, and which steps decide it.
pub(super) fn forecast(page: &mut Page, plan: &Plan) {
    let Some(forecast) = &plan.forecast else { return };
    page.title("FORECAST", &basis(plan, forecast));
    let longest = plan.services.iter().map(|service| width(service.name.as_str())).max();
    let columns = page.names(longest.unwrap_or(0), 9, 50);
    let heads = ["half", "P90", "P95"].map(|head| fit_right(head, 9)).join("");
    page.line(&[(Ink::Dim, &format!("    {}{heads}  meets its RTO", fit("", columns)))]);
    for service in &plan.services {
        let (Some(p50), Some(p90), Some(p95)) = (service.p50_ms, service.p90_ms, service.p95_ms)
        else {
            continue;
        };
        let chance = forecast.rto_chance.get(&service.name).copied();
        let (ink, verdict) = match chance {
            None => (Ink::Dim, "no objective".to_owned()),
            Some(chance) => {
                let ink = match chance {
                    low if low < UNLIKELY => Ink::Bad,
                    low if low < UNSURE => Ink::Warn,
                    _ => Ink::Good,
                };
                (ink, format!("in {} of runs", percent(chance)))
            }
        };
        row(page, service.name.as_str(), columns, [p50, p90, p95], ink, &verdict);
    }
    let all = [forecast.p50_ms, forecast.p90_ms, forecast.p95_ms];
    row(page, "all steps", columns, all, Ink::Plain, "");
    let all = Millis(plan.makespan_ms).short();
    let chance = percent(forecast.makespan_chance);
    page.paragraph(
        Ink::Dim,
        "  ",
        &format!(
            "The timeline below takes each step at its estimate: {all}. Simulated runs vary about \
             the same estimates, and end within that time in {chance} of runs."
        ),
    );
    let mut matter: Vec<_> = forecast.criticality.iter().collect();
    matter.sort_by(|one, other| other.1.total_cmp(one.1).then_with(|| one.0.cmp(other.0)));
    // A step without duration decides nothing.
    let lasting = |id: &str| plan.step(id).is_some_and(|step| step.expected_ms() > 0);
    let names: Vec<String> = matter
        .into_iter()
        .filter(|(id, _)| lasting(id.as_str()))
        .take(NAMES)
        .map(|(id, share)| format!("{id} ({})", percent(*share)))
        .collect();
    if !names.is_empty() {
        page.paragraph(Ink::Plain, "  most often decide the end: ", &names.join(", "));
    }
}

fn row(page: &mut Page, name: &str, columns: usize, times: [u64; 3], ink: Ink, verdict: &str) {
    let times = times.map(|ms| fit_right(&Millis(ms).short(), 9)).join("");
    let lead = format!("    {}{times}  ", fit(name, columns));
    page.verdict(&[(Ink::Plain, &lead)], ink, verdict);
}

/// What it rests on.
fn basis(plan: &Plan, forecast: &Forecast) -> String {
    let samples = count(forecast.samples as usize, "simulated run");
    if forecast.past_runs > 0 {
        let runs = count(forecast.past_runs as usize, "past run");
        return format!("{samples}, from {runs}");
    }
    let share = |sigma: f64| format!("{:.0} %", sigma * 100.0);
    let (run, step) = (share(forecast.run_spread), share(forecast.step_spread));
    let history = match plan.history.len() {
        0 => "no history".to_owned(),
        few => format!("{} only", count(few, "past run")),
    };
    format!("{samples}; {history}: runs vary by {run}, steps by {step}")
}

pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.0}", share * 100.0);
    match text.as_str() {
        "100" if share < 1.0 => ">99 %".to_owned(),
        "0" if share > 0.0 => "<1 %".to_owned(),
        _ => format!("{text} %"),
    }
}
