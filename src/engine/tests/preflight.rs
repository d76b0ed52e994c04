use std::time::Duration;

use serde_json::{Value, json};

use super::super::*;
use super::support::*;
use crate::id::StepId;
use crate::plan::SecretSource;

#[tokio::test]
async fn the_preflight_asks_everything_at_once_and_never_waits_for_long() {
    let world = World::new();
    let mut plan = plan();
    let said = json!({"text": {"$text": ["now ", {"$secret": "pw"}]}});
    let open = json!({"text": {"$template": "{{ steps.x.outputs.y }}"}});
    for (id, action, with) in [
        ("fine", "ok", Value::Null),
        ("says", "say", said),
        ("refused", "fail", Value::Null),
        ("broken", "panic", Value::Null),
        ("silent", "hang", Value::Null),
        ("later", "fail", open),
        ("done", "fail", Value::Null),
        ("skipped", "fail", Value::Null),
    ] {
        let mut step = step(id, action, with);
        step.skip = (id == "skipped").then_some(crate::event::SkipReason::Phase);
        plan.steps.push(step);
    }
    plan.secrets.insert("none".to_owned(), vec![SecretSource::Env("DR_NO_SUCH".to_owned())]);
    let secrets = world.secrets(&plan);
    let found = preflight(
        &plan,
        |step| step.as_str() != "done",
        &world.registry(),
        &secrets,
        &world.masker,
        Duration::from_millis(1_500),
    )
    .await;
    let findings: Vec<_> = found
        .findings()
        .iter()
        .map(|finding| format!("{} {} {}", finding.step, finding.status, finding.lines.join("|")))
        .collect();
    assert_eq!(
        findings,
        [
            "says would_change says now ***",
            "refused denied not for you",
            "broken failed the plugin broke down|as asked",
            "silent unreachable no answer within 1 s",
        ]
    );
    let looked: Vec<_> = found.looked.iter().map(|finding| finding.step.as_str()).collect();
    assert_eq!(looked, ["fine", "says", "refused", "broken", "silent"]);
    assert_eq!(found.looked[0].status, "ok");
    assert_eq!(found.unseen, [StepId::from("later")]);
    assert_eq!(found.denied, [StepId::from("refused")]);
    assert_eq!(found.unreachable, [StepId::from("silent")]);
    assert_eq!(found.missing[0].name, "none");
    assert!(!found.is_ready());
}
