use std::sync::Arc;

use super::{
    Assurance, DeviationKind, Evidence, JournalHead, RunResult, build, html, junit, markdown,
};
use crate::event::Record;
use crate::markup::escape_markdown;
use crate::plan::Plan;
use crate::view::fixture::{self, plan};

fn of(plan: &Arc<Plan>, records: &[Record]) -> Evidence {
    let head = JournalHead { count: records.len() as u64, sum: "c0ffee".to_owned() };
    build(plan, records, &head).expect("a run that has started")
}

/// Evidence of one session, or of two.
pub(crate) fn sample(resumed: bool) -> Evidence {
    of(&plan(), &if resumed { fixture::resumed() } else { fixture::failed() })
}

fn kinds(evidence: &Evidence) -> Vec<(DeviationKind, &str)> {
    evidence
        .deviations
        .iter()
        .map(|deviation| (deviation.kind, deviation.step.as_ref().map_or("", |step| step.as_str())))
        .collect()
}

#[test]
fn figures_and_proof() {
    let evidence = of(&plan(), &fixture::succeeded());
    assert_eq!(evidence.result, RunResult::Succeeded);
    assert!(evidence.journal.closed);
    let database = &evidence.services[0];
    assert_eq!(database.rto.achieved_ms, Some(76_000));
    assert_eq!(database.rto.met, Some(true));
    assert_eq!(database.rpo.achieved_ms, Some(2_500));
    assert_eq!(
        database.rpo.measured_by.as_ref().map(crate::id::StepId::as_str),
        Some("last_commit")
    );
    assert_eq!(database.decision_ms, 25_600);
    assert_eq!(database.proof.assurance, Assurance::Verified);
    assert_eq!(evidence.clocks.decision_ms, 25_600);
    assert_eq!(evidence.clocks.declared_before_start_ms, 25_000);
    let promote = evidence.steps.iter().find(|step| step.id.as_str() == "promote").expect("it");
    assert_eq!((promote.took_ms, promote.decision_ms), (Some(23_600), 5_600));
    assert_eq!(promote.assurance, Assurance::Asserted);
    assert_eq!(
        kinds(&evidence),
        [
            (DeviationKind::Warned, "notify"),
            (DeviationKind::Retried, "fence_primary"),
            (DeviationKind::Warned, "fence_primary"),
            (DeviationKind::SelfApproved, "promote"),
        ]
    );
}

#[test]
fn figures_do_not_need_a_close_record() {
    let closed = fixture::succeeded();
    let open = of(&plan(), &closed[..closed.len() - 1]);
    assert_eq!(open.result, RunResult::Open);
    assert!(!open.journal.closed);
    let closed = of(&plan(), &closed);
    for (one, other) in open.services.iter().zip(&closed.services) {
        assert_eq!(one, other);
    }
}

#[test]
fn a_service_that_did_not_recover_says_why() {
    let evidence = of(&plan(), &fixture::failed());
    let web = &evidence.services[1];
    assert_eq!((web.rto.achieved_ms, web.rto.met), (None, Some(false)));
    assert_eq!(web.reason.as_deref(), Some("restart_web@web_2 failed"));
    assert_eq!(web.proof.assurance, Assurance::NotTested);
    assert_eq!(web.proof.not_passed.len(), 1);
    let records = fixture::failed();
    let open = of(&plan(), &records[..records.len() - 1]);
    assert_eq!(open.services[1].reason, web.reason);
}

#[test]
fn a_close_record_that_does_not_fit_is_found() {
    let mut records = fixture::succeeded();
    let last = records.last_mut().expect("a close record");
    if let crate::event::EventKind::RunFinished(finished) = &mut last.event.kind {
        finished.services[0].rta_ms = Some(10_000);
        finished.count = 3;
    }
    let mut other = Arc::unwrap_or_clone(plan());
    other.digest = crate::id::Digest::from("sha256:0ther");
    let evidence = of(&Arc::new(other), &records);
    assert!(!evidence.journal.closed);
    let kinds = kinds(&evidence);
    assert!(kinds.contains(&(DeviationKind::FigureDiffers, "")), "{kinds:?}");
    assert!(kinds.contains(&(DeviationKind::PlanDiffers, "")), "{kinds:?}");
}

#[test]
fn evidence_is_read_back_as_it_was() {
    for records in [fixture::succeeded(), fixture::resumed(), fixture::unknown()] {
        let evidence = of(&plan(), &records);
        let json = serde_json::to_string(&evidence).expect("JSON");
        let back: Evidence = serde_json::from_str(&json).expect("evidence");
        assert_eq!(back, evidence);
    }
}

#[test]
fn evidence_fits_its_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(Evidence)).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for records in [fixture::succeeded(), fixture::resumed(), fixture::unknown()] {
        let json = serde_json::to_value(of(&plan(), &records)).expect("JSON");
        let errors: Vec<String> =
            validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn reports() {
    insta::assert_snapshot!("report_succeeded", markdown(&of(&plan(), &fixture::succeeded())));
    insta::assert_snapshot!("report_resumed", markdown(&of(&plan(), &fixture::resumed())));
    insta::assert_snapshot!("report_paused", markdown(&of(&plan(), &fixture::paused())));
}

#[test]
fn text_from_elsewhere_stays_text() {
    for (text, shown) in [
        ("plain text, 100 %", "plain text, 100 %"),
        ("fence_primary", "fence_primary"),
        ("_em_ *strong*", r"\_em\_ \*strong\*"),
        ("a|b", r"a\|b"),
        ("`code`", r"\`code\`"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("one\n# two", "one # two"),
        ("# head", r"\# head"),
        ("- item", r"\- item"),
        ("12. item", r"12\. item"),
        ("0.1.0", "0.1.0"),
        ("[a](b)", r"\[a\](b)"),
        ("https://x.example", "https&#58;//x.example"),
        ("www.x.example", "www&#46;x.example"),
        ("&lt;", "&amp;lt;"),
        ("a\\b", r"a\\b"),
        ("\u{1b}[31mred", "red"),
        ("bob@ops1 @all", "bob@ops1 &#64;all"),
    ] {
        assert_eq!(escape_markdown(text), shown, "{text}");
    }
    let (plan, records) = fixture::hostile();
    let report = markdown(&of(&plan, &records));
    assert!(!report.contains("<script"), "{report}");
    assert!(!report.contains('\u{1b}'));
    assert!(!report.contains("://") && !report.replace("\\]", "").contains("]("));
    // Every row of a table has as many cells as its head.
    let mut columns = None;
    for line in report.lines() {
        let cells = line.replace("\\|", "").matches('|').count();
        match columns {
            _ if !line.starts_with('|') => columns = None,
            None => columns = Some(cells),
            Some(columns) => assert_eq!(cells, columns, "{line}"),
        }
    }
}

/// Opens and closes its tags in order.
fn is_well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a closed tag");
        let name = tag.split([' ', '\n']).next().expect("a name");
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
            None if tag.ends_with(['/', '?']) || matches!(name, "!doctype" | "meta" | "br") => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn reports_as_pages_and_cases() {
    for records in [fixture::succeeded(), fixture::resumed(), fixture::unknown(), fixture::paused()]
    {
        let evidence = of(&plan(), &records);
        is_well_formed(&html(&evidence));
        is_well_formed(&junit(&evidence));
    }
    insta::assert_snapshot!("report_html", html(&of(&plan(), &fixture::succeeded())));
    insta::assert_snapshot!("report_junit_succeeded", junit(&of(&plan(), &fixture::succeeded())));
    insta::assert_snapshot!("report_junit_failed", junit(&of(&plan(), &fixture::failed())));
}

#[test]
fn text_from_elsewhere_is_no_markup() {
    let mut evidence = of(&plan(), &fixture::failed());
    let hostile = "\"><script>alert(1)</script>&'\u{1b}[31m";
    evidence.reason = hostile.to_owned();
    evidence.run.runbook = hostile.to_owned();
    for step in &mut evidence.steps {
        step.id = crate::id::StepId::from(hostile);
        step.why = Some(hostile.to_owned());
        step.outputs.insert(hostile.to_owned(), serde_json::json!(hostile));
    }
    for text in [html(&evidence), junit(&evidence)] {
        is_well_formed(&text);
        assert!(!text.contains("<script") && !text.contains('\u{1b}'));
    }
}
