use aws_sdk_route53::Client;
use aws_sdk_route53::types::{Change as SentChange, ChangeAction, ChangeBatch, ChangeStatus};
use dr_aws::{Look, Worker};
use dr_plugin::{Call, CallError, Change, ErrorClass};

use crate::convert;
use crate::input::{Action, ChangeResult, RecordChange};
use crate::look;
use crate::record::Record;
use crate::zone;

/// Batches that are sent at most, where the fate of one before is not known.
const SENDINGS: u32 = 5;

/// What is to become of the record sets of a zone.
pub(crate) struct Wanted {
    pub(crate) zone: String,
    pub(crate) changes: Vec<RecordChange>,
    pub(crate) wait: bool,
    /// As an earlier step read them.
    pub(crate) before: Option<Vec<Record>>,
}

/// What the zone holds, and what is still to be done.
pub(crate) struct Found {
    pub(crate) zone_id: String,
    /// In the order of the changes.
    pub(crate) before: Vec<Option<Record>>,
    /// Indexes of the changes that are not as wanted yet.
    pub(crate) open: Vec<usize>,
}

impl Wanted {
    /// Reads what is there.
    pub(crate) async fn look(&self, worker: &mut Worker<'_, Client>) -> Result<Found, CallError> {
        let zone_id = zone::find(worker, &self.zone).await?;
        let mut before = Vec::new();
        for change in &self.changes {
            before.push(look::one(worker, &zone_id, &change.record.identity()).await?);
        }
        let mut open = Vec::new();
        for (index, change) in self.changes.iter().enumerate() {
            if change.is_open(before[index].as_ref())? {
                open.push(index);
            }
        }
        Ok(Found { zone_id, before, open })
    }

    /// What there was, as far as it is known: what an earlier step read, else what is there now.
    pub(crate) fn known_before(&self, now: Vec<Option<Record>>) -> Vec<Option<Record>> {
        let Some(known) = &self.before else { return now };
        let read = |change: &RecordChange| {
            known.iter().find(|it| it.identity() == change.record.identity()).cloned()
        };
        self.changes.iter().map(read).collect()
    }

    /// What changed, for people.
    pub(crate) fn shown(&self, before: &[Option<Record>]) -> Vec<Change> {
        self.changes
            .iter()
            .zip(before)
            .filter(|(change, before)| change.is_open(before.as_ref()).unwrap_or(true))
            .map(|(change, before)| Change {
                what: change.record.title(),
                before: before.as_ref().map(Record::says),
                after: match change.action {
                    Action::Delete => None,
                    _ => Some(change.record.normal().says()),
                },
            })
            .collect()
    }

    /// What puts everything back.
    pub(crate) fn restore(&self, before: &[Option<Record>]) -> Vec<RecordChange> {
        // The other way round, so that what was made last goes first.
        self.changes
            .iter()
            .zip(before)
            .rev()
            .filter_map(|(change, before)| match (change.action, before) {
                (_, Some(before)) => {
                    Some(RecordChange { action: Action::Upsert, record: before.clone() })
                }
                (Action::Delete, None) => None,
                (_, None) => {
                    Some(RecordChange { action: Action::Delete, record: change.record.normal() })
                }
            })
            .collect()
    }

    /// Makes it so, and waits until all name servers answer so.
    pub(crate) async fn perform(
        &self,
        worker: &mut Worker<'_, Client>,
        call: &Call,
    ) -> Result<ChangeResult, CallError> {
        let found = self.look(worker).await?;
        let before = self.known_before(found.before.clone());
        let (zone_id, is_open) = (found.zone_id, !found.open.is_empty());
        let changes = self.shown(&before);
        let restore = if changes.is_empty() { Vec::new() } else { self.restore(&before) };
        let change_id = self.send(worker, call, &zone_id, found.open, found.before).await?;
        let status = match (&change_id, self.wait) {
            (None, _) if is_open => "UNCONFIRMED",
            (None, _) => "INSYNC",
            (Some(_), false) => "PENDING",
            (Some(id), true) => {
                insync(worker, id).await?;
                "INSYNC"
            }
        };
        Ok(ChangeResult {
            zone_id,
            changed: !changes.is_empty(),
            change_id,
            status: status.to_owned(),
            changes,
            restore,
            before,
        })
    }

    /// Sends what is open until it is done. After an answer that was lost, what is there is read
    /// again: a batch that was carried out would be refused the second time.
    async fn send(
        &self,
        worker: &mut Worker<'_, Client>,
        call: &Call,
        zone: &str,
        mut open: Vec<usize>,
        mut before: Vec<Option<Record>>,
    ) -> Result<Option<String>, CallError> {
        let mut sendings = 0;
        loop {
            let Some(batch) = self.batch(call, &open, &before)? else { return Ok(None) };
            let what = format!("changing {} record sets", self.changes.len());
            let sent = worker
                .change_blindly(&what, |client| {
                    client
                        .change_resource_record_sets()
                        .hosted_zone_id(zone)
                        .change_batch(batch.clone())
                        .send()
                })
                .await;
            let error = match sent {
                Ok(answer) => {
                    return Ok(answer.change_info().map(|info| info.id().to_owned()));
                }
                Err(error) => error,
            };
            sendings += 1;
            let may_pass = matches!(error.class, ErrorClass::Transient | ErrorClass::Unknown);
            // A batch before this one may have been carried out after all.
            let is_beaten = sendings > 1 && error.code == "InvalidChangeBatch";
            if sendings >= SENDINGS || !(may_pass || is_beaten) {
                return Err(error);
            }
            worker.pause(&what).await.map_err(|_| error)?;
            Found { open, before, .. } = self.look(worker).await?;
        }
    }

    /// The batch of what is open. Where nothing is, one that says again what is there: an earlier
    /// change may still be on its way to the name servers, and only a change of our own tells when
    /// it has arrived. None where there is nothing to say.
    fn batch(
        &self,
        call: &Call,
        open: &[usize],
        before: &[Option<Record>],
    ) -> Result<Option<ChangeBatch>, CallError> {
        let mut changes = Vec::new();
        for (index, change) in self.changes.iter().enumerate() {
            let again = open.is_empty() && change.action != Action::Delete;
            if !open.contains(&index) && !again {
                continue;
            }
            let action = match change.action {
                Action::Create if !again => ChangeAction::Create,
                Action::Create | Action::Upsert => ChangeAction::Upsert,
                Action::Delete => ChangeAction::Delete,
            };
            // Only what is there exactly can be deleted.
            let record = match (change.action, &before[index]) {
                (Action::Delete, Some(there)) => convert::write(there)?,
                _ => convert::write(&change.record)?,
            };
            changes.push(
                SentChange::builder()
                    .action(action)
                    .resource_record_set(record)
                    .build()
                    .map_err(|error| CallError::permanent("bad_input", error.to_string()))?,
            );
        }
        if changes.is_empty() {
            return Ok(None);
        }
        let mut comment = format!("dr run {} step {}", call.key.run, call.key.step);
        comment.truncate(comment.floor_char_boundary(256));
        ChangeBatch::builder()
            .comment(comment)
            .set_changes(Some(changes))
            .build()
            .map(Some)
            .map_err(|error| CallError::permanent("bad_input", error.to_string()))
    }
}

impl RecordChange {
    /// Whether it is still to be done, `before` being there.
    fn is_open(&self, before: Option<&Record>) -> Result<bool, CallError> {
        let title = self.record.title();
        match (self.action, before) {
            (Action::Upsert, Some(before)) => Ok(!self.record.says_the_same(before)),
            (Action::Create, Some(before)) if self.record.says_the_same(before) => Ok(false),
            (Action::Create, Some(before)) => Err(CallError::permanent(
                "record_exists",
                format!("{title} exists: {}", before.says()),
            )
            .with_help("use `upsert` if it is to be replaced")),
            (Action::Upsert | Action::Create, None) => Ok(true),
            (Action::Delete, None) => Ok(false),
            (Action::Delete, Some(before)) => {
                let names_values = !self.record.values.is_empty() || self.record.alias.is_some();
                let differs = self.record.values.iter().any(|value| !before.values.contains(value))
                    || (self.record.alias.is_some() && before.alias.is_none());
                if names_values && differs {
                    return Err(CallError::permanent(
                        "record_differs",
                        format!("{title} is not what is to be deleted: it says {}", before.says()),
                    )
                    .with_help("leave `values` out to delete it whatever it says"));
                }
                Ok(true)
            }
        }
    }
}

/// Waits until all name servers have a change.
async fn insync(worker: &mut Worker<'_, Client>, id: &str) -> Result<(), CallError> {
    let bare = id.trim_start_matches("/change/");
    let what = "the name servers take the change";
    let mut round = 0;
    loop {
        let look = status(worker, bare).await;
        if worker.settle(&mut round, what, look).await?.is_some() {
            return Ok(());
        }
    }
}

async fn status(worker: &mut Worker<'_, Client>, id: &str) -> Result<Look<()>, CallError> {
    let answer =
        worker.read("reading the change", |client| client.get_change().id(id).send()).await?;
    Ok(match answer.change_info().map(|info| info.status().clone()) {
        Some(ChangeStatus::Insync) => Look::There(()),
        Some(other) => Look::NotYet(other.as_str().to_owned()),
        None => Look::NotYet("no answer".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &str) -> Record {
        Record {
            name: "a.example.com".into(),
            r#type: "A".into(),
            ttl: Some(60),
            values: vec![value.into()],
            ..Record::default()
        }
    }

    fn wanted(action: Action, value: &str) -> Wanted {
        let change = RecordChange { action, record: record(value) };
        Wanted { zone: "example.com".into(), changes: vec![change], wait: true, before: None }
    }

    #[test]
    fn what_is_so_already_is_not_open() {
        let there = record("10.0.0.1").normal();
        let open = |action, value: &str, there: Option<&Record>| {
            wanted(action, value).changes[0].is_open(there)
        };
        assert_eq!(open(Action::Upsert, "10.0.0.1", Some(&there)), Ok(false));
        assert_eq!(open(Action::Upsert, "10.0.0.2", Some(&there)), Ok(true));
        assert_eq!(open(Action::Create, "10.0.0.1", Some(&there)), Ok(false));
        assert_eq!(
            open(Action::Create, "10.0.0.2", Some(&there)).unwrap_err().code,
            "record_exists"
        );
        assert_eq!(open(Action::Delete, "10.0.0.1", None), Ok(false));
        assert_eq!(
            open(Action::Delete, "10.0.0.2", Some(&there)).unwrap_err().code,
            "record_differs"
        );
    }

    #[test]
    fn restoring_is_exact() {
        let there = Record { weight: Some(3), ..record("10.0.0.1").normal() };
        let made = wanted(Action::Upsert, "10.0.0.2");
        assert_eq!(
            made.restore(&[Some(there.clone())]),
            [RecordChange { action: Action::Upsert, record: there }]
        );
        assert_eq!(
            made.restore(&[None]),
            [RecordChange { action: Action::Delete, record: record("10.0.0.2").normal() }]
        );
        assert_eq!(made.shown(&[Some(record("10.0.0.2").normal())]), []);
        assert_eq!(made.shown(&[None])[0].to_string(), "A a.example.com: made, 10.0.0.2, TTL 60");
    }

    #[test]
    fn what_an_earlier_step_read_is_what_there_was() {
        let there = record("10.0.0.1").normal();
        let moved = Some(record("10.0.0.2").normal());
        let again =
            Wanted { before: Some(vec![there.clone()]), ..wanted(Action::Upsert, "10.0.0.2") };
        let before = again.known_before(vec![moved.clone()]);
        assert_eq!(before, [Some(there)]);
        assert_eq!(again.shown(&before).len(), 1);
        assert_eq!(wanted(Action::Upsert, "10.0.0.2").known_before(vec![moved.clone()]), [moved]);
    }
}
