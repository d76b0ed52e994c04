use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use dr_plugin::Host;

use crate::id::{ServiceId, StepId};
use crate::plan::{Plan, Step, Uses, begin_of};
use crate::words::Phase;

/// Position of a step in the machine's tables.
pub(super) type Index = u32;

/// Why a plan cannot be carried out. The planner refuses such a plan with its own diagnostics; here
/// it only guards against a plan that was made or changed by other means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    /// Two steps have the same id.
    #[error("two steps have the id `{0}`")]
    Duplicate(StepId),
    /// An edge or a tally names a step that does not exist.
    #[error("step `{step}` names `{name}`, which is no step of the plan")]
    UnknownStep {
        /// The step that names it.
        step: StepId,
        /// The name.
        name: StepId,
    },
    /// A step belongs to a service that does not exist.
    #[error("step `{step}` belongs to `{service}`, which is no service of the plan")]
    UnknownService {
        /// The step.
        step: StepId,
        /// Its service.
        service: ServiceId,
    },
    /// A step acts on a host that does not exist.
    #[error("step `{step}` acts on `{host}`, which is no host of the plan")]
    UnknownHost {
        /// The step.
        step: StepId,
        /// Its host.
        host: String,
    },
    /// A step takes from a pool that does not exist, or more than the pool has.
    #[error("step `{step}` takes {demand} of pool `{pool}`, which has {capacity}")]
    Capacity {
        /// The step.
        step: StepId,
        /// The pool.
        pool: String,
        /// What the step takes.
        demand: u32,
        /// What there is.
        capacity: u32,
    },
    /// Steps wait for each other.
    #[error("steps wait for each other: {}", chain(.0))]
    Cycle(Vec<StepId>),
    /// A step that changes things would be run again and again.
    #[error("step `{0}` repeats an action that is not pure")]
    Repeats(StepId),
    /// A closing step needs something: it must run however that went.
    #[error("step `{0}` closes another one and so may only come `after` others")]
    ClosingNeeds(StepId),
}

fn chain(steps: &[StepId]) -> String {
    steps.iter().map(StepId::as_str).collect::<Vec<_>>().join(" -> ")
}

/// The plan as the machine reads it: positions instead of ids. Never changes during a run.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) plan: Arc<Plan>,
    pub(super) nodes: Vec<Node>,
    pub(super) services: Vec<ServiceNode>,
    /// Capacity of each pool.
    pub(super) pools: Vec<u32>,
    /// Distinct demands: pool and units, in order of pools.
    pub(super) demands: Vec<Vec<(u32, u32)>>,
    /// Positions in an order in which every step follows what it waits for.
    pub(super) order: Vec<Index>,
    /// Position of the step that is started before all others, then the next one, and so on.
    pub(super) by_rank: Vec<Index>,
    /// Closing and cleanup steps.
    pub(super) closings: Vec<Index>,
    /// For each closing step, what it waits for because of what it closes.
    scopes: HashMap<Index, Vec<Index>>,
    /// Steps that take others back.
    undos: Vec<Step>,
    /// Which step stands at each position: those of the plan, then what takes them back; behind
    /// them the same for each loop that was expanded, so that no position ever changes.
    places: Vec<Place>,
    /// How many steps the plan had at first, and after each expansion.
    layers: Vec<usize>,
    /// Hosts as expressions see them.
    pub(super) hosts: BTreeMap<String, serde_json::Value>,
    index: HashMap<StepId, Index>,
    /// What is directly inside each group, element or loop, by its end.
    groups: HashMap<Index, Vec<Index>>,
}

/// What stands at a position.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// A step of the plan.
    Own(usize),
    /// What takes steps back: a position in [`Graph::undos`].
    Undo(usize),
}

/// Why a step is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It recovers something.
    Forward,
    /// It closes what another one opened.
    Closing(Index),
    /// It puts a drill's traces away.
    Cleanup,
    /// It takes another one back, alone or with others.
    Undo(Index),
}

/// One step and its neighbours.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) role: Role,
    /// The step that takes it back; of a group that does, its end.
    pub(super) undo: Option<Index>,
    /// What must have succeeded.
    pub(super) needs: Vec<Index>,
    /// What must be over, `needs` included, each once.
    pub(super) waits: Vec<Index>,
    /// Who waits for this step, and whether it needs it.
    pub(super) dependents: Vec<(Index, bool)>,
    /// Place in the order of dispatch.
    pub(super) rank: u32,
    /// Which of [`Graph::demands`] it has.
    pub(super) demand: u32,
    /// Its service.
    pub(super) service: Option<u32>,
    /// Whether the recovery of its service waits for it.
    pub(super) counts: bool,
    /// The end of the group, element or loop that it is inside.
    pub(super) inside: Option<Index>,
    /// Where what it is inside, or what it ends, begins.
    pub(super) begin: Option<Index>,
    /// The end of what begins with it.
    pub(super) opened: Option<Index>,
}

/// One service.
#[derive(Debug, Default)]
pub(super) struct ServiceNode {
    /// All its steps.
    pub(super) steps: Vec<Index>,
    /// Those that its recovery waits for.
    pub(super) counted: Vec<Index>,
    /// Services that depend on it.
    pub(super) dependents: Vec<u32>,
}

impl Graph {
    pub(super) fn new(plan: Arc<Plan>) -> Result<Self, PlanFault> {
        Self::layered(plan, Vec::new())
    }

    /// The same with the steps that an expanded loop has added to the plan.
    pub(super) fn grown(&self, plan: Arc<Plan>) -> Result<Self, PlanFault> {
        Self::layered(plan, self.layers.clone())
    }

    fn layered(plan: Arc<Plan>, mut layers: Vec<usize>) -> Result<Self, PlanFault> {
        layers.push(plan.steps.len());
        let Layout { places, undos, taken_back } = layout(&plan, &layers);
        let at = |place: &Place| match place {
            Place::Own(position) => &plan.steps[*position],
            Place::Undo(position) => &undos[*position],
        };
        let mut index = HashMap::with_capacity(places.len());
        for (position, place) in places.iter().enumerate() {
            let step = at(place);
            if index.insert(step.id.clone(), position as Index).is_some() {
                return Err(PlanFault::Duplicate(step.id.clone()));
            }
        }
        let service_index: HashMap<&ServiceId, u32> =
            plan.services.iter().enumerate().map(|(i, s)| (&s.name, i as u32)).collect();
        let mut services: Vec<ServiceNode> =
            plan.services.iter().map(|_| ServiceNode::default()).collect();
        for (position, service) in plan.services.iter().enumerate() {
            for dependency in &service.depends_on {
                if let Some(&on) = service_index.get(dependency) {
                    services[on as usize].dependents.push(position as u32);
                }
            }
        }
        let pool_index: HashMap<&str, u32> =
            plan.pools.keys().enumerate().map(|(i, name)| (name.as_str(), i as u32)).collect();
        let pools: Vec<u32> = plan.pools.values().map(|pool| pool.capacity).collect();

        let mut demands = Demands::default();
        let mut closings = Vec::new();
        let mut groups: HashMap<Index, Vec<Index>> = HashMap::new();
        let mut nodes: Vec<Node> = Vec::with_capacity(plan.steps.len());
        for (position, place) in places.iter().enumerate() {
            let step = at(place);
            let find = |name: &StepId| {
                index.get(name).copied().ok_or_else(|| PlanFault::UnknownStep {
                    step: step.id.clone(),
                    name: name.clone(),
                })
            };
            for counted in step.tally.iter().flat_map(|tally| &tally.of) {
                find(counted)?;
            }
            check(&plan, step)?;
            let mut needs = step.needs.iter().map(find).collect::<Result<Vec<_>, _>>()?;
            needs.sort_unstable();
            needs.dedup();
            let mut waits = step.after.iter().map(find).collect::<Result<Vec<_>, _>>()?;
            waits.extend(&needs);
            let role = match (place, &step.closes) {
                (Place::Undo(undo), _) => {
                    let of = taken_back[*undo];
                    let undo = at(&places[of as usize]).undo.as_ref();
                    if undo.is_some_and(|undo| undo.id == step.id) {
                        nodes[of as usize].undo = Some(position as Index);
                    }
                    Role::Undo(of)
                }
                (Place::Own(_), Some(_)) if !needs.is_empty() => {
                    return Err(PlanFault::ClosingNeeds(step.id.clone()));
                }
                (Place::Own(_), Some(opener)) => {
                    let opener = find(opener)?;
                    waits.push(opener);
                    closings.push(position as Index);
                    Role::Closing(opener)
                }
                (Place::Own(_), None) if step.phase == Some(Phase::Cleanup) => {
                    closings.push(position as Index);
                    Role::Cleanup
                }
                (Place::Own(_), None) => Role::Forward,
            };
            waits.sort_unstable();
            waits.dedup();
            let service = match &step.service {
                None => None,
                Some(name) => Some(service_index.get(name).copied().ok_or_else(|| {
                    PlanFault::UnknownService { step: step.id.clone(), service: name.clone() }
                })?),
            };
            let counts = service.is_some() && role == Role::Forward && step.counts_for_recovery();
            if let Some(service) = service {
                let service = &mut services[service as usize];
                service.steps.push(position as Index);
                if counts {
                    service.counted.push(position as Index);
                }
            }
            let demand = demands.of(step, &pool_index, &pools)?;
            nodes.push(Node {
                role,
                undo: None,
                needs,
                waits,
                dependents: Vec::new(),
                rank: 0,
                demand,
                service,
                counts,
                inside: step.inside.as_ref().map(find).transpose()?,
                begin: None,
                opened: step.opens.as_ref().map(find).transpose()?,
            });
            if let Some(group) = &step.group {
                let of = group.of.iter().map(find).collect::<Result<Vec<_>, _>>()?;
                groups.insert(position as Index, of);
            }
            let around = step.group.as_ref().map(|_| &step.id).or(step.inside.as_ref());
            if let Some(begin) = around.map(begin_of) {
                nodes[position].begin = Some(find(&begin)?);
            }
        }
        for position in 0..nodes.len() {
            let waits = std::mem::take(&mut nodes[position].waits);
            for &on in &waits {
                let needed = nodes[position].needs.binary_search(&on).is_ok();
                nodes[on as usize].dependents.push((position as Index, needed));
            }
            nodes[position].waits = waits;
        }
        let mut by_rank: Vec<Index> = (0..nodes.len() as Index).collect();
        by_rank.sort_by_key(|&position| (at(&places[position as usize]).urgency, position));
        for (rank, &position) in by_rank.iter().enumerate() {
            nodes[position as usize].rank = rank as u32;
        }
        let order = order(&nodes).map_err(|cycle| {
            let id = |position: Index| at(&places[position as usize]).id.clone();
            PlanFault::Cycle(cycle.into_iter().map(id).collect())
        })?;
        let hosts = plan
            .hosts
            .iter()
            .map(|(name, host)| (name.clone(), serde_json::to_value(host).unwrap_or_default()))
            .collect();
        let demands = demands.list;
        let mut graph = Self {
            plan,
            nodes,
            services,
            pools,
            demands,
            order,
            by_rank,
            closings,
            scopes: HashMap::new(),
            undos,
            places,
            layers,
            hosts,
            index,
            groups,
        };
        graph.close_last();
        Ok(graph)
    }

    /// Lets each closing step wait for all of its scope. What it is written after may be over at once,
    /// because it can never run, while work before that still goes on.
    fn close_last(&mut self) {
        for closing in self.closings.clone() {
            let Role::Closing(opener) = self.role(closing) else { continue };
            let scope = self.find_scope(closing, opener);
            for &on in &scope {
                let waits = &mut self.nodes[closing as usize].waits;
                if let Err(place) = waits.binary_search(&on) {
                    waits.insert(place, on);
                    self.nodes[on as usize].dependents.push((closing, false));
                }
            }
            self.scopes.insert(closing, scope);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Positions of the plan's own steps: all but those that take others back.
    pub(super) fn own(&self) -> impl Iterator<Item = Index> + '_ {
        let places = (0..).zip(&self.places);
        places.filter(|(_, place)| matches!(place, Place::Own(_))).map(|(position, _)| position)
    }

    pub(super) fn step(&self, position: Index) -> &Step {
        match self.places[position as usize] {
            Place::Own(position) => &self.plan.steps[position],
            Place::Undo(position) => &self.undos[position],
        }
    }

    pub(super) fn role(&self, position: Index) -> Role {
        self.nodes[position as usize].role
    }

    /// What a closing step waits for because of what it closes: all its ancestors but the step
    /// that it closes and that one's own.
    pub(super) fn scope(&self, closing: Index) -> &[Index] {
        self.scopes.get(&closing).map_or(&[], Vec::as_slice)
    }

    /// All that led to a step: what it needs, directly or not.
    pub(super) fn led_to(&self, step: Index) -> HashSet<Index> {
        let mut found = HashSet::new();
        let mut next = vec![step];
        while let Some(step) = next.pop() {
            for &on in self.node(step).needs.iter().chain(self.inside(step)) {
                if found.insert(on) {
                    next.push(on);
                }
            }
        }
        found
    }

    fn find_scope(&self, closing: Index, opener: Index) -> Vec<Index> {
        let mut seen = vec![false; self.len()];
        seen[opener as usize] = true;
        self.ancestors(opener, &mut seen);
        self.ancestors(closing, &mut seen)
    }

    /// What a step waits for, directly or not, less what was seen already and what comes before that.
    fn ancestors(&self, step: Index, seen: &mut [bool]) -> Vec<Index> {
        let mut found = Vec::new();
        let mut next = vec![step];
        while let Some(step) = next.pop() {
            for &on in &self.node(step).waits {
                if !std::mem::replace(&mut seen[on as usize], true) {
                    found.push(on);
                    next.push(on);
                }
            }
        }
        found
    }

    pub(super) fn node(&self, position: Index) -> &Node {
        &self.nodes[position as usize]
    }

    pub(super) fn id(&self, position: Index) -> StepId {
        self.step(position).id.clone()
    }

    pub(super) fn find(&self, id: &str) -> Option<Index> {
        self.index.get(id).copied()
    }

    /// What is directly inside the group, element or loop that a step ends; nothing for others.
    pub(super) fn inside(&self, end: Index) -> &[Index] {
        self.groups.get(&end).map_or(&[], Vec::as_slice)
    }

    /// Whether `begin` is where what `end` ends begins.
    pub(super) fn opens(&self, begin: Index, end: Index) -> bool {
        self.node(begin).opened == Some(end)
    }

    /// Where the group, element or loop begins that a step ends.
    pub(super) fn begin_of_end(&self, end: Index) -> Option<Index> {
        self.groups.get(&end).and(self.node(end).begin)
    }

    pub(super) fn host(&self, name: Option<&String>) -> Option<Host> {
        name.and_then(|name| self.plan.hosts.get(name)).cloned()
    }

    /// Under what name the plan has the settings for a step's action.
    pub(super) fn settings(&self, step: &Step, uses: &Uses) -> String {
        self.plan.settings_name(step.include.as_ref(), &uses.plugin).to_owned()
    }

    /// A service and all that depend on it, directly or not.
    pub(super) fn downstream(&self, service: u32) -> Vec<u32> {
        let mut found = vec![service];
        let mut next = 0;
        while let Some(&service) = found.get(next) {
            next += 1;
            for dependent in &self.services[service as usize].dependents {
                if !found.contains(dependent) {
                    found.push(*dependent);
                }
            }
        }
        found
    }
}

/// Where each step stands, and the steps that take others back, each with the position of the one
/// that it takes back.
struct Layout {
    places: Vec<Place>,
    undos: Vec<Step>,
    taken_back: Vec<Index>,
}

fn layout(plan: &Plan, layers: &[usize]) -> Layout {
    let mut layout = Layout {
        places: Vec::with_capacity(plan.steps.len()),
        undos: Vec::new(),
        taken_back: Vec::new(),
    };
    let mut from = 0;
    for &to in layers {
        let first = layout.places.len();
        layout.places.extend((from..to).map(Place::Own));
        for (number, step) in plan.steps[from..to].iter().enumerate() {
            for undo in step.undo_steps() {
                layout.places.push(Place::Undo(layout.undos.len()));
                layout.undos.push(Step { urgency: step.urgency, ..undo.clone() });
                layout.taken_back.push((first + number) as Index);
            }
        }
        from = to;
    }
    layout
}

fn check(plan: &Plan, step: &Step) -> Result<(), PlanFault> {
    let checked_on = step.check.as_ref().and_then(|check| check.host.as_ref());
    for host in step.host.iter().chain(checked_on) {
        if !plan.hosts.contains_key(host) {
            return Err(PlanFault::UnknownHost { step: step.id.clone(), host: host.clone() });
        }
    }
    if step.repeat.is_some() && !step.effect.is_repeatable() {
        return Err(PlanFault::Repeats(step.id.clone()));
    }
    Ok(())
}

#[derive(Default)]
struct Demands {
    known: HashMap<Vec<(u32, u32)>, u32>,
    list: Vec<Vec<(u32, u32)>>,
}

impl Demands {
    fn of(
        &mut self,
        step: &Step,
        index: &HashMap<&str, u32>,
        pools: &[u32],
    ) -> Result<u32, PlanFault> {
        let mut demand = Vec::with_capacity(step.takes.len());
        for (name, &units) in &step.takes {
            let pool = index.get(name.as_str()).copied();
            let capacity = pool.map_or(0, |pool| pools[pool as usize]);
            match pool {
                Some(pool) if units <= capacity => {
                    if units > 0 {
                        demand.push((pool, units));
                    }
                }
                _ => {
                    return Err(PlanFault::Capacity {
                        step: step.id.clone(),
                        pool: name.clone(),
                        demand: units,
                        capacity,
                    });
                }
            }
        }
        demand.sort_unstable();
        if let Some(&known) = self.known.get(&demand) {
            return Ok(known);
        }
        let number = self.list.len() as u32;
        self.known.insert(demand.clone(), number);
        self.list.push(demand);
        Ok(number)
    }
}

/// Positions so that each follows what it waits for; or a cycle.
fn order(nodes: &[Node]) -> Result<Vec<Index>, Vec<Index>> {
    let mut left: Vec<usize> = nodes.iter().map(|node| node.waits.len()).collect();
    let mut ready: VecDeque<Index> =
        (0..nodes.len() as Index).filter(|&i| left[i as usize] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(position) = ready.pop_front() {
        order.push(position);
        for &(dependent, _) in &nodes[position as usize].dependents {
            left[dependent as usize] -= 1;
            if left[dependent as usize] == 0 {
                ready.push_back(dependent);
            }
        }
    }
    if order.len() == nodes.len() {
        return Ok(order);
    }
    // Whoever still waits has somebody to wait for: following that leads into a cycle.
    let waits_for = |position: Index| {
        nodes[position as usize].waits.iter().copied().find(|&on| left[on as usize] > 0)
    };
    let mut path: Vec<Index> =
        (0..nodes.len() as Index).filter(|&i| left[i as usize] > 0).take(1).collect();
    while let Some(next) = path.last().and_then(|&last| waits_for(last)) {
        if let Some(start) = path.iter().position(|&seen| seen == next) {
            path.drain(..start);
            path.push(next);
            break;
        }
        path.push(next);
    }
    Err(path)
}
