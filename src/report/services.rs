use super::screen::{Cell, pad, seconds};
use super::{Tone, width};
use crate::plan::Projection;
use crate::time::Millis;
use crate::view::{ServiceView, View};

/// Cells of a bar.
const BAR: usize = 10;
/// Longest name that keeps its column.
const NAME: usize = 24;

/// One service against its objectives, as parts of one line. `projection` and `elapsed_ms` are
/// given while the run goes on. The clock is the RTA clock: it counts from the declaration.
pub(super) fn service_line(
    view: &View,
    service: &ServiceView,
    live: Option<(&Projection, u64)>,
    name_width: usize,
    bar: bool,
) -> Vec<Cell> {
    let mut cells = vec![Cell::new(Tone::Strong, pad(service.name.as_str(), name_width))];
    let (tone, text) = standing(view, service, live);
    if bar && let (Some(rto), Some((_, elapsed_ms))) = (service.rto_ms, live) {
        let gone = match service.state.rta_ms {
            Some(rta) => rta,
            None => on_clock(view, live.map(|(projection, _)| projection), elapsed_ms),
        };
        cells.push(" ".into());
        cells.push(Cell::new(tone, burned(gone, rto)));
    }
    cells.push("  ".into());
    cells.push(Cell::new(tone, text));
    cells
}

/// Width of the column of names.
pub(super) fn name_width(services: &[ServiceView]) -> usize {
    services.iter().map(|service| width(service.name.as_str())).max().unwrap_or(0).min(NAME)
}

/// What the RTA clock shows at a moment of the run: nothing before the incident that a step of the
/// run still has to bring about.
fn on_clock(view: &View, projection: Option<&Projection>, ms: u64) -> u64 {
    let offset = view.clock_offset_ms();
    projection.unwrap_or(&Projection::default()).on_clock(ms, offset)
}

fn burned(gone: u64, of: u64) -> String {
    let full =
        if of == 0 { BAR } else { (gone.min(of) as usize * BAR).div_ceil(of.max(1) as usize) };
    let full = full.min(BAR);
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}

fn standing(
    view: &View,
    service: &ServiceView,
    live: Option<(&Projection, u64)>,
) -> (Tone, String) {
    let rto = service.rto_ms;
    let of = rto.map(|rto| format!(" of {}", Millis(rto).short())).unwrap_or_default();
    let goal = rto.map(|rto| format!(" (RTO {})", Millis(rto).short())).unwrap_or_default();
    let loss = loss(service);
    match service.state.recovered {
        Some(true) => {
            let rta = service.state.rta_ms;
            let took = rta.map(|rta| format!(" in {}", Millis(rta).short())).unwrap_or_default();
            let late =
                rta.zip(rto).and_then(|(rta, rto)| rta.checked_sub(rto)).filter(|ms| *ms > 0);
            return match late {
                Some(late) => {
                    let late = Millis(late).short();
                    (Tone::Bad, format!("recovered{took}, {late} too late{goal}{loss}"))
                }
                None => (Tone::Good, format!("recovered{took}{goal}{loss}")),
            };
        }
        Some(false) => return (Tone::Bad, format!("not recovered{loss}")),
        None => {}
    }
    let done = format!("{} of {} steps", service.over, service.steps);
    let Some((projection, elapsed_ms)) = live else {
        return (Tone::Plain, format!("not over: {done}{loss}"));
    };
    let gone = on_clock(view, Some(projection), elapsed_ms);
    let clock = format!("{}{of}", seconds(gone));
    if service.lost > 0 {
        return (Tone::Bad, format!("{clock}, cannot recover before somebody acts ({done}){loss}"));
    }
    let expected = projection
        .services
        .get(&service.name)
        .copied()
        .flatten()
        .map(|finish| on_clock(view, Some(projection), finish).max(gone));
    match (expected, rto) {
        (Some(expected), Some(rto)) if expected > rto => {
            let late = Millis(expected - rto).short();
            (
                Tone::Bad,
                format!("{clock}, expected {}: {late} late{loss}", Millis(expected).short()),
            )
        }
        (Some(expected), Some(rto)) => {
            let spare = Millis(rto - expected).short();
            let text =
                format!("{clock}, expected {}: {spare} spare{loss}", Millis(expected).short());
            (Tone::Plain, text)
        }
        (Some(expected), None) => {
            (Tone::Plain, format!("{clock}, expected {}{loss}", Millis(expected).short()))
        }
        (None, Some(rto)) if gone > rto => {
            let late = Millis(gone - rto).short();
            (Tone::Bad, format!("{clock}: {late} late ({done}){loss}"))
        }
        (None, _) => (Tone::Plain, format!("{clock} ({done}){loss}")),
    }
}

fn loss(service: &ServiceView) -> String {
    let achieved = service.achieved.as_ref();
    let of =
        service.rpo_ms.map(|rpo| format!(" (RPO {})", Millis(rpo).short())).unwrap_or_default();
    let Some(rpa) = achieved.and_then(|achieved| achieved.rpa_ms) else {
        let is_owed = service.rpo_ms.is_some() && service.state.recovered == Some(true);
        return if achieved.is_some() && is_owed {
            format!("; loss of data not measured{of}")
        } else {
            String::new()
        };
    };
    let missed = match achieved.and_then(|achieved| achieved.met_rpo) {
        Some(false) => ", too much",
        _ => "",
    };
    let lost = Millis(u64::try_from(rpa).unwrap_or(0)).short();
    format!("; {lost} of data lost{missed}{of}")
}
