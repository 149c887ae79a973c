//! Queries: where they begin, how they walk, what they tell, how they end, and what they may take.

mod commit;
pub(crate) mod crowds;
mod gaps;
mod limits;
mod properties;
mod replies;
mod shared_addresses;
mod start;
mod starving;
mod walk;
