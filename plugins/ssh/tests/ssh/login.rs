use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dr_plugin::{Context, Effect, ErrorClass, PreviewStatus};
use serde_json::json;

use crate::bench::Bench;
use crate::sshd::Sshd;

#[expect(clippy::disallowed_methods, reason = "a test makes its keys")]
fn keygen(args: &[&str]) {
    let done = std::process::Command::new("ssh-keygen")
        .arg("-q")
        .args(args)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(done.success(), "ssh-keygen {args:?}");
}

#[tokio::test]
async fn only_known_hosts_are_spoken_to() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, bench.counted("true"));
    let known = bench.sshd.known_hosts();
    let port = bench.sshd.port;
    let stranger =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEzLYYyixUMrHkGAru+Ep13IG5ktK9eoERJpXaezoHI2";
    for (lines, code) in [
        (String::new(), "host_key_unknown"),
        (
            format!("[127.0.0.1]:{} {}\n", port - 1, bench.sshd.host_key("ed25519")),
            "host_key_unknown",
        ),
        (format!("[127.0.0.1]:{port} {stranger}\n"), "host_key_mismatch"),
        (
            format!("@revoked * {0}\n[127.0.0.1]:{port} {0}\n", bench.sshd.host_key("ed25519")),
            "host_key_revoked",
        ),
    ] {
        std::fs::write(&known, lines).unwrap();
        let error = bench.apply(&call).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (ErrorClass::Denied, code));
        let help = error.help.unwrap();
        assert!(help.contains(known.to_str().unwrap()), "{help}");
        let preview = bench.plugin.preview(&call, &Context::silent()).await.unwrap();
        assert_eq!(preview.status, PreviewStatus::Denied);
    }
    assert_eq!(bench.count(), 0);
}

#[tokio::test]
async fn a_host_with_several_keys_shows_the_known_one() {
    let bench = Bench::new();
    for kind in ["ed25519", "ecdsa"] {
        bench.sshd.know(kind, bench.sshd.port);
        bench.plugin.close().await;
        let call = bench.call("a", Effect::Pure, json!({"argv": ["true"]}));
        bench.apply(&call).await.unwrap();
    }
    // The same with hashed names, as Debian files them.
    keygen(&["-H", "-f", bench.sshd.known_hosts().to_str().unwrap()]);
    assert!(std::fs::read_to_string(bench.sshd.known_hosts()).unwrap().starts_with("|1|"));
    bench.plugin.close().await;
    bench.apply(&bench.call("a", Effect::Pure, json!({"argv": ["true"]}))).await.unwrap();
}

#[tokio::test]
async fn a_refused_login_is_denied() {
    let bench = Bench::new();
    let (other, locked) = (bench.path("other"), bench.path("locked"));
    keygen(&["-t", "ed25519", "-N", "", "-f", other.to_str().unwrap()]);
    keygen(&["-t", "ed25519", "-N", "open sesame", "-f", locked.to_str().unwrap()]);
    for (files, told) in [
        (vec![], "there was no key to try"),
        (vec![&other], "other"),
        (vec![&locked], "protected by a passphrase"),
        (vec![&bench.path("missing")], "No such file"),
    ] {
        let mut call = bench.call("a", Effect::Once, bench.counted("true"));
        call.settings["identity_files"] = json!(files);
        let error = bench.apply(&call).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (ErrorClass::Denied, "login_refused"));
        assert!(error.causes.iter().any(|cause| cause.contains(told)), "{:?}", error.causes);
        assert!(error.help.is_some());
        let preview = bench.plugin.preview(&call, &Context::silent()).await.unwrap();
        assert_eq!(preview.status, PreviewStatus::Denied);
    }
    assert_eq!(bench.count(), 0);
}

#[tokio::test]
async fn an_unreachable_host_is_transient() {
    let bench = Bench::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (address, port) in [
        ("127.0.0.1", 1),
        ("no-such-host.invalid", 22),
        ("127.0.0.1", silent.local_addr().unwrap().port()),
    ] {
        let mut call = bench.call("a", Effect::Once, bench.counted("true"));
        let host = call.host.as_mut().unwrap();
        (host.address, host.port) = (address.into(), Some(port));
        call.settings["connect_timeout"] = json!("300ms");
        let error = bench.apply(&call).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (ErrorClass::Transient, "unreachable"));
        let preview = bench.plugin.preview(&call, &Context::silent()).await.unwrap();
        assert_eq!(preview.status, PreviewStatus::Unreachable);
    }
}

/// Passes connections on to `target`; once so many bytes as are left have passed, in both directions,
/// it closes the one that is open. Gives its port.
#[expect(clippy::disallowed_methods, reason = "a test cuts its connections itself")]
fn cutting(target: u16) -> (u16, Arc<AtomicUsize>) {
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let shared = Arc::clone(&left);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", target)).unwrap();
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            for (mut from, mut to) in [(client, server), back] {
                let left = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let mut bytes = [0; 4_096];
                    while let Ok(count @ 1..) = from.read(&mut bytes) {
                        let before = left.fetch_sub(count, Ordering::SeqCst);
                        if before < count {
                            left.store(usize::MAX, Ordering::SeqCst);
                            let _ = to.write_all(&bytes[..before]);
                            break;
                        }
                        if to.write_all(&bytes[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                });
            }
        }
    });
    (port, left)
}

/// Wherever a connection breaks, that is not taken for a host that refuses us.
#[tokio::test]
async fn a_connection_that_breaks_during_the_login_is_no_refusal() {
    let bench = Bench::new();
    let (port, left) = cutting(bench.sshd.port);
    bench.sshd.know("ed25519", port);
    // After the key exchange, before the command.
    for bytes in (4_800..5_800).step_by(25) {
        let mut call = bench.call("a", Effect::Pure, json!({"argv": ["true"]}));
        call.host.as_mut().unwrap().port = Some(port);
        left.store(bytes, Ordering::SeqCst);
        if let Err(error) = bench.apply(&call).await {
            let may_be = matches!(error.class, ErrorClass::Transient | ErrorClass::Unknown);
            assert!(may_be, "after {bytes} bytes: {error:?}");
        }
        left.store(usize::MAX, Ordering::SeqCst);
        bench.plugin.close().await;
    }
}

#[tokio::test]
async fn odd_names_are_refused() {
    let bench = Bench::new();
    for (address, user) in [("-oProxyCommand=id", None), ("a b", None), ("127.0.0.1", Some("-x"))] {
        let mut call = bench.call("a", Effect::Pure, json!({"argv": ["true"]}));
        let host = call.host.as_mut().unwrap();
        host.address = address.into();
        host.user = user.map(str::to_owned);
        assert_eq!(bench.apply(&call).await.unwrap_err().code, "bad_input");
    }
}

#[tokio::test]
async fn a_reachable_host_previews_well_and_untouched() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, bench.counted("true"));
    let preview = bench.plugin.preview(&call, &Context::silent()).await.unwrap();
    assert_eq!(preview.status, PreviewStatus::Ok);
    assert_eq!(bench.count(), 0);
    assert!(!bench.path("jobs").exists());
}

#[tokio::test]
async fn a_command_that_is_not_there_is_told() {
    let bench = Bench::new();
    for (input, code) in [
        (json!({"argv": ["no_such_command"]}), "not_found"),
        (json!({"argv": ["/no/such/command"]}), "not_found"),
        (json!({"argv": ["/etc/passwd"]}), "not_executable"),
        (json!({"argv": ["true"], "cwd": "/no/such/folder"}), "cwd_missing"),
    ] {
        let call = bench.call("a", Effect::Once, input);
        let error = bench.plugin.preview(&call, &Context::silent()).await.unwrap_err();
        assert_eq!(error.code, code);
    }
}

#[tokio::test]
async fn a_host_behind_another_is_reached() {
    let bench = Bench::new();
    let gate = Sshd::start("");
    let known = bench.path("known");
    std::fs::write(
        &known,
        [bench.sshd.known_hosts(), gate.known_hosts()]
            .map(|file| std::fs::read_to_string(file).unwrap())
            .concat(),
    )
    .unwrap();
    let config = bench.path("config");
    std::fs::write(
        &config,
        format!(
            "Host gate\n  HostName 127.0.0.1\n  Port {}\n\
             Host inner\n  HostName 127.0.0.1\n  Port {}\n  ProxyJump gate\n\
             Host *\n  IdentityFile {}\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
            gate.port,
            bench.sshd.port,
            bench.sshd.identity().display(),
            gate.identity().display(),
            known.display(),
        ),
    )
    .unwrap();
    for (effect, step) in [(Effect::Pure, "a"), (Effect::Once, "b")] {
        let script = "i=0; while [ $i -lt 40 ]; do printf '%065535d\\n' 0; i=$((i + 1)); done; echo \"$SSH_CONNECTION\" >&2";
        let mut call = bench.call(step, effect, json!({"script": script}));
        call.settings = json!({"config": config, "job_dir": bench.path("jobs")});
        let host = call.host.as_mut().unwrap();
        (host.address, host.port) = ("inner".into(), None);
        let result = bench.apply(&call).await.unwrap();
        assert_eq!(result["stdout"].as_str().unwrap().len(), 1024 * 1024);
        let end = format!("{}\n", bench.sshd.port);
        assert!(result["stderr"].as_str().unwrap().ends_with(&end));
    }
    assert!(!gate.sessions().is_empty(), "it went through the gate");
    // What goes through a gate that is gone is lost, and found again when the gate is back.
    gate.drop_connections();
    let mut call = bench.call("c", Effect::Once, json!({"argv": ["echo", "again"]}));
    call.settings = json!({"config": config, "job_dir": bench.path("jobs")});
    let host = call.host.as_mut().unwrap();
    (host.address, host.port) = ("inner".into(), None);
    assert_eq!(bench.apply(&call).await.unwrap()["stdout"], "again\n");
    drop(gate);
    bench.plugin.close().await;
    let error = bench.apply(&call).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Transient, "unreachable"));
}

#[tokio::test]
async fn no_agreement_is_permanent() {
    let bench = Bench::with("KexAlgorithms sntrup761x25519-sha512@openssh.com");
    let call = bench.call("a", Effect::Once, bench.counted("true"));
    let error = bench.apply(&call).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Permanent, "no_agreement"));
}

#[tokio::test]
async fn keys_of_every_kind_log_in() {
    let bench = Bench::new();
    for (kind, format) in
        [("rsa", "RFC4716"), ("rsa", "PEM"), ("ecdsa", "RFC4716"), ("ecdsa", "PEM")]
    {
        let file = bench.path(&format!("{kind}-{format}"));
        keygen(&["-t", kind, "-m", format, "-N", "", "-f", file.to_str().unwrap()]);
        let public = std::fs::read(file.with_file_name(format!("{kind}-{format}.pub"))).unwrap();
        std::fs::write(bench.sshd.path("authorized_keys"), public).unwrap();
        let mut call = bench.call("a", Effect::Pure, json!({"argv": ["true"]}));
        call.settings["identity_files"] = json!([file]);
        bench.apply(&call).await.unwrap();
    }
}
