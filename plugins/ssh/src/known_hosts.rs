use std::path::{Path, PathBuf};

use crate::encode::base64;

/// A line of a file of known host keys.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    file: PathBuf,
    line: usize,
    revoked: bool,
    hosts: String,
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, …
    kind: String,
    /// The key in Base64.
    key: String,
}

/// The keys that are known of one host.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys {
    /// Filed under the host with its port.
    exact: Vec<Entry>,
    /// Filed under the host alone although the port is not 22: a match counts, a difference does
    /// not.
    by_name: Vec<Entry>,
}

/// What the known keys say about the one that a host showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is known.
    Known,
    /// Another key of the same kind is known: file and line.
    Mismatch(PathBuf, usize),
    /// It is marked as revoked: file and line.
    Revoked(PathBuf, usize),
    /// Nothing of this kind is known; the kinds that are.
    Unknown(Vec<String>),
}

impl KnownKeys {
    /// Reads what `files` say about a host. Files that are missing or cannot be read say nothing.
    pub(crate) fn read(files: &[PathBuf], host: &str, port: u16) -> Self {
        let host = host.to_lowercase();
        let with_port = if port == 22 { host.clone() } else { format!("[{host}]:{port}") };
        let mut known = Self::default();
        for file in files {
            let Ok(bytes) = std::fs::read(file) else { continue };
            for entry in parse(file, &String::from_utf8_lossy(&bytes)) {
                if names(&entry.hosts, &with_port) {
                    known.exact.push(entry);
                } else if port != 22 && names(&entry.hosts, &host) {
                    known.by_name.push(entry);
                }
            }
        }
        known
    }

    /// The kinds of key that are known, in the order of the files.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let mut kinds = Vec::new();
        for entry in self.exact.iter().chain(&self.by_name).filter(|entry| !entry.revoked) {
            if !kinds.contains(&entry.kind) {
                kinds.push(entry.kind.clone());
            }
        }
        kinds
    }

    /// Judges the key `blob`, in SSH's wire format.
    pub(crate) fn judge(&self, blob: &[u8]) -> Verdict {
        let key = base64(blob);
        let kind = kind_of(blob);
        let all = || self.exact.iter().chain(&self.by_name);
        if let Some(entry) = all().find(|entry| entry.revoked && entry.key == key) {
            return Verdict::Revoked(entry.file.clone(), entry.line);
        }
        if all().any(|entry| !entry.revoked && entry.key == key) {
            return Verdict::Known;
        }
        match self.exact.iter().find(|entry| !entry.revoked && entry.kind == kind) {
            Some(entry) => Verdict::Mismatch(entry.file.clone(), entry.line),
            None => Verdict::Unknown(self.kinds()),
        }
    }
}

/// The kind that a key in wire format says it is.
pub(crate) fn kind_of(blob: &[u8]) -> String {
    let length = blob.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)) as usize;
    let name = blob.get(4..).and_then(|rest| rest.get(..length)).unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

fn parse<'a>(file: &'a Path, text: &'a str) -> impl Iterator<Item = Entry> + 'a {
    text.lines().enumerate().filter_map(|(index, line)| {
        let mut words = line.split_whitespace();
        let mut first = words.next()?;
        if first.starts_with('#') {
            return None;
        }
        let revoked = first == "@revoked";
        if first.starts_with('@') {
            // Authorities that sign host certificates are of no use here.
            if !revoked {
                return None;
            }
            first = words.next()?;
        }
        Some(Entry {
            file: file.to_owned(),
            line: index + 1,
            revoked,
            hosts: first.to_owned(),
            kind: words.next()?.to_owned(),
            key: words.next()?.to_owned(),
        })
    })
}

/// Whether the first field of a line names `host`.
fn names(field: &str, host: &str) -> bool {
    if field.starts_with("|1|") {
        return names_hashed(field, host);
    }
    let mut named = false;
    for pattern in field.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        if matches(&pattern.to_lowercase(), host) {
            if negated {
                return false;
            }
            named = true;
        }
    }
    named
}

/// Hashed names are compared by libssh2, which has the hash at hand. Compared with a key that
/// nobody has, a line that names the host is a mismatch, and one that does not is not found.
fn names_hashed(field: &str, host: &str) -> bool {
    const NOBODYS: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    if host.contains('\0') {
        return false;
    }
    let checked = || -> Result<ssh2::CheckResult, ssh2::Error> {
        let session = ssh2::Session::new()?;
        let mut hosts = session.known_hosts()?;
        hosts.read_str(
            &format!("{field} ssh-ed25519 {NOBODYS}\n"),
            ssh2::KnownHostFileKind::OpenSSH,
        )?;
        Ok(hosts.check(host, b"nobody"))
    };
    matches!(checked(), Ok(ssh2::CheckResult::Mismatch | ssh2::CheckResult::Match))
}

/// `*` and `?` as in file names.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            p = star_p + 1;
            t = star_t + 1;
            star = Some((star_p, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(kind: &str, body: &[u8]) -> Vec<u8> {
        let mut blob = (kind.len() as u32).to_be_bytes().to_vec();
        blob.extend_from_slice(kind.as_bytes());
        blob.extend_from_slice(body);
        blob
    }

    fn known(lines: &[String], host: &str, port: u16) -> KnownKeys {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines.join("\n")).unwrap();
        KnownKeys::read(&[file.path().to_owned()], host, port)
    }

    #[test]
    fn keys_are_judged() {
        let (mine, other) = (blob("ssh-ed25519", b"mine"), blob("ssh-ed25519", b"other"));
        let rsa = blob("ssh-rsa", b"rsa");
        let line = |hosts: &str, key: &[u8]| format!("{hosts} {} {} c", kind_of(key), base64(key));
        for (lines, host, port, verdict) in [
            (vec![line("db", &mine)], "DB", 22, "known"),
            (vec![line("db", &other)], "db", 22, "mismatch"),
            (vec![line("db", &other), line("db", &mine)], "db", 22, "known"),
            (vec![line("db", &rsa)], "db", 22, "unknown"),
            (vec![line("db2", &mine)], "db", 22, "unknown"),
            (vec![line("[db]:2200", &mine)], "db", 2200, "known"),
            (vec![line("[db]:2200", &mine)], "db", 2201, "unknown"),
            (vec![line("[db]:2200", &other)], "db", 2200, "mismatch"),
            (vec![line("db", &mine)], "db", 2200, "known"),
            (vec![line("db", &other)], "db", 2200, "unknown"),
            (vec![line("web*,d?", &mine)], "db", 22, "known"),
            (vec![line("d*,!db", &mine)], "db", 22, "unknown"),
            (
                vec![format!("@revoked {}", line("*", &mine)), line("db", &mine)],
                "db",
                22,
                "revoked",
            ),
            (vec![format!("@cert-authority {}", line("*", &mine))], "db", 22, "unknown"),
            (vec!["# db".into(), "db".into(), String::new()], "db", 22, "unknown"),
        ] {
            let found = match known(&lines, host, port).judge(&mine) {
                Verdict::Known => "known",
                Verdict::Mismatch(..) => "mismatch",
                Verdict::Revoked(..) => "revoked",
                Verdict::Unknown(_) => "unknown",
            };
            assert_eq!(found, verdict, "{lines:?} {host} {port}");
        }
    }

    #[test]
    fn hashed_names_are_recognised() {
        // Made by `ssh-keygen -H` for `[db.example.com]:2200`.
        let field = "|1|MJfFy86utl4KRIcBBalt6/D4DTY=|aOxvynZrW1svE68mcWkvBCAGL18=";
        assert!(names(field, "[db.example.com]:2200"));
        assert!(!names(field, "db.example.com"));
        assert!(!names(field, "[db.example.com]:2201"));
    }

    #[test]
    fn the_kinds_that_are_known() {
        let lines =
            [format!("db ssh-rsa {}", base64(b"x")), format!("db ssh-ed25519 {}", base64(b"y"))];
        assert_eq!(known(&lines, "db", 22).kinds(), ["ssh-rsa", "ssh-ed25519"]);
    }
}
