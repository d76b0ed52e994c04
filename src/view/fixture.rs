//! A small plan and the stories of runs of it, for the tests of everything that reads events.

use std::collections::BTreeMap;
use std::sync::Arc;

use dr_plugin::{CallError, Effect, Keyed};
use serde_json::{Value, json};

use crate::event::{
    Achieved, Actor, AttemptFinished, Event, EventKind, FORMAT, Finding, Next, Outcome, Purpose,
    Question, Record, Request, RequestKind, RunFinished, RunStarted, SkipReason, StepFinished,
    StepState, Verdict,
};
use crate::id::{Digest, RequestId, RunId, ServiceId, StepId};
use crate::plan::{
    EstimateSource, Expectation, Gate, OnReject, Plan, PluginUse, Pool, Repeat, Retry, Rule,
    Service, Step, Urgency, Uses,
};
use crate::text::{Expr, Templated};
use crate::time::Timestamp;
use crate::words::{Class, Mode, OnFailure, OnUnknown, Phase, Severity, Style};

pub(crate) const RUN: &str = "20261120T031207Z-shop_failover-4f3a";
const START: &str = "2026-11-20T03:12:07Z";

/// `at` milliseconds after the start of every story.
pub(crate) fn at(ms: u64) -> Timestamp {
    START.parse::<Timestamp>().expect("a timestamp") + jiff::SignedDuration::from_millis(ms as i64)
}

fn step(id: &str, service: Option<&str>, uses: Option<&str>, host: Option<&str>) -> Step {
    let mut takes = BTreeMap::from([("run".to_owned(), 1)]);
    if let Some(host) = host {
        takes.insert(format!("host:{host}"), 1);
    }
    Step {
        id: id.into(),
        description: None,
        service: service.map(ServiceId::from),
        phase: Some(Phase::Failover),
        validates: None,
        uses: uses.map(|uses| Uses::try_from(uses.to_owned()).expect("plugin.action")),
        tally: None,
        with: Templated::default(),
        host: host.map(str::to_owned),
        needs: Vec::new(),
        after: Vec::new(),
        because: BTreeMap::new(),
        when: None,
        skip: None,
        approve: None,
        outputs: Vec::new(),
        expect: Vec::new(),
        recovery_point: None,
        point_of_no_return: false,
        effect: Effect::Idempotent,
        action_effect: None,
        keyed: Keyed::Never,
        action_checks: false,
        check: None,
        on_unknown: OnUnknown::Ask,
        on_failure: OnFailure::Halt,
        timeout_ms: Some(60_000),
        retry: Retry {
            attempts: 3,
            backoff_ms: 2_000,
            max_backoff_ms: 30_000,
            when: None,
            written: false,
        },
        repeat: None,
        takes,
        urgency: Urgency { class: Class::Critical, latest_start_ms: 0, order: 0 },
        estimate_ms: 5_000,
        estimate_source: EstimateSource::Typical,
        start_ms: 0,
        finish_ms: 0,
        slack_ms: 0,
        critical: true,
        place: None,
    }
}

fn gate(message: &str, timeout_ms: u64) -> Gate {
    Gate {
        message: Templated::literal(json!(message)),
        approvers: 1,
        timeout_ms: Some(timeout_ms),
        on_reject: OnReject::Fail,
    }
}

fn polled(mut step: Step) -> Step {
    step.effect = Effect::Pure;
    step.phase = Some(Phase::Validate);
    step.validates = Some("works".to_owned());
    step.expect = vec![Expectation {
        that: Expr::parse("result.rows[0].standby == false").expect("an expression"),
        message: None,
        severity: Rule::Fixed(Severity::Fail),
    }];
    step.repeat = Some(Repeat {
        until: None,
        every_ms: 1_000,
        timeout_ms: Some(120_000),
        stable: 1,
        at_least: 1,
        at_most: None,
        tolerate: None,
    });
    step
}

/// Two services in ten steps: a fence with an alternative, a gate, a promotion, two web hosts.
pub(crate) fn plan() -> Arc<Plan> {
    let needs = |mut step: Step, needs: &[&str]| {
        step.needs = needs.iter().map(|id| StepId::from(*id)).collect();
        step
    };
    let mut notify = step("notify", None, Some("http.request"), None);
    notify.on_failure = OnFailure::Warn;
    let mut fence =
        step("fence_primary", Some("database"), Some("ssh.command"), Some("db_primary"));
    fence.on_failure = OnFailure::Warn;
    fence.estimate_ms = 3_000;
    let mut by_hand = step("fence_by_hand", Some("database"), None, None);
    by_hand.when =
        Some(Expr::parse("steps.fence_primary.status == 'warned'").expect("an expression"));
    by_hand.approve = Some(gate("Cut the power of db1", 600_000));
    by_hand.estimate_ms = 0;
    let mut last =
        step("last_commit", Some("database"), Some("postgres.query"), Some("db_standby"));
    last.effect = Effect::Pure;
    last.estimate_ms = 500;
    let mut promote = step("promote", Some("database"), Some("ssh.command"), Some("db_standby"));
    promote.effect = Effect::Checkable;
    promote.action_effect = Some(Effect::Once);
    promote.point_of_no_return = true;
    promote.approve = Some(gate("Promote db2.prod?", 600_000));
    promote.estimate_ms = 20_000;
    promote.description = Some("Make the standby the primary.".to_owned());
    let database = polled(step(
        "database!validation/1",
        Some("database"),
        Some("postgres.query"),
        Some("db_standby"),
    ));
    let web = |host: &str| {
        let id = format!("restart_web@{host}");
        needs(step(&id, Some("web"), Some("ssh.command"), Some(host)), &["database!validation/1"])
    };
    let serves = polled(step("web!validation/1", Some("web"), Some("http.request"), None));
    let steps = vec![
        notify,
        fence,
        needs(by_hand, &["fence_primary"]),
        needs(last, &["fence_by_hand"]),
        needs(promote, &["last_commit"]),
        needs(database, &["promote"]),
        web("web_1"),
        web("web_2"),
        needs(serves, &["restart_web@web_1", "restart_web@web_2"]),
    ];
    Arc::new(scheduled(steps))
}

fn scheduled(mut steps: Vec<Step>) -> Plan {
    let mut ends: BTreeMap<StepId, u64> = BTreeMap::new();
    for (order, step) in steps.iter_mut().enumerate() {
        let start = step.needs.iter().map(|id| ends[id]).max().unwrap_or(0);
        step.start_ms = start;
        step.finish_ms = start + step.estimate_ms;
        step.urgency.order = order as u32;
        ends.insert(step.id.clone(), step.finish_ms);
    }
    let makespan_ms = ends.values().copied().max().unwrap_or(0);
    let service = |name: &str, class: Class, rto_ms, rpo_ms, depends_on: &[&str]| Service {
        name: name.into(),
        kind: Some("database".to_owned()).filter(|_| name == "database"),
        priority: class,
        priority_number: class.number(),
        rto_ms: Some(rto_ms),
        rpo_ms,
        depends_on: depends_on.iter().map(|name| ServiceId::from(*name)).collect(),
        validated: true,
        predicted_ms: steps
            .iter()
            .filter(|step| step.service.as_ref().is_some_and(|of| of.as_str() == name))
            .map(|step| step.finish_ms)
            .max(),
        p50_ms: None,
        p90_ms: None,
        p95_ms: None,
        lower_bound_ms: None,
        meets_rto: Some(true),
    };
    let pool = |capacity| Pool { capacity };
    let plugin = || PluginUse {
        version: "0.1.0".to_owned(),
        manifest: Digest::from("sha256:11"),
        settings: Templated::default(),
    };
    Plan {
        format: crate::plan::FORMAT,
        runbook: "shop_failover".to_owned(),
        description: Some("Move the shop to the standby site.".to_owned()),
        owner: Some("team-shop-sre".to_owned()),
        environment: "production".to_owned(),
        protected: true,
        mode: Mode::Live,
        style: Style::Ungraceful,
        phases: vec![Phase::Failover, Phase::Validate],
        digest: Digest::from("sha256:5ca1ab1e"),
        makespan_ms,
        lower_bound_ms: makespan_ms,
        critical_path: Vec::new(),
        inputs: BTreeMap::new(),
        values: BTreeMap::new(),
        hosts: BTreeMap::new(),
        secrets: BTreeMap::new(),
        plugins: BTreeMap::from([("postgres".to_owned(), plugin()), ("ssh".to_owned(), plugin())]),
        pools: BTreeMap::from([
            ("run".to_owned(), pool(32)),
            ("host:db_primary".to_owned(), pool(8)),
            ("host:db_standby".to_owned(), pool(8)),
            ("host:web_1".to_owned(), pool(1)),
            ("host:web_2".to_owned(), pool(1)),
        ]),
        services: vec![
            service("database", Class::Critical, 120_000, Some(30_000), &[]),
            service("web", Class::High, 180_000, None, &["database"]),
        ],
        steps,
        notices: Vec::new(),
    }
}

/// A plan of `count` steps that could all run at once, and a story in which they do.
pub(crate) fn wide(count: usize) -> (Arc<Plan>, Vec<Record>) {
    let steps = (0..count)
        .map(|number| step(&format!("copy@{number}"), Some("web"), Some("ssh.command"), None))
        .collect();
    let plan = Arc::new(scheduled(steps));
    let mut story = Story::begin();
    for step in &plan.steps {
        story.wait(1).launch(step.id.as_str(), 1, Purpose::Apply);
    }
    (plan, story.records)
}

pub(crate) fn actor(user: &str) -> Actor {
    Actor { user: user.to_owned(), host: "ops1".to_owned(), via: "command line".to_owned() }
}

/// Records, written one after the other.
pub(crate) struct Story {
    pub(crate) records: Vec<Record>,
    ms: u64,
}

impl Story {
    /// A run that started 25 s after its declaration, 40 s after the incident.
    pub(crate) fn begin() -> Self {
        let mut story = Self { records: Vec::new(), ms: 0 };
        let before = |seconds: i64| at(0) - jiff::SignedDuration::from_secs(seconds);
        story.tell(EventKind::RunStarted(RunStarted {
            format: FORMAT,
            run: RunId::from(RUN),
            runbook: "shop_failover".to_owned(),
            environment: "production".to_owned(),
            mode: Mode::Live,
            style: Style::Ungraceful,
            plan_digest: Digest::from("sha256:5ca1ab1e"),
            declared_at: before(25),
            incident_at: before(40),
            by: actor("alice"),
            attended: true,
            version: "0.1.0".to_owned(),
        }));
        story
    }

    pub(crate) fn wait(&mut self, ms: u64) -> &mut Self {
        self.ms += ms;
        self
    }

    pub(crate) fn tell(&mut self, kind: EventKind) -> &mut Self {
        let seq = self.records.len() as u64 + 1;
        let event = Event { at: at(self.ms), elapsed_ms: self.ms, kind };
        self.records.push(Record { seq, event });
        self
    }

    pub(crate) fn launch(&mut self, step: &str, attempt: u32, purpose: Purpose) -> &mut Self {
        self.tell(EventKind::AttemptStarted {
            step: step.into(),
            attempt,
            purpose,
            launch: 1,
            input: Some(json!({ "argv": ["true"] })),
            deadline: Some(at(self.ms + 60_000)),
        })
    }

    pub(crate) fn land(
        &mut self,
        step: &str,
        attempt: u32,
        purpose: Purpose,
        error: Option<CallError>,
        next: Next,
    ) -> &mut Self {
        let duration_ms = self
            .records
            .iter()
            .rev()
            .find_map(|record| match &record.event.kind {
                EventKind::AttemptStarted { step: of, .. } if of.as_str() == step => {
                    Some(self.ms - record.event.elapsed_ms)
                }
                _ => None,
            })
            .unwrap_or(0);
        let outcome = match &error {
            None => Outcome::Succeeded,
            Some(error) if error.class == dr_plugin::ErrorClass::Unknown => Outcome::Unknown,
            Some(_) => Outcome::Failed,
        };
        self.tell(EventKind::AttemptFinished(AttemptFinished {
            step: step.into(),
            attempt,
            purpose,
            outcome,
            duration_ms,
            error,
            outputs: None,
            result: None,
            warnings: Vec::new(),
            recovery_point: None,
            next,
        }))
    }

    pub(crate) fn over(&mut self, step: &str, state: StepState) -> &mut Self {
        self.over_with(step, state, |_| {})
    }

    pub(crate) fn over_with(
        &mut self,
        step: &str,
        state: StepState,
        more: impl FnOnce(&mut StepFinished),
    ) -> &mut Self {
        let reset = |record: &&Record| matches!(&record.event.kind, EventKind::StepReset { step: of, .. } if of.as_str() == step);
        let since_reset = self.records.iter().rev().take_while(|record| !reset(record));
        let begun = since_reset
            .filter(|record| {
                matches!(
                    &record.event.kind,
                    EventKind::AttemptStarted { step: of, .. }
                    | EventKind::ApprovalRequested { step: of, .. } if of.as_str() == step
                )
            })
            .last()
            .map(|record| record.event.elapsed_ms);
        let mut finished = StepFinished {
            step: step.into(),
            state,
            duration_ms: self.ms - begun.unwrap_or(self.ms),
            gate_ms: 0,
            outputs: BTreeMap::new(),
            warnings: Vec::new(),
            error: None,
            recovery_point: None,
            by: None,
            reason: None,
        };
        more(&mut finished);
        self.tell(EventKind::StepFinished(finished))
    }

    /// An attempt that succeeds at once, and its step with it.
    pub(crate) fn done(&mut self, step: &str, took_ms: u64) -> &mut Self {
        self.launch(step, 1, Purpose::Apply)
            .wait(took_ms)
            .land(step, 1, Purpose::Apply, None, Next::Proceed)
            .over(step, StepState::Succeeded)
    }

    pub(crate) fn validated(&mut self, step: &str, took_ms: u64) -> &mut Self {
        self.launch(step, 1, Purpose::Validate)
            .wait(took_ms)
            .land(step, 1, Purpose::Validate, None, Next::Proceed)
            .over(step, StepState::Succeeded)
    }

    pub(crate) fn recovered(&mut self, service: &str, rta_ms: u64) -> &mut Self {
        self.tell(EventKind::ServiceFinished {
            service: service.into(),
            recovered: true,
            rta_ms: Some(rta_ms),
        })
    }

    pub(crate) fn end(
        &mut self,
        session: u32,
        verdict: Verdict,
        reason: &str,
        services: Vec<Achieved>,
    ) -> &mut Self {
        let count = self.records.len() as u64 + 1;
        self.tell(EventKind::RunFinished(RunFinished {
            session,
            verdict,
            reason: reason.to_owned(),
            services,
            count,
        }))
    }

    fn preflight(&mut self) -> &mut Self {
        self.tell(EventKind::PreflightFinished {
            findings: vec![Finding {
                step: "fence_primary".into(),
                status: "unreachable".to_owned(),
                lines: vec!["db1.prod:22: connection refused".to_owned()],
            }],
        })
    }

    /// As far as the promotion's gate: the fence has failed twice and been replaced by hand.
    pub(crate) fn to_the_gate(&mut self) -> &mut Self {
        let refused = || {
            Some(
                CallError::transient("connection_refused", "db1.prod:22: connection refused")
                    .with_help("see whether the host is up: ping db1.prod"),
            )
        };
        self.preflight()
            .wait(100)
            .launch("fence_primary", 1, Purpose::Apply)
            .launch("notify", 1, Purpose::Apply)
            .wait(400)
            .land("notify", 1, Purpose::Apply, None, Next::Proceed)
            .over_with("notify", StepState::Warned, |finished| {
                finished.warnings = vec!["the chat answered 202, not 200".to_owned()];
            })
            .wait(600)
            .land("fence_primary", 1, Purpose::Apply, refused(), Next::Again { at: at(3_100) })
            .wait(2_000)
            .launch("fence_primary", 2, Purpose::Apply)
            .wait(1_000)
            .land("fence_primary", 2, Purpose::Apply, refused(), Next::Proceed)
            .over_with("fence_primary", StepState::Warned, |finished| finished.error = refused())
            .tell(EventKind::ApprovalRequested {
                step: "fence_by_hand".into(),
                request: RequestId::from("g1"),
                message: "db1 does not answer. Cut its power, then confirm what you did".to_owned(),
                approvers: 1,
                deadline: Some(at(604_100)),
            })
            .wait(20_000)
            .tell(EventKind::ApprovalAnswered {
                step: "fence_by_hand".into(),
                approved: true,
                by: Some(actor("bob")),
                request: Some(RequestId::from("a1")),
                reason: Some("PDU port 7 is off".to_owned()),
                settled: true,
            })
            .over_with("fence_by_hand", StepState::Succeeded, |finished| finished.gate_ms = 20_000)
            .launch("last_commit", 1, Purpose::Apply)
            .wait(300)
            .land("last_commit", 1, Purpose::Apply, None, Next::Proceed)
            .over_with("last_commit", StepState::Succeeded, |finished| {
                let point = at(0) - jiff::SignedDuration::from_millis(42_500);
                finished.recovery_point = Some(point);
                finished.outputs =
                    BTreeMap::from([("at".to_owned(), json!({ "$time": point.to_string() }))]);
            })
            .tell(EventKind::ApprovalRequested {
                step: "promote".into(),
                request: RequestId::from("g2"),
                message: "Promote db2.prod? Its last commit is from 03:11:24".to_owned(),
                approvers: 1,
                deadline: Some(at(624_400)),
            })
    }

    /// On from there: approved by alice, and started.
    pub(crate) fn to_the_promotion(&mut self) -> &mut Self {
        self.to_the_gate()
            .wait(5_600)
            .tell(EventKind::ApprovalAnswered {
                step: "promote".into(),
                approved: true,
                by: Some(actor("alice")),
                request: Some(RequestId::from("a2")),
                reason: None,
                settled: true,
            })
            .launch("promote", 1, Purpose::Apply)
    }

    /// On from there: promoted and validated.
    pub(crate) fn to_the_database(&mut self) -> &mut Self {
        self.to_the_promotion()
            .wait(18_000)
            .land("promote", 1, Purpose::Apply, None, Next::Proceed)
            .over_with("promote", StepState::Succeeded, |finished| finished.gate_ms = 5_600)
            .launch("database!validation/1", 1, Purpose::Validate)
            .wait(200)
            .land(
                "database!validation/1",
                1,
                Purpose::Validate,
                Some(CallError::transient("expectation", "still a standby")),
                Next::Again { at: at(49_200) },
            )
            .wait(2_800)
            .land("database!validation/1", 4, Purpose::Validate, None, Next::Proceed)
            .over("database!validation/1", StepState::Succeeded)
            .recovered("database", 76_000)
    }
}

fn achieved(name: &str, rto_ms: u64, rta_ms: Option<u64>) -> Achieved {
    let database = name == "database";
    Achieved {
        name: name.into(),
        rto_ms: Some(rto_ms),
        rta_ms,
        met_rto: Some(rta_ms.is_some_and(|rta| rta <= rto_ms)),
        rpo_ms: Some(30_000).filter(|_| database),
        rpa_ms: Some(2_500).filter(|_| database),
        met_rpo: Some(true).filter(|_| database),
        reason: rta_ms.is_none().then(|| "restart_web@web_2 failed".to_owned()),
    }
}

/// Everything recovers, in time.
pub(crate) fn succeeded() -> Vec<Record> {
    let mut story = Story::begin();
    story
        .to_the_database()
        .done("restart_web@web_1", 4_000)
        .done("restart_web@web_2", 5_000)
        .validated("web!validation/1", 1_000)
        .recovered("web", 86_000)
        .end(
            1,
            Verdict::Succeeded,
            "2 services recovered in 1m01s",
            vec![
                achieved("database", 120_000, Some(76_000)),
                achieved("web", 180_000, Some(86_000)),
            ],
        );
    story.records
}

/// One web host does not come back.
pub(crate) fn failed() -> Vec<Record> {
    let mut story = Story::begin();
    fail(&mut story);
    story.records
}

fn fail(story: &mut Story) {
    let error = || {
        let error = CallError::permanent("exit_1", "systemctl start shop ended with 1")
            .with_help("read the unit's log: journalctl -u shop");
        Some(error.with_cause(&"\u{1b}[31mshop.service: <b>no|such</b> file\u{1b}[0m"))
    };
    story
        .to_the_database()
        .launch("restart_web@web_1", 1, Purpose::Apply)
        .launch("restart_web@web_2", 1, Purpose::Apply)
        .wait(4_000)
        .land("restart_web@web_1", 1, Purpose::Apply, None, Next::Proceed)
        .over("restart_web@web_1", StepState::Succeeded)
        .wait(1_000)
        .land("restart_web@web_2", 1, Purpose::Apply, error(), Next::Proceed)
        .over_with("restart_web@web_2", StepState::Failed, |finished| finished.error = error())
        .tell(EventKind::StepBlocked {
            step: "web!validation/1".into(),
            by: vec!["restart_web@web_2".into()],
        })
        .tell(EventKind::ServiceFinished { service: "web".into(), recovered: false, rta_ms: None })
        .end(
            1,
            Verdict::Failed,
            "restart_web@web_2 failed",
            vec![achieved("database", 120_000, Some(76_000)), achieved("web", 180_000, None)],
        );
}

/// The same, resumed by bob and brought to its end, too late.
pub(crate) fn resumed() -> Vec<Record> {
    let mut story = Story::begin();
    fail(&mut story);
    story
        .wait(300_000)
        .tell(EventKind::RunResumed {
            session: 2,
            by: actor("bob"),
            attended: true,
            reason: Some("the unit file was missing".to_owned()),
        })
        .tell(EventKind::RequestAccepted {
            request: Request {
                id: RequestId::from("r1"),
                step: Some("restart_web@web_2".into()),
                ask: RequestKind::Retry,
                by: actor("bob"),
                reason: Some("the unit file was missing".to_owned()),
            },
        })
        .tell(EventKind::StepReset {
            step: "restart_web@web_2".into(),
            redo: false,
            by: actor("bob"),
            reason: Some("the unit file was missing".to_owned()),
        })
        .launch("restart_web@web_2", 2, Purpose::Apply)
        .wait(5_000)
        .land("restart_web@web_2", 2, Purpose::Apply, None, Next::Proceed)
        .over("restart_web@web_2", StepState::Succeeded)
        .validated("web!validation/1", 1_000)
        .recovered("web", 387_000)
        .end(
            2,
            Verdict::ObjectiveMissed,
            "web missed its RTO by 3m27s",
            vec![
                achieved("database", 120_000, Some(76_000)),
                achieved("web", 180_000, Some(387_000)),
            ],
        );
    story.records
}

/// Nobody can tell whether the standby was promoted: a person is asked.
pub(crate) fn unknown() -> Vec<Record> {
    let mut story = Story::begin();
    story
        .to_the_promotion()
        .wait(2_000)
        .land(
            "promote",
            1,
            Purpose::Apply,
            Some(CallError::unknown("connection_lost", "the connection was lost")),
            Next::Check,
        )
        .launch("promote", 1, Purpose::Check)
        .wait(500)
        .land(
            "promote",
            1,
            Purpose::Check,
            Some(CallError::transient("connection_refused", "db2.prod:5432 refused")),
            Next::Ask,
        )
        .tell(EventKind::QuestionAsked {
            step: "promote".into(),
            question: Question::OutcomeUnknown,
            message: "was db2.prod promoted? its check cannot tell: db2.prod:5432 refused"
                .to_owned(),
            options: vec![RequestKind::AssumeDone, RequestKind::AssumeNotDone, RequestKind::Fail],
        });
    story.records
}

/// The session ends while the gate of the promotion is open.
pub(crate) fn paused() -> Vec<Record> {
    let mut story = Story::begin();
    story.to_the_gate().tell(EventKind::RunPaused { waiting: vec!["promote".into()] });
    story.records
}

/// A step passed over by a person, with a value that tries to format and to escape.
pub(crate) fn hostile() -> (Arc<Plan>, Vec<Record>) {
    let text = "\u{1b}[2J| **x** `y` <script>alert(1)</script>\n# head\n[a](http://evil.example)";
    let mut story = Story::begin();
    story
        .tell(EventKind::StepSkipped {
            step: "notify".into(),
            reason: SkipReason::Person,
            by: Some(actor("mallory|\u{1b}[31m")),
            note: Some(text.to_owned()),
        })
        .launch("fence_primary", 1, Purpose::Apply)
        .wait(10)
        .land(
            "fence_primary",
            1,
            Purpose::Apply,
            Some(CallError::permanent("exit_1", text)),
            Next::Proceed,
        )
        .over_with("fence_primary", StepState::Failed, |finished| {
            finished.error = Some(CallError::permanent("exit_1", text));
            finished.outputs = BTreeMap::from([("out".to_owned(), Value::String(text.to_owned()))]);
            finished.warnings = vec![text.to_owned()];
        });
    (plan(), story.records)
}
