//! Work that the driver does beside the node, and pauses in it: so that what goes on in the background needs nothing of the
//! runtime but its driver.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use crate::Instant;
use crate::driver::dht::Dht;
use crate::driver::queue::Wakes;
use crate::driver::shared::Handle;
use crate::driver::state::Look;

/// It ends by itself when the node is closed.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Jobs that the driver has not taken over yet, and pauses of jobs.
#[derive(Default)]
pub(crate) struct Background {
    new: Vec<Job>,
    pauses: BTreeMap<(Instant, u64), Option<Waker>>,
}

impl Background {
    pub(crate) fn take(&mut self) -> Vec<Job> {
        core::mem::take(&mut self.new)
    }

    /// When the next pause ends.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.pauses.keys().next().map(|(until, _)| *until)
    }

    /// Wakes the jobs whose pause is over.
    pub(crate) fn pass(&mut self, now: Instant, wakes: &mut Wakes) {
        while self.deadline().is_some_and(|until| until <= now) {
            let over = self.pauses.pop_first();
            wakes.push(over.and_then(|(_, waker)| waker));
        }
    }
}

impl Dht {
    /// Has the driver run a job; if there is no driver any more, drops it.
    pub(super) fn run(&self, job: Job) {
        let mut job = Some(job);
        self.shared().act(|state, _| {
            if !state.node.closed() {
                state.background.new.extend(job.take());
            }
        });
    }

    /// Waits for a while. Only for jobs: it ends late while the driver has other things to do.
    pub(super) fn pause(&self, time: Duration) -> Pause {
        let until = self.shared().now() + time;
        let ticket = self.shared().drive(|state, _| state.ticket());
        Pause { handle: self.handle.clone(), key: (until, ticket) }
    }
}

/// A wait for a time.
#[must_use = "it ends when it is dropped"]
pub(super) struct Pause {
    handle: Handle,
    key: (Instant, u64),
}

impl Future for Pause {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (handle, key) = (&self.handle, self.key);
        handle.poll(cx, |state, now| match key.0 <= now || state.node.closed() {
            true => Look::Ready(()),
            false => Look::Wait(state.background.pauses.entry(key).or_default()),
        })
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.handle.drive(|state, _| {
            let waker = state.background.pauses.remove(&self.key).flatten();
            state.wakes.bury(waker);
        });
    }
}
