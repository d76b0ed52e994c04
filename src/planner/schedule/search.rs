use super::generator::{Generator, Scheme};
use super::objective::Value;
use super::profile::Profile;
use super::random::Random;

/// Schedules kept on each side at the beginning of the search, and at its end.
const MANY: usize = 60;
const FEW: usize = 8;
/// In percent: how often the part of a list that is kept whole lies in its middle.
const MIDDLE: usize = 50;
/// In percent: how many children are made in parallel at the beginning.
const PARALLEL: usize = 60;
/// Steps moved at once are fewer than this after two lists were crossed; at most so many without.
const MOVES_CROSSED: usize = 4;
const MOVES: usize = 3;

/// A schedule by an order that respects the edges.
type Member = (Value, Vec<u32>);

/// Improves on `best` until `budget` schedules are used up or `bound` is met.
///
/// Two populations: schedules shifted to the left, kept by the order of their ends, and schedules
/// shifted to the right, kept by the order of their starts. By turns two lists of one side are
/// crossed and a few steps moved; generated from the other end of time, the result belongs to the
/// other side. So each schedule is child and justification at once. It is kept if it is not worse
/// than the worst one kept, so that the search can wander over plateaus. At first most children are
/// made in parallel, which fills the pools well wherever they are short; then ever more serially,
/// which can make the best schedule there is.
pub(super) fn search<P: Profile>(
    generator: &mut Generator<'_, P>,
    best: &mut [u64],
    candidates: &[Vec<u64>],
    bound: &Value,
    budget: usize,
    random: &mut Random,
) {
    if best.len() < 2 {
        return;
    }
    let mut search = Search::new(generator, best, candidates);
    search.run(generator, best, bound, budget, random);
}

/// The two sides.
const LEFT: usize = 0;
const RIGHT: usize = 1;

struct Search {
    /// The best of each side first; of equals, the newest first.
    sides: [Vec<Member>; 2],
    value: Value,
    /// Scratch.
    child: Vec<u32>,
    places: Vec<u32>,
    taken: Vec<bool>,
    starts: Vec<u64>,
}

impl Search {
    fn new<P: Profile>(
        generator: &mut Generator<'_, P>,
        best: &[u64],
        candidates: &[Vec<u64>],
    ) -> Self {
        let mut search = Self {
            sides: [Vec::new(), Vec::new()],
            value: generator.value(best),
            child: Vec::with_capacity(best.len()),
            places: vec![0; best.len()],
            taken: vec![false; best.len()],
            starts: vec![0; best.len()],
        };
        generator.bind(best);
        for candidate in std::iter::once(best).chain(candidates.iter().map(Vec::as_slice)) {
            search.starts.copy_from_slice(candidate);
            search.keep(generator, LEFT, MANY);
            generator.list_by_end(&search.starts, &mut search.child);
            let (list, starts) = (&search.child, &mut search.starts);
            generator.backward_within(Scheme::Serial, list, starts, u64::MAX);
            search.keep(generator, RIGHT, MANY);
        }
        search
    }

    fn run<P: Profile>(
        &mut self,
        generator: &mut Generator<'_, P>,
        best: &mut [u64],
        bound: &Value,
        budget: usize,
        random: &mut Random,
    ) {
        let pace = Pace::new(generator.made(), budget);
        let (mut from, mut to) = (LEFT, RIGHT);
        while generator.made() + 2 <= budget && self.value > *bound {
            let most = pace.most(generator.made());
            for side in &mut self.sides {
                side.truncate(most);
            }
            self.breed(generator, from, random);
            let worst = self.sides[to].last().filter(|_| self.sides[to].len() >= most);
            let worst = worst.map(|member| member.0);
            // Lateness is not seen from the makespan: with late services every schedule is made.
            let limit = worst.filter(|worst| worst.lateness == [0; 4]);
            let limit = limit.map_or(u64::MAX, |worst| worst.makespan);
            let is_parallel = random.below(100) < pace.parallel(generator.made());
            let scheme = if is_parallel { Scheme::Parallel } else { Scheme::Serial };
            let whole = if to == RIGHT {
                generator.backward_within(scheme, &self.child, &mut self.starts, limit)
            } else {
                generator.forward_within(scheme, &self.child, &mut self.starts, limit)
            };
            if whole {
                let found = generator.value(&self.starts);
                if found < self.value {
                    self.value = found;
                    best.copy_from_slice(&self.starts);
                    generator.bind(best);
                }
                if worst.is_none_or(|worst| found <= worst) {
                    self.keep(generator, to, most);
                }
            }
            std::mem::swap(&mut from, &mut to);
        }
        // What was found on the right is shifted to the left: nothing waits for nothing.
        generator.list_by_start(best, &mut self.child);
        generator.forward(&self.child, &mut self.starts);
        if generator.value(&self.starts) <= self.value {
            best.copy_from_slice(&self.starts);
        }
    }

    /// Keeps the schedule at hand on a side.
    fn keep<P: Profile>(&mut self, generator: &mut Generator<'_, P>, to: usize, most: usize) {
        let value = generator.value(&self.starts);
        if to == LEFT {
            generator.list_by_end(&self.starts, &mut self.child);
        } else {
            generator.list_by_start(&self.starts, &mut self.child);
        }
        let side = &mut self.sides[to];
        let first = side.partition_point(|member| member.0 < value);
        let equals = side[first..].iter().take_while(|member| member.0 == value);
        if equals.into_iter().any(|member| member.1 == self.child) {
            return;
        }
        side.insert(first, (value, self.child.clone()));
        side.truncate(most);
    }

    /// A new list from one or two of those kept.
    fn breed<P: Profile>(
        &mut self,
        generator: &Generator<'_, P>,
        from: usize,
        random: &mut Random,
    ) {
        let members = self.sides[from].len();
        // Each has the same chance: those that are kept are few enough.
        let (one, two) = (random.below(members), random.below(members));
        let crosses = one != two;
        if crosses {
            self.cross(from, one, two, random);
        } else {
            self.child.clone_from(&self.sides[from][one].1);
        }
        for (place, step) in self.child.iter().enumerate() {
            self.places[*step as usize] = place as u32;
        }
        let moves = if crosses { random.below(MOVES_CROSSED) } else { 1 + random.below(MOVES) };
        for _ in 0..moves {
            move_one(generator, &mut self.child, &mut self.places, random);
        }
    }

    /// One list and the order of another: both ends of the one with as many steps of the other
    /// between them as fit, or the middle of the one with the order of the other around it. That
    /// respects the edges, since both lists do.
    fn cross(&mut self, side: usize, one: usize, two: usize, random: &mut Random) {
        let steps = self.places.len();
        let length = (steps / 4 + random.below(steps / 3 + 1)).min(steps);
        let from = random.below(steps - length + 1);
        let (one, two) = (&self.sides[side][one].1, &self.sides[side][two].1);
        if random.below(100) < MIDDLE {
            for (place, step) in one.iter().enumerate() {
                self.places[*step as usize] = place as u32;
            }
            let places = &self.places;
            let of_two = |part: std::ops::Range<usize>| {
                two.iter()
                    .copied()
                    .filter(move |step| part.contains(&(places[*step as usize] as usize)))
            };
            self.child.clear();
            self.child.extend(of_two(0..from));
            self.child.extend_from_slice(&one[from..from + length]);
            self.child.extend(of_two(from + length..steps));
            return;
        }
        self.taken.fill(false);
        self.child.clear();
        self.child.extend_from_slice(&one[..from]);
        for step in &one[..from] {
            self.taken[*step as usize] = true;
        }
        for step in two {
            if self.child.len() == from + length {
                break;
            }
            if !std::mem::replace(&mut self.taken[*step as usize], true) {
                self.child.push(*step);
            }
        }
        let taken = &self.taken;
        self.child.extend(one.iter().filter(|step| !taken[**step as usize]));
    }
}

/// How the search goes on while its budget is used up: it first looks around and then goes deep.
struct Pace {
    /// Schedules that had been made before it began.
    first: usize,
    budget: usize,
    most: [usize; PARTS + 1],
}

/// Parts of the budget in each of which as many schedules are kept: a power of two.
const PARTS: usize = 64;

impl Pace {
    fn new(first: usize, budget: usize) -> Self {
        // Roots and products are rounded alike everywhere, powers are not.
        let whole = FEW as f64 / MANY as f64;
        let part = (0..PARTS.ilog2()).fold(whole, |share, _| share.sqrt());
        let mut kept = MANY as f64;
        let most = std::array::from_fn(|_| {
            let most = kept;
            kept *= part;
            (most + 0.5) as usize
        });
        Self { first, budget, most }
    }

    /// How many schedules each side keeps: fewer by the same share for each part of the budget.
    fn most(&self, made: usize) -> usize {
        let whole = self.budget.saturating_sub(self.first).max(1);
        self.most[((made - self.first) * PARTS / whole).min(PARTS)]
    }

    /// In percent: how many children are made in parallel, falling evenly to none.
    fn parallel(&self, made: usize) -> usize {
        PARALLEL * (self.budget - made) / self.budget
    }
}

/// Moves one step of a list to another place between what it waits for and what waits for it.
fn move_one<P: Profile>(
    generator: &Generator<'_, P>,
    list: &mut [u32],
    places: &mut [u32],
    random: &mut Random,
) {
    let compact = generator.compact;
    let window = (list.len() / 4).max(4);
    let from = random.below(list.len());
    let step = list[from] as usize;
    let place = |other: &u32| places[*other as usize] as usize;
    let after = compact.predecessors.get(step).iter().map(place).max().map_or(0, |last| last + 1);
    let before = compact.successors.get(step).iter().map(place).min().unwrap_or(list.len());
    let low = after.max(from.saturating_sub(window));
    let high = before.min(from + window + 1);
    if high - low < 2 {
        return;
    }
    let mut to = low + random.below(high - low - 1);
    if to >= from {
        to += 1;
    }
    if to < from {
        list[to..=from].rotate_right(1);
    } else {
        list[from..=to].rotate_left(1);
    }
    for place in from.min(to)..=from.max(to) {
        places[list[place] as usize] = place as u32;
    }
}
