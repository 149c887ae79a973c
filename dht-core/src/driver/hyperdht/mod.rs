//! hyperdht on a handle: the serving half beside the node, and the calls of the asking half.

mod announcer;
pub(crate) mod background;
mod calls;
mod replies;
mod serving;

pub use announcer::Announcer;
pub use calls::Stored;
pub use replies::Replies;
