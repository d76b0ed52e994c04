//! The plugin against real servers on loopback, in this process and as an executable.

#![expect(clippy::disallowed_methods, reason = "tests measure time and start threads")]
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dr_plugin::conformance::{self, Case, Expected};
use dr_plugin::protocol::Method;
use dr_plugin::{
    Call, CallError, CallKey, Cancel, CancelLevel, Context, Effect, ErrorClass, PreviewStatus,
    Secret, Secrets,
};
use dr_plugin_http::plugin;
use dr_testkit::{HttpReply, HttpRequest, HttpServer, address, free_port};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

fn call(action: &str, input: Value, settings: Value) -> Call {
    Call {
        action: action.into(),
        input,
        settings,
        host: None,
        secrets: Secrets::from([("pw".into(), Secret::new("s3cret"))]),
        key: CallKey { run: "r".into(), step: "s".into(), purpose: "apply".into(), attempt: 1 },
        timeout_ms: Some(20_000),
        effect: Effect::Once,
    }
}

async fn apply(action: &str, input: Value, settings: Value) -> Result<Value, CallError> {
    plugin().apply(&call(action, input, settings), &Context::silent()).await
}

fn server(handler: impl Fn(&HttpRequest) -> HttpReply + Send + Sync + 'static) -> HttpServer {
    HttpServer::start(address(0), handler)
}

#[tokio::test]
async fn a_request_carries_what_was_asked_for_and_gives_what_was_answered() {
    let server = server(|_| {
        HttpReply::of(201, r#"{"muted": true}"#).with("Content-Type", "application/json")
    });
    let result = apply(
        "request",
        json!({
            "method": "POST",
            "url": "/mute",
            "query": { "why": "drill & test" },
            "headers": { "X-Run": "r1" },
            "json": { "minutes": 30 },
        }),
        json!({
            "base_url": server.url(),
            "headers": { "x-run": "default", "X-Team": "sre" },
            "auth": { "basic": { "user": "dr", "password": { "$text": [{ "$secret": "pw" }] } } },
        }),
    )
    .await
    .unwrap();
    assert_eq!(result["status"], 201);
    assert_eq!(result["json"], json!({ "muted": true }));
    assert_eq!(result["headers"]["content-type"], "application/json");
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].target, "/mute?why=drill+%26+test");
    assert_eq!(seen[0].header("x-run"), Some("r1"));
    assert_eq!(seen[0].header("x-team"), Some("sre"));
    assert_eq!(seen[0].header("authorization"), Some("Basic ZHI6czNjcmV0"));
    assert_eq!(seen[0].text(), r#"{"minutes":30}"#);
}

/// The class of a failure is what is known: of a request that only reads, nothing was applied.
#[tokio::test]
async fn failures_have_the_class_that_is_true() {
    use ErrorClass::{Denied, Permanent, Transient, Unknown};

    let server = server(|request| match request.target.as_str() {
        "/hang" => HttpReply::Hang,
        "/reset" => HttpReply::Reset,
        "/cut" => HttpReply::Truncated { status: 200, body: b"0123456789".to_vec() },
        status => HttpReply::of(status[1..].parse().unwrap(), "no"),
    });
    for (method, target, class, code) in [
        ("POST", "/401", Denied, "status_401"),
        ("POST", "/404", Permanent, "status_404"),
        ("POST", "/429", Transient, "status_429"),
        ("POST", "/503", Transient, "status_503"),
        ("POST", "/500", Unknown, "status_500"),
        ("POST", "/hang", Unknown, "timeout"),
        ("POST", "/reset", Unknown, "connection_lost"),
        ("POST", "/cut", Unknown, "connection_lost"),
        ("GET", "/hang", Transient, "timeout"),
        ("GET", "/reset", Transient, "connection_lost"),
        ("GET", "/cut", Transient, "connection_lost"),
    ] {
        let mut call = call(
            "request",
            json!({ "method": method, "url": target }),
            json!({ "base_url": server.url() }),
        );
        call.timeout_ms = Some(1_000);
        let error = plugin().apply(&call, &Context::silent()).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (class, code), "{method} {target}");
    }
    // What reads gives any status, and the step's `expect` decides.
    let result = apply("request", json!({ "url": format!("{}/500", server.url()) }), Value::Null);
    assert_eq!(result.await.unwrap()["status"], 500);
    let wanted = json!({ "url": format!("{}/204", server.url()), "status": [200] });
    let error = apply("request", wanted, Value::Null).await.unwrap_err();
    assert_eq!(error.code, "status_204");
}

#[tokio::test]
async fn nobody_listens() {
    let url = format!("http://{}:{}/", address(0), free_port(address(0)));
    let input = json!({ "url": url, "method": "POST" });
    let error = apply("request", input.clone(), Value::Null).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Transient, "unreachable"));
    let preview =
        plugin().preview(&call("request", input, Value::Null), &Context::silent()).await.unwrap();
    assert_eq!(preview.status, PreviewStatus::Unreachable);
}

#[tokio::test]
async fn a_check_counts_and_times_the_answers() {
    let asked = Arc::new(AtomicU32::new(0));
    let server = server(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => HttpReply::of(503, ""),
        1 => HttpReply::Reset,
        2 => HttpReply::of(200, "slow").after(Duration::from_millis(300)),
        _ => HttpReply::of(200, "ok"),
    });
    let result =
        apply("check", json!({ "url": server.url(), "requests": 10 }), Value::Null).await.unwrap();
    assert_eq!((&result["requests"], &result["good"]), (&json!(10), &json!(8)));
    assert_eq!(result["share"], 0.8);
    assert_eq!(result["statuses"], json!({ "200": 8, "503": 1, "error": 1 }));
    assert!(result["max_ms"].as_u64().unwrap() >= 300);
    assert_eq!(result["p99_ms"], result["max_ms"]);
    assert!(result["p50_ms"].as_u64().unwrap() <= result["p90_ms"].as_u64().unwrap());
    assert_eq!(server.seen().len(), 10);
}

#[tokio::test]
async fn a_stop_ends_a_request_at_once() {
    let server = server(|_| HttpReply::Hang);
    for (method, action, class) in [
        ("POST", "request", ErrorClass::Unknown),
        ("GET", "request", ErrorClass::Cancelled),
        ("GET", "check", ErrorClass::Cancelled),
    ] {
        let mut input = json!({ "url": server.url() });
        if action == "request" {
            input["method"] = method.into();
        }
        let (stop, cancel) = Cancel::new();
        let context = Context { cancel, ..Context::silent() };
        let call = call(action, input, Value::Null);
        let before = server.seen().len();
        let stopping = async {
            while server.seen().len() == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stop.send_replace(CancelLevel::Stop);
            Instant::now()
        };
        let plugin = plugin();
        let (ended, asked) = tokio::join!(plugin.apply(&call, &context), stopping);
        assert!(asked.elapsed() < Duration::from_secs(2));
        assert_eq!(ended.unwrap_err().class, class, "{method} {action}");
    }
}

/// A server with a certificate of the tests' own authority.
async fn tls_server() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://localhost:{port}/")
}

#[tokio::test]
async fn a_certificate_is_trusted_only_by_its_authority() {
    let url = tls_server().await;
    let error = apply("request", json!({ "url": url }), Value::Null).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Permanent, "tls_refused"));
    assert!(error.help.unwrap().contains("ca_file"));

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    let tls = json!({ "ca_file": folder.join("ca.pem") });
    let result = apply("request", json!({ "url": url, "tls": tls }), Value::Null).await.unwrap();
    assert_eq!(result["body"], "ok");
    let settings = json!({ "tls": { "insecure": true } });
    let result = apply("request", json!({ "url": url }), settings).await.unwrap();
    assert_eq!(result["status"], 200);

    let tls = json!({ "ca_file": "/none/ca.pem" });
    let error = apply("request", json!({ "url": url, "tls": tls }), Value::Null).await.unwrap_err();
    assert_eq!(error.code, "tls_file");
}

#[test]
fn it_keeps_the_plugin_protocol() {
    let server = server(|request| match request.target.as_str() {
        "/hang" => HttpReply::Hang,
        _ => HttpReply::of(200, "ok"),
    });
    let case = |name: &str, method, target: &str, stop_after_ms, expect| Case {
        name: name.to_owned(),
        method,
        action: "request".to_owned(),
        input: json!({ "url": format!("{}{target}", server.url()) }),
        settings: Value::Null,
        host: None,
        stop_after_ms,
        expect,
    };
    let cases = [
        case("a request", Method::Apply, "/", None, Expected::Applied),
        case("a look ahead", Method::Preview, "/", None, Expected::Preview),
        case("a stop", Method::Apply, "/hang", Some(200), Expected::Error(ErrorClass::Cancelled)),
    ];
    let linked = conformance::linked(&plugin(), &cases);
    assert!(linked.is_green(), "{linked}");
    let executable =
        conformance::executable(Path::new(env!("CARGO_BIN_EXE_dr-plugin-http")), &cases);
    assert!(executable.is_green(), "{executable}");
}
