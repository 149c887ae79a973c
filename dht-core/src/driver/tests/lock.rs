//! No foreign code runs under the lock: wakers that call the handle don't get stuck.

use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use super::sim::Sim;
use super::world::{World, local};
use crate::driver::{Builder, Dht};
use crate::{Id, Query};

/// Calls the node when it is woken and when it is dropped.
struct Nosy(Dht);

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        self.0.refresh();
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.0.refresh();
    }
}

impl fmt::Debug for Nosy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system says no")
    }
}

impl fmt::Display for Nosy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Nosy {}

/// Polls with a waker, and with another one, which displaces the first.
fn poll_twice(dht: &Dht, mut future: Pin<&mut impl Future>) {
    for _ in 0..2 {
        let waker = Waker::from(Arc::new(Nosy(dht.clone())));
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            return;
        }
    }
}

/// What everything that can wait does with its wakers, up to the node's end.
fn story(end: impl FnOnce(&Dht)) {
    let sim = Sim::default();
    let (dht, mut driver) = Builder::new(sim.world.clone())
        .configure(|config| config.max_requests = 2)
        .build()
        .unwrap();
    poll_twice(&dht, pin!(&mut driver));
    let mut waits = [dht.listening(), dht.fully_bootstrapped(), dht.listening()];
    let mut pings = [0; 5].map(|_| dht.ping(local(9)));
    let (mut queries, mut dropped) = ([dht.find_node(Id([1; 32])), query(&dht)], query(&dht));
    let (mut requests, mut items, mut events) = (dht.requests(), dht.items(), dht.events());
    let (mut datagrams, mut extra) = (dht.datagrams(), dht.extra(1));
    let mut poll_all = || {
        waits.iter_mut().for_each(|wait| poll_twice(&dht, Pin::new(wait)));
        pings.iter_mut().for_each(|ping| poll_twice(&dht, Pin::new(ping)));
        poll_twice(&dht, pin!(queries[0].next()));
        poll_twice(&dht, pin!(queries[1].finished()));
        poll_twice(&dht, pin!(dropped.next()));
        poll_twice(&dht, pin!(requests.next()));
        poll_twice(&dht, pin!(items.next()));
        poll_twice(&dht, pin!(events.next()));
        poll_twice(&dht, pin!(datagrams.next()));
        poll_twice(&dht, pin!(extra.next()));
    };
    poll_all();
    dht.session().end();
    poll_twice(&dht, pin!(&mut driver));
    poll_all();
    end(&dht);
    poll_twice(&dht, pin!(&mut driver));
    poll_all();
    // Now all of them go, with the wakers that they left.
}

fn query(dht: &Dht) -> crate::driver::QueryStream {
    dht.query(Query::find_node(Id([1; 32])).nodes([local(9)]))
}

#[test]
fn wakers_may_call_the_handle() {
    unless_stuck(|| {
        story(|_| {});
        story(|dht| drop(dht.suspend()));
        story(|dht| drop(dht.close()));
    });
}

/// Binding fails, and `after` something else the reason is replaced.
fn refused(after: impl FnOnce(&Sim, &Dht)) {
    let sim = Sim::default();
    let dht = sim.up();
    sim.advance(Duration::from_secs(2));
    let handle = dht.clone();
    sim.world.get().refusal = Some(Box::new(move || io::Error::other(Nosy(handle.clone()))));
    sim.world.destroy(dht.server_address().unwrap().port(), true);
    sim.run();
    assert!(dht.status().failure.is_some());
    after(&sim, &dht);
    forgive(&sim.world);
}

fn forgive(world: &World) {
    // It holds a handle.
    let refusal = world.get().refusal.take();
    drop(refusal);
}

#[test]
fn errors_of_the_systems_may_call_the_handle() {
    unless_stuck(|| {
        refused(|sim, dht| {
            sim.advance(Duration::from_secs(10));
            assert!(dht.status().failure.is_some());
        });
        refused(|sim, dht| {
            forgive(&sim.world);
            sim.advance(Duration::from_secs(2));
            assert!(dht.status().failure.is_none() && !dht.status().suspended);
        });
        refused(|sim, dht| sim.block_on(dht.suspend()).unwrap());
        refused(|sim, dht| sim.block_on(dht.resume()).map_or((), |()| unreachable!()));
    });
}

fn unless_stuck(act: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        act();
        done.send(())
    });
    is_done.recv_timeout(Duration::from_secs(20)).expect("stuck, or it panicked");
}
