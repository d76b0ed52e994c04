use std::collections::{HashMap, HashSet};

use petgraph::graph::{DiGraph, NodeIndex};

use super::cycles;
use super::model::{Edge, EdgeKind, Graph, Node, NodeKind, Reason};
use crate::id::StepId;
use crate::runbook::{Declared, DocPath, Document, Outline, Problem, codes};
use crate::text::nearest;
use crate::words::Phase;

type Index = NodeIndex<u32>;

/// Steps that one step names: most name few.
#[derive(Default)]
struct Few {
    few: Vec<usize>,
    many: HashSet<usize>,
}

impl Few {
    const FEW: usize = 16;

    /// Whether it was not there before.
    fn insert(&mut self, step: usize) -> bool {
        if self.few.contains(&step) || self.many.contains(&step) {
            return false;
        }
        if self.few.len() < Self::FEW {
            self.few.push(step);
            return true;
        }
        self.many.insert(step)
    }
}

/// More edges than this between two sets of nodes, and they meet in a join instead.
const DIRECT_EDGES: usize = 256;

impl Graph {
    /// The graph of a runbook and everything that is wrong with it: unknown names and cycles. With
    /// problems the graph is still fit for questions, not for planning.
    #[must_use]
    pub fn build(document: &Document) -> (Self, Vec<Problem>) {
        Self::of(document, &Outline::new(document))
    }

    /// The same, with an outline that is there already.
    #[must_use]
    pub fn of(document: &Document, outline: &Outline<'_>) -> (Self, Vec<Problem>) {
        let mut builder = Builder::new(document, outline);
        builder.add_nodes();
        builder.add_written_edges();
        builder.add_service_edges();
        builder.finish()
    }
}

/// The part of a recovery that a step belongs to: services wait for each other part by part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Recover,
    Failback,
    /// Backups, cleanups and closing steps: nothing waits for them by service.
    Aside,
}

fn part(step: &Declared<'_>) -> Part {
    match step.phase {
        _ if step.doc.closes.is_some() => Part::Aside,
        None | Some(Phase::Failover | Phase::Restore | Phase::Validate) => Part::Recover,
        Some(Phase::Failback) => Part::Failback,
        Some(Phase::Backup | Phase::Cleanup) => Part::Aside,
    }
}

struct Builder<'a> {
    document: &'a Document,
    outline: &'a Outline<'a>,
    graph: DiGraph<Node, Edge, u32>,
    by_id: HashMap<StepId, Index>,
    /// Node of each declared step; of a group, its end.
    steps: Vec<Index>,
    /// Where each group or loop begins.
    begins: HashMap<usize, Index>,
    /// Service of each declared step.
    service_of: Vec<Option<usize>>,
    services: Vec<ServiceNodes>,
    problems: Vec<Problem>,
}

#[derive(Default)]
struct ServiceNodes {
    /// Nodes of its declared steps.
    steps: Vec<Index>,
    /// The last of its declared steps.
    last: Option<usize>,
    /// Nodes that its validation consists of.
    checks: Vec<Index>,
    /// Nodes that decide its validation: single checks and tallies.
    verdicts: Vec<Index>,
    depends_on: Vec<usize>,
    /// `SERVICE!steps` and `SERVICE!recovered`, once made.
    steps_join: Option<Index>,
    recovered_join: Option<Index>,
    failback_join: Option<Index>,
}

impl<'a> Builder<'a> {
    fn new(document: &'a Document, outline: &'a Outline<'a>) -> Self {
        let steps = outline.len();
        let mut builder = Self {
            document,
            outline,
            graph: DiGraph::with_capacity(steps, steps * 3),
            by_id: HashMap::with_capacity(steps),
            steps: Vec::with_capacity(steps),
            begins: HashMap::new(),
            service_of: Vec::with_capacity(steps),
            services: Vec::new(),
            problems: Vec::new(),
        };
        builder.services.resize_with(document.services.len(), ServiceNodes::default);
        builder
    }

    fn service_named(&mut self, name: &str, at: impl FnOnce() -> DocPath) -> Option<usize> {
        let found = self.document.services.get_index_of(name);
        if found.is_none() {
            let mut problem = Problem::error(
                codes::UNKNOWN_SERVICE,
                at(),
                format!("there is no service `{name}`"),
            );
            if let Some(near) = nearest(name, self.document.services.keys().map(String::as_str)) {
                problem = problem.with_help(format!("did you mean `{near}`?"));
            }
            self.problems.push(problem);
        }
        found
    }

    fn add_nodes(&mut self) {
        let outline = self.outline;
        for (position, step) in outline.steps().enumerate() {
            // What is inherited was already complained about.
            let service = match step.doc.service.as_deref() {
                Some(name) => self.service_named(name, || outline.path(position).field("service")),
                None => step.service.and_then(|name| self.document.services.get_index_of(name)),
            };
            self.service_of.push(service);
            if let Some(service) = service {
                self.services[service].last = Some(position);
            }
        }
        // Node order is plan order: a service's validation follows the last of its steps.
        let mut validated_after: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut without_steps = Vec::new();
        for (service, nodes) in self.services.iter().enumerate() {
            match nodes.last {
                // Never inside a group: after the one that it ends with.
                Some(last) => {
                    let mut last = last;
                    while let Some(group) = outline.get(last).parent {
                        last = group as usize;
                    }
                    validated_after.entry(last).or_default().push(service);
                }
                None => without_steps.push(service),
            }
        }
        self.steps.resize(outline.len(), Index::default());
        self.add_steps(None, &mut validated_after);
        for service in without_steps {
            self.add_validation(service);
        }
    }

    fn add_steps(
        &mut self,
        group: Option<usize>,
        validated_after: &mut HashMap<usize, Vec<usize>>,
    ) {
        let outline = self.outline;
        for step in outline.inside(group) {
            let id = outline.id(step);
            if outline.get(step).is_compound() {
                let begin = StepId::from(format!("{id}!begin"));
                let begin = self.add_step(begin, NodeKind::Begin { step }, step);
                self.begins.insert(step, begin);
                self.add_steps(Some(step), validated_after);
            }
            self.steps[step] = self.add_step(id, NodeKind::Step { step }, step);
            for service in validated_after.remove(&step).unwrap_or_default() {
                self.add_validation(service);
            }
        }
    }

    fn add_step(&mut self, id: StepId, kind: NodeKind, step: usize) -> Index {
        let node = self.add_node(id, kind);
        if let Some(service) = self.service_of[step] {
            self.services[service].steps.push(node);
        }
        node
    }

    fn add_node(&mut self, id: StepId, kind: NodeKind) -> Index {
        let index = self.graph.add_node(Node { id: id.clone(), kind });
        self.by_id.entry(id).or_insert(index);
        index
    }

    fn add_validation(&mut self, service: usize) {
        let document = self.document;
        let Some((name, written)) = document.services.get_index(service) else { return };
        for (validation, doc) in written.validation.iter().enumerate() {
            let id = format!("{name}!validation/{}", validation + 1);
            let single = doc.checks.len() == 1;
            let mut checks = Vec::with_capacity(doc.checks.len());
            for check in 0..doc.checks.len() {
                let id = if single { id.clone() } else { format!("{id}/{}", check + 1) };
                let kind = NodeKind::Check { service, validation, check };
                checks.push(self.add_node(StepId::from(id), kind));
            }
            let tallied = !single && doc.threshold.is_some_and(|share| share < 1.0);
            if tallied {
                let tally =
                    self.add_node(StepId::from(id), NodeKind::Tally { service, validation });
                for check in &checks {
                    self.add_edge(*check, tally, EdgeKind::After, Reason::Validation);
                }
                self.services[service].verdicts.push(tally);
            } else {
                self.services[service].verdicts.extend(&checks);
            }
            self.services[service].checks.extend(checks);
        }
    }

    fn add_edge(&mut self, from: Index, to: Index, kind: EdgeKind, reason: Reason) {
        self.graph.add_edge(from, to, Edge { kind, reason });
    }

    fn add_written_edges(&mut self) {
        let outline = self.outline;
        for (position, declared) in outline.steps().enumerate() {
            let step = declared.doc;
            let parent = declared.parent.map(|parent| parent as usize);
            let to = self.begins.get(&position).copied().unwrap_or(self.steps[position]);
            let mut named = Few::default();
            let mut follows_sibling = false;
            for (names, kind, field) in
                [(&step.needs, EdgeKind::Needs, "needs"), (&step.after, EdgeKind::After, "after")]
            {
                for (item, name) in names.iter().flatten().enumerate() {
                    let at = || outline.path(position).field(field).index(item);
                    match outline.named(name, parent) {
                        Some(before) if around(outline, before, position) => {
                            let problem = self.own_group(name, position, at());
                            self.problems.push(problem);
                        }
                        // Written in both lists: the stricter one counts, and it comes first.
                        Some(before) => {
                            if named.insert(before) {
                                let sibling = outline.get(before).parent == declared.parent;
                                follows_sibling |= sibling && kind == EdgeKind::Needs;
                                self.add_edge(self.steps[before], to, kind, Reason::Written);
                            }
                        }
                        None => {
                            let problem = self.unknown_step(name, parent, at());
                            self.problems.push(problem);
                        }
                    }
                }
            }
            let names_nothing = step.needs.is_none() && step.after.is_none();
            if outline.in_order(declared.parent) && names_nothing && declared.sibling > 0 {
                let mut before = position - 1;
                while outline.get(before).parent != declared.parent {
                    before = outline.get(before).parent.map_or(0, |group| group as usize);
                }
                named.insert(before);
                // A closing step runs however the one before it ended.
                let closes = step.closes.is_some();
                let kind = if closes { EdgeKind::After } else { EdgeKind::Needs };
                self.add_edge(self.steps[before], to, kind, Reason::Order);
                follows_sibling = true;
            }
            if let Some(name) = &step.closes {
                match outline.named(name, parent) {
                    Some(from) if named.insert(from) => {
                        self.add_edge(self.steps[from], to, EdgeKind::After, Reason::Closes);
                    }
                    Some(_) => {}
                    None => {
                        let at = outline.path(position).field("closes");
                        let problem = self.unknown_step(name, parent, at);
                        self.problems.push(problem);
                    }
                }
                // It may only come after others, and what it closes stands beside it.
                follows_sibling = true;
            }
            if let Some(parent) = parent {
                if !follows_sibling {
                    self.add_edge(self.begins[&parent], to, EdgeKind::Needs, Reason::Group);
                }
                let end = self.steps[parent];
                self.add_edge(self.steps[position], end, EdgeKind::After, Reason::Group);
            }
            if let Some(begin) = self.begins.get(&position) {
                self.add_edge(*begin, self.steps[position], EdgeKind::Needs, Reason::Group);
            }
        }
    }

    fn own_group(&self, name: &str, step: usize, at: DocPath) -> Problem {
        let id = self.outline.id(step);
        Problem::error(
            codes::CYCLE,
            at,
            format!("`{id}` is inside `{name}` and waits for it: neither could ever start"),
        )
        .with_help("a group is over when all its steps are: name one of its steps, or remove this")
    }

    fn unknown_step(&self, name: &str, group: Option<usize>, at: DocPath) -> Problem {
        let outline = self.outline;
        let problem = Problem::error(codes::UNKNOWN_STEP, at, format!("there is no step `{name}`"));
        if self.document.services.contains_key(name) {
            return problem.with_help(format!(
                "`{name}` is a service: name one of its steps, or let this step's service depend \
                 on it (`depends_on`)"
            ));
        }
        // A guess looks at every step: not for thousands of unknown names.
        if self.problems.len() >= 1_000 {
            return problem;
        }
        let elsewhere = (0..outline.len()).find(|step| {
            let declared = outline.get(*step);
            declared.parent.is_some()
                && (declared.doc.id.value == name || outline.id(*step).as_str() == name)
        });
        if let Some(step) = elsewhere
            && let Some(parent) = outline.get(step).parent
        {
            let group = outline.id(parent as usize);
            return problem.with_help(format!(
                "there is one inside `{group}`, which cannot be seen from here: name `{group}` \
                 itself, or a step of the same group"
            ));
        }
        match nearest(name, outline.names(group)) {
            Some(near) => problem.with_help(format!("did you mean `{near}`?")),
            None => problem,
        }
    }

    fn add_service_edges(&mut self) {
        let document = self.document;
        for (service, (name, doc)) in document.services.iter().enumerate() {
            for (item, on) in doc.depends_on.iter().enumerate() {
                let at = || DocPath(format!("services.{name}.depends_on")).index(item);
                if let Some(on) = self.service_named(on, at)
                    && !self.services[service].depends_on.contains(&on)
                {
                    self.services[service].depends_on.push(on);
                }
            }
        }
        let depends_on: Vec<Vec<usize>> =
            self.services.iter().map(|nodes| nodes.depends_on.clone()).collect();
        if let Some(problem) = cycles::among_services(document, &depends_on) {
            // The steps of such services wait for each other too: once said is enough.
            self.problems.push(problem);
            return;
        }
        for service in 0..self.services.len() {
            let targets = self.services[service].checks.clone();
            if !targets.is_empty() {
                let sources = self.last_steps(service, Part::Recover);
                self.link(&sources, &targets, service, Part::Recover, Reason::Validation, false);
            }
        }
        for (service, depends_on) in depends_on.iter().enumerate() {
            for part in [Part::Recover, Part::Failback] {
                let targets = self.first_nodes(service, part);
                if targets.is_empty() {
                    continue;
                }
                for &on in depends_on {
                    let sources = self.recovered(on, part);
                    self.link(&sources, &targets, on, part, Reason::Service { on }, true);
                }
            }
        }
    }

    /// Steps of a service's part that no other step of that part waits for directly.
    fn last_steps(&self, service: usize, wanted: Part) -> Vec<Index> {
        self.edge_steps(service, wanted, petgraph::Direction::Outgoing, |_| true)
    }

    /// Where a service's part begins: its steps, unless `early`, that wait for no other such step
    /// directly. Without any: its validation.
    fn first_nodes(&self, service: usize, wanted: Part) -> Vec<Index> {
        let first = self.edge_steps(service, wanted, petgraph::Direction::Incoming, |step| {
            !self.outline.get(step).doc.early
        });
        if first.is_empty() && wanted == Part::Recover {
            return self.services[service].checks.clone();
        }
        first
    }

    fn edge_steps(
        &self,
        service: usize,
        wanted: Part,
        direction: petgraph::Direction,
        counts: impl Fn(usize) -> bool,
    ) -> Vec<Index> {
        let belongs = |node: Index| match self.graph[node].kind {
            NodeKind::Step { step } | NodeKind::Begin { step } => {
                self.service_of[step] == Some(service)
                    && part(self.outline.get(step)) == wanted
                    && counts(step)
            }
            _ => false,
        };
        self.services[service]
            .steps
            .iter()
            .copied()
            .filter(|node| belongs(*node))
            .filter(|node| !self.graph.neighbors_directed(*node, direction).any(belongs))
            .collect()
    }

    /// The nodes that must have succeeded for a part of a service to be done. A service without
    /// steps and validation is as far as those it depends on. Services must not be cyclic.
    fn recovered(&self, service: usize, part: Part) -> Vec<Index> {
        let mut found = Vec::new();
        let mut seen = vec![false; self.services.len()];
        let mut open = vec![service];
        while let Some(service) = open.pop() {
            if std::mem::replace(&mut seen[service], true) {
                continue;
            }
            let nodes = &self.services[service];
            let own = if part == Part::Recover && !nodes.verdicts.is_empty() {
                nodes.verdicts.clone()
            } else {
                self.last_steps(service, part)
            };
            if own.is_empty() {
                open.extend(&nodes.depends_on);
            } else {
                found.extend(own);
            }
        }
        found
    }

    /// Lets every target wait for every source; through a join where that would be many edges.
    fn link(
        &mut self,
        sources: &[Index],
        targets: &[Index],
        service: usize,
        part: Part,
        reason: Reason,
        recovered: bool,
    ) {
        let few = sources.len() * targets.len() <= DIRECT_EDGES;
        if few || sources.len() == 1 || targets.len() == 1 {
            for &to in targets {
                // What is written counts, whatever else would ask for it.
                let named: HashSet<Index> =
                    self.graph.neighbors_directed(to, petgraph::Direction::Incoming).collect();
                for &from in sources {
                    if !named.contains(&from) {
                        self.add_edge(from, to, EdgeKind::Needs, reason);
                    }
                }
            }
            return;
        }
        let join = self.join(sources, service, part, recovered);
        for &to in targets {
            self.add_edge(join, to, EdgeKind::Needs, reason);
        }
    }

    fn join(&mut self, sources: &[Index], service: usize, part: Part, recovered: bool) -> Index {
        let name = self.document.services.get_index(service).map_or("", |(name, _)| name.as_str());
        let (made, id) = match (part, recovered) {
            (Part::Failback, _) => (self.services[service].failback_join, "failed_back"),
            (_, true) => (self.services[service].recovered_join, "recovered"),
            (_, false) => (self.services[service].steps_join, "steps"),
        };
        if let Some(join) = made {
            return join;
        }
        let join = self.add_node(StepId::from(format!("{name}!{id}")), NodeKind::Join { service });
        for &from in sources {
            self.add_edge(from, join, EdgeKind::Needs, Reason::Join);
        }
        let nodes = &mut self.services[service];
        match (part, recovered) {
            (Part::Failback, _) => nodes.failback_join = Some(join),
            (_, true) => nodes.recovered_join = Some(join),
            (_, false) => nodes.steps_join = Some(join),
        }
        join
    }

    fn finish(mut self) -> (Graph, Vec<Problem>) {
        let order = cycles::topological(&self.graph);
        if order.len() < self.graph.node_count() {
            let found = cycles::among_steps(self.document, self.outline, &self.graph, &self.steps);
            self.problems.extend(found);
        }
        let mut rank = vec![u32::MAX; self.graph.node_count()];
        for (position, node) in order.iter().enumerate() {
            rank[node.index()] = position as u32;
        }
        let graph = Graph { inner: self.graph, by_id: self.by_id, rank, order };
        (graph, self.problems)
    }
}

/// Whether `group` is around `step`, or is the step itself.
fn around(outline: &Outline<'_>, group: usize, step: usize) -> bool {
    group < step && step < outline.get(group).end as usize
}
