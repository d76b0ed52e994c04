use std::io;

/// Where the bytes of a journal go.
///
/// After any error the storage is not used again: a failed sync may have dropped what it was to
/// keep, and a second one that succeeds would prove nothing.
pub trait Storage: Send {
    /// Appends all of `bytes`, in one write where the system allows it.
    ///
    /// # Errors
    /// The system's; part of `bytes` may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything appended survives a crash of the machine.
    ///
    /// # Errors
    /// The system's; what was appended since the last sync may or may not survive.
    fn sync(&mut self) -> io::Result<()>;
}
