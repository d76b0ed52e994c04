use aws_sdk_route53::Client;
use dr_aws::Worker;
use dr_plugin::CallError;

use crate::input::{HealthInput, HealthResult, Observation};

/// Share of checkers that must call an endpoint healthy for Route 53 to do so, in percent.
const HEALTHY: usize = 18;

/// `route53.health_check_status`.
pub(crate) async fn status(
    worker: &mut Worker<'_, Client>,
    input: &HealthInput,
) -> Result<HealthResult, CallError> {
    let id = &input.health_check;
    let answer = worker
        .read("reading the health check", |client| {
            client.get_health_check_status().health_check_id(id).send()
        })
        .await
        .map_err(|error| match error.code.as_str() {
            "NoSuchHealthCheck" => CallError {
                code: "no_such_health_check".to_owned(),
                message: format!("there is no health check `{id}`"),
                ..error
            },
            _ => error,
        })?;
    let observations: Vec<Observation> = answer
        .health_check_observations()
        .iter()
        .map(|seen| Observation {
            region: seen.region().map(|region| region.as_str().to_owned()),
            status: seen
                .status_report()
                .and_then(|report| report.status())
                .unwrap_or_default()
                .to_owned(),
        })
        .collect();
    let healthy_checkers =
        observations.iter().filter(|seen| seen.status.starts_with("Success")).count();
    let checkers = observations.len();
    Ok(HealthResult {
        healthy: healthy_checkers * 100 > checkers * HEALTHY,
        healthy_checkers,
        checkers,
        observations,
    })
}
