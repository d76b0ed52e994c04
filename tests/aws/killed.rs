//! `dr` is killed in the middle of a call of a plugin: the plugin makes no call more, and the run
//! goes on rightly.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use dr_testkit::{Dr, Fault, eventually};
use serde_json::Value;

use crate::cloud::Cloud;

/// Kills `dr` while the request is under way, and resumes.
fn killed_within(cloud: &Cloud, dr: &Dr, request: &str, carried_out: bool) {
    cloud.proxy.plan(request, Fault::Timeout, carried_out, 1);
    let execute = dr.args(["execute", "runbook.yaml", "--skip-preflight", "--format", "json"]);
    let running = execute.spawn();
    let before = cloud.proxy.asked(request);
    eventually("the request is under way", || {
        let asked = cloud.proxy.asked(request);
        let done = cloud.proxy.carried_out(request);
        (asked > before && (done > 0 || !carried_out)).then_some(())
    });
    let process = process_of_call(dr);
    running.kill();
    eventually("the plugin has ended", || (!process.exists()).then_some(()));
    let asked = cloud.proxy.all_asked();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(cloud.proxy.all_asked(), asked, "somebody goes on making calls");
    dr.args(["resume", "last"]).run().code(0);
    assert!(fs::read_dir(dr.last_run().join("calls")).unwrap().next().is_none());
}

/// The process that works for a run, as `/proc` shows it.
fn process_of_call(dr: &Dr) -> PathBuf {
    eventually("the call is kept", || {
        let mut calls = fs::read_dir(dr.last_run().join("calls")).ok()?.filter_map(Result::ok);
        let text = fs::read(calls.next()?.path()).ok()?;
        let kept: Value = serde_json::from_slice(&text).ok()?;
        Some(PathBuf::from(format!("/proc/{}", kept["pid"])))
    })
}

#[test]
fn a_record_is_moved_once_although_killed() {
    let cloud = Cloud::start();
    let zone = cloud.zone("example.com", "shop.example.com", "10.0.0.1");
    for carried_out in [true, false] {
        let value = if carried_out { "10.1.0.1" } else { "10.2.0.1" };
        let text = format!(
            "runbook: move\nplugins:\n  route53: {{ region: eu-west-1, poll: 50ms }}\nsteps:\n  \
             - id: before\n    needs: []\n    uses: route53.get_record\n    \
             with: {{ zone: {zone}, name: shop.example.com, type: A }}\n    \
             outputs: {{ records: result.records }}\n  \
             - id: move\n    needs: [before]\n    uses: route53.upsert_record\n    \
             with:\n      zone: {zone}\n      before: \"{{{{ steps.before.outputs.records }}}}\"\n      \
             record: {{ name: shop.example.com, type: A, values: [{value}] }}\n"
        );
        let dr = cloud.environment(crate::dr().runbook(&text));
        killed_within(&cloud, &dr, "route53.ChangeResourceRecordSets", carried_out);
        assert_eq!(cloud.addresses(&zone), [value]);
        // What it changed is known, although nobody saw it happen.
        let report = fs::read_to_string(dr.last_run().join("report.md")).unwrap();
        assert!(report.contains(&format!("{value}, TTL 60")), "{report}");
        cloud.proxy.reset();
    }
}

#[test]
fn instances_are_made_once_although_killed() {
    let cloud = Cloud::start();
    for carried_out in [true, false] {
        cloud.emulator.reset();
        let dr = cloud.environment(crate::dr().runbook(
            "runbook: make\nplugins:\n  ec2: { region: eu-west-1, poll: 50ms }\nsteps:\n  \
             - id: make\n    needs: []\n    uses: ec2.run_instances\n    \
             with: { image: ami-12c6146b, type: t3.micro, name: new }\n",
        ));
        killed_within(&cloud, &dr, "RunInstances", carried_out);
        assert_eq!(cloud.count("DescribeInstances", "instanceId"), 1);
        let made = cloud.emulator.ec2("Action=DescribeInstances");
        let run = dr.last_run();
        let run = run.file_name().unwrap().to_str().unwrap();
        assert!(made.contains("dr:run") && made.contains(run), "{run}\n{made}");
        cloud.proxy.reset();
    }
}
