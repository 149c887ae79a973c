//! Nobody else's code runs under the lock: wakers that call the handle don't get stuck.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use super::sim::Sim;
use super::world::local;
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
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        story(|_| {});
        story(|dht| drop(dht.suspend()));
        story(|dht| drop(dht.close()));
        done.send(())
    });
    is_done.recv_timeout(Duration::from_secs(20)).expect("stuck, or it panicked");
}
