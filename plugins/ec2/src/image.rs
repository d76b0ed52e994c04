use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Image as Found, ImageState, ResourceType};
use dr_aws::{Look, Sending, Worker};
use dr_plugin::{Call, CallError, CallKey, Change};

use crate::input::ImageInput;
use crate::instance;
use crate::output::ImageResult;
use crate::selector::{Selectable as _, made_by, tagged, title};

async fn by_id(worker: &mut Worker<'_, Client>, id: &str) -> Result<Option<Found>, CallError> {
    let page = worker
        .read_unless("looking for the image", &["InvalidAMIID.NotFound"], |client| {
            client.describe_images().image_ids(id).send()
        })
        .await?;
    Ok(page.and_then(|page| page.images().first().cloned()))
}

/// What this attempt has made, if it has.
pub(crate) async fn made(
    worker: &mut Worker<'_, Client>,
    key: &CallKey,
) -> Result<Option<String>, CallError> {
    let page = worker
        .read("looking for the image", |client| {
            client.describe_images().owners("self").filters(made_by(key)).send()
        })
        .await?;
    Ok(page.images().first().and_then(|found| found.image_id()).map(str::to_owned))
}

/// `ec2.create_image`.
pub(crate) async fn create(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<ImageResult, CallError> {
    let input: ImageInput = call.input()?;
    let key = &call.key;
    let source = instance::find_one(worker, &input.instance).await?;
    let what = format!("creating the image {} of {}", input.name, source.id());
    let mut sending = Sending::default();
    let id = loop {
        let found = made(worker, key).await;
        let sent = worker.resend(&mut sending, found, &what, |client| {
            let sent = client
                .create_image()
                .instance_id(source.id())
                .name(&input.name)
                .set_description(input.description.clone())
                .no_reboot(input.no_reboot)
                .tag_specifications(tagged(ResourceType::Image, key, None, &input.tags))
                .tag_specifications(tagged(ResourceType::Snapshot, key, None, &input.tags))
                .send();
            async move { sent.await.map(|made| made.image_id().unwrap_or_default().to_owned()) }
        });
        if let Some(id) = sent.await? {
            break id;
        }
    };
    let mut round = 0;
    let found = loop {
        let look = available(worker, &id).await;
        if let Some(found) = worker.settle(&mut round, &what, look).await? {
            break found;
        }
    };
    let snapshots = found.block_device_mappings().iter().filter_map(|it| it.ebs());
    let snapshots = snapshots.filter_map(|it| it.snapshot_id()).map(str::to_owned).collect();
    Ok(ImageResult {
        changes: vec![Change {
            what: format!("image {id} ({})", input.name),
            before: None,
            after: Some(format!("of {}", title(&source))),
        }],
        image: id,
        name: input.name,
        snapshots,
    })
}

async fn available(worker: &mut Worker<'_, Client>, id: &str) -> Result<Look<Found>, CallError> {
    let Some(found) = by_id(worker, id).await? else {
        return Ok(Look::NotYet("not listed yet".to_owned()));
    };
    match found.state() {
        Some(ImageState::Available) => Ok(Look::There(found)),
        Some(ImageState::Failed | ImageState::Error | ImageState::Invalid) => {
            let reason = found.state_reason().and_then(|it| it.message());
            let message = format!("{id} failed: {}", reason.unwrap_or("no reason"));
            Err(CallError::permanent("image_failed", message))
        }
        state => Ok(Look::NotYet(state.map_or("pending", |it| it.as_str()).to_owned())),
    }
}

/// What it would do, and whether the credentials may.
pub(crate) async fn rehearse(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<Vec<String>, CallError> {
    let input: ImageInput = call.input()?;
    let source = instance::find_one(worker, &input.instance).await?;
    worker
        .read_unless("asking for permission", &["DryRunOperation"], |client| {
            client.create_image().instance_id(source.id()).name(&input.name).dry_run(true).send()
        })
        .await?;
    Ok(vec![format!("new image {} of {}", input.name, title(&source))])
}
