//! Foreign code that the driver needs only for some of what it does: if it panics, that fails, and the node lives on.
//! And foreign values: the drop of the last reference to one runs without the lock.

use core::panic::AssertUnwindSafe;
use std::io;
use std::panic::catch_unwind;

use bytes::Bytes;

use crate::{Config, IdCache, NodeFilter};

/// Runs it; `None` if it panics. It must leave nothing half done that is used afterwards.
pub(crate) fn guard<T>(run: impl FnOnce() -> T) -> Option<T> {
    // What it panics with may panic as well when it is dropped.
    catch_unwind(AssertUnwindSafe(run)).map_err(core::mem::forget).ok()
}

/// As [`guard`], for what may fail anyway.
pub(crate) fn guard_io<T>(run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    guard(run).unwrap_or_else(|| Err(panicked()))
}

pub(crate) fn panicked() -> io::Error {
    io::Error::other("the runtime panicked")
}

/// Guards the node filter, which refuses a node when it panics, and the cache of ids, which does not know an address
/// then. All fields are named, so that a new one does not compile before somebody has thought of its panics here.
pub(crate) fn guard_config(config: &mut Config) {
    let Config {
        filter,
        ids,
        exempt: _,
        bootstrap: _,
        nodes: _,
        ephemeral: _,
        adaptive: _,
        firewalled: _,
        quick_firewall: _,
        public_address: _,
        concurrency: _,
        max_window: _,
        max_ping_delay: _,
        send_down_hints: _,
        down_hints_rate_limit: _,
        adaptive_timeout: _,
        max_datagram: _,
        max_datagram_received: _,
        max_nodes: _,
        max_requests: _,
        max_background_requests: _,
        max_queries: _,
        max_query_addresses: _,
        max_unread_replies: _,
        max_events: _,
        max_replies: _,
        node_events: _,
    } = config;
    *filter = filter
        .take()
        .map(|filter| NodeFilter::new(move |addr| guard(|| filter.allows(addr)).unwrap_or(false)));
    *ids = ids.take().map(|ids| IdCache::new(move |addr| guard(|| ids.get(addr)).flatten()));
}

/// Replaces a value by a copy. A `Bytes` may have an owner of the user's, whose drop may do anything: it is dropped
/// here, in the user's call and without the lock, rather than wherever the core is done with the value.
pub(crate) fn own(value: &mut Option<Bytes>) {
    *value = value.as_deref().map(Bytes::copy_from_slice);
}
