//! The routing table: which nodes enter, which stay, and which leave.

mod departed;
mod entry;
mod eviction;
mod full_bucket;
mod given;
mod lost;
mod scarce;
mod serving;
mod small_table;
