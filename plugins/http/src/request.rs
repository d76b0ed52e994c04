use std::collections::BTreeMap;
use std::time::Duration;

use dr_plugin::{Call, CallError, Context};
use reqwest::RequestBuilder;
use serde_json::Value;

use crate::client::Clients;
use crate::error;
use crate::input::{Auth, RequestInput, RequestResult, Settings};

/// How long a request may take where the step has no `timeout`.
const LIMIT: Duration = Duration::from_secs(30);
/// Bytes of a body that are kept.
const BODY: usize = 1024 * 1024;

/// `http.request`.
pub(crate) async fn perform(
    clients: &Clients,
    call: &Call,
    context: &Context,
) -> Result<RequestResult, CallError> {
    let settings: Settings = call.settings()?;
    let input: RequestInput = call.input()?;
    let reads = input.method.reads();
    let tls = input.tls.as_ref().unwrap_or(&settings.tls);
    let client = clients.get(tls, input.follow, &settings)?;
    let url = absolute(&input.url, &settings)?;
    let mut request = client.request(input.method.as_reqwest(), url);
    request = decorate(request, &settings, &input.headers, input.auth.as_ref())?;
    if !input.query.is_empty() {
        request = with_query(request, &input.query)?;
    }
    request = match (input.body, input.json) {
        (Some(_), Some(_)) => {
            return Err(CallError::permanent("bad_input", "`body` and `json` exclude each other"));
        }
        (Some(body), None) => request.body(body),
        (None, Some(json)) => request.json(&json),
        (None, None) => request,
    };
    request = request.timeout(call.timeout_ms.map_or(LIMIT, |limit| {
        // Ends by itself a little before the engine would have to give up.
        Duration::from_millis(limit - (limit / 10).min(1_000))
    }));
    let mut cancel = context.cancel.clone();
    let result = tokio::select! {
        result = send(request, reads) => result?,
        _ = cancel.cancelled() => {
            return Err(if reads {
                CallError::cancelled("the request was dropped")
            } else {
                CallError::unknown("cancelled", "the request was dropped before it was answered")
            });
        }
    };
    let wanted = match &input.status {
        Some(wanted) => wanted.contains(&result.status),
        None => reads || result.status < 400,
    };
    if wanted { Ok(result) } else { Err(error::status(result.status, reads, &result.body)) }
}

/// The start of a measured duration.
#[expect(clippy::disallowed_methods, reason = "the duration of an answer is the result")]
pub(crate) fn clock() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Headers and credentials: the step's, else the settings'.
pub(crate) fn decorate(
    mut request: RequestBuilder,
    settings: &Settings,
    headers: &BTreeMap<String, String>,
    auth: Option<&Auth>,
) -> Result<RequestBuilder, CallError> {
    let inherited = settings
        .headers
        .iter()
        .filter(|(name, _)| !headers.keys().any(|given| given.eq_ignore_ascii_case(name)));
    for (name, value) in inherited.chain(headers) {
        request = request.header(name, value);
    }
    Ok(match auth.or(settings.auth.as_ref()) {
        None => request,
        Some(Auth { bearer: Some(token), basic: None }) => request.bearer_auth(token),
        Some(Auth { bearer: None, basic: Some(basic) }) => {
            request.basic_auth(&basic.user, Some(&basic.password))
        }
        Some(_) => {
            return Err(CallError::permanent(
                "bad_input",
                "`auth` takes exactly one of `bearer` and `basic`",
            ));
        }
    })
}

/// The URL itself, or the path under `base_url`.
pub(crate) fn absolute(url: &str, settings: &Settings) -> Result<reqwest::Url, CallError> {
    let text = match (&settings.base_url, url.starts_with('/')) {
        (Some(base), true) => format!("{}{url}", base.trim_end_matches('/')),
        _ => url.to_owned(),
    };
    let parsed: reqwest::Url = text
        .parse()
        .map_err(|error| CallError::permanent("bad_url", format!("`{text}` is no URL: {error}")))?;
    if matches!(parsed.scheme(), "http" | "https") {
        return Ok(parsed);
    }
    Err(CallError::permanent("bad_url", format!("`{text}` is neither http nor https")))
}

fn with_query(
    request: RequestBuilder,
    query: &BTreeMap<String, String>,
) -> Result<RequestBuilder, CallError> {
    let (client, request) = request.build_split();
    let mut request = request.map_err(|error| error::explain(&error, true))?;
    request.url_mut().query_pairs_mut().extend_pairs(query);
    Ok(RequestBuilder::from_parts(client, request))
}

async fn send(request: RequestBuilder, reads: bool) -> Result<RequestResult, CallError> {
    let started = clock();
    let explain = |error: reqwest::Error| error::explain(&error, reads);
    let mut response = request.send().await.map_err(explain)?;
    let status = response.status().as_u16();
    let url = response.url().to_string();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let mut body = Vec::new();
    let mut truncated = false;
    while let Some(chunk) = response.chunk().await.map_err(explain)? {
        let room = BODY - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            truncated = true;
            break;
        }
    }
    let json =
        if truncated { Value::Null } else { serde_json::from_slice(&body).unwrap_or_default() };
    Ok(RequestResult {
        status,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        json,
        truncated,
        duration_ms: started.elapsed().as_millis() as u64,
        url,
    })
}
