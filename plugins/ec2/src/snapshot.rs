use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, ResourceType, Snapshot as Found, SnapshotState, Tag};
use dr_aws::{Look, Sending, Worker};
use dr_plugin::{Call, CallError, CallKey, Change};

use crate::input::SnapshotInput;
use crate::output::SnapshotResult;
use crate::selector::{Selectable, Selector, made_by, no_match, quoted, tagged, title};
use crate::volume;

const ABSENT: &[&str] =
    &["InvalidSnapshot.NotFound", "InvalidSnapshotID.Malformed", "InvalidParameterValue"];

impl Selectable for Found {
    const KIND: &'static str = "snapshot";
    fn id(&self) -> &str {
        self.snapshot_id().unwrap_or_default()
    }
    fn tags(&self) -> &[Tag] {
        self.tags()
    }
    fn made(&self) -> i64 {
        self.start_time().map_or(0, aws_sdk_ec2::primitives::DateTime::secs)
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
            .read_unless("looking for snapshots", ABSENT, |client| {
                client
                    .describe_snapshots()
                    .set_owner_ids(ids.is_empty().then(|| vec!["self".to_owned()]))
                    .set_snapshot_ids(Some(ids.to_vec()).filter(|ids| !ids.is_empty()))
                    .set_filters(Some(filters.clone()).filter(|it| !it.is_empty()))
                    .set_next_token(next.clone())
                    .send()
            })
            .await?;
        let page = page.ok_or_else(|| no_match("snapshot", &quoted(ids.join("`, `"))))?;
        found.extend(page.snapshots().iter().cloned());
        next = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if next.is_none() {
            return Ok(found);
        }
    }
}

/// The completed snapshot that a selector means.
pub(crate) async fn find_one(
    worker: &mut Worker<'_, Client>,
    selector: &Selector,
) -> Result<Found, CallError> {
    let ids = selector.named()?;
    let mut found = list(worker, &ids, selector.filters()).await?;
    if ids.is_empty() {
        found.retain(|found| found.state() == Some(&SnapshotState::Completed));
    }
    selector.choose_one(found)
}

/// What this attempt has made, if it has.
pub(crate) async fn made(
    worker: &mut Worker<'_, Client>,
    key: &CallKey,
) -> Result<Option<String>, CallError> {
    let found = list(worker, &[], vec![made_by(key)]).await?;
    Ok(found.first().map(|found| found.id().to_owned()))
}

/// `ec2.create_snapshot`.
pub(crate) async fn create(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<SnapshotResult, CallError> {
    let input: SnapshotInput = call.input()?;
    let key = &call.key;
    let volume = volume::find_one(worker, &input.volume).await?;
    let what = format!("creating a snapshot of {}", volume.id());
    let name = input.name.as_deref();
    let mut sending = Sending::default();
    let id = loop {
        let found = made(worker, key).await;
        let sent = worker.resend(&mut sending, found, &what, |client| {
            let sent = client
                .create_snapshot()
                .volume_id(volume.id())
                .set_description(input.description.clone())
                .tag_specifications(tagged(ResourceType::Snapshot, key, name, &input.tags))
                .send();
            async move { sent.await.map(|made| made.snapshot_id().unwrap_or_default().to_owned()) }
        });
        if let Some(id) = sent.await? {
            break id;
        }
    };
    let mut round = 0;
    let found = loop {
        let look = completed(worker, &id).await;
        if let Some(found) = worker.settle(&mut round, &what, look).await? {
            break found;
        }
    };
    let after = format!("of {}, {} GiB", volume.id(), found.volume_size().unwrap_or_default());
    Ok(SnapshotResult {
        snapshot: id,
        volume: volume.id().to_owned(),
        started_at: found.start_time().map(ToString::to_string),
        size: found.volume_size(),
        changes: vec![Change { what: title(&found), before: None, after: Some(after) }],
    })
}

async fn completed(worker: &mut Worker<'_, Client>, id: &str) -> Result<Look<Found>, CallError> {
    let found = match list(worker, &[id.to_owned()], Vec::new()).await {
        Err(error) if error.code == "no_such_snapshot" => Vec::new(),
        found => found?,
    };
    let Some(found) = found.into_iter().next() else {
        return Ok(Look::NotYet("not listed yet".to_owned()));
    };
    match found.state() {
        Some(SnapshotState::Completed) => Ok(Look::There(found)),
        Some(SnapshotState::Error) => Err(CallError::permanent(
            "snapshot_failed",
            format!("{id} failed: {}", found.state_message().unwrap_or("no reason")),
        )),
        _ => Ok(Look::NotYet(found.progress().unwrap_or("pending").to_owned())),
    }
}

/// What it would do, and whether the credentials may.
pub(crate) async fn rehearse(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<Vec<String>, CallError> {
    let input: SnapshotInput = call.input()?;
    let volume = volume::find_one(worker, &input.volume).await?;
    worker
        .read_unless("asking for permission", &["DryRunOperation"], |client| {
            client.create_snapshot().volume_id(volume.id()).dry_run(true).send()
        })
        .await?;
    Ok(vec![format!("new snapshot of {}", title(&volume))])
}
