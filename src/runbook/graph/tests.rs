use super::{EdgeKind, Graph, Reason};
use crate::runbook::{Document, codes};

fn document(text: &str) -> Document {
    serde_yaml::from_str(text).expect("a document")
}

fn edges(graph: &Graph, id: &str) -> Vec<(String, EdgeKind, Reason)> {
    let position = graph.position(id).expect(id);
    graph
        .incoming(position)
        .into_iter()
        .map(|(from, edge)| (graph.node(from).id.to_string(), edge.kind, edge.reason))
        .collect()
}

fn names(graph: &Graph, id: &str) -> Vec<String> {
    edges(graph, id).into_iter().map(|(from, ..)| from).collect()
}

const SHOP: &str = "
runbook: shop
services:
  database:
    validation:
      - { name: writes, checks: [{ uses: a.b }] }
      - { name: most, threshold: 0.5, checks: [{ uses: a.b }, { uses: a.b }] }
  web: { depends_on: [database] }
steps:
  - { id: fence, service: database, phase: failover, needs: [] }
  - { id: promote, service: database, phase: failover, needs: [fence] }
  - { id: backup, service: database, phase: backup, needs: [] }
  - { id: stage, service: web, phase: failover, needs: [], early: true }
  - { id: start, service: web, phase: failover, needs: [stage] }
  - { id: warm, service: web, phase: failover, needs: [start], after: [fence] }
";

#[test]
fn services_wait_for_recovered_services() {
    let (graph, problems) = Graph::build(&document(SHOP));
    assert_eq!(problems, []);
    let order: Vec<_> = graph.nodes().map(|node| node.id.as_str().to_owned()).collect();
    assert_eq!(
        order,
        [
            "fence",
            "promote",
            "backup",
            "database!validation/1",
            "database!validation/2/1",
            "database!validation/2/2",
            "database!validation/2",
            "stage",
            "start",
            "warm",
        ]
    );
    assert_eq!(names(&graph, "database!validation/1"), ["promote"]);
    assert_eq!(names(&graph, "database!validation/2/2"), ["promote"]);
    assert_eq!(
        edges(&graph, "database!validation/2"),
        [
            ("database!validation/2/1".to_owned(), EdgeKind::After, Reason::Validation),
            ("database!validation/2/2".to_owned(), EdgeKind::After, Reason::Validation),
        ]
    );
    assert_eq!(names(&graph, "stage"), Vec::<String>::new());
    assert_eq!(
        edges(&graph, "start"),
        [
            ("database!validation/1".to_owned(), EdgeKind::Needs, Reason::Service { on: 0 }),
            ("database!validation/2".to_owned(), EdgeKind::Needs, Reason::Service { on: 0 }),
            ("stage".to_owned(), EdgeKind::Needs, Reason::Written),
        ]
    );
    assert_eq!(names(&graph, "warm"), ["fence", "start"]);
    assert!(graph.is_ancestor("fence", "warm"));
    assert!(graph.is_ancestor("promote", "warm"));
    assert!(!graph.is_ancestor("backup", "warm"));
    assert!(!graph.is_ancestor("warm", "fence"));
    assert!(!graph.is_ancestor("warm", "warm"));
    assert!(!graph.is_ancestor("nobody", "warm"));
}

#[test]
fn a_service_without_steps_passes_the_wait_on() {
    let (graph, problems) = Graph::build(&document(
        "
runbook: r
services:
  storage: {}
  platform: { depends_on: [storage] }
  app: { depends_on: [platform], validation: [{ name: v, checks: [{ uses: a.b }] }] }
steps:
  - { id: mount, service: storage }
",
    ));
    assert_eq!(problems, []);
    assert_eq!(names(&graph, "app!validation/1"), ["mount"]);
}

#[test]
fn in_order_gives_an_edge_to_what_names_nothing() {
    let (graph, problems) = Graph::build(&document(
        "
runbook: r
in_order: true
steps:
  - { id: a }
  - { id: b }
  - { id: c, needs: [] }
  - { id: d, after: [a] }
",
    ));
    assert_eq!(problems, []);
    assert_eq!(edges(&graph, "b"), [("a".to_owned(), EdgeKind::Needs, Reason::Order)]);
    assert!(edges(&graph, "c").is_empty());
    assert_eq!(edges(&graph, "d"), [("a".to_owned(), EdgeKind::After, Reason::Written)]);
}

#[test]
fn unknown_names_are_reported_with_a_guess() {
    let (_, problems) = Graph::build(&document(
        "
runbook: r
services: { database: { depends_on: [storag] }, storage: {} }
steps:
  - { id: promote, service: databse }
  - { id: b, needs: [promot, storage], after: [nothing_like_it] }
",
    ));
    let found: Vec<_> = problems
        .iter()
        .map(|problem| {
            let place = problem.at.as_ref().map(ToString::to_string).unwrap_or_default();
            (problem.code, place, problem.help.as_deref().unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        found,
        [
            (codes::UNKNOWN_SERVICE, "steps[0].service".to_owned(), "did you mean `database`?"),
            (codes::UNKNOWN_STEP, "steps[1].needs[0]".to_owned(), "did you mean `promote`?"),
            (
                codes::UNKNOWN_STEP,
                "steps[1].needs[1]".to_owned(),
                "`storage` is a service: name one of its steps, or let this step's service \
                 depend on it (`depends_on`)"
            ),
            (codes::UNKNOWN_STEP, "steps[1].after[0]".to_owned(), "-"),
            (
                codes::UNKNOWN_SERVICE,
                "services.database.depends_on[0]".to_owned(),
                "did you mean `storage`?"
            ),
        ]
    );
}

fn only_problem(text: &str) -> (&'static str, String, String) {
    let (_, problems) = Graph::build(&document(text));
    assert_eq!(problems.len(), 1, "{problems:?}");
    let problem = problems.into_iter().next().expect("one problem");
    (problem.code, problem.message, problem.help.unwrap_or_default())
}

#[test]
fn a_cycle_is_named_with_its_reasons() {
    let (code, message, help) = only_problem(
        "
runbook: r
steps:
  - { id: a, needs: [c] }
  - { id: b, needs: [a] }
  - { id: c, after: [b] }
  - { id: d, needs: [c] }
",
    );
    assert_eq!(code, codes::CYCLE);
    assert_eq!(message, "steps wait for each other: `a -> c -> b -> a` (each waits for the next)");
    assert_eq!(help, "`a` needs `c`; `c` comes after `b`; `b` needs `a`; remove one of these");

    let (code, message, _) = only_problem("runbook: r\nsteps: [{ id: a, needs: [a] }]");
    assert_eq!(code, codes::CYCLE);
    assert_eq!(message, "steps wait for each other: `a -> a` (each waits for the next)");
}

#[test]
fn a_cycle_through_a_service_says_so() {
    let (code, message, help) = only_problem(
        "
runbook: r
services: { database: {}, web: { depends_on: [database] } }
steps:
  - { id: drain, service: web }
  - { id: promote, service: database, needs: [drain] }
",
    );
    assert_eq!(code, codes::CYCLE);
    assert_eq!(
        message,
        "steps wait for each other: `drain -> promote -> drain` (each waits for the next)"
    );
    assert_eq!(
        help,
        "`drain` waits for `promote` because service `web` depends on `database`; `promote` needs \
         `drain`; remove one of these, or say `early: true` on a step that may run before the \
         services that its service depends on have recovered"
    );
}

#[test]
fn services_that_depend_on_each_other_are_reported_once() {
    let (code, message, _) = only_problem(
        "
runbook: r
services: { c: { depends_on: [a] }, a: { depends_on: [b] }, b: { depends_on: [a] } }
steps:
  - { id: one, service: a }
  - { id: two, service: b }
",
    );
    assert_eq!(code, codes::SERVICE_CYCLE);
    assert_eq!(message, "services depend on each other: `a -> b -> a` (each depends on the next)");
}

#[test]
fn wide_services_meet_in_a_join() {
    use std::fmt::Write as _;
    let mut text =
        String::from("runbook: r\nservices: { a: {}, b: { depends_on: [a] } }\nsteps:\n");
    for i in 0..2_000 {
        let _ = writeln!(text, "  - {{ id: a{i}, service: a }}\n  - {{ id: b{i}, service: b }}");
    }
    let (graph, problems) = Graph::build(&document(&text));
    assert_eq!(problems, []);
    let edges: usize = (0..graph.len()).map(|node| graph.incoming(node).len()).sum();
    assert_eq!(edges, 4_000);
    assert_eq!(names(&graph, "b17"), ["a!recovered"]);
    assert!(graph.is_ancestor("a3", "b1999"));
}
