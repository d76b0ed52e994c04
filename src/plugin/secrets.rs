use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use dr_plugin::{CallError, ErrorClass, SHORTEST_SECRET, Secret, Secrets};
use serde_json::Value;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::secret_source::{Tried, described, field, read};
use super::vault::{Vault, VaultError};
use crate::plan::{SecretSource, secret_input};

/// Why a secret is not to be had. Names every source that was tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("{}{}", nowhere(.name), listed(.tried))]
#[diagnostic(
    code(DR3201),
    help("make one of its sources available, then give the same command again")
)]
pub struct SecretError {
    /// The secret.
    pub name: String,
    /// Its sources, in order, with why each gave nothing.
    pub tried: Vec<Tried>,
}

fn nowhere(name: &str) -> String {
    format!("no source gives {}", called(name))
}

/// What people call a secret.
#[must_use]
pub fn called(name: &str) -> String {
    match secret_input(name) {
        Some(input) => format!("the secret input `{input}`"),
        None => format!("the secret `{name}`"),
    }
}

fn listed(tried: &[Tried]) -> String {
    if tried.is_empty() {
        return ": it has no source".to_owned();
    }
    let listed: Vec<_> =
        tried.iter().map(|Tried { source, why, .. }| format!("{source} {why}")).collect();
    format!(": {}", listed.join("; "))
}

impl From<SecretError> for CallError {
    /// Nothing was called, so nothing was applied.
    fn from(error: SecretError) -> Self {
        let transient = error.tried.iter().any(|tried| tried.is_transient);
        let class = if transient { ErrorClass::Transient } else { ErrorClass::Permanent };
        let message = nowhere(&error.name);
        let causes = error.tried.iter().map(|tried| format!("{} {}", tried.source, tried.why));
        let causes = causes.collect();
        let help = Some("make one of its sources available, then resume the run".to_owned());
        Self { class, code: "secret_unavailable".to_owned(), message, help, causes }
    }
}

/// The secrets of one run: read from their sources when first needed, then kept in memory until
/// the run is over.
pub struct SecretStore {
    secrets: BTreeMap<String, Entry>,
    /// What steps have captured, by `STEP.OUTPUT`.
    captured: std::sync::Mutex<BTreeMap<String, Secret>>,
    /// Where what must outlive a crash is kept, once the run has a folder.
    vault: OnceLock<Vault>,
    learned: Box<dyn Fn(&Secret) + Send + Sync>,
}

struct Entry {
    sources: Vec<SecretSource>,
    /// Whether it is kept for a resume, once there is a place: it is made up, or an input.
    is_kept: bool,
    /// Whether it may be given anew: what was kept of an input then no longer counts.
    is_given: bool,
    /// Locked while the sources are asked, so that they are asked once for all who wait.
    value: Mutex<Option<Secret>>,
    /// Why nobody typed it, once somebody was asked to.
    untyped: std::sync::Mutex<Option<String>>,
}

impl SecretStore {
    /// The secrets of a plan. `given` are the files that hold secret inputs, by the input's name:
    /// they stand before what was kept of these, and instead of their sources. `learned` is told
    /// every value before anybody else gets it: that is where masking is set up.
    pub fn new(
        sources: &BTreeMap<String, Vec<SecretSource>>,
        given: &BTreeMap<String, String>,
        learned: impl Fn(&Secret) + Send + Sync + 'static,
    ) -> Self {
        let secrets = sources
            .iter()
            .map(|(name, sources)| {
                let input = secret_input(name);
                let file = input.and_then(|input| given.get(input));
                let entry = Entry {
                    sources: match file {
                        Some(file) => vec![SecretSource::File(file.clone())],
                        None => sources.clone(),
                    },
                    is_kept: input.is_some() || sources.iter().any(SecretSource::is_generated),
                    is_given: file.is_some(),
                    value: Mutex::new(None),
                    untyped: std::sync::Mutex::new(None),
                };
                (name.clone(), entry)
            })
            .collect();
        Self {
            secrets,
            captured: std::sync::Mutex::default(),
            vault: OnceLock::new(),
            learned: Box::new(learned),
        }
    }

    /// From now on what is captured, generated or an input is kept in `vault`. What it holds already,
    /// from an earlier session, is known, unless an input is given anew; what came before the run had
    /// a folder is put there. An input that cannot be opened is asked for again.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn keep_in(&self, vault: Vault) -> Result<(), VaultError> {
        for name in vault.names() {
            let secret = match vault.get(&name) {
                Err(_) if secret_input(&name).is_some() => continue,
                other => other?,
            };
            let Some(secret) = secret else { continue };
            (self.learned)(&secret);
            match self.secrets.get(&name) {
                Some(entry) if entry.is_given => {}
                Some(entry) => *entry.value.lock().await = Some(secret),
                None => {
                    self.captured().insert(name, secret);
                }
            }
        }
        for (name, entry) in &self.secrets {
            if let (true, Some(secret)) = (entry.is_kept, &*entry.value.lock().await) {
                vault.put(name, secret)?;
            }
        }
        // A second folder for one run is a defect of the caller; the first one holds.
        let _ = self.vault.set(vault);
        Ok(())
    }

    /// Keeps a secret that the step `name` begins with has captured. It is masked, and on disk, when
    /// this returns.
    ///
    /// # Errors
    /// [`VaultError`]; there is no vault.
    pub fn capture(&self, name: &str, secret: Secret) -> Result<(), CallError> {
        (self.learned)(&secret);
        let Some(vault) = self.vault.get() else {
            let message = format!("`{name}` cannot be kept: the run has no place for secrets");
            return Err(CallError::permanent("secret_not_kept", message));
        };
        vault.put(name, &secret).map_err(|error| {
            let message = format!("`{name}` cannot be kept: {error}");
            CallError::permanent("secret_not_kept", message)
        })?;
        self.captured().insert(name.to_owned(), secret);
        Ok(())
    }

    /// Removes what was kept: the run is over for good.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn forget(&self) -> Result<(), VaultError> {
        self.vault.get().map_or(Ok(()), Vault::clear)
    }

    fn captured(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Secret>> {
        self.captured.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The value of a secret.
    ///
    /// # Errors
    /// [`SecretError`]; failures are not remembered.
    pub async fn get(&self, name: &str) -> Result<Secret, SecretError> {
        let Some(entry) = self.secrets.get(name) else {
            if let Some(secret) = self.captured().get(name) {
                return Ok(secret.clone());
            }
            return Err(SecretError { name: name.to_owned(), tried: Vec::new() });
        };
        let mut value = entry.value.lock().await;
        if let Some(known) = &*value {
            return Ok(known.clone());
        }
        let mut tried = Vec::new();
        for source in &entry.sources {
            match entry.read(source).await {
                Ok(secret) => {
                    (self.learned)(&secret);
                    if let Err(why) = self.keep(name, entry, &secret) {
                        let source = described(source);
                        tried.push(Tried { source, why, is_transient: false });
                        continue;
                    }
                    *value = Some(secret.clone());
                    return Ok(secret);
                }
                Err(failed) => tried.push(failed),
            }
        }
        Err(SecretError { name: name.to_owned(), tried })
    }

    /// Keeps what a resume must find again, if there is a place.
    fn keep(&self, name: &str, entry: &Entry, secret: &Secret) -> Result<(), String> {
        match self.vault.get().filter(|_| entry.is_kept) {
            Some(vault) => {
                vault.put(name, secret).map_err(|error| format!("cannot be kept: {error}"))
            }
            None => Ok(()),
        }
    }

    /// Lets a person type the secrets that are to be typed and that no earlier source gives: before
    /// the run, so that it never stops to ask. `typed` is told the name and gives the value, or says
    /// why it was not typed.
    pub async fn type_in(&self, typed: impl Fn(&str) -> Result<Zeroizing<String>, String>) {
        for (name, entry) in &self.secrets {
            let prompts = |source: &SecretSource| source.origin() == &SecretSource::Prompt(true);
            let Some(position) = entry.sources.iter().position(prompts) else { continue };
            let mut value = entry.value.lock().await;
            if value.is_some() {
                continue;
            }
            for source in &entry.sources[..position] {
                if let Ok(secret) = entry.read(source).await {
                    (self.learned)(&secret);
                    if self.keep(name, entry, &secret).is_ok() {
                        *value = Some(secret);
                    }
                    break;
                }
            }
            if value.is_some() {
                continue;
            }
            let read = typed(name).and_then(|text| match &entry.sources[position] {
                SecretSource::Field { name, .. } => field(&text, name),
                _ if text.is_empty() => Err("was left empty".to_owned()),
                _ => Ok(text),
            });
            let kept = read.and_then(|text| {
                let secret = Secret::new(text.as_str());
                if !secret.can_be_masked() {
                    return Err(too_short());
                }
                (self.learned)(&secret);
                self.keep(name, entry, &secret).map(|()| secret)
            });
            match kept {
                Ok(secret) => *value = Some(secret),
                Err(why) => {
                    let mut untyped =
                        entry.untyped.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    *untyped = Some(why);
                }
            }
        }
    }

    /// The secrets that rendered values refer to (`{"$secret": "name"}`).
    ///
    /// # Errors
    /// [`SecretError`] of the first one that is not to be had.
    pub async fn referred_by(&self, values: &[&Value]) -> Result<Secrets, SecretError> {
        let mut names = BTreeSet::new();
        for value in values {
            references(value, &mut names);
        }
        let mut secrets = Secrets::new();
        for name in names {
            secrets.insert(name.to_owned(), self.get(name).await?);
        }
        Ok(secrets)
    }

    /// Names of all secrets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.secrets.keys().map(String::as_str)
    }
}

impl std::fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.secrets.keys()).finish()
    }
}

fn references<'a>(value: &'a Value, into: &mut BTreeSet<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, into)),
        Value::Object(map) => {
            if let (1, Some(Value::String(name))) = (map.len(), map.get("$secret")) {
                into.insert(name);
            }
            map.values().for_each(|item| references(item, into));
        }
        _ => {}
    }
}

impl Entry {
    async fn read(&self, source: &SecretSource) -> Result<Secret, Tried> {
        if source.origin() == &SecretSource::Prompt(true) {
            let untyped = self.untyped.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let why = untyped.clone().unwrap_or_else(|| "was not asked for".to_owned());
            return Err(Tried { source: "the prompt".to_owned(), why, is_transient: false });
        }
        match read(source).await {
            Ok(secret) if !secret.can_be_masked() => {
                Err(Tried { source: described(source), why: too_short(), is_transient: false })
            }
            read => read,
        }
    }
}

fn too_short() -> String {
    format!("gives fewer than {SHORTEST_SECRET} bytes, which could not be masked")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex as SyncMutex;

    use serde_json::json;

    use super::*;

    fn command(argv: &[&str]) -> SecretSource {
        SecretSource::Command(argv.iter().map(|&argument| argument.to_owned()).collect())
    }

    fn store(sources: Vec<SecretSource>) -> (SecretStore, Arc<SyncMutex<Vec<String>>>) {
        let learned = Arc::new(SyncMutex::new(Vec::new()));
        let into = Arc::clone(&learned);
        let store = SecretStore::new(
            &BTreeMap::from([("pw".to_owned(), sources)]),
            &BTreeMap::new(),
            move |secret| {
                into.lock().unwrap().push(secret.expose().to_owned());
            },
        );
        (store, learned)
    }

    #[tokio::test]
    async fn sources_are_tried_in_order_and_asked_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pw");
        std::fs::write(&path, "of the file\r\n").unwrap();
        let count = folder.path().join("count");
        let script = format!("echo x >> {}; echo of the command", count.display());
        let (store, learned) = store(vec![
            SecretSource::Env("DR_NO_SUCH_VARIABLE".to_owned()),
            SecretSource::File(folder.path().join("none").display().to_string()),
            command(&["sh", "-c", &script]),
            SecretSource::File(path.display().to_string()),
        ]);
        let (first, second) = tokio::join!(store.get("pw"), store.get("pw"));
        assert_eq!(first.unwrap().expose(), "of the command");
        assert_eq!(second.unwrap().expose(), "of the command");
        assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n");
        assert_eq!(*learned.lock().unwrap(), ["of the command"]);
        assert_eq!(
            read(&SecretSource::File(path.display().to_string())).await.unwrap().expose(),
            "of the file"
        );
    }

    #[tokio::test]
    async fn every_source_that_fails_is_named_with_its_reason() {
        let (store, learned) = store(vec![
            SecretSource::Env("DR_NO_SUCH_VARIABLE".to_owned()),
            SecretSource::File("/nonexistent/pw".to_owned()),
            command(&["sh", "-c", "echo sealed vault >&2; exit 2"]),
            command(&["true"]),
            command(&["/nonexistent/vault"]),
        ]);
        let error = store.get("pw").await.unwrap_err();
        insta::assert_snapshot!(error, @"no source gives the secret `pw`: the variable DR_NO_SUCH_VARIABLE is not set; the file /nonexistent/pw cannot be read: No such file or directory (os error 2); the command `sh` ended with exit code 2: sealed vault; the command `true` gives an empty text; the command `/nonexistent/vault` cannot be started: No such file or directory (os error 2)");
        let error = CallError::from(error);
        assert_eq!((error.class, error.causes.len()), (ErrorClass::Transient, 5));
        assert!(learned.lock().unwrap().is_empty());
        let missing = store.get("other").await.unwrap_err();
        assert_eq!(missing.to_string(), "no source gives the secret `other`: it has no source");
        assert_eq!(CallError::from(missing).class, ErrorClass::Permanent);
    }

    #[tokio::test]
    async fn a_field_of_a_json_secret_is_one_text() {
        let json = r#"{"data": {"password": "s3cr", "port": 5432, "pin": 123, "none": "", "keys": ["k_of_keys"]}}"#;
        let field = |name: &str| SecretSource::Field {
            of: Box::new(command(&["printf", "%s", json])),
            name: name.to_owned(),
        };
        for (name, value) in
            [("data.password", "s3cr"), ("data.port", "5432"), ("data.keys.0", "k_of_keys")]
        {
            let (store, learned) = store(vec![field(name)]);
            assert_eq!(store.get("pw").await.unwrap().expose(), value);
            assert_eq!(*learned.lock().unwrap(), [value]);
        }
        for (name, why) in [
            ("password", "the command `printf` gives JSON without `password`"),
            ("data.none", "the command `printf` gives an empty `data.none`"),
            ("data", "the command `printf` gives a `data` that is no text"),
            (
                "data.pin",
                "the command `printf` gives fewer than 4 bytes, which could not be masked",
            ),
        ] {
            let error = store(vec![field(name)]).0.get("pw").await.unwrap_err();
            assert_eq!(error.to_string(), format!("no source gives the secret `pw`: {why}"));
        }
        let no_json = SecretSource::Field {
            of: Box::new(command(&["printf", "hunter2"])),
            name: "a".to_owned(),
        };
        let error = store(vec![no_json]).0.get("pw").await.unwrap_err().to_string();
        assert!(error.ends_with("gives no JSON") && !error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn what_is_typed_is_asked_for_once_and_only_if_it_must() {
        let none = SecretSource::Env("DR_NO_SUCH_VARIABLE".to_owned());
        let (asked, learned) = store(vec![none.clone(), SecretSource::Prompt(true)]);
        let count = SyncMutex::new(0);
        for _ in 0..2 {
            asked
                .type_in(|name| {
                    *count.lock().unwrap() += 1;
                    assert_eq!(name, "pw");
                    Ok(Zeroizing::new("typed".to_owned()))
                })
                .await;
        }
        assert_eq!(*count.lock().unwrap(), 1);
        assert_eq!(asked.get("pw").await.unwrap().expose(), "typed");
        assert_eq!(*learned.lock().unwrap(), ["typed"]);

        let (known, _) = store(vec![command(&["printf", "told"]), SecretSource::Prompt(true)]);
        known.type_in(|_| panic!("the command gives it")).await;
        assert_eq!(known.get("pw").await.unwrap().expose(), "told");

        let (alone, _) = store(vec![none, SecretSource::Prompt(true)]);
        alone.type_in(|_| Err("has nobody at a terminal".to_owned())).await;
        assert_eq!(
            alone.get("pw").await.unwrap_err().to_string(),
            "no source gives the secret `pw`: the variable DR_NO_SUCH_VARIABLE is not set; the \
             prompt has nobody at a terminal"
        );
    }

    #[tokio::test]
    async fn only_what_is_referred_to_is_read() {
        let (store, _) = store(vec![command(&["printf", "s3cret"])]);
        let value = json!({"url": {"$text": ["u:", {"$secret": "pw"}]}, "x": [1, "$secret"]});
        let secrets = store.referred_by(&[&value, &Value::Null]).await.unwrap();
        assert_eq!(secrets["pw"].expose(), "s3cret");
        assert!(store.referred_by(&[&json!({"a": 1})]).await.unwrap().is_empty());
        let other = json!({"$text": [{"$secret": "nobody"}]});
        assert_eq!(store.referred_by(&[&other]).await.unwrap_err().name, "nobody");
    }

    #[tokio::test]
    async fn what_is_generated_and_captured_is_the_same_in_the_next_session() {
        let folder = tempfile::tempdir().unwrap();
        let identity = age::x25519::Identity::generate();
        let vault = || Vault::new(folder.path().join("sealed"), identity.clone());
        let generate = || vec![SecretSource::Generate(24)];
        // Before the run has a folder.
        let (first, learned) = store(generate());
        let made = first.get("pw").await.unwrap();
        assert_eq!(made.expose().len(), 24);
        assert!(made.expose().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        first.keep_in(vault()).await.unwrap();
        first.capture("rotate.old", Secret::new("hunter2")).unwrap();
        assert_eq!(*learned.lock().unwrap(), [made.expose(), "hunter2"]);

        let (second, learned) = store(generate());
        second.keep_in(vault()).await.unwrap();
        assert_eq!(second.get("pw").await.unwrap().expose(), made.expose());
        let old = json!({"$text": [{"$secret": "rotate.old"}]});
        let secrets = second.referred_by(&[&old]).await.unwrap();
        assert_eq!(secrets["rotate.old"].expose(), "hunter2");
        assert_eq!(learned.lock().unwrap().len(), 2, "and masked before anything happens");
        second.forget().unwrap();
        assert!(vault().names().is_empty());

        let (other, _) = store(generate());
        other.keep_in(vault()).await.unwrap();
        assert_ne!(
            other.get("pw").await.unwrap().expose(),
            made.expose(),
            "made anew for each run"
        );
        assert_eq!(vault().names(), ["pw"], "and kept as soon as it is made");
        let nowhere = store(generate()).0.capture("a.b", Secret::new("text"));
        assert_eq!(nowhere.unwrap_err().code, "secret_not_kept");
    }
}
