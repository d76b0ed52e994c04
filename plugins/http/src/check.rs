use std::collections::BTreeMap;
use std::time::Duration;

use dr_plugin::{Call, CallError, Context};

use crate::client::Clients;
use crate::error;
use crate::input::{CheckInput, CheckResult, Settings};
use crate::request::{absolute, clock, decorate};

/// Limit of each request unless the step says otherwise.
const REQUEST: Duration = Duration::from_secs(5);
/// Requests at most: a check reads, it does not load.
const MOST: u32 = 10_000;

/// `http.check`: the same request several times, and how it was answered.
pub(crate) async fn perform(
    clients: &Clients,
    call: &Call,
    context: &Context,
) -> Result<CheckResult, CallError> {
    let settings: Settings = call.settings()?;
    let input: CheckInput = call.input()?;
    if input.requests == 0 || input.requests > MOST {
        return Err(CallError::permanent("bad_input", format!("`requests` is 1 to {MOST}")));
    }
    let client = clients.get(input.tls.as_ref().unwrap_or(&settings.tls), true, &settings)?;
    let url = absolute(&input.url, &settings)?;
    let limit = input.request_timeout.map_or(REQUEST, |period| period.0);
    let mut cancel = context.cancel.clone();
    let mut seen = Seen::default();
    for number in 1..=input.requests {
        let request = decorate(
            client.get(url.clone()).timeout(limit),
            &settings,
            &input.headers,
            input.auth.as_ref(),
        )?;
        let started = clock();
        let answer = tokio::select! {
            answer = async { request.send().await?.bytes_status().await } => answer,
            _ = cancel.cancelled() => return Err(CallError::cancelled("the check was stopped")),
        };
        match answer {
            Ok(status) => {
                let good = match &input.status {
                    Some(wanted) => wanted.contains(&status),
                    None => (200..300).contains(&status),
                };
                seen.answer(status, good, started.elapsed().as_millis() as u64);
            }
            Err(error) => seen.failure(&error::explain(&error, true)),
        }
        let share = number as f32 / input.requests as f32;
        context.progress.progress(&format!("{} of {number} good", seen.times.len()), Some(share));
        if let (Some(pause), true) = (input.pause, number < input.requests) {
            tokio::select! {
                () = tokio::time::sleep(pause.0) => {}
                _ = cancel.cancelled() => return Err(CallError::cancelled("the check was stopped")),
            }
        }
    }
    Ok(seen.result(input.requests))
}

trait BytesStatus {
    /// Reads the body to its end, so that the time is that of the whole answer.
    async fn bytes_status(self) -> Result<u16, reqwest::Error>;
}

impl BytesStatus for reqwest::Response {
    async fn bytes_status(mut self) -> Result<u16, reqwest::Error> {
        while self.chunk().await?.is_some() {}
        Ok(self.status().as_u16())
    }
}

#[derive(Default)]
struct Seen {
    times: Vec<u64>,
    statuses: BTreeMap<String, u32>,
    last_error: Option<String>,
}

impl Seen {
    fn answer(&mut self, status: u16, good: bool, time: u64) {
        *self.statuses.entry(status.to_string()).or_default() += 1;
        if good {
            self.times.push(time);
        }
    }

    fn failure(&mut self, error: &CallError) {
        *self.statuses.entry("error".to_owned()).or_default() += 1;
        self.last_error = Some(error.to_string());
    }

    fn result(mut self, requests: u32) -> CheckResult {
        self.times.sort_unstable();
        let good = self.times.len() as u32;
        CheckResult {
            requests,
            good,
            share: f64::from(good) / f64::from(requests),
            p50_ms: percentile(&self.times, 50),
            p90_ms: percentile(&self.times, 90),
            p99_ms: percentile(&self.times, 99),
            max_ms: self.times.last().copied(),
            statuses: self.statuses,
            last_error: self.last_error,
        }
    }
}

/// The nearest-rank percentile of sorted values.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values: Vec<u64> = (1..=10).collect();
        assert_eq!(percentile(&values, 50), Some(5));
        assert_eq!(percentile(&values, 90), Some(9));
        assert_eq!(percentile(&values, 99), Some(10));
        assert_eq!(percentile(&[7], 50), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn only_good_answers_are_timed() {
        let mut seen = Seen::default();
        seen.answer(200, true, 10);
        seen.answer(500, false, 1);
        let result = seen.result(2);
        assert_eq!((result.good, result.p50_ms), (1, Some(10)));
        assert!((result.share - 0.5).abs() < f64::EPSILON);
    }
}
