//! placeholder
#[derive(Clone, Debug)]
pub struct Partition;
impl Partition {
    pub fn blocks(&self, _n: u64, _a: u32, _b: u32) -> bool {
        false
    }
}
