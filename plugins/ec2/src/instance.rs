use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, Instance as Found, InstanceStateName, Tag};
use dr_aws::Worker;
use dr_plugin::CallError;

use crate::output::{Instance, InstancesResult};
use crate::selector::{Selectable, Selector, map, no_match, quoted, tag};

/// The codes of EC2 for an instance that is not there.
const ABSENT: &[&str] = &["InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"];

impl Selectable for Found {
    const KIND: &'static str = "instance";
    fn id(&self) -> &str {
        self.instance_id().unwrap_or_default()
    }
    fn tags(&self) -> &[Tag] {
        self.tags()
    }
    fn made(&self) -> i64 {
        self.launch_time().map_or(0, aws_sdk_ec2::primitives::DateTime::secs)
    }
}

/// The state of an instance.
pub(crate) fn state(found: &Found) -> InstanceStateName {
    let state = found.state().and_then(|state| state.name()).cloned();
    state.unwrap_or(InstanceStateName::Pending)
}

/// Whether it is terminated, or about to be.
pub(crate) fn is_gone(found: &Found) -> bool {
    matches!(state(found), InstanceStateName::Terminated | InstanceStateName::ShuttingDown)
}

/// The instances that a selector means; those that are terminated only by id.
pub(crate) async fn find(
    worker: &mut Worker<'_, Client>,
    selector: &Selector,
) -> Result<Vec<Found>, CallError> {
    let ids = selector.named()?;
    let mut found = list(worker, &ids, selector.filters()).await?;
    if ids.is_empty() {
        found.retain(|found| !is_gone(found));
    }
    selector.choose(found)
}

/// The instance that a selector means.
pub(crate) async fn find_one(
    worker: &mut Worker<'_, Client>,
    selector: &Selector,
) -> Result<Found, CallError> {
    let ids = selector.named()?;
    let mut found = list(worker, &ids, selector.filters()).await?;
    if ids.is_empty() {
        found.retain(|found| !is_gone(found));
    }
    selector.choose_one(found)
}

/// All instances with these ids that fit.
pub(crate) async fn list(
    worker: &mut Worker<'_, Client>,
    ids: &[String],
    filters: Vec<Filter>,
) -> Result<Vec<Found>, CallError> {
    let mut found = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = worker
            .read_unless("looking for instances", ABSENT, |client| {
                client
                    .describe_instances()
                    .set_instance_ids(Some(ids.to_vec()).filter(|ids| !ids.is_empty()))
                    .set_filters(Some(filters.clone()).filter(|it| !it.is_empty()))
                    .set_next_token(next.clone())
                    .send()
            })
            .await?;
        let Some(page) = page else { return Err(no_match("instance", &quoted(ids.join("`, `")))) };
        found.extend(page.reservations().iter().flat_map(|it| it.instances().to_vec()));
        next = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if next.is_none() {
            return Ok(found);
        }
    }
}

/// As a result.
pub(crate) fn shown(found: &Found) -> Instance {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Instance {
        id: found.id().to_owned(),
        name: text(tag(found.tags(), "Name")),
        state: state(found).as_str().to_owned(),
        r#type: found.instance_type().map(|it| it.as_str().to_owned()),
        image: text(found.image_id()),
        availability_zone: text(found.placement().and_then(|it| it.availability_zone())),
        private_ip: text(found.private_ip_address()),
        public_ip: text(found.public_ip_address()),
        tags: map(found.tags()),
    }
}

/// As a result.
pub(crate) fn result(found: &[Found], changes: Vec<dr_plugin::Change>) -> InstancesResult {
    let instances: Vec<Instance> = found.iter().map(shown).collect();
    let instance = match instances.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    };
    InstancesResult { instances, instance, changes }
}

/// Their ids.
pub(crate) fn ids(found: &[Found]) -> Vec<String> {
    found.iter().map(|found| found.id().to_owned()).collect()
}
