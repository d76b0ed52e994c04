use std::error::Error as _;

use dr_plugin::CallError;

/// What a failed request means. `reads` says whether the request only read.
pub(crate) fn explain(error: &reqwest::Error, reads: bool) -> CallError {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    let target = error.url().map_or_else(String::new, |url| {
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        format!("{}{port}", url.host_str().unwrap_or_default())
    });
    let certificate = causes.iter().any(|cause| cause.contains("certificate"));
    let mut explained = if error.is_builder() {
        CallError::permanent("bad_request", format!("no such request can be made: {error}"))
    } else if certificate {
        CallError::permanent("tls_refused", format!("{target}: its certificate is not trusted"))
            .with_help("name its authority in `tls.ca_file`")
    } else if error.is_connect() {
        CallError::transient("unreachable", format!("{target} cannot be reached"))
    } else if error.is_redirect() {
        CallError::permanent("too_many_redirects", format!("{target}: {error}"))
    } else if reads {
        CallError::transient(
            if error.is_timeout() { "timeout" } else { "connection_lost" },
            format!("{target} did not answer"),
        )
    } else {
        // It was sent, or may have been: nobody knows what the server did with it.
        CallError::unknown(
            if error.is_timeout() { "timeout" } else { "connection_lost" },
            format!("{target} was asked and did not answer"),
        )
    };
    explained.causes = causes;
    explained
}

/// What an unwanted status means.
pub(crate) fn status(status: u16, reads: bool, body: &str) -> CallError {
    let code = format!("status_{status}");
    let message = format!("the server answered {status}");
    let mut error = match status {
        401 | 403 | 407 => CallError::denied(code, message),
        408 | 425 | 429 | 503 => CallError::transient(code, message),
        500..=599 if reads => CallError::transient(code, message),
        500..=599 => CallError::unknown(code, message)
            .with_help("the server may have acted on the request before it failed"),
        _ => CallError::permanent(code, message),
    };
    error.causes.extend(body.lines().take(3).map(|line| line.chars().take(300).collect()));
    error
}

#[cfg(test)]
mod tests {
    use dr_plugin::ErrorClass;

    use super::*;

    #[test]
    fn statuses_have_classes() {
        for (number, reads, class) in [
            (404, true, ErrorClass::Permanent),
            (401, false, ErrorClass::Denied),
            (429, false, ErrorClass::Transient),
            (500, true, ErrorClass::Transient),
            (500, false, ErrorClass::Unknown),
            (503, false, ErrorClass::Transient),
        ] {
            assert_eq!(status(number, reads, "").class, class, "{number}");
        }
    }
}
