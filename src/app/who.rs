//! Who acts.

use crate::event::Actor;

/// The user of this process on this machine, acting `via` something (`terminal`, `command line`).
#[must_use]
pub fn actor(via: &str) -> Actor {
    Actor { user: user(), host: host(), via: via.to_owned() }
}

/// Login name by user id: the environment can say anything.
fn user() -> String {
    let id = rustix::process::geteuid().as_raw();
    let named = std::fs::read_to_string("/etc/passwd").ok().and_then(|text| name_of(id, &text));
    named.unwrap_or_else(|| format!("uid {id}"))
}

fn name_of(id: u32, passwd: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_id() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!(name_of(1000, passwd).as_deref(), Some("alice"));
        assert_eq!(name_of(7, passwd), None);
    }
}
