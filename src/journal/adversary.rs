use std::io;
use std::sync::{Arc, Mutex};

use super::Storage;

/// What was done, in order, by everything that shares a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// Bytes were appended.
    Append(Vec<u8>),
    /// A sync succeeded.
    Sync,
    /// Storage refused.
    Refused,
    /// Anything else worth an order: a launch.
    Other(String),
}

/// A shared record of operations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Vec<Op>>>);

impl Trace {
    pub(crate) fn push(&self, op: Op) {
        self.0.lock().unwrap().push(op);
    }

    pub(crate) fn ops(&self) -> Vec<Op> {
        self.0.lock().unwrap().clone()
    }

    /// What a crash of the machine would leave, at most: whatever was written, to the last byte.
    pub(crate) fn written(&self) -> Vec<u8> {
        let append = |op| match op {
            Op::Append(bytes) => bytes,
            Op::Sync | Op::Refused | Op::Other(_) => Vec::new(),
        };
        self.ops().into_iter().flat_map(append).collect()
    }

    /// What a crash of the machine would leave, at least.
    pub(crate) fn durable(&self) -> Vec<u8> {
        let (mut written, mut durable) = (Vec::new(), 0);
        for op in self.ops() {
            match op {
                Op::Append(bytes) => written.extend(bytes),
                Op::Sync => durable = written.len(),
                Op::Refused | Op::Other(_) => {}
            }
        }
        written.truncate(durable);
        written
    }
}

/// How a storage fails.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The write fails after this many bytes.
    Write(usize, i32),
    /// The write succeeds, the sync fails.
    Sync(i32),
}

/// A storage that records what is asked of it and fails at the batch it is told to, and from then
/// on pretends that all is well: whoever goes on writing is found out.
pub(crate) struct Adversary {
    pub(crate) trace: Trace,
    pub(crate) fault: Option<(usize, Fault)>,
    batch: usize,
}

impl Adversary {
    pub(crate) fn new(trace: Trace, fault: Option<(usize, Fault)>) -> Self {
        Self { trace, fault, batch: 0 }
    }

    fn fault(&self) -> Option<Fault> {
        self.fault.filter(|(at, _)| *at == self.batch).map(|(_, fault)| fault)
    }
}

impl Storage for Adversary {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.batch += 1;
        if let Some(Fault::Write(torn, errno)) = self.fault() {
            self.trace.push(Op::Append(bytes[..torn.min(bytes.len())].to_vec()));
            self.trace.push(Op::Refused);
            return Err(io::Error::from_raw_os_error(errno));
        }
        self.trace.push(Op::Append(bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(Fault::Sync(errno)) = self.fault() {
            self.trace.push(Op::Refused);
            return Err(io::Error::from_raw_os_error(errno));
        }
        self.trace.push(Op::Sync);
        Ok(())
    }
}
