use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dr_plugin::{CallError, Host};
use ssh2_config::{HostParams, ParseRule, SshConfig};

use crate::input::Settings;
use crate::target::{Target, duration, plain_word};

/// Hosts may go through hosts that go through hosts, but not for ever.
const DEEPEST: usize = 8;

/// What a runbook's host, the plugin's settings and the user's `ssh_config` make of a host.
pub(crate) fn resolve(host: &Host, settings: &Settings) -> Result<Target, CallError> {
    let resolver = Resolver::new(settings)?;
    let mut target =
        resolver.target(&host.address, host.user.as_deref(), host.port, &mut Vec::new())?;
    target.name.clone_from(&host.name);
    Ok(target)
}

struct Resolver<'a> {
    settings: &'a Settings,
    config: Option<SshConfig>,
    home: PathBuf,
    local_user: Option<String>,
    connect_timeout: Duration,
    keepalive: Duration,
}

impl<'a> Resolver<'a> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the user's folder and name are in the environment"
    )]
    fn new(settings: &'a Settings) -> Result<Self, CallError> {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let local_user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
        let read = |name, text: &Option<String>, default| match text {
            Some(text) => duration(name, text),
            None => Ok(Duration::from_secs(default)),
        };
        Ok(Self {
            settings,
            config: load(settings.config.as_deref(), &home)?,
            connect_timeout: read("connect_timeout", &settings.connect_timeout, 10)?,
            keepalive: read("keepalive", &settings.keepalive, 15)?,
            home,
            local_user,
        })
    }

    fn target(
        &self,
        address: &str,
        user: Option<&str>,
        port: Option<u16>,
        seen: &mut Vec<String>,
    ) -> Result<Target, CallError> {
        plain_word("the address", address)?;
        if seen.len() >= DEEPEST || seen.iter().any(|name| name == address) {
            return Err(CallError::permanent(
                "bad_config",
                format!("`ProxyJump` of `{address}` leads back to itself, or too far"),
            )
            .with_cause(&seen.join(" → ")));
        }
        seen.push(address.to_owned());
        let params = self.config.as_ref().map(|config| config.query(address));
        let params = params.as_ref();
        let host = params
            .and_then(|params| params.host_name.as_deref())
            .map_or_else(|| address.to_owned(), |name| name.replace("%h", address));
        plain_word("the host name", &host)?;
        let user = user
            .or(self.settings.user.as_deref())
            .or(params.and_then(|params| params.user.as_deref()))
            .or(self.local_user.as_deref())
            .unwrap_or("root")
            .to_owned();
        plain_word("the login name", &user)?;
        let port =
            port.or(self.settings.port).or(params.and_then(|params| params.port)).unwrap_or(22);
        let named = self.settings.identity_files.clone().or_else(|| {
            let files = params?.identity_file.as_ref()?;
            Some(files.iter().map(|file| file.to_string_lossy().into_owned()).collect())
        });
        let identities_named = named.is_some();
        let identities = named.map_or_else(
            || {
                ["id_ed25519", "id_ecdsa", "id_rsa"]
                    .iter()
                    .map(|name| self.home.join(".ssh").join(name))
                    .collect()
            },
            |files| files.iter().map(|file| self.path(file, &host, &user)).collect(),
        );
        let known_hosts = self.known_hosts(params, &host, &user);
        let key_name = option(params, "hostkeyalias").unwrap_or_else(|| host.clone());
        let jumps = self.jumps(params, seen)?;
        seen.pop();
        Ok(Target {
            name: address.to_owned(),
            host,
            port,
            user,
            key_name,
            known_hosts,
            identities,
            identities_named,
            jumps,
            connect_timeout: self.connect_timeout,
            keepalive: self.keepalive,
        })
    }

    fn known_hosts(&self, params: Option<&HostParams>, host: &str, user: &str) -> Vec<PathBuf> {
        if let Some(file) = &self.settings.known_hosts {
            return vec![self.path(file, host, user)];
        }
        if let Some(files) = options(params, "userknownhostsfile") {
            return files.iter().map(|file| self.path(file, host, user)).collect();
        }
        vec![self.home.join(".ssh/known_hosts"), PathBuf::from("/etc/ssh/ssh_known_hosts")]
    }

    /// The hosts of a `ProxyJump`, each with those that it needs itself before it.
    fn jumps(
        &self,
        params: Option<&HostParams>,
        seen: &mut Vec<String>,
    ) -> Result<Vec<Target>, CallError> {
        let mut jumps = Vec::new();
        let hops = params.and_then(|params| params.proxy_jump.as_deref()).unwrap_or_default();
        if hops.iter().any(|hop| hop.eq_ignore_ascii_case("none")) {
            return Ok(jumps);
        }
        for (index, hop) in hops.iter().enumerate() {
            let (user, host, port) = hop_parts(hop)?;
            let mut target = self.target(host, user, port, seen)?;
            let before = std::mem::take(&mut target.jumps);
            if index == 0 {
                jumps.extend(before);
            }
            jumps.push(target);
        }
        Ok(jumps)
    }

    /// A path with `~` and the tokens of `ssh_config` put in.
    fn path(&self, text: &str, host: &str, user: &str) -> PathBuf {
        let text = text
            .replace("%d", &self.home.to_string_lossy())
            .replace("%h", host)
            .replace("%r", user)
            .replace("%u", self.local_user.as_deref().unwrap_or_default());
        match text.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => PathBuf::from(text),
        }
    }
}

/// An option that the parser keeps without understanding it.
fn options(params: Option<&HostParams>, name: &str) -> Option<Vec<String>> {
    let params = params?;
    params
        .unsupported_fields
        .iter()
        .chain(&params.ignored_fields)
        .find(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, values)| values.clone())
}

fn option(params: Option<&HostParams>, name: &str) -> Option<String> {
    options(params, name)?.into_iter().next()
}

/// `[user@]host[:port]` or `ssh://[user@]host[:port]`.
fn hop_parts(hop: &str) -> Result<(Option<&str>, &str, Option<u16>), CallError> {
    let bad = || CallError::permanent("bad_config", format!("`ProxyJump {hop}` cannot be read"));
    let rest = hop.strip_prefix("ssh://").unwrap_or(hop).trim_end_matches('/');
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(bad)?;
        (host, port.strip_prefix(':'))
    } else {
        match place.split_once(':') {
            // More than one colon: an IPv6 address without brackets.
            Some((_, rest)) if rest.contains(':') => (place, None),
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        }
    };
    let port = port.map(|port| port.parse().map_err(|_| bad())).transpose()?;
    Ok((user, host, port))
}

fn load(configured: Option<&str>, home: &Path) -> Result<Option<SshConfig>, CallError> {
    let path = match configured {
        Some("") => return Ok(None),
        Some(path) => path.strip_prefix("~/").map_or_else(|| PathBuf::from(path), |p| home.join(p)),
        None => home.join(".ssh/config"),
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if configured.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => {
            return Err(CallError::permanent(
                "bad_config",
                format!("`{}` cannot be read", path.display()),
            )
            .with_help("correct `config` of the plugin `ssh`; the empty text means none")
            .with_cause(&error));
        }
    };
    let text = without_matches(&text);
    let rules = ParseRule::ALLOW_UNKNOWN_FIELDS | ParseRule::ALLOW_UNSUPPORTED_FIELDS;
    SshConfig::default()
        .home_dir(home)
        .parse(&mut BufReader::new(text.as_bytes()), rules)
        .map(Some)
        .map_err(|error| {
            CallError::permanent("bad_config", format!("`{}` cannot be read", path.display()))
                .with_cause(&error)
        })
}

/// Leaves `Match` blocks out: their conditions are not understood, and what is in them must not be
/// taken for a part of the block before.
fn without_matches(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut leave_out = false;
    for line in text.lines() {
        let word = line.trim_start().split([' ', '\t', '=']).next().unwrap_or_default();
        if word.eq_ignore_ascii_case("match") {
            leave_out = true;
            tracing::debug!(line, "a `Match` block of the ssh configuration is left out");
        } else if word.eq_ignore_ascii_case("host") {
            leave_out = false;
        }
        if !leave_out {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn host(address: &str) -> Host {
        Host {
            name: "db".into(),
            address: address.into(),
            port: None,
            user: None,
            becomes: None,
            labels: BTreeMap::new(),
            job_dir: None,
        }
    }

    fn with_config(text: &str) -> (tempfile::NamedTempFile, Settings) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let config = Some(file.path().to_string_lossy().into_owned());
        (file, Settings { config, ..Settings::default() })
    }

    #[test]
    fn a_config_is_applied() {
        let (_file, settings) = with_config(
            "Host db\n  HostName %h.example.com\n  User deploy\n  Port 2200\n  IdentityFile /keys/%r\n  \
             UserKnownHostsFile /known/one /known/two\n  ProxyJump jump\n\
             Match exec true\n  User intruder\n\
             Host jump\n  HostName 10.0.0.1\n  ProxyJump ops@outer:2022\n",
        );
        let target = resolve(&host("db"), &settings).unwrap();
        assert_eq!(target.place(), "deploy@db.example.com:2200");
        assert_eq!(target.identities, [PathBuf::from("/keys/deploy")]);
        assert_eq!(target.known_hosts, [PathBuf::from("/known/one"), PathBuf::from("/known/two")]);
        let jumps: Vec<&str> = target.jumps.iter().map(|jump| jump.host.as_str()).collect();
        assert_eq!(jumps, ["outer", "10.0.0.1"]);
        assert_eq!((target.jumps[0].user.as_str(), target.jumps[0].port), ("ops", 2022));
    }

    #[test]
    fn the_runbook_goes_before_the_config() {
        let (_file, mut settings) = with_config("Host db\n  User deploy\n  Port 2200\n");
        let mut named = host("db");
        named.user = Some("postgres".into());
        settings.port = Some(2300);
        assert_eq!(resolve(&named, &settings).unwrap().place(), "postgres@db:2300");
        named.port = Some(2400);
        assert_eq!(resolve(&named, &settings).unwrap().port, 2400);
    }

    #[test]
    fn bad_configs_and_names_are_errors() {
        let (_file, settings) = with_config("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n");
        assert_eq!(resolve(&host("a"), &settings).unwrap_err().code, "bad_config");
        let missing =
            Settings { config: Some("/nonexistent/config".into()), ..Settings::default() };
        assert_eq!(resolve(&host("a"), &missing).unwrap_err().code, "bad_config");
        let none = Settings { config: Some(String::new()), ..Settings::default() };
        assert_eq!(resolve(&host("-oX=y"), &none).unwrap_err().code, "bad_input");
    }

    #[test]
    fn hops() {
        for (hop, parts) in [
            ("jump", (None, "jump", None)),
            ("u@jump:22", (Some("u"), "jump", Some(22))),
            ("ssh://u@jump:22/", (Some("u"), "jump", Some(22))),
            ("[::1]:22", (None, "::1", Some(22))),
            ("fe80::1", (None, "fe80::1", None)),
        ] {
            assert_eq!(hop_parts(hop).unwrap(), parts);
        }
        assert!(hop_parts("jump:x").is_err());
    }
}
