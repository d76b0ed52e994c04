use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_route53::Client;
use dr_aws::{ENVIRONMENT, Sessions, Settings, Worker};
use dr_plugin::{
    ActionManifest, Call, CallError, Checked, Context, Effect, ErrorClass, Manifest, Plugin,
    Preview, PreviewStatus,
};
use serde_json::Value;

use crate::change::Wanted;
use crate::input::{
    Action, BatchInput, ChangeResult, GetInput, GetResult, HealthInput, HealthResult, RecordChange,
    RecordInput,
};
use crate::record::{Record, canonical};
use crate::{health, look, zone};

/// The plugin, for serving as an executable.
#[must_use]
pub fn plugin() -> Arc<dyn Plugin> {
    Arc::new(Route53::default())
}

#[derive(Debug, Default)]
struct Route53 {
    sessions: Sessions,
}

impl Route53 {
    async fn worker<'a>(
        &'a self,
        call: &Call,
        context: &'a Context,
    ) -> Result<Worker<'a, Client>, CallError> {
        Worker::new(&self.sessions, call, context, Client::new).await
    }
}

/// What a call wants of record sets; none if it only reads.
fn wanted(call: &Call) -> Result<Option<Wanted>, CallError> {
    let one = |action| {
        let RecordInput { zone, record, wait, before } = call.input()?;
        let changes = vec![RecordChange { action, record }];
        Ok(Some(Wanted { zone, changes, wait, before }))
    };
    match call.action.as_str() {
        "upsert_record" => one(Action::Upsert),
        "delete_record" => one(Action::Delete),
        "change_batch" => {
            let BatchInput { zone, changes, wait, before } = call.input()?;
            if changes.is_empty() {
                return Err(CallError::permanent("bad_input", "`changes` is empty"));
            }
            Ok(Some(Wanted { zone, changes, wait, before }))
        }
        "get_record" | "health_check_status" => Ok(None),
        other => {
            Err(CallError::permanent("no_such_action", format!("there is no `route53.{other}`")))
        }
    }
}

#[async_trait]
impl Plugin for Route53 {
    fn manifest(&self) -> Manifest {
        let changes = |description: &str, action: ActionManifest| {
            let mut action = action.with_preview().with_check().with_undo().typically_ms(30_000);
            description.clone_into(&mut action.description);
            action
        };
        let mut manifest = Manifest::new::<Settings>(
            "route53",
            env!("CARGO_PKG_VERSION"),
            "Record sets of Route 53's hosted zones, and the state of its health checks.",
        )
        .with(
            "upsert_record",
            changes(
                "Makes or replaces a record set and waits until all name servers answer so. \
                 `result.restore` puts back exactly what was there.",
                ActionManifest::action::<RecordInput, ChangeResult>("", Effect::Idempotent),
            ),
        )
        .with(
            "delete_record",
            changes(
                "Deletes a record set, if it is there, and waits until no name server answers \
                 with it. `result.restore` puts back exactly what was there.",
                ActionManifest::action::<RecordInput, ChangeResult>("", Effect::Idempotent),
            ),
        )
        .with(
            "change_batch",
            changes(
                "Changes several record sets of a zone, all at once or none, and waits until all \
                 name servers answer so. `result.restore` puts back exactly what was there.",
                ActionManifest::action::<BatchInput, ChangeResult>("", Effect::Idempotent),
            ),
        )
        .with(
            "get_record",
            ActionManifest::probe::<GetInput, GetResult>("Reads the record sets of a name.")
                .with_preview()
                .typically_ms(500),
        )
        .with(
            "health_check_status",
            ActionManifest::probe::<HealthInput, HealthResult>(
                "Reads what Route 53's checkers report of an endpoint.",
            )
            .with_preview()
            .typically_ms(500),
        );
        manifest.environment = ENVIRONMENT.iter().map(|name| (*name).to_owned()).collect();
        manifest
    }

    async fn preview(&self, call: &Call, context: &Context) -> Result<Preview, CallError> {
        let wanted = wanted(call)?;
        let mut worker = self.worker(call, context).await?;
        let looked = match &wanted {
            Some(wanted) => wanted.look(&mut worker).await.map(|found| {
                let open = !found.open.is_empty();
                let status =
                    if open { PreviewStatus::WouldChange } else { PreviewStatus::AlreadySo };
                let changes = wanted.shown(&found.before);
                Preview { status, changes: changes.iter().map(ToString::to_string).collect() }
            }),
            None => self.apply(call, context).await.map(|_| Preview::of(PreviewStatus::Ok)),
        };
        let mut preview = looked.or_else(seen)?;
        preview.changes.extend(worker.expiry().await);
        Ok(preview)
    }

    async fn apply(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        let result = if let Some(wanted) = wanted(call)? {
            let mut worker = self.worker(call, context).await?;
            serde_json::to_value(wanted.perform(&mut worker, call).await?)
        } else if call.action == "get_record" {
            let input: GetInput = call.input()?;
            let mut worker = self.worker(call, context).await?;
            serde_json::to_value(get(&mut worker, &input).await?)
        } else {
            let input: HealthInput = call.input()?;
            let mut worker = self.worker(call, context).await?;
            serde_json::to_value(health::status(&mut worker, &input).await?)
        };
        result.map_err(|error| CallError::permanent("bad_result", error.to_string()))
    }

    async fn undo(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        let Some(wanted) = wanted(call)? else {
            return Err(CallError::permanent("no_undo", "what only reads needs no undo"));
        };
        let mut worker = self.worker(call, context).await?;
        let result = reverse(wanted)?.perform(&mut worker, call).await?;
        serde_json::to_value(result)
            .map_err(|error| CallError::permanent("bad_result", error.to_string()))
    }

    async fn check(&self, call: &Call, context: &Context) -> Result<Checked, CallError> {
        let Some(wanted) = wanted(call)? else { return Ok(Checked::NotDone) };
        let mut worker = self.worker(call, context).await?;
        let found = wanted.look(&mut worker).await?;
        // How it was before is not known any more: there is no result to give.
        Ok(if found.open.is_empty() { Checked::Done(None) } else { Checked::NotDone })
    }
}

/// What a call did, the other way round.
fn reverse(wanted: Wanted) -> Result<Wanted, CallError> {
    if wanted.before.is_none() {
        return Err(CallError::permanent(
            "no_before",
            "what was there before is not known, so it cannot be put back",
        )
        .with_help(
            "give the step `before: \"{{ steps.X.outputs.records }}\"`, read by `route53.get_record`",
        ));
    }
    let before = wanted.known_before(Vec::new());
    let changes = wanted.restore(&before);
    Ok(Wanted { zone: wanted.zone, changes, wait: wanted.wait, before: None })
}

/// What hinders a look ahead, as its finding.
fn seen(error: CallError) -> Result<Preview, CallError> {
    let status = match error.class {
        ErrorClass::Denied => PreviewStatus::Denied,
        ErrorClass::Transient | ErrorClass::Unknown => PreviewStatus::Unreachable,
        ErrorClass::Permanent | ErrorClass::Cancelled => return Err(error),
    };
    Ok(Preview { status, changes: vec![error.message] })
}

async fn get(worker: &mut Worker<'_, Client>, input: &GetInput) -> Result<GetResult, CallError> {
    let zone_id = zone::find(worker, &input.zone).await?;
    let kind = input.r#type.to_ascii_uppercase();
    let mut records = look::all(worker, &zone_id, &canonical(&input.name), &kind).await?;
    if let Some(set) = &input.set_identifier {
        records.retain(|record| record.set_identifier.as_ref() == Some(set));
    }
    let record = match records.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    };
    let restore = restore(input, &records);
    Ok(GetResult { zone_id, found: !records.is_empty(), record, records, restore })
}

/// What makes the record sets of a name what they are now.
fn restore(input: &GetInput, records: &[Record]) -> Vec<RecordChange> {
    if records.is_empty() {
        let record = Record {
            name: canonical(&input.name),
            r#type: input.r#type.to_ascii_uppercase(),
            set_identifier: input.set_identifier.clone(),
            ..Record::default()
        };
        return vec![RecordChange { action: Action::Delete, record }];
    }
    let upsert = |record: &Record| RecordChange { action: Action::Upsert, record: record.clone() };
    records.iter().map(upsert).collect()
}
