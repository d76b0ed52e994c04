use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_ec2::Client;
use dr_aws::{ENVIRONMENT, Sessions, Settings, Worker};
use dr_plugin::{
    ActionManifest, Call, CallError, Checked, Context, Effect, ErrorClass, Manifest, Plugin,
    Preview, PreviewStatus,
};
use serde::Serialize;
use serde_json::Value;

use crate::input::{
    AddressInput, AttachInput, ImageInput, InstancesInput, RunInput, SnapshotInput, StartInput,
    StopInput, VolumeInput,
};
use crate::output::{AddressResult, ImageResult, InstancesResult, SnapshotResult, VolumeResult};
use crate::power::Power;
use crate::selector::Selector;
use crate::{address, image, instance, launch, snapshot, volume};

/// The plugin, for serving as an executable.
#[must_use]
pub fn plugin() -> Arc<dyn Plugin> {
    Arc::new(Ec2::default())
}

#[derive(Debug, Default)]
struct Ec2 {
    sessions: Sessions,
}

impl Ec2 {
    async fn worker<'a>(
        &'a self,
        call: &Call,
        context: &'a Context,
    ) -> Result<Worker<'a, Client>, CallError> {
        Worker::new(&self.sessions, call, context, Client::new).await
    }
}

/// What the four actions on instances that exist are asked for.
fn power(call: &Call) -> Result<Option<(Power, Selector)>, CallError> {
    Ok(Some(match call.action.as_str() {
        "start_instances" => {
            let input: StartInput = call.input()?;
            (Power::Start(input.status_ok), input.instances)
        }
        "stop_instances" => {
            let input: StopInput = call.input()?;
            (Power::Stop(input.force), input.instances)
        }
        "reboot_instances" => (Power::Reboot, call.input::<InstancesInput>()?.instances),
        "terminate_instances" => (Power::Terminate, call.input::<InstancesInput>()?.instances),
        _ => return Ok(None),
    }))
}

fn unknown(action: &str) -> CallError {
    CallError::permanent("no_such_action", format!("there is no `ec2.{action}`"))
}

fn actions() -> [(&'static str, ActionManifest); 11] {
    use Effect::{Checkable, Idempotent, Once};
    let action = ActionManifest::action::<InstancesInput, InstancesResult>;
    [
        (
            "describe_instances",
            ActionManifest::probe::<InstancesInput, InstancesResult>("Reads instances.")
                .typically_ms(500),
        ),
        (
            "start_instances",
            ActionManifest::action::<StartInput, InstancesResult>(
                "Starts instances that are stopped and waits until they run.",
                Idempotent,
            )
            .with_check()
            .typically_ms(40_000),
        ),
        (
            "stop_instances",
            ActionManifest::action::<StopInput, InstancesResult>(
                "Stops instances and waits until they are stopped.",
                Idempotent,
            )
            .with_check()
            .typically_ms(60_000),
        ),
        (
            "reboot_instances",
            action(
                "Reboots instances. Nobody can tell afterwards whether one was rebooted once or \
                 twice.",
                Once,
            )
            .typically_ms(60_000),
        ),
        (
            "terminate_instances",
            action("Terminates instances for good and waits until they are gone.", Idempotent)
                .with_check()
                .typically_ms(60_000),
        ),
        (
            "run_instances",
            ActionManifest::action::<RunInput, InstancesResult>(
                "Makes new instances and waits until they run. Repeating an attempt makes no more. \
                 Undone, it terminates what the step has made.",
                Checkable,
            )
            .with_check()
            .with_undo()
            .with_token()
            .typically_ms(60_000),
        ),
        (
            "create_snapshot",
            ActionManifest::action::<SnapshotInput, SnapshotResult>(
                "Makes a snapshot of a volume and waits until it is complete. A repeated attempt \
                 finds its snapshot again by a tag.",
                Checkable,
            )
            .with_check()
            .typically_ms(300_000),
        ),
        (
            "create_image",
            ActionManifest::action::<ImageInput, ImageResult>(
                "Makes an image of an instance and waits until it is available. A repeated attempt \
                 finds its image again by a tag.",
                Checkable,
            )
            .with_check()
            .typically_ms(300_000),
        ),
        (
            "create_volume_from_snapshot",
            ActionManifest::action::<VolumeInput, VolumeResult>(
                "Makes a volume from a snapshot and waits until it is available. Repeating an \
                 attempt makes no more.",
                Checkable,
            )
            .with_check()
            .with_token()
            .typically_ms(30_000),
        ),
        (
            "attach_volume",
            ActionManifest::action::<AttachInput, VolumeResult>(
                "Attaches a volume to an instance and waits until it is there.",
                Idempotent,
            )
            .with_check()
            .typically_ms(10_000),
        ),
        (
            "associate_address",
            ActionManifest::action::<AddressInput, AddressResult>(
                "Gives an elastic address to an instance and waits until it has it.",
                Idempotent,
            )
            .with_check()
            .typically_ms(5_000),
        ),
    ]
}

#[async_trait]
impl Plugin for Ec2 {
    fn manifest(&self) -> Manifest {
        let mut manifest = Manifest::new::<Settings>(
            "ec2",
            env!("CARGO_PKG_VERSION"),
            "EC2 instances, snapshots, images, volumes and elastic addresses. All that is made is \
             tagged with run and step (`dr:run`, `dr:step`).",
        );
        for (name, action) in actions() {
            manifest = manifest.with(name, action.with_preview());
        }
        manifest.environment = ENVIRONMENT.iter().map(|name| (*name).to_owned()).collect();
        manifest
    }

    async fn preview(&self, call: &Call, context: &Context) -> Result<Preview, CallError> {
        let mut worker = self.worker(call, context).await?;
        let lines = look_ahead(&mut worker, call).await;
        let mut preview = match lines {
            Ok(None) => Preview::of(PreviewStatus::AlreadySo),
            Ok(Some(lines)) if call.action == "describe_instances" => {
                Preview { status: PreviewStatus::Ok, changes: lines }
            }
            Ok(Some(lines)) => Preview { status: PreviewStatus::WouldChange, changes: lines },
            Err(error) => match error.class {
                ErrorClass::Denied => {
                    Preview { status: PreviewStatus::Denied, changes: vec![error.message] }
                }
                ErrorClass::Transient | ErrorClass::Unknown => {
                    Preview { status: PreviewStatus::Unreachable, changes: vec![error.message] }
                }
                ErrorClass::Permanent | ErrorClass::Cancelled => return Err(error),
            },
        };
        preview.changes.extend(worker.expiry().await);
        Ok(preview)
    }

    async fn apply(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        if !actions().iter().any(|(name, _)| *name == call.action) {
            return Err(unknown(&call.action));
        }
        let mut worker = self.worker(call, context).await?;
        let worker = &mut worker;
        if let Some((power, instances)) = power(call)? {
            return value(power.perform(worker, &instances).await?);
        }
        match call.action.as_str() {
            "describe_instances" => {
                let input: InstancesInput = call.input()?;
                let found = instance::find(worker, &input.instances).await?;
                value(instance::result(&found, Vec::new()))
            }
            "run_instances" => value(launch::run(worker, call).await?),
            "create_snapshot" => value(snapshot::create(worker, call).await?),
            "create_image" => value(image::create(worker, call).await?),
            "create_volume_from_snapshot" => value(volume::create(worker, call).await?),
            "attach_volume" => value(volume::attach(worker, call).await?),
            "associate_address" => value(address::associate(worker, call).await?),
            other => Err(unknown(other)),
        }
    }

    async fn check(&self, call: &Call, context: &Context) -> Result<Checked, CallError> {
        let mut worker = self.worker(call, context).await?;
        let worker = &mut worker;
        let key = &call.key;
        if let Some((power, instances)) = power(call)? {
            if power == Power::Reboot {
                return Ok(Checked::CannotTell("a reboot leaves no trace".to_owned()));
            }
            let found = instance::find(worker, &instances).await?;
            return Ok(if power.changes(&found).is_empty() {
                Checked::Done(Some(value(instance::result(&found, Vec::new()))?))
            } else {
                Checked::NotDone
            });
        }
        let is_made = match call.action.as_str() {
            "run_instances" => launch::made(worker, key).await?.is_some(),
            "create_snapshot" => snapshot::made(worker, key).await?.is_some(),
            "create_image" => image::made(worker, key).await?.is_some(),
            "create_volume_from_snapshot" => volume::made(worker, key).await?.is_some(),
            "attach_volume" => volume::attached(worker, call).await?,
            "associate_address" => address::associated(worker, call).await?,
            other => return Err(unknown(other)),
        };
        // What was made may not be ready yet: a call with the same key finds it and waits for it.
        Ok(if is_made { Checked::Running } else { Checked::NotDone })
    }

    async fn undo(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        if call.action != "run_instances" {
            let message = format!("`ec2.{}` does not undo itself", call.action);
            return Err(CallError::permanent("no_undo", message));
        }
        let mut worker = self.worker(call, context).await?;
        value(launch::undo(&mut worker, call).await?)
    }
}

/// What a call would change; none if nothing.
async fn look_ahead(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<Option<Vec<String>>, CallError> {
    if let Some((power, instances)) = power(call)? {
        let found = instance::find(worker, &instances).await?;
        let changes = power.changes(&found);
        if changes.is_empty() {
            return Ok(None);
        }
        power.rehearse(worker, &found).await?;
        return Ok(Some(changes.iter().map(ToString::to_string).collect()));
    }
    match call.action.as_str() {
        "describe_instances" => {
            let input: InstancesInput = call.input()?;
            instance::find(worker, &input.instances).await?;
            Ok(Some(Vec::new()))
        }
        "run_instances" => launch::rehearse(worker, call).await.map(Some),
        "create_snapshot" => snapshot::rehearse(worker, call).await.map(Some),
        "create_image" => image::rehearse(worker, call).await.map(Some),
        "create_volume_from_snapshot" => volume::rehearse_create(worker, call).await.map(Some),
        "attach_volume" => volume::rehearse_attach(worker, call).await,
        "associate_address" => address::rehearse(worker, call).await,
        other => Err(unknown(other)),
    }
}

fn value(result: impl Serialize) -> Result<Value, CallError> {
    serde_json::to_value(result)
        .map_err(|error| CallError::permanent("bad_result", error.to_string()))
}
