//! Work that the driver does beside the node, and pauses in it: so that what goes on in the background needs nothing of the
//! runtime but its driver. Each job has a waker of its own, so that what the driver is woken for otherwise costs no job anything.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::future::Future;
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
    all: Vec<(Job, Arc<Alarm>)>,
    /// The driver's waker, as it was when the alarms got it.
    driver: Option<Waker>,
}

impl Jobs {
    /// Takes jobs over, and polls each that is new or was woken. A job may call a signer, which is foreign.
    pub(crate) fn work(&mut self, cx: &mut Context<'_>, new: Vec<Job>) {
        if !self.driver.as_ref().is_some_and(|driver| driver.will_wake(cx.waker())) {
            self.driver = Some(cx.waker().clone());
            self.all.iter().for_each(|(_, alarm)| alarm.set(cx.waker()));
        }
        self.all.extend(new.into_iter().map(|job| {
            let alarm = Arc::new(Alarm { rings: AtomicBool::new(true), driver: Mutex::default() });
            alarm.set(cx.waker());
            (job, alarm)
        }));
        self.all.retain_mut(|(job, alarm)| {
            if !alarm.rings.swap(false, Ordering::AcqRel) {
                return true;
            }
            let waker = Waker::from(Arc::clone(alarm));
            let polled = guard(|| job.as_mut().poll(&mut Context::from_waker(&waker)));
            polled.is_some_and(|polled| polled.is_pending())
        });
    }

    /// Drops all jobs, one by one: two that panic in one go would abort the process.
    pub(crate) fn end(&mut self) {
        for (job, _) in core::mem::take(&mut self.all) {
            guard(|| drop(job));
        }
    }
}

/// What wakes a job: it notes that, and wakes the driver.
struct Alarm {
    rings: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

impl Alarm {
    fn set(&self, driver: &Waker) {
        let driver = Some(driver.clone());
        let before = core::mem::replace(
            &mut *self.driver.lock().unwrap_or_else(PoisonError::into_inner),
            driver,
        );
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
    pub(super) fn run(&self, job: Job) {
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
