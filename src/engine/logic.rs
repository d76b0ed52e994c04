use crate::machine::{Effect, Input, Machine};
use crate::time::Now;

/// What decides: the machine. A trait, so that the driver can be tested with decisions that no
/// sane machine makes.
pub trait Logic: Send {
    /// Takes an input in, and says what is to be done, in order.
    fn handle(&mut self, now: Now, input: Input) -> Vec<Effect>;
}

impl Logic for Machine {
    fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        Self::handle(self, now, input)
    }
}
