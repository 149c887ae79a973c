//! Who is known beside the table: nodes that were lost, are suspected, were named by others or given by the user.

pub(crate) mod lost;
pub(crate) mod namers;
pub(crate) mod suspects;
