//! Queries: walks towards a target, and the commits that may follow. Queries are told of nodes and of how their requests
//! end (`told`); what they want next comes out of [`Queries::poll`], one step at a time (`stepping`), until they want
//! nothing. How they end is in `ending`, where they are kept in `pool`, what each one is in `running`.
//!
//! What a walk is, without any of this, is in `walk`.

mod commits;
mod ending;
mod pool;
mod running;
mod stepping;
mod told;
pub(crate) mod walk;

pub(crate) use ending::Walked;
pub(crate) use pool::Queries;
pub(crate) use running::Kind;
pub(crate) use stepping::{Sight, Step};
