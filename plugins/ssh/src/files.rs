use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dr_plugin::job::{Task, folder_name};
use dr_plugin::{Call, CallError, Context};
use ssh2::{ErrorCode, OpenFlags, OpenType, Session};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::channel::Digested;
use crate::direct::{Direct, Out};
use crate::input::{DownloadInput, Transferred, UploadInput};
use crate::job::Remote;

/// Puts a file that was written aside in its place, if it is all there.
/// Arguments: the file aside, its place, its size, its mode or nothing.
const PUT_IN_PLACE: &str = r#"set -eu
cd
if [ -d "$2" ]; then echo "$2 is a folder" >&2; rm -f -- "$1"; exit 65; fi
if [ "$(($(wc -c <"$1")))" -ne "$3" ]; then echo "only a part arrived" >&2; rm -f -- "$1"; exit 66; fi
mode=$4
if [ -z "$mode" ]; then
  mode=644
  if [ -e "$2" ]; then mode=$(stat -c %a -- "$2" 2>/dev/null || stat -f %Lp -- "$2"); fi
fi
chmod "$mode" -- "$1"
sync -- "$1" 2>/dev/null || sync
mv -f -- "$1" "$2"
case $2 in */*) sync -- "${2%/*}/" 2>/dev/null || : ;; esac"#;

/// Reads its input into a file aside first.
const READ_ASIDE: &str = "set -eu\ncd\n(umask 077; cat >\"$1\")\n";

/// Sends a file there: aside, synced, renamed.
pub(crate) async fn upload(
    remote: &Remote<'_>,
    input: &UploadInput,
    call: &Call,
    context: &Context,
) -> Result<Transferred, CallError> {
    let dest = remote_path("dest", &input.dest)?;
    let mode = input.mode.as_deref().map(octal).transpose()?;
    let file = open_source(&input.src)?;
    let size = file.metadata().map_err(|error| source_error(&input.src, &error))?.len();
    let aside = format!("{dest}.{}.part", short_name(call));
    let put = |head: &str| Task {
        argv: [
            "/bin/sh",
            "-c",
            &format!("{head}{PUT_IN_PLACE}"),
            "dr-upload",
            &aside,
            &dest,
            &size.to_string(),
            mode.as_deref().unwrap_or_default(),
        ]
        .map(str::to_owned)
        .to_vec(),
        ..Task::default()
    };
    let limit = call.timeout_ms.map(Duration::from_millis);
    let digest = if remote.becomes.is_some() {
        let task = put(READ_ASIDE);
        let direct = Direct { remote, task: &task, exit_codes: &[0], limit, context };
        direct.run_fed(file).await
    } else {
        let part = aside.clone();
        let sent = with_session(remote, limit, context, move |session| send(session, file, &part));
        let digest = sent.await?;
        let task = put("");
        let direct = Direct { remote, task: &task, exit_codes: &[0], limit, context };
        direct.run().await.map(|_| digest)
    };
    let digest = digest.map_err(|error| match error.code.as_str() {
        "exit_65" => CallError::permanent("dest_is_folder", format!("`{dest}` is a folder there"))
            .with_help("give the full name of the file"),
        "exit_66" => CallError::transient("cut_short", "only a part of the file arrived"),
        "exit_1" => CallError {
            code: "put_failed".into(),
            message: format!("`{dest}` was not replaced"),
            ..error
        },
        _ => error,
    })?;
    if digest.bytes() != size {
        return Err(CallError::permanent(
            "src_changed",
            format!("`{}` changed while it was sent", input.src),
        ));
    }
    Ok(digest.finish())
}

/// Fetches a file from there: aside, synced, renamed.
pub(crate) async fn download(
    remote: &Remote<'_>,
    input: &DownloadInput,
    call: &Call,
    context: &Context,
) -> Result<Transferred, CallError> {
    let src = remote_path("src", &input.src)?;
    let dest = PathBuf::from(&input.dest);
    let aside = aside_of(&dest, call)?;
    let failed = |error: &std::io::Error| {
        CallError::permanent("write_failed", format!("`{}` cannot be written here", dest.display()))
            .with_cause(error)
    };
    let result = fetch(remote, &src, &aside, call, context).await;
    let placed = result.and_then(|(file, digest)| {
        file.sync_all().map_err(|error| failed(&error))?;
        std::fs::rename(&aside, &dest).map_err(|error| failed(&error))?;
        let folder = dest.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
            // Not every file system lets its folders be synced.
            let _ = folder.sync_all();
        }
        Ok(digest.finish())
    });
    if placed.is_err() {
        let _ = std::fs::remove_file(&aside);
    }
    placed
}

async fn fetch(
    remote: &Remote<'_>,
    src: &str,
    aside: &Path,
    call: &Call,
    context: &Context,
) -> Result<(File, Digested), CallError> {
    let limit = call.timeout_ms.map(Duration::from_millis);
    let mut file = File::create(aside).map_err(|error| {
        CallError::permanent(
            "write_failed",
            format!("`{}` cannot be written here", aside.display()),
        )
        .with_cause(&error)
    })?;
    if remote.becomes.is_some() {
        let argv = ["/bin/sh", "-c", "cd && exec cat <\"$1\"", "dr-download", src];
        let task = Task { argv: argv.map(str::to_owned).to_vec(), ..Task::default() };
        let mut out = Out::File(file, Digested::default());
        let direct = Direct { remote, task: &task, exit_codes: &[0], limit, context };
        direct.run_into(&mut out).await.map_err(|error| {
            if error.code.starts_with("exit_") {
                return CallError {
                    code: "src_unreadable".into(),
                    message: format!("`{src}` cannot be read there"),
                    ..error
                };
            }
            error
        })?;
        return match out {
            Out::File(file, digest) => Ok((file, digest)),
            Out::Result(_) => Err(CallError::unknown("bad_result", "the output went elsewhere")),
        };
    }
    let path = src.to_owned();
    let received = with_session(remote, limit, context, move |session| {
        let digest = receive(session, &mut file, &path)?;
        Ok((file, digest))
    });
    received.await
}

/// Runs blocking steps on a connection of its own, in a thread of its own.
async fn with_session<T: Send + 'static>(
    remote: &Remote<'_>,
    limit: Option<Duration>,
    context: &Context,
    work: impl FnOnce(&Session) -> Result<T, CallError> + Send + 'static,
) -> Result<T, CallError> {
    let (sender, receiver) = oneshot::channel();
    let mut wire = None;
    let working = async {
        let (lease, mut channel) = remote.pool.open(remote.target).await?;
        let connection = lease.connection();
        connection.finish(|| channel.close()).await.map_err(|error| remote.lost(&error))?;
        connection.finish(|| channel.wait_close()).await.map_err(|error| remote.lost(&error))?;
        drop(channel);
        wire = Some(connection.wire());
        let patience = u32::try_from(connection.keepalive().as_millis() * 4).unwrap_or(u32::MAX);
        #[expect(clippy::disallowed_methods, reason = "a transfer blocks; plugins may spawn")]
        std::thread::spawn(move || {
            let session = lease.connection().session();
            session.set_blocking(true);
            session.set_timeout(patience);
            let result = work(session);
            session.set_timeout(0);
            session.set_blocking(false);
            if result.is_ok() {
                lease.give_back();
            }
            let _ = sender.send(result);
        });
        receiver.await.unwrap_or_else(|_| Err(remote.lost(&"the transfer broke off")))
    };
    let limit = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let mut cancel = context.cancel.clone();
    let error = tokio::select! {
        biased;
        result = working => return result,
        _ = cancel.cancelled() => CallError::cancelled("the transfer was stopped; the file was not replaced"),
        () = limit => CallError::transient("timeout", "the transfer took too long; the file was not replaced"),
    };
    if let Some(wire) = wire {
        wire.cut();
    }
    Err(error)
}

fn send(session: &Session, mut file: File, part: &str) -> Result<Digested, CallError> {
    let failed = |error: &ssh2::Error| sftp_error("written", part, error);
    let broken = |error: &std::io::Error| {
        CallError::transient("transfer_failed", format!("`{part}` was not written to its end"))
            .with_cause(error)
    };
    let sftp = session.sftp().map_err(|error| failed(&error))?;
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let mut there = sftp
        .open_mode(Path::new(part), flags, 0o600, OpenType::File)
        .map_err(|error| failed(&error))?;
    let mut digest = Digested::default();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = file.read(&mut buffer).map_err(|error| {
            CallError::permanent("src_unreadable", "the file cannot be read here")
                .with_cause(&error)
        })?;
        if count == 0 {
            break;
        }
        digest.take(&buffer[..count]);
        there.write_all(&buffer[..count]).map_err(|error| broken(&error))?;
    }
    if let Err(error) = there.fsync() {
        // Not every server can; what puts the file in its place syncs it as well.
        tracing::debug!(%error, "the server did not sync the file");
    }
    there.close().map_err(|error| failed(&error))?;
    Ok(digest)
}

fn receive(session: &Session, file: &mut File, path: &str) -> Result<Digested, CallError> {
    let failed = |error: &ssh2::Error| sftp_error("read", path, error);
    let sftp = session.sftp().map_err(|error| failed(&error))?;
    let mut there = sftp.open(Path::new(path)).map_err(|error| failed(&error))?;
    let stat = there.stat().map_err(|error| failed(&error))?;
    if stat.is_dir() {
        return Err(CallError::permanent("src_is_folder", format!("`{path}` is a folder there")));
    }
    let mut digest = Digested::default();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = there.read(&mut buffer).map_err(|error| {
            CallError::transient("transfer_failed", format!("`{path}` was not read to its end"))
                .with_cause(&error)
        })?;
        if count == 0 {
            return Ok(digest);
        }
        digest.take(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(|error| {
            CallError::permanent("write_failed", "the file cannot be written here")
                .with_cause(&error)
        })?;
    }
}

fn sftp_error(what: &str, path: &str, error: &ssh2::Error) -> CallError {
    let message = format!("`{path}` cannot be {what} there");
    match error.code() {
        ErrorCode::SFTP(2) => CallError::permanent("not_found", message)
            .with_help("check the path; a relative one counts from the login's home"),
        ErrorCode::SFTP(3) => CallError::denied("permission_denied", message)
            .with_help("change its permissions, use another login, or `become` another user"),
        ErrorCode::SFTP(_) => CallError::permanent("sftp_failed", message),
        ErrorCode::Session(_) => CallError::transient("transfer_failed", message),
    }
    .with_cause(error)
}

pub(crate) fn open_source(path: &str) -> Result<File, CallError> {
    let file = File::open(path).map_err(|error| source_error(path, &error))?;
    if file.metadata().is_ok_and(|data| !data.is_file()) {
        return Err(CallError::permanent("src_is_no_file", format!("`{path}` is not a file here")));
    }
    Ok(file)
}

fn source_error(path: &str, error: &std::io::Error) -> CallError {
    let code =
        if error.kind() == std::io::ErrorKind::NotFound { "not_found" } else { "src_unreadable" };
    CallError::permanent(code, format!("`{path}` cannot be read here")).with_cause(error)
}

/// A path there; relative ones and `~/` count from the login's home.
pub(crate) fn remote_path(field: &str, path: &str) -> Result<String, CallError> {
    let path = path.strip_prefix("~/").unwrap_or(path);
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        return Err(CallError::permanent("bad_input", format!("`{field}` names no file"))
            .with_help("give the full name of the file"));
    }
    Ok(if path.starts_with('-') { format!("./{path}") } else { path.to_owned() })
}

fn octal(mode: &str) -> Result<String, CallError> {
    let digits = mode.strip_prefix("0o").unwrap_or(mode);
    match u32::from_str_radix(digits, 8) {
        Ok(bits) if bits <= 0o7777 => Ok(format!("{bits:o}")),
        _ => Err(CallError::permanent("bad_input", format!("`mode`: `{mode}` is not octal"))
            .with_help("write it like `0644`")),
    }
}

/// Distinguishes the files aside of different calls.
fn short_name(call: &Call) -> String {
    use sha2::{Digest as _, Sha256};
    format!("dr-{}", &crate::encode::hex(&Sha256::digest(folder_name(&call.key)))[..12])
}

fn aside_of(dest: &Path, call: &Call) -> Result<PathBuf, CallError> {
    if dest.is_dir() {
        return Err(CallError::permanent(
            "dest_is_folder",
            format!("`{}` is a folder here", dest.display()),
        )
        .with_help("give the full name of the file"));
    }
    let Some(name) = dest.file_name() else {
        return Err(CallError::permanent("bad_input", "`dest` names no file"));
    };
    let mut aside = std::ffi::OsString::from(".");
    aside.push(name);
    aside.push(format!(".{}.part", short_name(call)));
    Ok(dest.with_file_name(aside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_modes() {
        for (path, there) in [("/a/b", "/a/b"), ("~/b", "b"), ("-b", "./-b"), ("a b", "a b")] {
            assert_eq!(remote_path("src", path).unwrap(), there);
        }
        for bad in ["", "/a/", "~/", "a\u{0}"] {
            assert!(remote_path("src", bad).is_err(), "{bad:?}");
        }
        assert_eq!((octal("0644").unwrap(), octal("0o600").unwrap()), ("644".into(), "600".into()));
        for bad in ["", "8", "rw", "77777"] {
            assert!(octal(bad).is_err(), "{bad}");
        }
    }
}
