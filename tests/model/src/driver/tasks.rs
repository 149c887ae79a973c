//! An executor for one thread: futures are polled when they were woken, and not otherwise.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

/// More polls than this without the clock moving is spinning.
const POLLS_MAX: usize = 20_000;

#[derive(Default)]
pub(super) struct Tasks(Vec<Task>);

/// What a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Driver,
    /// It ends by itself, if the node has sockets.
    Call,
    /// It ends when the node is closed, at the latest.
    Wait,
}

struct Task {
    what: What,
    future: Pin<Box<dyn Future<Output = ()>>>,
    flag: Arc<Flag>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Tasks {
    pub(super) fn spawn(&mut self, what: What, future: impl Future<Output = ()> + 'static) {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        self.0.push(Task { what, future: Box::pin(future), flag });
    }

    /// Polls what was woken until nothing is, at this moment.
    pub(super) fn run(&mut self) {
        let mut polls = 0;
        loop {
            let before = polls;
            self.0.retain_mut(|task| {
                if !task.flag.0.swap(false, Ordering::Relaxed) {
                    return true;
                }
                polls += 1;
                let waker = Waker::from(Arc::clone(&task.flag));
                task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            });
            assert!(polls < POLLS_MAX, "something spins");
            if polls == before {
                return;
            }
        }
    }

    pub(super) fn count(&self, what: What) -> usize {
        self.0.iter().filter(|task| task.what == what).count()
    }

    /// Drops one of this kind; the number counts them.
    pub(super) fn drop_one(&mut self, what: What, number: u8) {
        let count = self.count(what).max(1);
        let mut these = (0..self.0.len()).filter(|at| self.0[*at].what == what);
        if let Some(at) = these.nth(usize::from(number) % count) {
            drop(self.0.remove(at));
        }
    }

    /// Polls one of this kind though nobody has woken it.
    pub(super) fn poll_one(&mut self, what: What, number: u8) {
        let count = self.count(what).max(1);
        let mut these = self.0.iter().filter(|task| task.what == what);
        if let Some(task) = these.nth(usize::from(number) % count) {
            task.flag.0.store(true, Ordering::Relaxed);
        }
    }
}
