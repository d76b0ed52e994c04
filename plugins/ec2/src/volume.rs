use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::create_volume::builders::CreateVolumeFluentBuilder;
use aws_sdk_ec2::types::{
    Filter, ResourceType, Tag, Volume as Found, VolumeAttachmentState, VolumeState, VolumeType,
};
use dr_aws::{Look, Sending, Worker, client_token};
use dr_plugin::{Call, CallError, CallKey, Change};

use crate::input::{AttachInput, VolumeInput};
use crate::instance;
use crate::output::VolumeResult;
use crate::selector::{Selectable, Selector, made_by, no_match, quoted, tagged, title};
use crate::snapshot;

const ABSENT: &[&str] =
    &["InvalidVolume.NotFound", "InvalidVolumeID.Malformed", "InvalidParameterValue"];

impl Selectable for Found {
    const KIND: &'static str = "volume";
    fn id(&self) -> &str {
        self.volume_id().unwrap_or_default()
    }
    fn tags(&self) -> &[Tag] {
        self.tags()
    }
    fn made(&self) -> i64 {
        self.create_time().map_or(0, aws_sdk_ec2::primitives::DateTime::secs)
    }
}

async fn list(
    worker: &mut Worker<'_, Client>,
    ids: &[String],
    filters: Vec<Filter>,
) -> Result<Vec<Found>, CallError> {
    let mut found = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = worker
            .read_unless("looking for volumes", ABSENT, |client| {
                client
                    .describe_volumes()
                    .set_volume_ids(Some(ids.to_vec()).filter(|ids| !ids.is_empty()))
                    .set_filters(Some(filters.clone()).filter(|it| !it.is_empty()))
                    .set_next_token(next.clone())
                    .send()
            })
            .await?;
        let page = page.ok_or_else(|| no_match("volume", &quoted(ids.join("`, `"))))?;
        found.extend(page.volumes().iter().cloned());
        next = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if next.is_none() {
            return Ok(found);
        }
    }
}

/// The volume that a selector means.
pub(crate) async fn find_one(
    worker: &mut Worker<'_, Client>,
    selector: &Selector,
) -> Result<Found, CallError> {
    let ids = selector.named()?;
    selector.choose_one(list(worker, &ids, selector.filters()).await?)
}

/// What this attempt has made, if it has.
pub(crate) async fn made(
    worker: &mut Worker<'_, Client>,
    key: &CallKey,
) -> Result<Option<String>, CallError> {
    let found = list(worker, &[], vec![made_by(key)]).await?;
    Ok(found.first().map(|found| found.id().to_owned()))
}

fn shown(found: &Found, changes: Vec<Change>) -> VolumeResult {
    let attached = found.attachments().first();
    VolumeResult {
        volume: found.id().to_owned(),
        state: found.state().map_or("?", |it| it.as_str()).to_owned(),
        availability_zone: found.availability_zone().map(str::to_owned),
        size: found.size(),
        instance: attached.and_then(|it| it.instance_id()).map(str::to_owned),
        device: attached.and_then(|it| it.device()).map(str::to_owned),
        changes,
    }
}

fn request(
    client: &Client,
    key: &CallKey,
    input: &VolumeInput,
    snapshot: &str,
) -> CreateVolumeFluentBuilder {
    client
        .create_volume()
        .client_token(client_token(key))
        .snapshot_id(snapshot)
        .availability_zone(&input.availability_zone)
        .set_volume_type(input.r#type.as_deref().map(VolumeType::from))
        .set_size(input.size)
        .set_iops(input.iops)
        .set_throughput(input.throughput)
        .set_encrypted(input.encrypted)
        .set_kms_key_id(input.kms_key.clone())
        .tag_specifications(tagged(ResourceType::Volume, key, input.name.as_deref(), &input.tags))
}

/// `ec2.create_volume_from_snapshot`.
pub(crate) async fn create(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<VolumeResult, CallError> {
    let input: VolumeInput = call.input()?;
    let key = &call.key;
    let snapshot = snapshot::find_one(worker, &input.snapshot).await?;
    let what = format!("creating a volume from {}", snapshot.id());
    let id = if let Some(made) = made(worker, key).await? {
        made
    } else {
        let answer = worker
            .change(&what, |client| request(&client, key, &input, snapshot.id()).send())
            .await?;
        answer.volume_id().unwrap_or_default().to_owned()
    };
    let mut round = 0;
    let found = loop {
        let look = available(worker, &id).await;
        if let Some(found) = worker.settle(&mut round, &what, look).await? {
            break found;
        }
    };
    let after = format!("from {}, in {}", snapshot.id(), input.availability_zone);
    let change = Change { what: title(&found), before: None, after: Some(after) };
    Ok(shown(&found, vec![change]))
}

async fn available(worker: &mut Worker<'_, Client>, id: &str) -> Result<Look<Found>, CallError> {
    let found = match list(worker, &[id.to_owned()], Vec::new()).await {
        Err(error) if error.code == "no_such_volume" => Vec::new(),
        found => found?,
    };
    let Some(found) = found.into_iter().next() else {
        return Ok(Look::NotYet("not listed yet".to_owned()));
    };
    match found.state() {
        Some(VolumeState::Available | VolumeState::InUse) => Ok(Look::There(found)),
        Some(VolumeState::Error | VolumeState::Deleted | VolumeState::Deleting) => {
            Err(CallError::permanent("volume_failed", format!("{id} failed")))
        }
        state => Ok(Look::NotYet(state.map_or("creating", |it| it.as_str()).to_owned())),
    }
}

/// What creating would do, and whether the credentials may.
pub(crate) async fn rehearse_create(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<Vec<String>, CallError> {
    let input: VolumeInput = call.input()?;
    let snapshot = snapshot::find_one(worker, &input.snapshot).await?;
    worker
        .read_unless("asking for permission", &["DryRunOperation"], |client| {
            request(&client, &call.key, &input, snapshot.id()).dry_run(true).send()
        })
        .await?;
    Ok(vec![format!("new volume from {} in {}", title(&snapshot), input.availability_zone)])
}

/// Whether `found` is attached to `instance` as wanted.
fn is_attached(found: &Found, instance: &str, device: &str) -> bool {
    found.attachments().iter().any(|it| {
        it.instance_id() == Some(instance)
            && it.device() == Some(device)
            && it.state() == Some(&VolumeAttachmentState::Attached)
    })
}

/// Volume, instance and device of a call; an error if the volume is in use elsewhere.
async fn attachment(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<(Found, aws_sdk_ec2::types::Instance, String), CallError> {
    let input: AttachInput = call.input()?;
    let volume = find_one(worker, &input.volume).await?;
    let instance = instance::find_one(worker, &input.instance).await?;
    let other = volume.attachments().iter().find(|it| {
        it.state() != Some(&VolumeAttachmentState::Detached)
            && (it.instance_id() != Some(instance.id()) || it.device() != Some(&input.device))
    });
    if let Some(other) = other {
        return Err(CallError::permanent(
            "volume_in_use",
            format!(
                "{} is attached to {} as {}",
                title(&volume),
                other.instance_id().unwrap_or("?"),
                other.device().unwrap_or("?")
            ),
        )
        .with_help("detach it there first, when nobody writes to it any more"));
    }
    Ok((volume, instance, input.device))
}

/// `ec2.attach_volume`.
pub(crate) async fn attach(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<VolumeResult, CallError> {
    let (volume, instance, device) = attachment(worker, call).await?;
    let what = format!("attaching {} to {}", volume.id(), instance.id());
    let id = volume.id().to_owned();
    let mut changes = Vec::new();
    if !is_attached(&volume, instance.id(), &device) {
        changes.push(Change {
            what: title(&volume),
            before: Some("not attached".to_owned()),
            after: Some(format!("attached to {} as {device}", title(&instance))),
        });
        let mut sending = Sending::default();
        loop {
            let found = is_under_way(worker, &id, instance.id()).await;
            let sent = worker.resend(&mut sending, found, &what, |client| {
                let request = client.attach_volume().volume_id(&id).instance_id(instance.id());
                let sent = request.device(&device).send();
                async move { sent.await.map(|_| ()) }
            });
            if sent.await?.is_some() {
                break;
            }
        }
    }
    let mut round = 0;
    let found = loop {
        let look = list(worker, std::slice::from_ref(&id), Vec::new()).await.map(|found| {
            let there = found.into_iter().find(|it| is_attached(it, instance.id(), &device));
            there.map_or_else(|| Look::NotYet("attaching".to_owned()), Look::There)
        });
        if let Some(found) = worker.settle(&mut round, &what, look).await? {
            break found;
        }
    };
    Ok(shown(&found, changes))
}

/// Whether an attachment to the instance is there or on its way.
async fn is_under_way(
    worker: &mut Worker<'_, Client>,
    volume: &str,
    instance: &str,
) -> Result<Option<()>, CallError> {
    let found = list(worker, &[volume.to_owned()], Vec::new()).await?;
    let mut attachments = found.iter().flat_map(Found::attachments);
    Ok(attachments.any(|it| it.instance_id() == Some(instance)).then_some(()))
}

/// Whether it is attached.
pub(crate) async fn attached(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<bool, CallError> {
    let (volume, instance, device) = attachment(worker, call).await?;
    Ok(is_attached(&volume, instance.id(), &device))
}

/// What attaching would do, and whether the credentials may. None: it is so already.
pub(crate) async fn rehearse_attach(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<Option<Vec<String>>, CallError> {
    let (volume, instance, device) = attachment(worker, call).await?;
    if is_attached(&volume, instance.id(), &device) {
        return Ok(None);
    }
    worker
        .read_unless("asking for permission", &["DryRunOperation"], |client| {
            client
                .attach_volume()
                .volume_id(volume.id())
                .instance_id(instance.id())
                .device(&device)
                .dry_run(true)
                .send()
        })
        .await?;
    Ok(Some(vec![format!("{} → attached to {} as {device}", title(&volume), title(&instance))]))
}
