use aws_sdk_route53::Client;
use aws_sdk_route53::types::HostedZoneConfig;
use dr_aws::Worker;
use dr_plugin::CallError;

use crate::record::canonical;

/// Id of the hosted zone that `zone` names: by id, or by its domain name if there is exactly one.
pub(crate) async fn find(worker: &mut Worker<'_, Client>, zone: &str) -> Result<String, CallError> {
    // As the API itself writes ids: what follows is one, whatever it looks like.
    if let Some(id) = zone.strip_prefix("/hostedzone/") {
        return Ok(id.to_owned());
    }
    if is_id(zone) {
        return Ok(zone.to_owned());
    }
    let name = canonical(zone);
    let what = format!("looking for the hosted zone {}", name.trim_end_matches('.'));
    let page = worker
        .read(&what, |client| client.list_hosted_zones_by_name().dns_name(&name).send())
        .await?;
    let found: Vec<_> =
        page.hosted_zones().iter().filter(|found| canonical(found.name()) == name).collect();
    let bare = |id: &str| id.trim_start_matches("/hostedzone/").to_owned();
    match found.as_slice() {
        [one] => Ok(bare(one.id())),
        [] => Err(CallError::permanent(
            "no_such_zone",
            format!("there is no hosted zone `{}`", name.trim_end_matches('.')),
        )
        .with_help("check the name, and that the profile is of the account that has it")),
        several => {
            let ids: Vec<String> = several
                .iter()
                .map(|zone| {
                    let private = zone.config().is_some_and(HostedZoneConfig::private_zone);
                    format!("{} ({})", bare(zone.id()), if private { "private" } else { "public" })
                })
                .collect();
            Err(CallError::permanent(
                "several_matches",
                format!("{} hosted zones are called `{zone}`: {}", ids.len(), ids.join(", ")),
            )
            .with_help("write the id of the one that is meant"))
        }
    }
}

fn is_id(text: &str) -> bool {
    text.len() > 5
        && text.starts_with('Z')
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_told_from_names() {
        assert!(super::is_id("Z0123456789ABCDEF"));
        for name in ["example.com", "ZONE.EXAMPLE", "zebra", "Zürich"] {
            assert!(!super::is_id(name), "{name}");
        }
    }
}
