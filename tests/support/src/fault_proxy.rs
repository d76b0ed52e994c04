use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use crate::{Emulator, HttpReply, HttpRequest, HttpServer};

/// How a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Throttled.
    Throttled,
    /// An error inside the provider.
    Internal,
    /// No answer.
    Timeout,
    /// The connection is reset.
    Reset,
    /// The answer is cut off.
    Truncated,
    /// Not permitted.
    Denied,
    /// The credentials have expired.
    Expired,
}

impl Fault {
    /// The ones that leave open what happened.
    pub const AMBIGUOUS: [Self; 5] =
        [Self::Throttled, Self::Internal, Self::Timeout, Self::Reset, Self::Truncated];
}

/// Stands before the emulator: honours client tokens, which the emulator does not, keeps changes
/// pending, which the emulator does not either, and makes requests go wrong.
#[derive(Debug)]
pub struct FaultProxy {
    server: HttpServer,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What goes wrong: action, fault, whether it was carried out, how often still.
    planned: Option<(String, Fault, bool, usize)>,
    /// Answers by action and client token.
    tokens: BTreeMap<(String, String), HttpReply>,
    /// Requests that were carried out, by action.
    carried_out: BTreeMap<String, usize>,
    /// Requests that came, by action.
    asked: BTreeMap<String, usize>,
    /// Looks at a change that still say it is pending.
    pending: usize,
}

impl FaultProxy {
    /// Listens on a free port of `address`.
    pub fn start(address: Ipv4Addr, emulator: Arc<Emulator>) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let server = HttpServer::start(address, {
            let state = Arc::clone(&state);
            move |request| answer(&emulator, &state, request)
        });
        Self { server, state }
    }

    /// `http://ADDRESS:PORT`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The next `times` requests of this action go wrong, carried out or not.
    pub fn plan(&self, action: &str, fault: Fault, carried_out: bool, times: usize) {
        self.state.lock().unwrap().planned = Some((action.to_owned(), fault, carried_out, times));
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.state.lock().unwrap().planned = None;
    }

    /// The next looks at a change say that it is pending.
    pub fn keep_pending(&self, looks: usize) {
        self.state.lock().unwrap().pending = looks;
    }

    /// How many requests of this action were carried out.
    pub fn carried_out(&self, action: &str) -> usize {
        self.state.lock().unwrap().carried_out.get(action).copied().unwrap_or(0)
    }

    /// How many requests of this action came.
    pub fn asked(&self, action: &str) -> usize {
        self.state.lock().unwrap().asked.get(action).copied().unwrap_or(0)
    }

    /// How many requests came.
    pub fn all_asked(&self) -> usize {
        self.state.lock().unwrap().asked.values().sum()
    }

    /// Forgets tokens and counts.
    pub fn reset(&self) {
        *self.state.lock().unwrap() = State::default();
    }
}

fn answer(emulator: &Emulator, state: &Mutex<State>, request: &HttpRequest) -> HttpReply {
    let action = action(request);
    let fault = {
        let mut state = state.lock().unwrap();
        *state.asked.entry(action.clone()).or_default() += 1;
        match &mut state.planned {
            Some((of, fault, carried_out, times)) if *of == action && *times > 0 => {
                *times -= 1;
                Some((*fault, *carried_out))
            }
            _ => None,
        }
    };
    // A permission that is only asked for is not a request.
    let is_dry = request.text().contains("DryRun=true");
    let reply = match fault {
        Some((_, false)) => None,
        _ if is_dry => return emulator.send(&supported(request)),
        _ => Some(carry_out(emulator, state, request, &action)),
    };
    match fault {
        None => reply.expect("it was carried out"),
        Some((fault, _)) => broken(fault, reply, action.starts_with("route53")),
    }
}

/// What a request asks for: EC2's action, or `route53.METHOD.KIND`.
fn action(request: &HttpRequest) -> String {
    if let Some(action) = parameter(&request.text(), "Action") {
        return action;
    }
    let path = request.target.split('?').next().unwrap_or_default();
    match (request.method.as_str(), path) {
        ("POST", path) if path.trim_end_matches('/').ends_with("/rrset") => {
            "route53.ChangeResourceRecordSets".to_owned()
        }
        ("GET", path) if path.contains("/change/") => "route53.GetChange".to_owned(),
        _ => "route53.Read".to_owned(),
    }
}

fn parameter(body: &str, name: &str) -> Option<String> {
    body.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| value.to_owned())
    })
}

fn carry_out(
    emulator: &Emulator,
    state: &Mutex<State>,
    request: &HttpRequest,
    action: &str,
) -> HttpReply {
    let token = parameter(&request.text(), "ClientToken");
    let key = token.map(|token| (action.to_owned(), token));
    let known = key.as_ref().and_then(|key| state.lock().unwrap().tokens.get(key).cloned());
    if let Some(known) = known {
        return known;
    }
    let mut reply = emulator.send(&supported(request));
    let mut state = state.lock().unwrap();
    let HttpReply::Answer { status, body, .. } = &mut reply else { return reply };
    if *status < 300 {
        *state.carried_out.entry(action.to_owned()).or_default() += 1;
    }
    let is_look = action == "route53.GetChange" && state.pending > 0;
    if is_look || (action == "route53.ChangeResourceRecordSets" && state.pending > 0) {
        let text = String::from_utf8_lossy(body).replace("INSYNC", "PENDING");
        *body = text.into_bytes();
    }
    if is_look {
        state.pending -= 1;
    }
    if let Some(key) = key {
        state.tokens.insert(key, reply.clone());
    }
    reply
}

/// The request without what the emulator does not know: tags of the snapshots of a new image.
fn supported(request: &HttpRequest) -> HttpRequest {
    let text = request.text();
    if parameter(&text, "Action").as_deref() != Some("CreateImage") {
        return request.clone();
    }
    let kept: Vec<&str> =
        text.split('&').filter(|pair| !pair.starts_with("TagSpecification.2.")).collect();
    HttpRequest { body: kept.join("&").into_bytes(), ..request.clone() }
}

fn broken(fault: Fault, reply: Option<HttpReply>, is_route53: bool) -> HttpReply {
    let error = |status: u16, code: &str| {
        let text = if is_route53 {
            format!(
                "<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error>\
                 <Type>Sender</Type><Code>{code}</Code><Message>planned</Message></Error>\
                 <RequestId>r</RequestId></ErrorResponse>"
            )
        } else {
            format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>planned</Message></Error>\
                 </Errors><RequestID>r</RequestID></Response>"
            )
        };
        HttpReply::of(status, text).with("Content-Type", "text/xml")
    };
    match fault {
        Fault::Throttled if is_route53 => error(429, "Throttling"),
        Fault::Throttled => error(429, "RequestLimitExceeded"),
        Fault::Internal => error(500, "InternalError"),
        Fault::Timeout => HttpReply::Hang,
        Fault::Reset => HttpReply::Reset,
        Fault::Truncated => match reply {
            Some(HttpReply::Answer { status, body, .. }) => HttpReply::Truncated { status, body },
            _ => HttpReply::Truncated { status: 200, body: b"<Response></Response>".to_vec() },
        },
        Fault::Denied if is_route53 => error(403, "AccessDenied"),
        Fault::Denied => error(403, "UnauthorizedOperation"),
        Fault::Expired if is_route53 => error(403, "ExpiredToken"),
        Fault::Expired => error(400, "RequestExpired"),
    }
}
