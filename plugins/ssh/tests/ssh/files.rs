use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dr_plugin::{Call, Context, Effect, ErrorClass, Preview, PreviewStatus};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::bench::Bench;

fn transfer(bench: &Bench, action: &str, input: Value) -> Call {
    let mut call = bench.call("a", Effect::Idempotent, input);
    action.clone_into(&mut call.action);
    call
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|index| u8::try_from((index * 31 + index / 251) % 256).unwrap()).collect()
}

fn sum(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// All ways: as the login, and as another user where that is possible.
fn ways() -> Vec<Option<&'static str>> {
    if rustix::process::getuid().is_root() { vec![None, Some("root")] } else { vec![None] }
}

#[tokio::test]
async fn files_are_sent_whole() {
    let bench = Bench::new();
    for becomes in ways() {
        let dest = bench.path("to 'there'");
        for (size, given, expected) in
            [(0, Some("0600"), 0o600), (3_000_000, None, 0o600), (5, Some("0755"), 0o755)]
        {
            let bytes = content(size);
            std::fs::write(bench.path("from"), &bytes).unwrap();
            let mut input = json!({"src": bench.path("from"), "dest": dest});
            if let Some(mode) = given {
                input["mode"] = json!(mode);
            }
            if let Some(user) = becomes {
                input["become"] = json!(user);
            }
            let result = bench.apply(&transfer(&bench, "upload", input)).await.unwrap();
            assert_eq!((&result["bytes"], &result["sha256"]), (&json!(size), &json!(sum(&bytes))));
            assert_eq!(std::fs::read(&dest).unwrap(), bytes);
            assert_eq!(mode(&dest), expected, "{becomes:?} {given:?}");
        }
        let left = std::fs::read_dir(bench.path("")).unwrap().flatten();
        assert!(left.into_iter().all(|entry| !entry.path().to_string_lossy().ends_with(".part")));
    }
}

#[tokio::test]
async fn files_are_fetched_whole() {
    let bench = Bench::new();
    for becomes in ways() {
        for size in [0, 3_000_000] {
            let bytes = content(size);
            std::fs::write(bench.path("there"), &bytes).unwrap();
            let mut input = json!({"src": bench.path("there"), "dest": bench.path("here")});
            if let Some(user) = becomes {
                input["become"] = json!(user);
            }
            let result = bench.apply(&transfer(&bench, "download", input)).await.unwrap();
            assert_eq!((&result["bytes"], &result["sha256"]), (&json!(size), &json!(sum(&bytes))));
            assert_eq!(std::fs::read(bench.path("here")).unwrap(), bytes);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_transferred_replaces_nothing() {
    let bench = Bench::new();
    let (file, folder, missing) =
        (bench.path("file"), bench.path("folder"), bench.path("missing/file"));
    std::fs::write(&file, "old").unwrap();
    std::fs::create_dir(&folder).unwrap();
    for becomes in ways() {
        for (action, src, dest, codes) in [
            ("upload", &missing, &file, ["not_found", "not_found"]),
            ("upload", &folder, &file, ["src_is_no_file", "src_is_no_file"]),
            ("upload", &file, &folder, ["dest_is_folder", "dest_is_folder"]),
            ("upload", &file, &missing, ["not_found", "exit_2"]),
            ("download", &missing, &file, ["not_found", "src_unreadable"]),
            ("download", &folder, &file, ["src_is_folder", "src_unreadable"]),
            ("download", &file, &folder, ["dest_is_folder", "dest_is_folder"]),
            ("download", &file, &missing, ["write_failed", "write_failed"]),
        ] {
            let mut input = json!({"src": src, "dest": dest});
            if let Some(user) = becomes {
                input["become"] = json!(user);
            }
            let error = bench.apply(&transfer(&bench, action, input)).await.unwrap_err();
            let code = codes[usize::from(becomes.is_some())];
            assert_eq!(
                (error.class, error.code.as_str()),
                (ErrorClass::Permanent, code),
                "{action} {src:?} {dest:?}: {error:?}"
            );
        }
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(bench.path("")).unwrap().count(), 2);
}

#[tokio::test]
async fn what_a_transfer_would_change_is_seen_before() {
    let bench = Bench::new();
    let see = async |action: &str, input: Value| -> Preview {
        let call = transfer(&bench, action, input);
        bench.plugin.preview(&call, &Context::silent()).await.unwrap()
    };
    let (from, dest) = (bench.path("from"), bench.path("there"));
    std::fs::write(&from, "content").unwrap();
    let input = json!({"src": from, "dest": dest});
    let preview = see("upload", input.clone()).await;
    assert_eq!(preview.status, PreviewStatus::WouldChange);
    assert!(preview.changes[0].ends_with("is made, 7 bytes"), "{:?}", preview.changes);
    std::fs::write(&dest, "other").unwrap();
    let preview = see("upload", input.clone()).await;
    assert!(preview.changes[0].ends_with("is replaced, 7 bytes"), "{:?}", preview.changes);
    std::fs::write(&dest, "content").unwrap();
    assert_eq!(see("upload", input).await.status, PreviewStatus::AlreadySo);
    let nowhere = json!({"src": from, "dest": "/no/such/folder/x"});
    assert_eq!(see("upload", nowhere).await.status, PreviewStatus::NotYet);

    let back = bench.path("back");
    let fetch = |src: &str| json!({"src": bench.path(src), "dest": back});
    assert_eq!(see("download", fetch("there")).await.status, PreviewStatus::Ok);
    assert_eq!(see("download", fetch("nothing")).await.status, PreviewStatus::NotYet);
    assert!(!back.exists(), "nothing was fetched");
}
