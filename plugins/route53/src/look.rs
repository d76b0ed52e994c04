use aws_sdk_route53::Client;
use aws_sdk_route53::types::RrType;
use dr_aws::Worker;
use dr_plugin::CallError;

use crate::convert;
use crate::record::{Identity, Record};

/// The codes of Route 53 for a zone that is not there.
fn missing_zone(error: CallError, zone: &str) -> CallError {
    match error.code.as_str() {
        "NoSuchHostedZone" => CallError {
            code: "no_such_zone".to_owned(),
            message: format!("there is no hosted zone `{zone}`"),
            ..error
        },
        _ => error,
    }
}

/// All record sets of a name and type.
pub(crate) async fn all(
    worker: &mut Worker<'_, Client>,
    zone: &str,
    name: &str,
    kind: &str,
) -> Result<Vec<Record>, CallError> {
    let what = format!("reading {kind} {}", name.trim_end_matches('.'));
    let mut found = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = worker
            .read(&what, |client| {
                client
                    .list_resource_record_sets()
                    .hosted_zone_id(zone)
                    .start_record_name(name)
                    .start_record_type(RrType::from(kind))
                    .set_start_record_identifier(next.clone())
                    .send()
            })
            .await
            .map_err(|error| missing_zone(error, zone))?;
        let here = page.resource_record_sets().iter().map(convert::read);
        let wanted = |record: &Record| {
            let identity = record.identity();
            identity.name == name && identity.kind == kind
        };
        let before = found.len();
        found.extend(
            here.filter(wanted).filter(|record| !found.contains(record)).collect::<Vec<_>>(),
        );
        let goes_on = page.is_truncated()
            && page.next_record_name().map(crate::record::canonical).as_deref() == Some(name)
            && page.next_record_type().is_some_and(|it| it.as_str() == kind)
            && found.len() > before;
        next = page.next_record_identifier().map(str::to_owned);
        if !goes_on || next.is_none() {
            return Ok(found);
        }
    }
}

/// The record set of this identity.
pub(crate) async fn one(
    worker: &mut Worker<'_, Client>,
    zone: &str,
    identity: &Identity,
) -> Result<Option<Record>, CallError> {
    let all = all(worker, zone, &identity.name, &identity.kind).await?;
    Ok(all.into_iter().find(|record| record.set_identifier == identity.set))
}
