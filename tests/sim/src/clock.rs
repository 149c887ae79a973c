//! placeholder
use crate::Micros;
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;
#[derive(Clone, Debug)]
pub struct ClockState;
impl ClockState {
    pub fn new(_c: Clock) -> Self {
        Self
    }
    pub fn boot(&self, n: Micros) -> Micros {
        n + 1_000_000
    }
    pub fn wall(&self, n: Micros) -> i64 {
        n as i64
    }
    pub fn global_at(&self, b: Micros) -> Micros {
        b.saturating_sub(1_000_000)
    }
    pub fn sleep(&mut self, _n: Micros, _t: Micros) {}
    pub fn step_wall(&mut self, _b: i64) {}
}
