use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    IamInstanceProfileSpecification, Instance as Found, InstanceType, LaunchTemplateSpecification,
    Placement, ResourceType,
};
use dr_aws::{Worker, client_token};
use dr_plugin::{Call, CallError, CallKey, Change};

use crate::input::RunInput;
use crate::instance::{ids, is_gone, list, result};
use crate::output::InstancesResult;
use crate::power::{Power, running};
use crate::selector::{Selectable as _, Selector, made_by, made_by_step, tagged, title};

/// The request; the same attempt always sends the same.
fn request(client: &Client, key: &CallKey, input: &RunInput) -> RunInstancesFluentBuilder {
    let count = i32::from(input.count.unwrap_or(1));
    let template = input.launch_template.as_deref().map(|template| {
        let builder = LaunchTemplateSpecification::builder();
        if template.starts_with("lt-") {
            builder.launch_template_id(template).build()
        } else {
            builder.launch_template_name(template).build()
        }
    });
    let profile = input
        .instance_profile
        .as_deref()
        .map(|name| IamInstanceProfileSpecification::builder().name(name).build());
    let placement = input
        .availability_zone
        .as_deref()
        .map(|zone| Placement::builder().availability_zone(zone).build());
    let name = input.name.as_deref();
    client
        .run_instances()
        .client_token(client_token(key))
        .min_count(count)
        .max_count(count)
        .set_image_id(input.image.clone())
        .set_instance_type(input.r#type.as_deref().map(InstanceType::from))
        .set_launch_template(template)
        .set_subnet_id(input.subnet.clone())
        .set_security_group_ids(Some(input.security_groups.clone()).filter(|it| !it.is_empty()))
        .set_key_name(input.key_name.clone())
        .set_iam_instance_profile(profile)
        .set_placement(placement)
        .set_private_ip_address(input.private_ip.clone())
        .set_user_data(input.user_data.clone())
        .tag_specifications(tagged(ResourceType::Instance, key, name, &input.tags))
        .tag_specifications(tagged(ResourceType::Volume, key, name, &input.tags))
}

fn check(input: &RunInput) -> Result<(), CallError> {
    if input.image.is_none() && input.launch_template.is_none() {
        return Err(CallError::permanent("bad_input", "give an `image` or a `launch_template`"));
    }
    if input.count == Some(0) {
        return Err(CallError::permanent("bad_input", "`count` is at least 1"));
    }
    Ok(())
}

/// What this attempt has made, if it has.
pub(crate) async fn made(
    worker: &mut Worker<'_, Client>,
    key: &CallKey,
) -> Result<Option<Vec<Found>>, CallError> {
    let found = list(worker, &[], vec![made_by(key)]).await?;
    Ok(Some(found).filter(|found| !found.is_empty()))
}

/// `ec2.run_instances`.
pub(crate) async fn run(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<InstancesResult, CallError> {
    let input: RunInput = call.input()?;
    check(&input)?;
    let key = &call.key;
    let made = if let Some(made) = made(worker, key).await? {
        made
    } else {
        let answer = worker
            .change("running new instances", |client| request(&client, key, &input).send())
            .await?;
        answer.instances().to_vec()
    };
    let found = running(worker, &ids(&made)).await?;
    let changes = found
        .iter()
        .map(|found| Change {
            what: title(found),
            before: None,
            after: Some(format!(
                "running, {} from {}",
                found.instance_type().map_or("?", |it| it.as_str()),
                found.image_id().unwrap_or("?")
            )),
        })
        .collect();
    Ok(result(&found, changes))
}

/// Takes back what any attempt of the step has made: terminates it.
pub(crate) async fn undo(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<InstancesResult, CallError> {
    let made = list(worker, &[], made_by_step(&call.key)).await?;
    let ids: Vec<String> =
        made.iter().filter(|found| !is_gone(found)).map(|found| found.id().to_owned()).collect();
    if ids.is_empty() {
        return Ok(result(&[], Vec::new()));
    }
    Power::Terminate.perform(worker, &Selector { ids, ..Selector::default() }).await
}

/// What it would do, and whether the credentials may.
pub(crate) async fn rehearse(
    worker: &mut Worker<'_, Client>,
    call: &Call,
) -> Result<Vec<String>, CallError> {
    let input: RunInput = call.input()?;
    check(&input)?;
    worker
        .read_unless("asking for permission", &["DryRunOperation"], |client| {
            request(&client, &call.key, &input).dry_run(true).send()
        })
        .await?;
    let from = input.image.or(input.launch_template).unwrap_or_default();
    let kind = input.r#type.map_or_else(String::new, |kind| format!("{kind} "));
    Ok(vec![format!("{} new {kind}from {from}", input.count.unwrap_or(1))])
}
