//! What libssh2 encrypts with: AWS-LC, under the name that libssh2's crate asks for.
//!
//! libssh2 can use AWS-LC in place of OpenSSL, but its crate depends on `openssl-sys`. This crate
//! takes that place (`[patch]` in the workspace's manifest). See `docs/adr/0010-ssh-crypto.md`.

use aws_lc_sys as _;

/// Makes the library ready: AWS-LC does that by itself.
pub fn init() {}
