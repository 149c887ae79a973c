//! Queries: walks towards a target, and the commits that may follow. A walk is fed with nodes ([`Queries::offer`]) and told
//! how its visits end; what a query wants to do next comes out of [`Queries::advance`], one request at a time.
//!
//! What a walk is, without any of this, is in `walk`; where queries are kept, and the memory that one leaves to the next, in
//! `pool`.

mod commits;
mod pool;
mod stepping;
pub(crate) mod walk;

pub(crate) use pool::{Kind, Queries, Walked};
pub(crate) use stepping::{Progress, Sight, Step};
