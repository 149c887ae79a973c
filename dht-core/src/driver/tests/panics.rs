//! Whatever panics, no wait is without end, and nothing panics while it unwinds.

use std::boxed::Box;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use std::vec::Vec;

use bytes::Bytes;
use rand_chacha::rand_core::SeedableRng;

use super::sim::Sim;
use super::world::{Fault, Helper, World, local};
use crate::driver::{
    Builder, Datagrams, Dht, Driver, Events, ExtraSocket, Item, Items, Milestone, QueryStream,
    RequestFuture, Requests,
};
use crate::{Answer, Event, Id, Node, NodeFilter, Query, Request};

fn panics(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

/// A driver as executors have it: if it panics it is dropped, while it unwinds.
struct Task(Option<Driver<World>>);

/// A driver that is kept after it panicked, and never polled again.
struct Kept(Driver<World>, bool);

impl Future for Kept {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.1 {
            self.1 = panics(|| _ = Pin::new(&mut self.0).poll(cx));
        }
        Poll::Pending
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(mut driver) = self.0.take() else { return Poll::Ready(()) };
        let polled = catch_unwind(AssertUnwindSafe(move || {
            let poll = Pin::new(&mut driver).poll(cx);
            (poll, driver)
        }));
        let Ok((poll, driver)) = polled else { return Poll::Ready(()) };
        self.0 = Some(driver);
        poll
    }
}

/// Everything that one can wait for at a node.
struct Waits {
    pings: Vec<RequestFuture>,
    queries: Vec<QueryStream>,
    requests: Requests,
    items: Items,
    events: Events,
    datagrams: Datagrams,
    extra: ExtraSocket,
    bootstrapped: Milestone,
    closed: Milestone,
}

impl Waits {
    /// Two requests and two queries that have begun, and two of each that wait in line.
    fn new(dht: &Dht) -> Self {
        let query = || dht.query(Query::find_node(Id([1; 32])).nodes([local(9)]));
        let this = Self {
            pings: (0..4).map(|_| dht.ping(local(9))).collect(),
            queries: (0..4).map(|_| query()).collect(),
            requests: dht.requests(),
            items: dht.items(),
            events: dht.events(),
            datagrams: dht.datagrams(),
            extra: dht.extra(1),
            bootstrapped: dht.fully_bootstrapped(),
            closed: Milestone::new(dht.handle.clone(), crate::driver::life::Goal::Closed),
        };
        dht.start_request(Request::ping(local(9))).unwrap_err();
        this
    }

    /// All of it is over, without anything more that has to happen.
    fn end(mut self, sim: &Sim) {
        for ping in self.pings {
            sim.block_on(ping).unwrap_err();
        }
        for query in &mut self.queries {
            while sim.block_on(query.next()).is_some() {}
            // With what it has, or not at all.
            let _ = sim.block_on(query.finished());
        }
        let requests = &mut self.requests;
        assert!(sim.block_on(requests.next()).is_none());
        while let Some(item) = sim.block_on(self.items.next()) {
            assert!(matches!(item, Item::Event(_)));
        }
        let mut last = None;
        while let Some(event) = sim.block_on(self.events.next()) {
            last = Some(event);
        }
        assert_eq!(last, Some(Event::Closed));
        assert!(sim.block_on(self.datagrams.next()).is_none());
        assert!(sim.block_on(self.extra.next()).is_none());
        sim.block_on(self.bootstrapped).unwrap_err();
        sim.block_on(self.closed).unwrap();
    }

    /// Leaves wakers, which count how often a task was woken.
    fn poll(&mut self, wakes: &Arc<Count>) {
        let waker = Waker::from(Arc::clone(wakes));
        let mut cx = Context::from_waker(&waker);
        let [first, .., last] = &mut self.queries[..] else { unreachable!() };
        let polled = [
            pin!(&mut self.pings[0]).poll(&mut cx).is_pending(),
            pin!(&mut self.pings[3]).poll(&mut cx).is_pending(),
            pin!(first.next()).poll(&mut cx).is_pending(),
            pin!(last.finished()).poll(&mut cx).is_pending(),
            pin!(self.requests.next()).poll(&mut cx).is_pending(),
            pin!(self.datagrams.next()).poll(&mut cx).is_pending(),
            pin!(self.extra.next()).poll(&mut cx).is_pending(),
            pin!(&mut self.bootstrapped).poll(&mut cx).is_pending(),
            pin!(&mut self.closed).poll(&mut cx).is_pending(),
        ];
        assert_eq!(polled, [true; WAITS as usize]);
    }
}

/// What is polled above.
const WAITS: u32 = 9;

#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A node that is never bootstrapped, with so little room that calls have to wait.
fn node(sim: &Sim) -> (Dht, Driver<World>) {
    let builder = Builder::new(sim.world.clone()).host([127, 0, 0, 1].into()).bootstrap([local(8)]);
    let little = builder.configure(|config| (config.max_requests, config.max_queries) = (2, 3));
    little.build().unwrap()
}

/// A filter that panics at the `nth` call, and nothing keeps it from the core.
fn set_trap(dht: &Dht, nth: u32) {
    let calls = AtomicU32::new(0);
    let filter = NodeFilter::new(move |_| {
        assert!(calls.fetch_add(1, Ordering::Relaxed) != nth, "a bug");
        true
    });
    dht.shared().drive(|state, now| {
        let config = crate::Config { filter: Some(filter), ..state.node.config().clone() };
        let mut rng = rand_chacha::ChaCha8Rng::from_seed([1; 32]);
        state.node = Node::new(config, &mut rng, now).unwrap();
    });
}

#[test]
fn a_core_that_is_left_in_the_middle_is_the_end_for_everybody() {
    for nth in 0..6 {
        let sim = Sim::default();
        // A node that names other ones.
        let first = sim.node(|builder| {
            drop(builder);
            Builder::bootstrapper(sim.world.clone(), 9, "127.0.0.1")
        });
        sim.block_on(first.fully_bootstrapped()).unwrap();
        for port in 10..14 {
            let _ = first.add_node(local(port));
        }
        let (dht, driver) = node(&sim);
        set_trap(&dht, nth);
        sim.spawn(Task(Some(driver)));
        let mut waits = Waits::new(&dht);
        let wakes = Arc::default();
        waits.poll(&wakes);
        // The answers are for the queries.
        sim.run();
        assert!(dht.closed(), "the trap was not reached");
        assert!(wakes.0.load(Ordering::Relaxed) >= WAITS, "somebody was not woken");
        waits.end(&sim);
        assert_eq!((sim.tasks(), dht.stats().requests.active), (1, 0));
        assert!(sim.block_on(dht.ping(local(9))).is_err());
    }
}

#[test]
fn so_it_is_if_a_handle_has_left_it() {
    let sim = Sim::default();
    let (dht, driver) = node(&sim);
    sim.spawn(driver);
    let mut waits = Waits::new(&dht);
    let wakes = Arc::default();
    waits.poll(&wakes);
    sim.run();
    assert!(panics(|| dht.shared().act(|_, _| panic!("a bug"))));
    // The driver closes the sockets, and tells the rest.
    sim.run();
    assert!(wakes.0.load(Ordering::Relaxed) >= WAITS, "somebody was not woken");
    assert!(sim.world.open().is_empty());
    waits.end(&sim);
    assert_eq!(sim.tasks(), 0);
}

#[test]
fn a_runtime_that_panics_is_the_end_for_everybody() {
    use Helper::{Drops, Ready, Receive, Send, TimerPoll, TimerSet};
    let helpers = [Receive, Ready, Send, TimerSet, TimerPoll, Drops];
    for (helper, kept) in helpers.into_iter().flat_map(|helper| [(helper, false), (helper, true)]) {
        let sim = Sim::default();
        let (dht, driver) = node(&sim);
        match kept {
            true => sim.spawn(Kept(driver, false)),
            false => sim.spawn(Task(Some(driver))),
        }
        let mut waits = Waits::new(&dht);
        let wakes = Arc::default();
        waits.poll(&wakes);
        // A socket is ready until it has said otherwise.
        if helper != Ready {
            sim.run();
        }
        sim.world.get().panics = Some(helper);
        sim.advance(Duration::from_secs(2));
        if helper == Drops {
            // Nothing was dropped so far.
            assert!(!dht.closed());
            drop(dht.close());
        }
        sim.run();
        assert!(wakes.0.load(Ordering::Relaxed) >= WAITS, "{helper:?}: somebody was not woken");
        waits.end(&sim);
        assert!(sim.world.open().is_empty(), "{helper:?}");
        sim.world.get().panics = None;
    }
}

#[test]
fn a_driver_that_is_dropped_while_something_unwinds_does_not_panic() {
    for helper in [Helper::Drops, Helper::Now] {
        let sim = Sim::default();
        let (dht, mut driver) = node(&sim);
        let mut waits = Waits::new(&dht);
        let wakes = Arc::default();
        waits.poll(&wakes);
        let polled = pin!(&mut driver).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        sim.world.get().panics = Some(helper);
        assert!(panics(|| {
            let _dropped = driver;
            panic!("something else");
        }));
        assert!(wakes.0.load(Ordering::Relaxed) >= WAITS, "{helper:?}: somebody was not woken");
        assert!(sim.world.open().is_empty(), "{helper:?}");
        sim.world.get().panics = None;
        waits.end(&sim);
    }
}

#[test]
fn a_core_that_can_not_even_be_closed_is_no_hindrance() {
    struct Mine;
    impl AsRef<[u8]> for Mine {
        fn as_ref(&self) -> &[u8] {
            b"none of the user's gets here"
        }
    }
    impl Drop for Mine {
        fn drop(&mut self) {
            panic!("a bug");
        }
    }
    let sim = Sim::default();
    let (dht, driver) = node(&sim);
    let ping = Request::ping(local(9)).value(Bytes::from_owner(Mine));
    dht.shared().drive(|state, now| state.node.request(now, ping)).unwrap();
    let mut waits = Waits::new(&dht);
    let wakes = Arc::default();
    waits.poll(&wakes);
    assert!(!panics(|| drop(driver)));
    assert!(wakes.0.load(Ordering::Relaxed) >= WAITS, "somebody was not woken");
    waits.end(&sim);
}

#[test]
fn a_clock_that_panics_stands_still() {
    let sim = Sim::default();
    let (dht, other) = (sim.up(), sim.up());
    sim.world.get().panics = Some(Helper::Now);
    let to = other.server_address().unwrap();
    sim.block_on(dht.ping(to)).unwrap();
    sim.world.get().panics = None;
    sim.advance(Duration::from_secs(60));
    sim.block_on(dht.ping(to)).unwrap();
}

/// Panics when it is woken.
struct Bad;

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        panic!("a bug of an executor's");
    }
}

#[test]
fn wakers_that_panic_keep_nobody_else_from_being_woken() {
    let sim = Sim::default();
    let dht = sim.up();
    let waker = Waker::from(Arc::new(Bad));
    let mut cx = Context::from_waker(&waker);
    let count = Arc::<Count>::default();
    let mut bad: Vec<_> = (0..6).map(|_| Box::pin(dht.ping(local(9)))).collect();
    let mut good: Vec<_> = (0..6).map(|_| Box::pin(dht.ping(local(9)))).collect();
    for (bad, good) in bad.iter_mut().zip(&mut good) {
        assert!(bad.as_mut().poll(&mut cx).is_pending());
        let waker = Waker::from(Arc::clone(&count));
        assert!(good.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    sim.advance(Duration::from_secs(5));
    assert_eq!(count.0.load(Ordering::Relaxed), 6);
    let other = sim.up();
    sim.block_on(dht.ping(other.server_address().unwrap())).unwrap();
}

/// The owner of a value.
struct Owner<'a>(&'a AtomicU32);

impl AsRef<[u8]> for Owner<'_> {
    fn as_ref(&self) -> &[u8] {
        b"value"
    }
}

impl Drop for Owner<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn owners_of_values_go_in_the_call_that_hands_them_in() {
    static GONE: AtomicU32 = AtomicU32::new(0);
    let value = || Bytes::from_owner(Owner(&GONE));
    let is_gone = |calls| assert_eq!(GONE.load(Ordering::Relaxed), calls);
    let sim = Sim::default();
    let (dht, to) = (sim.up(), local(9));
    let _ping = dht.request(Request::ping(to).value(value()));
    is_gone(1);
    let _query = dht.query(Query::new(Id([1; 32]), 1).nodes([to]).value(value()));
    is_gone(2);
    dht.start_request(Request::ping(to).value(value())).unwrap();
    is_gone(3);
    dht.start_query(Query::new(Id([1; 32]), 1).nodes([to]).value(value())).unwrap();
    is_gone(4);
    dht.send_datagram(crate::Via::Client, to, value(), None).unwrap();
    is_gone(5);
    let other = sim.up();
    let mut requests = other.requests();
    let asked = [2; 3].map(|n| dht.request(Request::new(other.server_address().unwrap(), n)));
    for n in 0..3 {
        let request = sim.block_on(requests.next()).unwrap();
        match n {
            0 => request.reply_value(value()).unwrap(),
            1 => request.relay(to, Some(value())).unwrap(),
            _ => other.reply(request.ignore(), Answer::value(value())).unwrap(),
        }
        is_gone(6 + n);
    }
    let [first, _relayed, last] = asked;
    for asked in [first, last] {
        assert_eq!(sim.block_on(asked).unwrap().value.unwrap(), "value");
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a bomb");
    }
}

struct WakesWithABomb;

impl Wake for WakesWithABomb {
    fn wake(self: Arc<Self>) {
        std::panic::panic_any(Bomb);
    }
}

#[test]
fn what_a_waker_panics_with_may_panic_as_well() {
    let sim = Sim::default();
    let dht = sim.up();
    let waker = Waker::from(Arc::new(WakesWithABomb));
    let mut cx = Context::from_waker(&waker);
    let count = Arc::<Count>::default();
    let mut bad = Box::pin(dht.ping(local(9)));
    let mut good: Vec<_> = (0..6).map(|_| Box::pin(dht.ping(local(9)))).collect();
    assert!(bad.as_mut().poll(&mut cx).is_pending());
    for good in &mut good {
        let waker = Waker::from(Arc::clone(&count));
        assert!(good.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    sim.advance(Duration::from_secs(5));
    assert_eq!(count.0.load(Ordering::Relaxed), 6);
}

#[test]
fn what_a_filter_panics_with_may_panic_as_well() {
    let sim = Sim::default();
    let other = sim.up();
    let bomb = NodeFilter::new(|_| std::panic::panic_any(Bomb));
    let dht = sim.node(|builder| builder.configure(|config| config.filter = Some(bomb)));
    let to = other.server_address().unwrap();
    sim.block_on(dht.ping(to)).unwrap();
    assert!(!dht.shared().look(|state| state.node.closed()));
}

#[test]
fn a_clock_that_panics_for_good_does_not_keep_a_node_from_closing() {
    for blocked in [false, true] {
        let sim = Sim::default();
        let (dht, driver) = node(&sim);
        sim.spawn(driver);
        let mut waits = Waits::new(&dht);
        let wakes = Arc::default();
        waits.poll(&wakes);
        sim.run();
        if blocked {
            sim.world.get().fault = Fault::Blocked;
        }
        sim.world.get().panics = Some(Helper::Now);
        drop(dht.close());
        sim.advance(Duration::from_secs(2));
        assert!(wakes.0.load(Ordering::Relaxed) >= WAITS, "somebody was not woken");
        waits.end(&sim);
        assert!(sim.world.open().is_empty(), "{blocked}");
        assert_eq!(sim.tasks(), 0);
    }
}
