//! Decisions and texts.

use dr::text::{Expr, MapNames, Templated};
use serde_json::json;

use crate::{fuzz, mutate};

const SEEDS: &[&str] = &[
    "run.incident_at - outputs.last_commit < inputs.max_loss",
    "result.rows.filter(r, r.state == 'up' && r.n > 1)[0].name",
    "has(steps.a.outputs.x) ? steps.a.outputs.x : 'none'",
    "timestamp(lines(result.stdout)[0]) + duration('5m')",
    "size(distinct(sort(split(result.stdout, ',')))) >= 2",
    "json(result.stdout).items.all(i, i.ok)",
    "extract(result.stdout, 'lag: ([0-9]+)') != null",
    "labelled('role', 'web')",
    "Promote {{ hosts.db.address }}? Its last commit is from {{ steps.a.outputs.at }}",
    "{{ default inputs.x \"none\" }} and {{json values.a}}",
    "{{ values.a }}",
];

#[test]
fn no_expression_and_no_text_makes_it_panic() {
    let seeds: Vec<String> = SEEDS.iter().map(|&seed| seed.to_owned()).collect();
    let names = MapNames::new(json!({
        "result": { "stdout": "1\n2\n", "rows": [{ "state": "up", "n": 2, "name": "x" }] },
        "outputs": { "last_commit": { "$time": "2026-01-01T00:00:00Z" } },
        "inputs": { "max_loss": { "$duration": 300_000 }, "x": "{{ values.a }}" },
        "run": { "incident_at": { "$time": "2026-01-01T00:01:00Z" } },
        "steps": { "a": { "outputs": { "x": 1, "at": "then" }, "status": "succeeded" } },
        "values": { "a": [1, null] },
        "hosts": { "db": { "address": "db1", "labels": { "role": "web" } } },
    }));
    fuzz("expressions", 4_000, |random| {
        let seed = random.pick(&seeds).clone();
        let text = mutate::text(random, &seed, &seeds);
        let tried = std::panic::catch_unwind(|| {
            if let Ok(expr) = Expr::parse(&text) {
                let _ = (expr.evaluate(&names), expr.decide(&names), expr.paths());
                let printed = serde_json::to_string(&expr).unwrap();
                assert_eq!(serde_json::from_str::<Expr>(&printed).unwrap(), expr);
            }
            if let Ok(template) = Templated::parse(&json!(text)) {
                let _ = (template.reads(), template.render(&names), template.render_text(&names));
                let printed = serde_json::to_string(&template).unwrap();
                assert_eq!(serde_json::from_str::<Templated>(&printed).unwrap(), template);
            }
        });
        assert!(tried.is_ok(), "this text: {text:?}");
    });
}
