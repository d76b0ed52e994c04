use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use dr_plugin::{CallError, ErrorClass};

/// What is known about a request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was refused before it was carried out, and may be sent again: throttling, a connection
    /// that never came about.
    NotApplied,
    /// It may have been carried out: a time-out, a broken connection, an error inside the provider,
    /// an answer that cannot be read.
    MaybeApplied,
    /// It was refused, and sending it again changes nothing.
    Refused,
    /// Credentials or permissions.
    Denied,
    /// The credentials have expired: with new ones the same request may work.
    Expired,
}

/// A failed request: the provider's code and what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is known.
    pub fate: Fate,
    /// The provider's code, or one of our own where there is none.
    pub code: String,
    /// For people.
    pub message: String,
    /// Underlying causes.
    pub causes: Vec<String>,
}

/// What a request to AWS ended with.
#[must_use]
pub fn failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let causes = causes(error);
    let has = |words: &[&str]| {
        causes.iter().any(|cause| words.iter().any(|word| cause.to_lowercase().contains(word)))
    };
    let own = |fate, code: &str, message: &str| Failure {
        fate,
        code: code.to_owned(),
        message: message.to_owned(),
        causes: causes.clone(),
    };
    match error {
        SdkError::ServiceError(service) => {
            let meta = service.err().meta();
            let status = service.raw().status().as_u16();
            let code = meta.code().map_or_else(|| format!("status_{status}"), str::to_owned);
            let message = meta.message().unwrap_or("the provider gave no message").to_owned();
            let fate = match (meta.code(), status) {
                (Some(_), 500..) if fate(&code) == Fate::Refused => Fate::MaybeApplied,
                (Some(_), _) => fate(&code),
                (None, 429) => Fate::NotApplied,
                (None, 401 | 403) => Fate::Denied,
                (None, 400..500) => Fate::Refused,
                (None, _) => Fate::MaybeApplied,
            };
            Failure { fate, code, message, causes: Vec::new() }
        }
        SdkError::TimeoutError(_) => {
            own(Fate::MaybeApplied, "timeout", "the API did not answer in time")
        }
        SdkError::ResponseError(_) => own(
            Fate::MaybeApplied,
            "unreadable_answer",
            "the API's answer was cut off or cannot be read",
        ),
        SdkError::DispatchFailure(_)
            if has(&["expired"]) && has(&["credential", "token", "sso"]) =>
        {
            own(Fate::Expired, "credentials_expired", "the credentials have expired")
        }
        SdkError::DispatchFailure(_) if has(&["credential", "identity", "sso", "assume role"]) => {
            own(Fate::Denied, "no_credentials", "no credentials were found")
        }
        SdkError::DispatchFailure(dispatch) => {
            if has(&["tcp connect error", "dns error", "failed to lookup", "connection refused"])
                || dispatch.is_user()
            {
                own(Fate::NotApplied, "unreachable", "the API cannot be reached")
            } else {
                own(Fate::MaybeApplied, "connection_lost", "the connection to the API was lost")
            }
        }
        SdkError::ConstructionFailure(_) if has(&["region"]) => {
            own(Fate::Refused, "no_region", "no region is set")
        }
        _ if has(&["credential", "identity"]) => {
            own(Fate::Denied, "no_credentials", "no credentials were found")
        }
        _ => own(Fate::Refused, "bad_request", "no such request can be made"),
    }
}

fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        source = cause.source();
    }
    causes
}

/// What a code of the provider says. Codes without an entry that name a failure of the provider
/// itself leave the outcome open.
fn fate(code: &str) -> Fate {
    match code {
        "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "EC2ThrottledException"
        | "BandwidthLimitExceeded"
        | "ConcurrentModification"
        | "ConcurrentModificationException"
        | "IncorrectInstanceState"
        | "InsufficientInstanceCapacity"
        | "IncorrectState"
        | "ServiceUnavailable"
        | "Unavailable" => Fate::NotApplied,
        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "ServerInternal"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "Unknown"
        | "ServiceException" => Fate::MaybeApplied,
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" => {
            Fate::Expired
        }
        "UnauthorizedOperation"
        | "AccessDenied"
        | "AccessDeniedException"
        | "AuthFailure"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "OptInRequired"
        | "MissingAuthenticationToken"
        | "NotAuthorized"
        | "Blocked"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "SubscriptionRequiredException" => Fate::Denied,
        _ => Fate::Refused,
    }
}

impl Failure {
    /// Whether sending the same request again may help at all.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self.fate, Fate::NotApplied | Fate::MaybeApplied)
    }

    /// As the error of a call that only read, or whose request was recognised when repeated.
    #[must_use]
    pub fn of_reading(&self) -> CallError {
        self.classed(match self.fate {
            Fate::NotApplied | Fate::MaybeApplied => ErrorClass::Transient,
            Fate::Refused => ErrorClass::Permanent,
            Fate::Denied | Fate::Expired => ErrorClass::Denied,
        })
    }

    /// As the error of a call that changes something.
    #[must_use]
    pub fn of_change(&self) -> CallError {
        match self.fate {
            Fate::MaybeApplied => self.classed(ErrorClass::Unknown),
            _ => self.of_reading(),
        }
    }

    fn classed(&self, class: ErrorClass) -> CallError {
        let mut error =
            CallError::new(class, &self.code, format!("{}: {}", self.code, self.message));
        error.help = self.help().map(str::to_owned);
        error.causes.clone_from(&self.causes);
        error
    }

    fn help(&self) -> Option<&'static str> {
        Some(match (self.code.as_str(), self.fate) {
            ("no_credentials", _) => {
                "AWS's own chain is used: set AWS_PROFILE or the `profile` of the plugin, or log in \
                 (`aws sso login`)"
            }
            (_, Fate::Expired) => "renew them (`aws sso login`), then `dr resume`",
            ("no_region", _) => "set `region` under `plugins:`, or AWS_REGION",
            ("unreachable", _) => {
                "check the network, the `region` and the `endpoint` of the plugin"
            }
            ("SignatureDoesNotMatch", _) => "the secret key is wrong, or this machine's clock",
            (_, Fate::Denied) => {
                "these credentials may not do this: see the policy of the user or role"
            }
            ("NoSuchHostedZone", _) => "check the `zone`, and that the profile is of its account",
            (code, _) if code.ends_with(".NotFound") || code.ends_with(".Malformed") => {
                "check the id, and that `region` and profile are those where it lives"
            }
            ("InsufficientInstanceCapacity", _) => {
                "the zone has no such machines left: try another zone or instance type"
            }
            (code, _) if code.ends_with("LimitExceeded") && self.fate == Fate::Refused => {
                "a quota of the account is used up: free something or ask the provider"
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides_the_fate() {
        for (code, wanted) in [
            ("Throttling", Fate::NotApplied),
            ("RequestLimitExceeded", Fate::NotApplied),
            ("PriorRequestNotComplete", Fate::NotApplied),
            ("InternalError", Fate::MaybeApplied),
            ("ExpiredToken", Fate::Expired),
            ("UnauthorizedOperation", Fate::Denied),
            ("NoSuchHostedZone", Fate::Refused),
            ("InvalidInstanceID.NotFound", Fate::Refused),
            ("AddressLimitExceeded", Fate::Refused),
        ] {
            assert_eq!(fate(code), wanted, "{code}");
        }
    }

    #[test]
    fn a_change_that_may_have_happened_is_unknown_and_a_reading_is_not() {
        let failure = Failure {
            fate: Fate::MaybeApplied,
            code: "InternalError".into(),
            message: "try again".into(),
            causes: Vec::new(),
        };
        assert_eq!(failure.of_change().class, ErrorClass::Unknown);
        assert_eq!(failure.of_reading().class, ErrorClass::Transient);
        assert_eq!(failure.of_change().code, "InternalError");
    }
}
