//! Joins the parts: what each verb of the command line does, without a word about arguments or
//! printing.

pub mod archive;
mod audience;
#[cfg(test)]
mod crash_tests;
pub mod evidence;
pub mod files;
#[cfg(test)]
mod fold_tests;
pub mod folder;
pub mod git;
pub mod identity;
pub mod init;
pub mod library;
pub mod moment;
pub mod outputs;
pub mod past;
pub mod plugins;
pub mod rehearse;
pub mod request;
pub mod sealed;
pub mod session;
pub mod source;
pub mod start;
pub mod state;
pub mod verify;
pub mod who;
