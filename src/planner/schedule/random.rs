/// A small reproducible generator (SplitMix64): the same seed gives the same plan on any machine.
#[derive(Debug, Clone)]
pub(in crate::planner) struct Random(u64);

impl Random {
    pub(in crate::planner) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(in crate::planner) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub(in crate::planner) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }
}
