//! Work that the driver does beside the node, and pauses in it: so that what goes on in the background needs nothing of the
//! runtime but its driver. Each job has a waker of its own, so that what the driver is woken for otherwise costs no job anything.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::future::{Future, ready};
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, PoisonError};

use crate::Instant;
use crate::driver::dht::Dht;
use crate::driver::guard::guard;
use crate::driver::queue::Wakes;
use crate::driver::shared::Handle;
use crate::driver::state::Look;

/// It ends by itself when the node is closed.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The jobs that the driver has taken over.
#[derive(Default)]
pub(crate) struct Jobs {
    all: Vec<Running>,
    /// The driver's waker, as the alarms have it.
    driver: Option<Waker>,
}

struct Running {
    job: Job,
    alarm: Arc<Alarm>,
}

/// What wakes a job: it notes that, and wakes the driver.
struct Alarm {
    rings: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

impl Jobs {
    /// Takes jobs over, and polls each that is new or was woken. A job may call a signer, which is foreign.
    pub(crate) fn work(&mut self, cx: &Context<'_>, new: Vec<Job>) {
        let known = self.driver.as_ref().is_some_and(|driver| driver.will_wake(cx.waker()));
        if !known {
            self.driver = Some(cx.waker().clone());
            self.all.iter().for_each(|running| running.alarm.set(Some(cx.waker().clone())));
        }
        self.all.extend(new.into_iter().map(|job| {
            let driver = Mutex::new(Some(cx.waker().clone()));
            Running { job, alarm: Arc::new(Alarm { rings: AtomicBool::new(true), driver }) }
        }));
        self.all.retain_mut(|Running { job, alarm }| {
            if !alarm.rings.swap(false, Ordering::AcqRel) {
                return true;
            }
            let waker = Waker::from(Arc::clone(alarm));
            let polled = guard(|| job.as_mut().poll(&mut Context::from_waker(&waker)));
            let lives = polled.is_some_and(|polled| polled.is_pending());
            if !lives {
                // It owns foreign values.
                guard(|| drop(core::mem::replace(job, Box::pin(ready(())))));
            }
            lives
        });
    }

    /// Drops all jobs, one by one: two that panic in one go would abort the process.
    pub(crate) fn end(&mut self) {
        for running in core::mem::take(&mut self.all) {
            guard(|| drop(running));
        }
        guard(|| drop(self.driver.take()));
    }
}

/// Whoever still has the job's waker does not keep the driver's.
impl Drop for Running {
    fn drop(&mut self) {
        self.alarm.set(None);
    }
}

impl Alarm {
    fn set(&self, driver: Option<Waker>) {
        let mut place = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        let before = core::mem::replace(&mut *place, driver);
        drop(place);
        drop(before);
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rings.store(true, Ordering::Release);
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).clone();
        driver.into_iter().for_each(Waker::wake);
    }
}

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
    pub(in crate::driver) fn run(&self, job: Job) {
        let mut job = Some(job);
        self.shared().act(|state, _| {
            if !state.node.closed() {
                state.background.new.extend(job.take());
            }
        });
    }

    /// Waits until a time. Only for jobs: it ends late while the driver has other things to do.
    pub(super) fn pause(&self, until: Instant) -> Pause {
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
