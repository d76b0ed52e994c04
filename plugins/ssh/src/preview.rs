use std::path::Path;

use dr_plugin::job::{Capture, CommandOutput, Task, not_executed};
use dr_plugin::{CallError, Context, Preview, PreviewStatus};
use sha2::{Digest as _, Sha256};

use crate::direct::Direct;
use crate::encode::hex;
use crate::files::{open_source, remote_path};
use crate::input::{DownloadInput, UploadInput};
use crate::job::Remote;

/// Whether a command is there. Arguments: the command, its folder or nothing.
const COMMAND: &str = r#"if [ -n "$2" ]; then cd -- "$2" 2>/dev/null || exit 3; fi
case $1 in
*/*) [ -e "$1" ] || exit 4; [ -f "$1" ] && [ -x "$1" ] || exit 5 ;;
*) command -v -- "$1" >/dev/null 2>&1 || exit 4 ;;
esac"#;

/// Whether a file may be replaced, and what it is. Argument: its path.
const DEST: &str = r#"cd
d=$(dirname -- "$1")
[ -d "$d" ] || exit 3
[ -w "$d" ] || exit 4
[ -d "$1" ] && exit 5
[ -e "$1" ] || exit 6
sha256sum -- "$1" 2>/dev/null || exit 7"#;

/// Whether a file can be read. Argument: its path.
const SOURCE: &str = r#"cd
[ -e "$1" ] || exit 3
[ -r "$1" ] || exit 4
[ -d "$1" ] && exit 5
exit 0"#;

/// Whether the command of a task could be executed there.
pub(crate) async fn command(
    remote: &Remote<'_>,
    task: &Task,
    context: &Context,
) -> Result<Preview, CallError> {
    let program = task.argv.first().map_or("", String::as_str);
    let cwd = task.cwd.as_deref().unwrap_or_default();
    let mut probe = probe(COMMAND, &[program, cwd]);
    probe.env.extend(task.env.get("PATH").map(|path| ("PATH".to_owned(), path.clone())));
    let nothing = Capture::default();
    let refuse = |why: &str| Err(not_executed(why, program, task.cwd.as_deref(), &nothing));
    match ask(remote, &probe, context).await?.exit_code {
        0 => Ok(Preview::of(PreviewStatus::Ok)),
        3 => refuse("cwd"),
        4 => refuse("127"),
        _ => refuse("126"),
    }
}

/// What sending a file would change.
pub(crate) async fn upload(
    remote: &Remote<'_>,
    input: &UploadInput,
    context: &Context,
) -> Result<Preview, CallError> {
    let mut file = open_source(&input.src)?;
    let mut hash = Sha256::new();
    let bytes = std::io::copy(&mut file, &mut hash).map_err(|error| {
        CallError::permanent("src_unreadable", format!("`{}` cannot be read here", input.src))
            .with_cause(&error)
    })?;
    let ours = hex(&hash.finalize());
    let dest = remote_path("dest", &input.dest)?;
    let said = ask(remote, &probe(DEST, &[&dest]), context).await?;
    let folder =
        || Path::new(&dest).parent().map_or_else(String::new, |it| it.display().to_string());
    Ok(match said.exit_code {
        3 => with(PreviewStatus::NotYet, format!("the folder `{}` is not there", folder())),
        4 => with(PreviewStatus::Denied, format!("the folder `{}` may not be written", folder())),
        5 => {
            let message = format!("`{dest}` is a folder there");
            return Err(CallError::permanent("dest_is_folder", message)
                .with_help("give the full name of the file"));
        }
        6 => with(PreviewStatus::WouldChange, format!("`{dest}` is made, {bytes} bytes")),
        0 if said.stdout.trim_start_matches('\\').starts_with(&ours) => {
            with(PreviewStatus::AlreadySo, format!("`{dest}` has this content"))
        }
        _ => with(PreviewStatus::WouldChange, format!("`{dest}` is replaced, {bytes} bytes")),
    })
}

/// Whether a file could be fetched.
pub(crate) async fn download(
    remote: &Remote<'_>,
    input: &DownloadInput,
    context: &Context,
) -> Result<Preview, CallError> {
    let here = Path::new(&input.dest);
    let folder = here.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let message = format!("the folder `{}` is not here", folder.display());
        return Ok(with(PreviewStatus::NotYet, message));
    }
    let src = remote_path("src", &input.src)?;
    let said = ask(remote, &probe(SOURCE, &[&src]), context).await?;
    Ok(match said.exit_code {
        0 => Preview::of(PreviewStatus::Ok),
        3 => with(PreviewStatus::NotYet, format!("`{src}` is not there")),
        4 => with(PreviewStatus::Denied, format!("`{src}` may not be read there")),
        _ => {
            let message = format!("`{src}` is a folder there");
            return Err(CallError::permanent("src_is_folder", message));
        }
    })
}

fn with(status: PreviewStatus, line: String) -> Preview {
    Preview { status, changes: vec![line] }
}

fn probe(script: &str, args: &[&str]) -> Task {
    let head = ["/bin/sh", "-c", script, "dr-look"];
    Task { argv: head.iter().chain(args).map(|it| (*it).to_owned()).collect(), ..Task::default() }
}

/// Runs a script that only reads.
async fn ask(
    remote: &Remote<'_>,
    task: &Task,
    context: &Context,
) -> Result<CommandOutput, CallError> {
    let exit_codes = [0, 3, 4, 5, 6, 7];
    Direct { remote, task, exit_codes: &exit_codes, limit: None, context }.run().await
}
