//! Look-ups of names that are under way.

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

use super::guard::{guard, panicked};
use super::runtime::LookupFuture;
use crate::sources::names::LOOKUP_TIMEOUT;
use crate::{Instant, NameLookup};

/// Names looked up at once. A look-up that takes longer than the core waits for it leaves its place to the next.
pub(crate) const LOOKUPS_MAX: usize = 8;
/// After how long a look-up is begun anew, if its name is asked for again.
const LOOKUP_MAX: Duration = Duration::from_secs(30);

/// Look-ups in the order in which they began.
#[derive(Default)]
pub(crate) struct UnderWay(Vec<(NameLookup, Instant, Guarded)>);

impl UnderWay {
    /// Whether another one can begin now.
    pub(crate) fn has_room(&self, now: Instant) -> bool {
        let oldest = self.0.first().map(|(_, since, _)| *since);
        self.0.len() < LOOKUPS_MAX || oldest.is_some_and(|since| since + LOOKUP_TIMEOUT <= now)
    }

    /// Begins a look-up, unless it is under way.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        lookup: NameLookup,
        begin: impl FnOnce() -> LookupFuture,
    ) {
        self.0.retain(|(other, since, _)| *other != lookup || now < *since + LOOKUP_MAX);
        if self.0.iter().any(|(other, ..)| *other == lookup) {
            return;
        }
        if self.0.len() >= LOOKUPS_MAX {
            drop(self.0.remove(0));
        }
        self.0.push((lookup, now, Guarded(guard(begin))));
    }

    /// Gives the result of each look-up that has ended.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut found: impl FnMut(NameLookup, io::Result<Vec<Ipv4Addr>>),
    ) {
        self.0.retain_mut(|(lookup, _, future)| match future.poll(cx) {
            Poll::Pending => true,
            Poll::Ready(result) => {
                found(*lookup, result);
                false
            }
        });
    }
}

/// A look-up that fails instead of panicking. After a panic it is not polled again.
struct Guarded(Option<LookupFuture>);

impl Guarded {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<Ipv4Addr>>> {
        let polled = self.0.as_mut().and_then(|future| guard(|| future.as_mut().poll(cx)));
        polled.unwrap_or_else(|| Poll::Ready(Err(panicked())))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let future = self.0.take();
        guard(|| drop(future));
    }
}
