use super::objective::Value;
use super::profile::Profile;
use super::random::Random;
use super::serial::Generator;

/// Lists kept in the first half of the search.
const POPULATION: usize = 25;
/// Steps moved at once, at most: after two lists were crossed, and without.
const MOVES_CROSSED: usize = 6;
const MOVES: usize = 8;
/// In percent: how often two lists are crossed, and how much longer than the worst list kept a
/// schedule may be to be worth justifying.
const CROSSED: usize = 90;
const HOPELESS: u64 = 3;

/// A schedule by the order of its starts.
pub(super) type Member = (Value, Vec<u32>);

/// Improves on `best` until `budget` schedules are used up or `bound` is met.
///
/// The first half crosses and mutates the lists of the best candidates; the second moves a few steps
/// of the best list. Each list is scheduled serially and justified, and kept if it is not worse than
/// the worst one kept, so that the search can wander over plateaus.
pub(super) fn search<P: Profile>(
    generator: &mut Generator<'_, P>,
    best: &mut Vec<u64>,
    candidates: Vec<Member>,
    bound: &Value,
    budget: usize,
    random: &mut Random,
) {
    if best.len() < 2 {
        return;
    }
    let mut search = Search::new(generator, best, candidates);
    let half = generator.made.midpoint(budget);
    search.run(generator, best, bound, half, POPULATION, random);
    search.members.truncate(1);
    search.run(generator, best, bound, budget, 1, random);
}

struct Search {
    /// The best first; of equals, the newest first.
    members: Vec<Member>,
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
        mut members: Vec<Member>,
    ) -> Self {
        let value = generator.value(best);
        let mut list = Vec::new();
        generator.list_of(best, &mut list);
        members.push((value, list));
        members.sort();
        members.dedup();
        members.truncate(POPULATION);
        Self {
            members,
            value,
            child: Vec::with_capacity(best.len()),
            places: vec![0; best.len()],
            taken: vec![false; best.len()],
            starts: vec![0; best.len()],
        }
    }

    fn run<P: Profile>(
        &mut self,
        generator: &mut Generator<'_, P>,
        best: &mut Vec<u64>,
        bound: &Value,
        budget: usize,
        size: usize,
        random: &mut Random,
    ) {
        while generator.made + 3 <= budget && self.value > *bound {
            self.breed(generator, random);
            generator.forward(&self.child, &mut self.starts);
            let worst = self.members[self.members.len() - 1].0;
            if generator.value(&self.starts).makespan * 100 > worst.makespan * (100 + HOPELESS) {
                continue;
            }
            generator.justify(&mut self.starts, &mut self.child);
            let found = generator.value(&self.starts);
            if found > worst && self.members.len() >= size {
                continue;
            }
            if found < self.value {
                self.value = found;
                best.clone_from(&self.starts);
            }
            generator.list_of(&self.starts, &mut self.child);
            self.keep(found, size);
        }
    }

    fn keep(&mut self, value: Value, size: usize) {
        let first = self.members.partition_point(|member| member.0 < value);
        let equals = self.members[first..].iter().take_while(|member| member.0 == value);
        if equals.into_iter().any(|member| member.1 == self.child) {
            return;
        }
        self.members.insert(first, (value, self.child.clone()));
        self.members.truncate(size);
    }

    /// A new list from one or two of those kept.
    fn breed<P: Profile>(&mut self, generator: &Generator<'_, P>, random: &mut Random) {
        let one = self.pick(random);
        let two = self.pick(random);
        let crosses = one != two && random.below(100) < CROSSED;
        if crosses {
            self.cross(one, two, random);
        } else {
            self.child.clone_from(&self.members[one].1);
        }
        for (place, step) in self.child.iter().enumerate() {
            self.places[*step as usize] = place as u32;
        }
        let moves = if crosses { random.below(MOVES_CROSSED + 1) } else { 1 + random.below(MOVES) };
        for _ in 0..moves {
            move_one(generator, &mut self.child, &mut self.places, random);
        }
    }

    /// The better of two members.
    fn pick(&self, random: &mut Random) -> usize {
        random.below(self.members.len()).min(random.below(self.members.len()))
    }

    /// One list with its middle in the order of another. That respects the edges, since both do.
    fn cross(&mut self, one: usize, two: usize, random: &mut Random) {
        let steps = self.places.len();
        let (here, there) = (random.below(steps + 1), random.below(steps + 1));
        let (from, to) = (here.min(there), here.max(there));
        let (one, two) = (&self.members[one].1, &self.members[two].1);
        self.taken.fill(false);
        self.child.clear();
        self.child.extend_from_slice(&one[..from]);
        for step in &one[..from] {
            self.taken[*step as usize] = true;
        }
        for step in two {
            if self.child.len() == to {
                break;
            }
            if !std::mem::replace(&mut self.taken[*step as usize], true) {
                self.child.push(*step);
            }
        }
        self.child.extend(one.iter().filter(|step| !self.taken[**step as usize]));
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
