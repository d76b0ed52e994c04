//! {carried out, not carried out} × {throttled, 500, time-out, reset, cut off} for every request
//! that changes something: nothing happens twice, and nothing that happened is called failed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dr::plugin::ProcessPlugin;
use dr_plugin::{
    Call, CallError, CallKey, Cancel, CancelLevel, Checked, Context, Effect, ErrorClass,
    Plugin as _, Secrets,
};
use dr_testkit::Fault;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::cloud::{Cloud, executable};

/// A plugin's executable, called as the engine calls it.
struct Bench {
    runtime: Runtime,
    plugin: ProcessPlugin,
    cloud: Cloud,
    calls: u32,
}

impl Bench {
    fn new(name: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let path = executable(name);
        let manifest = std::process::Command::new(&path).arg("manifest").output().unwrap();
        let manifest = serde_json::from_slice(&manifest.stdout).unwrap();
        let cloud = Cloud::start();
        let sts = cloud.proxy.url();
        let plugin = ProcessPlugin::new(path, manifest).with_environment([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ENDPOINT_URL_STS", &sts),
        ]);
        Self { runtime: runtime.unwrap(), plugin, cloud, calls: 0 }
    }

    fn call(&mut self, action: &str, input: Value) -> Call {
        self.calls += 1;
        Call {
            action: action.into(),
            input,
            settings: json!({
                "region": "eu-west-1",
                "endpoint": self.cloud.proxy.url(),
                "poll": "20ms",
                "request_timeout": "3s",
            }),
            host: None,
            secrets: Secrets::new(),
            key: CallKey {
                run: "r".into(),
                step: format!("s{}", self.calls),
                purpose: "apply".into(),
                attempt: 1,
            },
            timeout_ms: Some(120_000),
            effect: Effect::Checkable,
        }
    }

    fn apply(&self, call: &Call) -> Result<Value, CallError> {
        self.runtime.block_on(self.plugin.apply(call, &Context::silent()))
    }

    fn undo(&self, call: &Call) -> Result<Value, CallError> {
        let key = CallKey {
            step: format!("{}!undo", call.key.step),
            purpose: "undo".into(),
            ..call.key.clone()
        };
        let call = Call { key, ..call.clone() };
        self.runtime.block_on(self.plugin.undo(&call, &Context::silent()))
    }

    /// Stops a call whose request is not answered.
    fn is_stopped(&mut self, action: &str, request: &str, input: Value) {
        let call = self.call(action, input);
        self.cloud.proxy.plan(request, Fault::Timeout, false, usize::MAX);
        let (stop, cancel) = Cancel::new();
        let context = Context { cancel, ..Context::silent() };
        let (proxy, before) = (&self.cloud.proxy, self.cloud.proxy.asked(request));
        let (ended, took) = self.runtime.block_on(async {
            let mut applying = Box::pin(self.plugin.apply(&call, &context));
            let asking = async {
                while proxy.asked(request) == before {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                ended = &mut applying => panic!("{action} ended before it was stopped: {ended:?}"),
                () = asking => {}
            }
            stop.send_replace(CancelLevel::Stop);
            let asked = Instant::now();
            (applying.await, asked.elapsed())
        });
        self.cloud.proxy.heal();
        let error = ended.unwrap_err();
        assert_eq!(error.class, ErrorClass::Cancelled, "{action}: {error:?}");
        assert!(took < Duration::from_secs(2), "{action}: {took:?}");
    }

    /// What the engine makes of a call: an unknown outcome is checked, and what turns out not to be
    /// done or still to be going is called again with the same key.
    fn carry_through(&self, call: &Call) -> Result<Value, CallError> {
        let mut result = self.apply(call);
        for _ in 0..3 {
            match &result {
                Err(error) if error.class == ErrorClass::Unknown => {}
                _ => break,
            }
            match self.runtime.block_on(self.plugin.check(call, &Context::silent())) {
                Ok(Checked::Done(found)) => return Ok(found.unwrap_or_default()),
                Ok(Checked::NotDone | Checked::Running) => result = self.apply(call),
                Ok(Checked::CannotTell(_)) | Err(_) => break,
            }
        }
        result
    }

    /// All faults of one request. `prepare` gives the input of a new case; `holds` says how often
    /// what was asked for is there.
    fn all_faults(
        &mut self,
        action: &str,
        request: &str,
        prepare: impl Fn(&Cloud) -> Value,
        holds: impl Fn(&Cloud, &Value) -> usize,
    ) {
        for fault in Fault::AMBIGUOUS {
            for carried_out in [true, false] {
                let case = format!("{action}: {fault:?}, carried out: {carried_out}");
                self.cloud.proxy.reset();
                let input = prepare(&self.cloud);
                let call = self.call(action, input.clone());
                self.cloud.proxy.plan(request, fault, carried_out, 1);
                let result = self.carry_through(&call);
                self.cloud.proxy.heal();
                assert!(result.is_ok(), "{case}: {result:?}");
                assert_eq!(holds(&self.cloud, &input), 1, "{case}");
            }
        }
    }
}

fn id(input: &Value) -> &str {
    input["instances"]["id"].as_str().unwrap()
}

#[test]
fn power_reaches_its_state() {
    let mut bench = Bench::new("ec2");
    for (action, request, wanted) in [
        ("start_instances", "StartInstances", "running"),
        ("stop_instances", "StopInstances", "stopped"),
        ("terminate_instances", "TerminateInstances", "terminated"),
    ] {
        bench.all_faults(
            action,
            request,
            |cloud| {
                let id = cloud.instance("web");
                if action == "start_instances" {
                    cloud.stop(&id);
                }
                json!({ "instances": { "id": id } })
            },
            |cloud, input| usize::from(cloud.state(id(input)) == wanted),
        );
    }
}

/// A reboot leaves no trace: where its outcome is open, a person is asked, and it is never sent
/// twice.
#[test]
fn a_reboot_is_sent_once() {
    let mut bench = Bench::new("ec2");
    for fault in Fault::AMBIGUOUS {
        for carried_out in [true, false] {
            bench.cloud.proxy.reset();
            let id = bench.cloud.instance("web");
            let call = bench.call("reboot_instances", json!({ "instances": { "id": id } }));
            bench.cloud.proxy.plan("RebootInstances", fault, carried_out, 1);
            let error = bench.carry_through(&call).unwrap_err();
            let class =
                if fault == Fault::Throttled { ErrorClass::Transient } else { ErrorClass::Unknown };
            assert_eq!(error.class, class, "{fault:?}");
            assert_eq!(bench.cloud.proxy.asked("RebootInstances"), 1, "{fault:?}");
        }
    }
}

/// How many cases of faults there are for a request.
const CASES: usize = 2 * Fault::AMBIGUOUS.len();

#[test]
fn instances_are_made_once() {
    let mut bench = Bench::new("ec2");
    // The first instance takes the emulator seconds.
    bench.cloud.instance("first");
    bench.all_faults(
        "run_instances",
        "RunInstances",
        |_| json!({ "image": "ami-12c6146b", "type": "t3.micro", "name": "new" }),
        |cloud, _| cloud.proxy.carried_out("RunInstances"),
    );
    assert_eq!(bench.cloud.count("DescribeInstances", "instanceId"), CASES);
}

#[test]
fn snapshots_images_and_volumes_are_made_once() {
    let mut bench = Bench::new("ec2");
    // The first look at images takes the emulator seconds.
    bench.cloud.emulator.ec2("Action=DescribeImages&Owner.1=self");
    let volume = |cloud: &Cloud| {
        let made = cloud.emulator.ec2("Action=CreateVolume&Size=1&AvailabilityZone=eu-west-1a");
        dr_testkit::elements(&made, "volumeId")[0].clone()
    };
    bench.all_faults(
        "create_snapshot",
        "CreateSnapshot",
        |cloud| json!({ "volume": { "id": volume(cloud) }, "name": "s" }),
        |cloud, _| cloud.proxy.carried_out("CreateSnapshot"),
    );
    assert_eq!(bench.cloud.count("DescribeSnapshots", "snapshotId"), CASES);
    bench.all_faults(
        "create_volume_from_snapshot",
        "CreateVolume",
        |cloud| {
            let made =
                cloud.emulator.ec2(&format!("Action=CreateSnapshot&VolumeId={}", volume(cloud)));
            let id = dr_testkit::elements(&made, "snapshotId")[0].clone();
            json!({ "snapshot": { "id": id }, "availability_zone": "eu-west-1a" })
        },
        |cloud, _| cloud.proxy.carried_out("CreateVolume"),
    );
    assert_eq!(bench.cloud.count("DescribeVolumes", "volumeId"), CASES);
    bench.all_faults(
        "create_image",
        "CreateImage",
        |cloud| {
            let id = cloud.instance("web");
            json!({ "instance": { "id": id }, "name": format!("image of {id}") })
        },
        |cloud, _| cloud.proxy.carried_out("CreateImage"),
    );
}

#[test]
fn volumes_and_addresses_come_to_their_instance() {
    let mut bench = Bench::new("ec2");
    bench.all_faults(
        "attach_volume",
        "AttachVolume",
        |cloud| {
            let id = cloud.instance("web");
            let made = cloud.emulator.ec2("Action=CreateVolume&Size=1&AvailabilityZone=eu-west-1a");
            let volume = &dr_testkit::elements(&made, "volumeId")[0];
            json!({ "volume": { "id": volume }, "instance": { "id": id }, "device": "/dev/sdf" })
        },
        |cloud, _| cloud.proxy.carried_out("AttachVolume"),
    );
    bench.all_faults(
        "associate_address",
        "AssociateAddress",
        |cloud| {
            let made = cloud.emulator.ec2("Action=AllocateAddress&Domain=vpc");
            let address = &dr_testkit::elements(&made, "publicIp")[0];
            json!({ "address": address, "instance": { "id": cloud.instance("web") } })
        },
        |cloud, input| {
            let query = format!(
                "Action=DescribeAddresses&PublicIp.1={}",
                input["address"].as_str().unwrap()
            );
            let found = cloud.emulator.ec2(&query);
            let wanted = input["instance"]["id"].as_str().unwrap();
            dr_testkit::elements(&found, "instanceId").iter().filter(|it| *it == wanted).count()
        },
    );
}

fn record(value: &str) -> Value {
    json!({ "name": "shop.example.com", "type": "A", "values": [value] })
}

#[test]
fn record_sets_become_what_was_asked_for() {
    const REQUEST: &str = "route53.ChangeResourceRecordSets";
    let mut bench = Bench::new("route53");
    let zone = |cloud: &Cloud| {
        cloud.emulator.reset();
        cloud.zone("example.com", "shop.example.com", "10.0.0.1")
    };
    let holds = |wanted: &'static [&'static str]| {
        move |cloud: &Cloud, input: &Value| {
            usize::from(cloud.addresses(input["zone"].as_str().unwrap()) == wanted)
        }
    };
    bench.all_faults(
        "upsert_record",
        REQUEST,
        |cloud| json!({ "zone": zone(cloud), "record": record("10.1.0.1") }),
        holds(&["10.1.0.1"]),
    );
    bench.all_faults(
        "delete_record",
        REQUEST,
        |cloud| json!({ "zone": zone(cloud), "record": record("10.0.0.1") }),
        holds(&[]),
    );
    bench.all_faults(
        "change_batch",
        REQUEST,
        |cloud| {
            let made = json!({ "name": "new.example.com", "type": "A", "values": ["10.2.0.1"] });
            json!({ "zone": zone(cloud), "changes": [
                { "action": "delete", "record": record("10.0.0.1") },
                { "action": "create", "record": made },
            ] })
        },
        holds(&["10.2.0.1"]),
    );
}

#[test]
fn a_pending_change_is_waited_for() {
    let mut bench = Bench::new("route53");
    let zone = bench.cloud.zone("example.com", "shop.example.com", "10.0.0.1");
    bench.cloud.proxy.keep_pending(4);
    let input = json!({ "zone": zone, "record": record("10.1.0.1") });
    let call = bench.call("upsert_record", input);
    let result = bench.apply(&call).unwrap();
    assert_eq!(result["status"], "INSYNC");
    assert_eq!(bench.cloud.proxy.asked("route53.GetChange"), 5);
    // A call that is repeated after a crash finds all as wanted, and still waits.
    bench.cloud.proxy.keep_pending(2);
    let again = bench.apply(&call).unwrap();
    assert_eq!((&again["changed"], &again["status"]), (&json!(false), &json!("INSYNC")));
    assert_eq!(bench.cloud.proxy.asked("route53.GetChange"), 8);
}

/// Simple, weighted and failover record sets are put back exactly as they were.
#[test]
fn what_was_there_is_restored_exactly() {
    let mut bench = Bench::new("route53");
    let zone = bench.cloud.zone("example.com", "shop.example.com", "10.0.0.1");
    let set = |more: Value| {
        let mut set = json!({ "type": "A", "ttl": 30, "values": ["10.0.0.9", "10.0.0.8"] });
        set.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        set
    };
    let sets = [
        set(json!({ "name": "w.example.com", "set_identifier": "one", "weight": 200 })),
        set(json!({ "name": "w.example.com", "set_identifier": "two", "weight": 0 })),
        set(json!({ "name": "f.example.com", "set_identifier": "p", "failover": "PRIMARY" })),
        set(json!({ "name": "f.example.com", "set_identifier": "s", "failover": "SECONDARY" })),
    ];
    let changes = |action: &str, sets: &[Value]| {
        let changes: Vec<Value> =
            sets.iter().map(|set| json!({ "action": action, "record": set })).collect();
        json!({ "zone": zone, "changes": changes })
    };
    let made = bench.call("change_batch", changes("create", &sets));
    let made = bench.apply(&made).unwrap();
    let look = |bench: &mut Bench| -> BTreeMap<String, Value> {
        ["w.example.com", "f.example.com", "shop.example.com"]
            .map(|name| {
                let input = json!({ "zone": "example.com", "name": name, "type": "A" });
                let call = bench.call("get_record", input);
                (name.to_owned(), bench.apply(&call).unwrap()["records"].clone())
            })
            .into()
    };
    let before = look(&mut bench);
    let moved: Vec<Value> = sets
        .iter()
        .map(|set| {
            let mut set = set.clone();
            set["values"] = json!(["10.9.9.9"]);
            set
        })
        .collect();
    let mut batch = changes("upsert", &moved);
    let deleted = json!({ "action": "delete", "record": record("10.0.0.1") });
    batch["changes"].as_array_mut().unwrap().push(deleted);
    let call = bench.call("change_batch", batch);
    let result = bench.apply(&call).unwrap();
    assert_ne!(look(&mut bench), before);
    let undo = json!({ "zone": zone, "changes": result["restore"] });
    let call = bench.call("change_batch", undo);
    bench.apply(&call).unwrap();
    assert_eq!(look(&mut bench), before);
    // And what was not there before is gone again.
    let call = bench.call("change_batch", json!({ "zone": zone, "changes": made["restore"] }));
    bench.apply(&call).unwrap();
    assert_eq!(bench.cloud.addresses(&zone), ["10.0.0.1"]);
}

/// The step goes on once there are new credentials, and nothing was called failed.
#[test]
fn expired_credentials_are_waited_out() {
    let mut bench = Bench::new("ec2");
    let id = bench.cloud.instance("web");
    let call = bench.call("stop_instances", json!({ "instances": { "id": id } }));
    bench.cloud.proxy.plan("StopInstances", Fault::Expired, false, 3);
    bench.apply(&call).unwrap();
    assert_eq!(bench.cloud.state(&id), "stopped");
    bench.cloud.proxy.plan("StartInstances", Fault::Expired, false, usize::MAX);
    let mut call = bench.call("start_instances", json!({ "instances": { "id": id } }));
    call.timeout_ms = Some(1_000);
    let error = bench.apply(&call).unwrap_err();
    assert_eq!(error.class, ErrorClass::Denied);
    assert!(error.help.unwrap().contains("renew them"));
}

/// A batch undoes itself with what was read before, although it is repeated after a crash, when
/// nothing of what was there can be seen any more; instances that a step has made are terminated.
#[test]
fn actions_undo_themselves() {
    let mut bench = Bench::new("route53");
    let zone = bench.cloud.zone("example.com", "shop.example.com", "10.0.0.1");
    let read = json!({ "zone": zone, "name": "shop.example.com", "type": "A" });
    let read = bench.call("get_record", read);
    let before = bench.apply(&read).unwrap();
    let input = json!({ "zone": zone, "before": before["records"], "changes": [
        { "action": "upsert", "record": record("10.1.0.1") },
        { "action": "create",
          "record": { "name": "new.example.com", "type": "A", "values": ["10.2.0.1"] } },
    ] });
    let call = bench.call("change_batch", input);
    bench.apply(&call).unwrap();
    let again = bench.apply(&call).unwrap();
    assert_eq!(again["changes"].as_array().unwrap().len(), 2, "{again}");
    assert_eq!(again["before"], json!([before["records"][0], null]));
    bench.undo(&call).unwrap();
    assert_eq!(bench.cloud.addresses(&zone), ["10.0.0.1"]);
    assert_eq!(bench.apply(&read).unwrap(), before);
    // Once more: nothing is left to do.
    bench.undo(&call).unwrap();
    let call = bench.call("upsert_record", json!({ "zone": zone, "record": record("10.3.0.1") }));
    assert_eq!(bench.undo(&call).unwrap_err().code, "no_before");
    // What get_record says puts back is a batch.
    let moved = json!({ "zone": zone, "record": record("10.4.0.1") });
    let moved = bench.call("upsert_record", moved);
    bench.apply(&moved).unwrap();
    let restore = json!({ "zone": zone, "changes": before["restore"] });
    let restore = bench.call("change_batch", restore);
    bench.apply(&restore).unwrap();
    assert_eq!(bench.cloud.addresses(&zone), ["10.0.0.1"]);

    let mut bench = Bench::new("ec2");
    let other = bench.cloud.instance("other");
    let input = json!({ "image": "ami-12c6146b", "type": "t3.micro", "count": 2 });
    let call = bench.call("run_instances", input);
    bench.apply(&call).unwrap();
    let undone = bench.undo(&call).unwrap();
    assert_eq!(undone["changes"].as_array().unwrap().len(), 2, "{undone}");
    assert_eq!(bench.cloud.state(&other), "running");
    assert_eq!(bench.undo(&call).unwrap()["changes"], json!([]));
}

/// Every action ends within two seconds once it is told to, whatever it waits for.
#[test]
fn every_action_can_be_stopped() {
    let mut bench = Bench::new("ec2");
    let id = bench.cloud.instance("web");
    let volume = bench.cloud.emulator.ec2("Action=CreateVolume&Size=1&AvailabilityZone=eu-west-1a");
    let volume = &dr_testkit::elements(&volume, "volumeId")[0];
    let instances = json!({ "instances": { "id": id } });
    let cases = [
        ("describe_instances", "DescribeInstances", instances.clone()),
        ("start_instances", "DescribeInstances", instances.clone()),
        ("stop_instances", "StopInstances", instances.clone()),
        ("reboot_instances", "RebootInstances", instances.clone()),
        ("terminate_instances", "TerminateInstances", instances.clone()),
        ("run_instances", "RunInstances", json!({ "image": "ami-12c6146b" })),
        ("create_snapshot", "CreateSnapshot", json!({ "volume": { "id": volume } })),
        ("create_image", "CreateImage", json!({ "instance": { "id": id }, "name": "i" })),
        (
            "create_volume_from_snapshot",
            "DescribeSnapshots",
            json!({ "snapshot": { "id": "snap-0" }, "availability_zone": "eu-west-1a" }),
        ),
        (
            "attach_volume",
            "AttachVolume",
            json!({ "volume": { "id": volume }, "instance": { "id": id }, "device": "/dev/sdf" }),
        ),
        (
            "associate_address",
            "DescribeAddresses",
            json!({ "address": "198.51.100.1", "instance": { "id": id } }),
        ),
    ];
    for (action, request, input) in cases {
        bench.is_stopped(action, request, input);
    }
    let mut bench = Bench::new("route53");
    let zone = bench.cloud.zone("example.com", "shop.example.com", "10.0.0.1");
    let change = "route53.ChangeResourceRecordSets";
    let asked = json!({ "zone": zone, "record": record("10.1.0.1") });
    let batch = json!({ "zone": zone, "changes": [
        { "action": "delete", "record": record("10.0.0.1") },
    ] });
    let deleted = json!({ "zone": zone, "record": record("10.0.0.1") });
    let read = json!({ "zone": zone, "name": "shop.example.com", "type": "A" });
    let health = json!({ "health_check": "abc" });
    for (action, request, input) in [
        ("upsert_record", change, asked.clone()),
        ("delete_record", change, deleted),
        ("change_batch", change, batch),
        ("get_record", "route53.Read", read),
        ("health_check_status", "route53.Read", health),
    ] {
        bench.is_stopped(action, request, input);
    }
    // While it waits for the name servers.
    bench.cloud.proxy.keep_pending(usize::MAX);
    bench.is_stopped("upsert_record", "route53.GetChange", asked);
}

#[test]
fn a_role_is_assumed() {
    let mut bench = Bench::new("ec2");
    let id = bench.cloud.instance("web");
    let mut call = bench.call("describe_instances", json!({ "instances": { "id": id } }));
    call.settings["role"] = json!("arn:aws:iam::123456789012:role/dr");
    let found = bench.apply(&call).unwrap();
    assert_eq!(found["instance"]["state"], "running");
    bench.apply(&call).unwrap();
    assert_eq!(bench.cloud.proxy.asked("AssumeRole"), 1);
}
