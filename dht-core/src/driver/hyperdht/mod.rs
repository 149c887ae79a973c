//! hyperdht on a handle: the serving half beside the node, and the calls of the asking half.

mod calls;
mod replies;
mod serving;

pub use calls::Stored;
pub use replies::Replies;
