//! Code of others that the driver needs only for some of what it does: if it panics, that fails, and the
//! node lives on. And values of others: what their last reference does when it goes is no affair of the core's.

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::panic::AssertUnwindSafe;
use core::task::{Context, Poll};
use std::io;
use std::panic::catch_unwind;

use bytes::Bytes;

use super::runtime::LookupFuture;
use crate::{Answer, Config, IdCache, NodeFilter, Query, Request};

/// Runs it; `None` if it panics. What it was about to change it must not leave half done for others.
pub(crate) fn guard<T>(run: impl FnOnce() -> T) -> Option<T> {
    // What it panics with may panic as well when it is dropped.
    catch_unwind(AssertUnwindSafe(run)).map_err(core::mem::forget).ok()
}

/// As [`guard`], of what may fail anyway.
pub(crate) fn guard_io<T>(run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    guard(run).unwrap_or_else(|| Err(panicked()))
}

fn panicked() -> io::Error {
    io::Error::other("the runtime panicked")
}

/// A look-up that fails instead of panicking. One that has panicked is not polled again.
pub(crate) struct GuardedLookup(Option<LookupFuture>);

impl GuardedLookup {
    pub(crate) fn new(begin: impl FnOnce() -> LookupFuture) -> Self {
        Self(guard(begin))
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<Ipv4Addr>>> {
        let Some(future) = &mut self.0 else { return Poll::Ready(Err(panicked())) };
        guard(|| future.as_mut().poll(cx)).unwrap_or_else(|| Poll::Ready(Err(panicked())))
    }
}

impl Drop for GuardedLookup {
    fn drop(&mut self) {
        let future = self.0.take();
        let _ = guard(|| drop(future));
    }
}

/// A node filter that panics has not allowed the node that it was asked for, and a cache of ids that does has
/// not known it.
pub(crate) fn guard_config(config: &mut Config) {
    let (filter, ids) = (config.filter.take(), config.ids.take());
    config.filter = filter
        .map(|filter| NodeFilter::new(move |addr| guard(|| filter.allows(addr)).unwrap_or(false)));
    config.ids = ids.map(|ids| IdCache::new(move |addr| guard(|| ids.get(addr)).flatten()));
}

/// What holds a value of the user's.
pub(crate) trait Valued {
    fn value(&mut self) -> &mut Option<Bytes>;

    /// Replaces the value by a copy. A `Bytes` may have an owner of the user's, whose drop may do anything:
    /// it goes here, in the user's call and without the lock, rather than wherever the core is done with it.
    fn own(mut self) -> Self
    where
        Self: Sized,
    {
        let value = self.value();
        *value = value.as_deref().map(Bytes::copy_from_slice);
        self
    }
}

impl Valued for Request {
    fn value(&mut self) -> &mut Option<Bytes> {
        &mut self.value
    }
}

impl Valued for Query {
    fn value(&mut self) -> &mut Option<Bytes> {
        &mut self.value
    }
}

impl Valued for Answer {
    fn value(&mut self) -> &mut Option<Bytes> {
        &mut self.value
    }
}

impl Valued for Option<Bytes> {
    fn value(&mut self) -> &mut Self {
        self
    }
}
