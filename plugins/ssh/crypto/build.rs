//! Hands the headers of AWS-LC on to libssh2, which asks for those of OpenSSL.

use std::env;

#[expect(clippy::disallowed_methods, reason = "cargo tells a build by its environment")]
fn main() {
    let headers = env::vars()
        .find(|(name, _)| name.starts_with("DEP_AWS_LC_") && name.ends_with("_INCLUDE"))
        .map(|(_, folder)| folder)
        .expect("aws-lc-sys says where its headers are");
    println!("cargo::metadata=include={headers}");
    println!("cargo::rerun-if-changed=build.rs");
}
