//! An executor for one thread and a clock that moves when there is nothing else to do.

use std::boxed::Box;
use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use std::vec::Vec;

use super::world::World;
use crate::Instant;
use crate::driver::{Builder, Dht};

/// More polls than this without the clock moving is spinning.
const POLLS_MAX: usize = 50_000;
/// Nothing that a test waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(600);

/// Where the nodes of a test live.
#[derive(Default)]
pub(super) struct Sim {
    pub(super) world: World,
    tasks: RefCell<Vec<Task>>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    flag: Arc<Flag>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Flag {
    fn raised() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Sim {
    /// A node without bootstrap nodes, unless `options` says otherwise; not run yet.
    pub(super) fn node(&self, options: impl FnOnce(Builder<World>) -> Builder<World>) -> Dht {
        let builder = Builder::new(self.world.clone()).host([127, 0, 0, 1].into());
        let (dht, driver) = options(builder).build().unwrap();
        self.spawn(driver);
        dht
    }

    /// A node that is bound.
    pub(super) fn up(&self) -> Dht {
        let dht = self.node(|builder| builder);
        self.block_on(dht.listening()).unwrap();
        dht
    }

    pub(super) fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.tasks.borrow_mut().push(Task { future: Box::pin(future), flag: Flag::raised() });
    }

    /// How many tasks have not ended.
    pub(super) fn tasks(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Polls what was woken until nothing is, at this moment. Gives the number of polls.
    pub(super) fn run(&self) -> usize {
        let mut polls = 0;
        loop {
            let before = polls;
            let mut tasks = self.tasks.take();
            tasks.retain_mut(|task| {
                if !task.flag.take() {
                    return true;
                }
                polls += 1;
                let waker = Waker::from(Arc::clone(&task.flag));
                task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            });
            self.tasks.borrow_mut().extend(tasks);
            assert!(polls < POLLS_MAX, "something spins");
            if polls == before {
                return polls;
            }
        }
    }

    /// Lets time pass, timer by timer. Gives the number of polls.
    pub(super) fn advance(&self, by: Duration) -> usize {
        let end = self.world.get().now + by;
        let mut polls = self.run();
        while let Some(next) = self.world.next_alarm().filter(|next| *next <= end) {
            self.world.set_clock(next);
            polls += self.run();
        }
        self.world.set_clock(end);
        polls + self.run()
    }

    /// The machine sleeps: the clock goes on, and no timer rings before the end.
    pub(super) fn sleep(&self, by: Duration) {
        let end = self.world.get().now + by;
        self.world.set_clock(end);
        self.run();
    }

    /// Runs everything until `future` is ready.
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let (start, flag) = (self.world.get().now, Flag::raised());
        let waker = Waker::from(Arc::clone(&flag));
        loop {
            if flag.take() {
                let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                if let Poll::Ready(output) = polled {
                    return output;
                }
            }
            if self.run() > 0 || flag.0.load(Ordering::Relaxed) {
                continue;
            }
            let next = self.world.next_alarm().expect("a wait without end");
            assert!(next.saturating_since(start) < PATIENCE, "it takes too long");
            self.world.set_clock(next);
        }
    }

    /// What `future` gives without any waiting.
    pub(super) fn now<F: Future + Unpin>(&self, future: &mut F) -> Option<F::Output> {
        match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    pub(super) fn clock(&self) -> Instant {
        self.world.get().now
    }
}

impl Drop for Sim {
    /// Drivers first: they own sockets of the world.
    fn drop(&mut self) {
        self.tasks.take().clear();
    }
}
