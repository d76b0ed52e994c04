//! Who only reads the journal sees what the machine knows.

use crate::machine::tests::played;
use crate::view::View;

#[test]
fn the_view_of_a_run_is_the_machines() {
    let mut seen = 0;
    for seed in 6_000..6_012 {
        for point in std::iter::once(None).chain((1..).step_by(7).map(Some)) {
            let Some((plan, journal, states)) = played(seed, point) else { break };
            let mut view = View::new(&plan);
            for event in &journal {
                view.apply(event);
            }
            for (id, state) in states.iter().filter(|(_, state)| state.is_over()) {
                let shown = view.step(id).map(|step| view.state(step));
                assert_eq!(shown, Some(*state), "`{id}` of seed {seed}, ended at {point:?}");
            }
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen} runs were played");
}
