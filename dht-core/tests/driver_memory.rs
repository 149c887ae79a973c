//! `Builder::memory_bound` is kept, counted by the allocator: a driver whose streams are not read is flooded
//! with everything that peers can send.

#![cfg(feature = "driver")]
#![allow(clippy::unwrap_used, reason = "a test, in functions that clippy doesn't take for one")]

mod heap;

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dht_core::driver::{
    Builder, DATAGRAMS_MAX, Dht, Driver, Host, LookupFuture, REQUESTS_MAX, Runtime, Socket, Timer,
};
use dht_core::{Config, DATAGRAM_MAX, Id, Instant, Query, Request, wire};

use heap::counted;

/// A machine whose sockets always hold the next datagram of the flood.
#[derive(Clone, Default)]
struct Flood(Arc<Inner>);

#[derive(Default)]
struct Inner {
    micros: AtomicU64,
    sent: AtomicU32,
    left: AtomicU32,
    /// The length of the requests.
    len: AtomicUsize,
    blocked: AtomicU32,
}

impl Flood {
    /// The next datagram: in turn one of another protocol, and a request to the application, as long as may be.
    fn next(&self, buf: &mut [u8]) -> Option<(usize, SocketAddrV4)> {
        self.0
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
            .ok()?;
        let n = self.0.sent.fetch_add(1, Ordering::Relaxed);
        let from = SocketAddrV4::new(Ipv4Addr::from(0x5000_0001 + (n << 8)), 4000);
        if n.is_multiple_of(2) {
            buf[..DATAGRAM_MAX].fill(0x55);
            return Some((DATAGRAM_MAX, from));
        }
        let value = vec![7; self.0.len.load(Ordering::Relaxed) - 60];
        let request = wire::Request {
            tid: n as u16,
            to: from,
            id: None,
            token: None,
            internal: false,
            command: 7,
            target: Some(&[9; 32]),
            value: Some(&value),
        };
        let mut datagram = [0; DATAGRAM_MAX];
        let len = request.encode(&mut datagram).unwrap();
        buf[..len].copy_from_slice(&datagram[..len]);
        Some((len, from))
    }
}

impl Host for Flood {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.micros.load(Ordering::Relaxed))
    }

    fn interfaces(&self) -> io::Result<Vec<Ipv4Addr>> {
        Ok(Vec::new())
    }

    fn way_out(&self) -> io::Result<Option<Ipv4Addr>> {
        Ok(None)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(1);
        Ok(())
    }
}

impl Runtime for Flood {
    type Socket = Flooded;
    type Timer = Never;

    fn bind(&self, addr: SocketAddrV4) -> io::Result<Flooded> {
        thread_local!(static PORT: Cell<u16> = const { Cell::new(1) });
        PORT.set(PORT.get() + 1);
        Ok(Flooded { flood: self.clone(), addr: SocketAddrV4::new(*addr.ip(), PORT.get()) })
    }

    fn timer(&self) -> Never {
        Never
    }

    fn lookup(&self, _: &str) -> LookupFuture {
        Box::pin(std::future::pending())
    }
}

struct Never;

impl Timer for Never {
    fn set(&mut self, _: Duration) {}

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

struct Flooded {
    flood: Flood,
    addr: SocketAddrV4,
}

impl Socket for Flooded {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr.into())
    }

    fn poll_recv_from(
        &mut self,
        _: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        match self.flood.next(buf) {
            Some((len, from)) => Poll::Ready(Ok((len, from.into()))),
            None => Poll::Pending,
        }
    }

    fn poll_send_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.flood.0.blocked.load(Ordering::Relaxed) {
            0 => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    fn try_send_to(&mut self, _: &[u8], _: SocketAddr) -> io::Result<()> {
        match self.flood.0.blocked.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn ttl(&self) -> io::Result<u32> {
        Ok(64)
    }

    fn set_ttl(&self, _: u32) -> io::Result<()> {
        Ok(())
    }
}

fn poll(driver: &mut Driver<Flood>) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(counted(|| Pin::new(driver).poll(&mut cx)).is_pending());
}

/// Lets `datagrams` datagrams come in.
fn flood(world: &Flood, driver: &mut Driver<Flood>, datagrams: u32) {
    world.0.left.store(datagrams, Ordering::Relaxed);
    while world.0.left.load(Ordering::Relaxed) > 0 {
        poll(driver);
        world.0.micros.fetch_add(1_000, Ordering::Relaxed);
    }
}

/// Begins requests and queries until the core takes no more.
fn ask(dht: &Dht) {
    for n in 0.. {
        let to = SocketAddrV4::new(Ipv4Addr::from(0x6000_0001 + (n << 8)), 4000);
        let query = counted(|| dht.start_query(Query::find_node(Id([n as u8; 32])).nodes([to])));
        if counted(|| dht.start_request(Request::ping(to))).is_err() && query.is_err() {
            return;
        }
    }
}

fn most(config: &Config, items: bool) -> (usize, usize) {
    let world = Flood::default();
    world.0.len.store(config.max_datagram_received, Ordering::Relaxed);
    heap::reset();
    let builder = Builder::new(world.clone()).host(Ipv4Addr::new(45, 9, 9, 9));
    let builder = builder.configure(|own| *own = config.clone());
    let bound = builder.memory_bound();
    let (dht, mut driver) = counted(|| builder.build().unwrap());
    poll(&mut driver);
    let _requests = counted(|| dht.requests());
    let _datagrams = counted(|| dht.datagrams());
    // The queues of requests and of datagrams are full before the stream of items is opened.
    flood(&world, &mut driver, 1_500);
    let _items = items.then(|| counted(|| dht.items()));
    if items {
        ask(&dht);
    }
    flood(&world, &mut driver, 5_000);
    world.0.blocked.store(1, Ordering::Relaxed);
    for _ in 0..30 {
        flood(&world, &mut driver, 100);
        world.0.micros.fetch_add(1_000_000, Ordering::Relaxed);
        counted(|| dht.maintain(false));
    }
    let (drops, asked) = (dht.status().drops, world.0.sent.load(Ordering::Relaxed) as u64 / 2);
    assert_eq!(drops.requests + REQUESTS_MAX as u64, asked, "more wait, or fewer");
    assert_eq!(drops.datagrams + DATAGRAMS_MAX as u64, asked);
    let peak = heap::peak() as usize + size_of::<Driver<Flood>>();
    drop((dht, driver));
    (peak, bound)
}

#[test]
fn a_flood_of_a_driver_that_nobody_reads_is_bounded() {
    for config in [Config::default(), Config::embedded(), Config::client()] {
        for items in [false, true] {
            let (peak, bound) = most(&config, items);
            assert!(peak <= bound, "{peak} of {bound}");
            assert!(peak >= 2_500_000, "{peak}: there was no flood");
            // The driver's part of the bound.
            let own = bound - dht_core::Node::memory_bound(&config);
            assert!(own < 6_500_000, "{own}");
        }
    }
}

#[test]
fn a_configuration_that_is_no_good_has_no_bound() {
    let builder = Builder::new(Flood::default());
    let builder = builder.configure(|config| config.max_ping_delay = Duration::MAX);
    assert_eq!(builder.memory_bound(), usize::MAX);
}
