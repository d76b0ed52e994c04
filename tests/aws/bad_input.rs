//! What people and clouds do wrong is said under a code, with a way on and the right exit code.

use dr_testkit::{Dr, Ended, Fault, address, free_port};

use crate::cloud::Cloud;

fn runbook(step: &str) -> String {
    format!(
        "runbook: aws\nplugins:\n  ec2: {{ region: eu-west-1, poll: 20ms, request_timeout: 2s }}\n  \
         route53: {{ region: eu-west-1, poll: 20ms, request_timeout: 2s }}\nsteps:\n  \
         - {{ id: act, needs: [], timeout: 20s, {step} }}\n"
    )
}

const START: &str = "uses: ec2.start_instances, with: { instances: { name: web } }";
const MOVE: &str = "uses: route53.upsert_record, with: { zone: example.com, record: { name: \
                    shop.example.com, type: A, values: [10.1.0.1] } }";

fn execute(dr: &Dr) -> Ended {
    dr.args(["execute", "runbook.yaml"]).run()
}

/// Without what differs from run to run.
fn shown(ended: &Ended) -> String {
    let replacements = [
        (r"i-[0-9a-f]{17}", "i-0"),
        (r"\d{8}T\d{6}Z-\w+-[0-9a-f]{4}", "RUN"),
        (r"sha256:[0-9a-f]{64}", "DIGEST"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "MOMENT"),
        (r" +\+?\d+(\.\d+)?m?s\b", " TIME"),
        (r"\d\d:\d\d:\d\d( UTC)?", "MOMENT"),
        (r":\d{4,5}\b", ":PORT"),
        (r"127\.\d+\.\d+\.\d+", "ADDRESS"),
        (r"by \S+@\S+", "by WHO"),
    ];
    replacements.into_iter().fold(ended.to_string(), |text, (pattern, by)| {
        regex::Regex::new(pattern).unwrap().replace_all(&text, by).into_owned()
    })
}

#[test]
fn what_is_not_there_is_named() {
    let cloud = Cloud::start();
    let start = cloud.environment(crate::dr().runbook(&runbook(START)));
    let ended = start.args(["execute", "runbook.yaml", "--skip-preflight"]).run().code(5);
    insta::assert_snapshot!("unknown_instance", shown(&ended));
    let unknown = "uses: ec2.stop_instances, with: { instances: { id: i-0123456789abcdef0 } }";
    let stop = cloud.environment(crate::dr().runbook(&runbook(unknown)));
    execute(&stop).code(5).prints("there is no instance `i-0123456789abcdef0`");
    let change = cloud.environment(crate::dr().runbook(&runbook(MOVE)));
    insta::assert_snapshot!("unknown_zone", shown(&execute(&change).code(5)));
    let zone = MOVE.replace("zone: example.com", "zone: Z0123456789ABCDEFGHIJ");
    let change = cloud.environment(crate::dr().runbook(&runbook(&zone)));
    execute(&change).code(5).prints("there is no hosted zone `Z0123456789ABCDEFGHIJ`");
}

#[test]
fn two_matches_where_one_is_allowed_touch_nothing() {
    let cloud = Cloud::start();
    for instance in [cloud.instance("web"), cloud.instance("web")] {
        cloud.stop(&instance);
    }
    let dr = cloud.environment(crate::dr().runbook(&runbook(START)));
    insta::assert_snapshot!("two_instances", shown(&execute(&dr).code(5)));
    assert_eq!(cloud.proxy.asked("StartInstances"), 0);
    cloud.zone("example.com", "shop.example.com", "10.0.0.1");
    cloud.zone("example.com", "other.example.com", "10.0.0.1");
    let dr = cloud.environment(crate::dr().runbook(&runbook(MOVE)));
    execute(&dr).code(5).prints("2 hosted zones are called `example.com`");
    assert_eq!(cloud.proxy.asked("route53.ChangeResourceRecordSets"), 0);
}

#[test]
fn a_denied_action_is_known_before_the_start() {
    let cloud = Cloud::start();
    let instance = cloud.instance("web");
    cloud.stop(&instance);
    cloud.proxy.plan("StartInstances", Fault::Denied, false, usize::MAX);
    let dr = cloud.environment(crate::dr().runbook(&runbook(START)));
    insta::assert_snapshot!("denied", shown(&execute(&dr).code(4)));
    // A disaster is not refused: the step itself says it.
    let ended = dr.args(["execute", "runbook.yaml", "--skip-preflight"]).run().code(5);
    assert!(ended.stdout.contains("UnauthorizedOperation"), "{ended}");
}

#[test]
fn credentials_that_end_are_noticed() {
    let cloud = Cloud::start();
    let dr = cloud.environment(crate::dr().runbook(&runbook(MOVE)));
    cloud.zone("example.com", "shop.example.com", "10.0.0.1");
    // A process gives them, as AWS's chain allows.
    let in_ten_minutes = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(10);
    let dr = dr.file(
        "home/.aws/config",
        &format!(
            "[profile short]\ncredential_process = echo '{{\"Version\": 1, \"AccessKeyId\": \"a\", \
             \"SecretAccessKey\": \"b\", \"SessionToken\": \"c\", \"Expiration\": \
             \"{in_ten_minutes:.0}\"}}'\n"
        ),
    );
    let text = dr.read("runbook.yaml").replace("route53: {", "route53: { profile: short,");
    let dr = dr.runbook(&text);
    let ended = dr.args(["plan", "runbook.yaml", "--observe"]).run().code(0);
    let words: Vec<&str> = ended.stdout.split_whitespace().collect();
    assert!(words.join(" ").contains("the credentials end in 9 min"), "{ended}");
}

#[test]
fn a_wrong_endpoint_is_unreachable() {
    let cloud = Cloud::start();
    let dr = cloud.environment(crate::dr().runbook(&runbook(MOVE)));
    let nobody = format!("http://{}:{}", address(9), free_port(address(9)));
    let dr = dr.env("AWS_ENDPOINT_URL", nobody);
    let ended = dr.args(["execute", "runbook.yaml", "--skip-preflight"]).run().code(5);
    insta::assert_snapshot!("wrong_endpoint", shown(&ended));
}

#[test]
fn without_credentials_the_way_to_some_is_named() {
    let cloud = Cloud::start();
    let dr = cloud.environment(crate::dr().runbook(&runbook(MOVE)));
    let dr = dr.env("AWS_ACCESS_KEY_ID", "").env("AWS_SECRET_ACCESS_KEY", "");
    insta::assert_snapshot!("no_credentials", shown(&execute(&dr).code(4)));
}

/// The manifests are built in: a runbook is checked and planned anywhere. Only a run needs the
/// programs.
#[test]
fn a_missing_program_stops_a_run_before_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("dr");
    std::fs::hard_link(env!("CARGO_BIN_EXE_dr"), &alone)
        .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_dr"), &alone).map(|_| ()))
        .unwrap();
    let dr = Dr::new(alone).runbook(&runbook(MOVE));
    dr.args(["check", "runbook.yaml"]).run().code(0);
    dr.args(["plan", "runbook.yaml"]).run().code(0);
    insta::assert_snapshot!("missing_program", shown(&execute(&dr).code(4)));
    dr.args(["plugins"]).run().code(0).prints("not installed");
    assert!(
        !dr.path(".dr/runs").exists() || dr.path(".dr/runs").read_dir().unwrap().next().is_none()
    );
}
