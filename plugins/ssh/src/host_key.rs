use dr_plugin::CallError;
use ssh2::{HashType, MethodType, Session};

use crate::encode::base64;
use crate::known_hosts::{KnownKeys, Verdict, kind_of};
use crate::target::Target;

/// Asks for the kinds of host key that are known first: a host with several keys then shows one
/// that can be compared.
pub(crate) fn prefer(session: &Session, known: &KnownKeys) {
    let Ok(supported) = session.supported_algs(MethodType::HostKey) else { return };
    let order = order(&known.kinds(), &supported);
    if let Err(error) = session.method_pref(MethodType::HostKey, &order) {
        tracing::debug!(%error, order, "the order of host keys was not taken");
    }
}

fn order(kinds: &[String], supported: &[&str]) -> String {
    let mut order: Vec<&str> = Vec::new();
    let wanted = kinds.iter().flat_map(|kind| match kind.as_str() {
        "ssh-rsa" => vec!["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
        kind => vec![kind],
    });
    let usual = supported.iter().copied().filter(|algorithm| !algorithm.contains("-cert-"));
    for algorithm in wanted.chain(usual) {
        if supported.contains(&algorithm) && !order.contains(&algorithm) {
            order.push(algorithm);
        }
    }
    order.join(",")
}

/// Refuses a host whose key is not known.
pub(crate) fn verify(
    session: &Session,
    known: &KnownKeys,
    target: &Target,
) -> Result<(), CallError> {
    let Some((blob, _)) = session.host_key() else {
        return Err(CallError::denied("host_key_unknown", "the host showed no key"));
    };
    let kind = kind_of(blob);
    let fingerprint = session
        .host_key_hash(HashType::Sha256)
        .map_or_else(String::new, |hash| format!("SHA256:{}", base64(hash).trim_end_matches('=')));
    let file = target
        .known_hosts
        .first()
        .map_or_else(|| "~/.ssh/known_hosts".to_owned(), |file| file.display().to_string());
    let filed = if target.port == 22 {
        target.key_name.clone()
    } else {
        format!("[{}]:{}", target.key_name, target.port)
    };
    let place = target.place();
    match known.judge(blob) {
        Verdict::Known => Ok(()),
        Verdict::Unknown(kinds) => {
            let mut error = CallError::denied(
                "host_key_unknown",
                format!("the key of {place} is not known: {kind} {fingerprint}"),
            )
            .with_help(format!(
                "if whoever runs the host confirms the fingerprint, add the line\n  {filed} {kind} {}\nto {file}",
                base64(blob)
            ));
            if !kinds.is_empty() {
                error = error
                    .with_cause(&format!("keys of other kinds are known: {}", kinds.join(", ")));
            }
            Err(error)
        }
        Verdict::Mismatch(file, line) => Err(CallError::denied(
            "host_key_mismatch",
            format!("the key of {place} is not the known one: {kind} {fingerprint}"),
        )
        .with_help(format!(
            "somebody may be listening, or the host was set up anew. If whoever runs it confirms \
             the fingerprint, replace line {line} of {} by\n  {filed} {kind} {}",
            file.display(),
            base64(blob)
        ))),
        Verdict::Revoked(file, line) => Err(CallError::denied(
            "host_key_revoked",
            format!("the key of {place} is revoked: {kind} {fingerprint}"),
        )
        .with_help(format!("see line {line} of {}", file.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_kinds_come_first() {
        let supported =
            ["ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", "rsa-sha2-256", "rsa-sha2-512"];
        assert_eq!(
            order(&["ssh-rsa".into(), "ssh-dss".into()], &supported),
            "rsa-sha2-512,rsa-sha2-256,ssh-ed25519"
        );
        assert_eq!(order(&[], &supported), "ssh-ed25519,rsa-sha2-256,rsa-sha2-512");
    }
}
