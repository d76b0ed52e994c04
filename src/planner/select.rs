//! Which steps a run takes: by phase, by what they need, by decision of a person.

use std::collections::BTreeMap;

use super::codes;
use super::request::PlanRequest;
use crate::event::SkipReason;
use crate::plan::Notice;
use crate::runbook::{
    Declared, DocPath, Document, EdgeKind, Graph, NodeKind, Outline, Problem, Reason, StepDoc,
    nearest,
};
use crate::words::{Mode, Phase};

/// What is taken, by position in the graph.
pub(super) struct Selection {
    pub(super) phases: Vec<Phase>,
    /// Why a node is passed over; `None`: it is taken.
    pub(super) skips: Vec<Option<SkipReason>>,
    pub(super) notices: Vec<Notice>,
}

pub(super) fn select(
    document: &Document,
    outline: &Outline<'_>,
    graph: &Graph,
    request: &PlanRequest,
    problems: &mut Vec<Problem>,
) -> Selection {
    let phases = phases(document, outline, request);
    let mut selector = Selector { document, outline, graph, request, phases, taken: Vec::new() };
    selector.take();
    selector.check_phases(problems);
    let mut notices = Vec::new();
    let mut skips: Vec<Option<SkipReason>> = selector
        .taken
        .iter()
        .map(|taken| if *taken { None } else { Some(SkipReason::Phase) })
        .collect();
    for skip in &request.skips {
        let Some(position) = graph.position(skip.step.as_str()) else {
            if in_an_include(outline, skip.step.as_str()) {
                continue;
            }
            let mut problem = Problem::error(
                codes::SELECTION,
                DocPath::key("steps"),
                format!("`--skip {0}`: there is no step `{0}`", skip.step),
            );
            if let Some(near) =
                nearest(skip.step.as_str(), graph.nodes().map(|node| node.id.as_str()))
            {
                problem = problem.with_help(format!("did you mean `{near}`?"));
            }
            problems.push(problem);
            continue;
        };
        skips[position] = Some(SkipReason::Person);
        let reason = skip.reason.as_deref().unwrap_or("no reason was given");
        notices.push(Notice {
            code: codes::SKIPPED.to_owned(),
            message: format!("`{}` is skipped on request: {reason}", skip.step),
        });
    }
    selector.check_left_out(&skips, problems);
    notices.extend(selector.needs_not_taken(&skips));
    Selection { phases: selector.phases, skips, notices }
}

/// Whether a step stands in an included runbook, which is asked about it itself.
fn in_an_include(outline: &Outline<'_>, id: &str) -> bool {
    let ends = id.match_indices('/').map(|(end, _)| &id[..end]);
    let plain = |id: &str| {
        let names = id.split('/').map(|name| name.split('@').next().unwrap_or(name));
        names.collect::<Vec<_>>().join("/")
    };
    ends.into_iter().any(|around| {
        let around = plain(around);
        (0..outline.len()).any(|step| {
            outline.get(step).included().is_some() && outline.id(step).as_str() == around
        })
    })
}

/// The phases that a run takes, in their order.
fn phases(document: &Document, outline: &Outline<'_>, request: &PlanRequest) -> Vec<Phase> {
    let has = |phase: Phase| outline.steps().any(|step| step.phase == Some(phase));
    let mut phases = if !request.phases.is_empty() {
        request.phases.clone()
    } else if let Some(written) = &document.default_phases {
        written.clone()
    } else {
        let mut steps =
            outline.steps().filter(|step| step.doc.steps.is_none() || step.phase.is_some());
        let only_backup =
            steps.all(|step| matches!(step.phase, Some(Phase::Backup | Phase::Cleanup)));
        if only_backup {
            vec![Phase::Backup]
        } else {
            [Phase::Failover, Phase::Restore, Phase::Validate]
                .into_iter()
                .filter(|p| has(*p))
                .collect()
        }
    };
    // What a drill leaves behind is put away at its end; a live run leaves nothing of the kind.
    phases.retain(|phase| *phase != Phase::Cleanup);
    if request.mode == Mode::Drill && has(Phase::Cleanup) {
        phases.push(Phase::Cleanup);
    }
    phases.sort_unstable();
    phases.dedup();
    phases
}

/// A step that people rely on to stop a run: it must not disappear unsaid.
fn guards(step: &StepDoc) -> bool {
    step.approve.is_some()
        || step.point_of_no_return
        || (step.uses.is_none() && !step.expect.is_empty())
}

struct Selector<'a> {
    document: &'a Document,
    outline: &'a Outline<'a>,
    graph: &'a Graph,
    request: &'a PlanRequest,
    phases: Vec<Phase>,
    taken: Vec<bool>,
}

impl<'a> Selector<'a> {
    /// What closes a step is taken with it.
    fn take_closings(&mut self) {
        for position in 0..self.graph.len() {
            let opener = self.closes(position);
            if let Some(opener) = opener {
                self.taken[position] = self.taken[opener];
            }
        }
    }

    /// The position of what a closing step closes.
    fn closes(&self, position: usize) -> Option<usize> {
        let NodeKind::Step { step } = self.graph.node(position).kind else { return None };
        let declared = self.outline.get(step);
        let closes = declared.doc.closes.as_deref()?;
        let opener = self.outline.named(closes, declared.parent.map(|parent| parent as usize))?;
        self.graph.position(self.outline.id(opener).as_str())
    }

    fn step(&self, position: usize) -> Option<&Declared<'a>> {
        match self.graph.node(position).kind {
            NodeKind::Step { step } | NodeKind::Begin { step } => Some(self.outline.get(step)),
            _ => None,
        }
    }

    /// A group is taken as a whole or not at all: with it its beginning, and nothing inside it
    /// without it. One without a phase is taken for the sake of what is inside.
    fn take_groups(&mut self) {
        let outline = self.outline;
        if outline.steps().all(|step| !step.is_compound()) {
            return;
        }
        let end = |step: usize| self.graph.position(outline.id(step).as_str());
        let ends: Vec<Option<usize>> = (0..outline.len()).map(end).collect();
        for step in (0..outline.len()).rev() {
            let Some(parent) = outline.get(step).parent else { continue };
            if outline.get(parent as usize).phase.is_none()
                && let (Some(own), Some(group)) = (ends[step], ends[parent as usize])
            {
                self.taken[group] |= self.taken[own];
            }
        }
        for position in 0..self.graph.len() {
            if let NodeKind::Step { step } | NodeKind::Begin { step } =
                self.graph.node(position).kind
            {
                let around = outline.get(step).parent.map(|parent| parent as usize);
                let begins = matches!(self.graph.node(position).kind, NodeKind::Begin { .. });
                if begins && let Some(end) = ends[step] {
                    self.taken[position] = self.taken[end];
                }
                if let Some(group) = around.and_then(|group| ends[group]) {
                    self.taken[position] &= self.taken[group];
                    if begins && let Some(end) = ends[step] {
                        self.taken[end] &= self.taken[group];
                    }
                }
            }
        }
    }

    fn needs(&self, position: usize) -> impl Iterator<Item = usize> {
        self.graph
            .incoming(position)
            .into_iter()
            .filter(|(_, edge)| edge.kind == EdgeKind::Needs)
            .map(|(before, _)| before)
    }

    /// What a step itself relies on: not what its service or a validation only comes after.
    fn named(&self, position: usize) -> impl Iterator<Item = usize> {
        self.graph
            .incoming(position)
            .into_iter()
            .filter(|(_, edge)| {
                edge.kind == EdgeKind::Needs
                    && matches!(edge.reason, Reason::Written | Reason::Order)
            })
            .map(|(before, _)| before)
    }

    fn take(&mut self) {
        let chosen = !self.request.phases.is_empty();
        self.taken = (0..self.graph.len())
            .map(|position| match self.step(position) {
                Some(step) => match step.phase {
                    Some(phase) => self.phases.contains(&phase),
                    None => !chosen,
                },
                None => false,
            })
            .collect();
        self.take_groups();
        if chosen {
            self.take_needed();
            self.take_groups();
        }
        self.take_closings();
        let recovers = self
            .phases
            .iter()
            .any(|phase| matches!(phase, Phase::Failover | Phase::Restore | Phase::Validate))
            || (!chosen && self.phases.iter().all(|phase| *phase == Phase::Cleanup));
        let mut services = vec![(false, false); self.document.services.len()];
        for (step, taken) in (0..self.graph.len())
            .filter_map(|position| Some((self.step(position)?, self.taken[position])))
        {
            let counts = matches!(step.phase, None | Some(Phase::Failover | Phase::Restore));
            if let Some(name) = step.service
                && counts
                && let Some(service) = self.document.services.get_index_of(name)
            {
                services[service].0 = true;
                services[service].1 |= taken;
            }
        }
        for position in 0..self.graph.len() {
            if let NodeKind::Check { service, .. }
            | NodeKind::Tally { service, .. }
            | NodeKind::Join { service } = self.graph.node(position).kind
            {
                let (has_steps, some_taken) = services[service];
                let joins = matches!(self.graph.node(position).kind, NodeKind::Join { .. });
                self.taken[position] = joins
                    || (recovers
                        && (self.phases.contains(&Phase::Validate) || some_taken || !has_steps));
            }
        }
    }

    /// Steps without a phase that the chosen ones need.
    fn take_needed(&mut self) {
        let mut open: Vec<usize> =
            (0..self.taken.len()).filter(|position| self.taken[*position]).collect();
        let mut seen = self.taken.clone();
        while let Some(position) = open.pop() {
            for before in self.needs(position).collect::<Vec<_>>() {
                let passes = self.step(before).is_none_or(|step| step.phase.is_none());
                if passes && !std::mem::replace(&mut seen[before], true) {
                    self.taken[before] = self.step(before).is_some();
                    open.push(before);
                }
            }
        }
    }

    fn check_phases(&self, problems: &mut Vec<Problem>) {
        for phase in &self.request.phases {
            if *phase == Phase::Cleanup && self.request.mode == Mode::Live {
                problems.push(
                    Problem::error(
                        codes::MODE,
                        DocPath::default(),
                        "cleanup steps run at the end of a drill, never in a live run",
                    )
                    .with_help("say `--mode drill`"),
                );
                continue;
            }
            let steps = self.outline.steps().any(|step| step.phase == Some(*phase));
            let validates = *phase == Phase::Validate
                && self.document.services.values().any(|service| !service.validation.is_empty());
            if !steps && !validates {
                problems.push(Problem::error(
                    codes::SELECTION,
                    DocPath::default(),
                    format!("`--phase {phase}`: no step has this phase"),
                ));
            }
        }
    }

    fn check_left_out(&self, skips: &[Option<SkipReason>], problems: &mut Vec<Problem>) {
        let mut seen = vec![false; self.taken.len()];
        for position in (0..self.taken.len()).filter(|position| self.taken[*position]) {
            let mut open = vec![position];
            while let Some(at) = open.pop() {
                for before in self.named(at) {
                    if self.taken[before] || std::mem::replace(&mut seen[before], true) {
                        continue;
                    }
                    open.push(before);
                    let (Some(step), NodeKind::Step { step: index }) =
                        (self.step(before), self.graph.node(before).kind)
                    else {
                        continue;
                    };
                    if guards(step.doc) && skips[before] == Some(SkipReason::Phase) {
                        let (id, needing) =
                            (&self.graph.node(before).id, &self.graph.node(position).id);
                        let phase = step.phase.map_or("", Phase::as_str);
                        problems.push(
                            Problem::error(
                                codes::GATE_LEFT_OUT,
                                self.outline.path(index),
                                format!(
                                    "`{needing}` relies on `{id}`, whose phase ({phase}) is not \
                                     taken"
                                ),
                            )
                            .with_help(format!(
                                "take its phase as well, or leave it out knowingly with `--skip \
                                 {id} --reason \"…\"`"
                            )),
                        );
                    }
                }
            }
        }
    }

    fn needs_not_taken(&self, skips: &[Option<SkipReason>]) -> Vec<Notice> {
        let mut needing: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for position in (0..self.taken.len()).filter(|position| self.taken[*position]) {
            for before in self.named(position) {
                if skips[before] == Some(SkipReason::Phase) && self.step(before).is_some() {
                    needing.entry(before).or_default().push(position);
                }
            }
        }
        needing
            .into_iter()
            .map(|(before, needing)| {
                let phase =
                    self.step(before).and_then(|step| step.phase).map_or("none", Phase::as_str);
                let names: Vec<String> = needing
                    .iter()
                    .take(3)
                    .map(|position| format!("`{}`", self.graph.node(*position).id))
                    .collect();
                let more = match needing.len() {
                    0..=3 => String::new(),
                    count => format!(" and {} more", count - 3),
                };
                Notice {
                    code: codes::NEED_NOT_TAKEN.to_owned(),
                    message: format!(
                        "`{}` (phase {phase}) is not taken: it counts as done for {}{more}",
                        self.graph.node(before).id,
                        names.join(", "),
                    ),
                }
            })
            .collect()
    }
}
