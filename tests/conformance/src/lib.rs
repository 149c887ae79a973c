//! What has to hold for a node over real sockets, all on loopback; whoever drives `dht-core` can show it.
//!
//! - For anything that runs a node, seen from outside only: implement [`Loop`], and call
//!   `conforms!(loop: YourLoop)`.
//! - For a [`driver::Runtime`](Runtime): implement [`Adapter`], and call `conforms!(YourAdapter)`.
//!   That is the above, and what a user of the front-end sees ([`adapter`]), and that the node lives
//!   through what can go wrong with sockets, timer and interfaces ([`trouble`]).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests, which are called from elsewhere")]

pub mod adapter;
mod faulty;
pub mod outside;
mod peer;
mod spawned;
pub mod trouble;

use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use dht_core::driver::*;

pub use spawned::Spawned;

/// Something that runs a node, whatever way.
pub trait Loop: Sized {
    /// The longest value that has to travel: less if the node's configuration says so
    /// ([`Config::max_datagram`](dht_core::Config::max_datagram)).
    const LONGEST: usize = 1200;

    /// Runs a node on loopback in the background, until this is dropped: then its sockets are
    /// closed. Its server socket is at `port` and no other. It joins by `bootstrap`, as
    /// [`Config::bootstrap`](dht_core::Config::bootstrap) has it, or is a bootstrap node itself if that is empty. To the
    /// command 0 it answers with the value that came with it; others it does not know.
    fn start(port: u16, bootstrap: &[String]) -> Self;
}

/// An adapter, and a runtime to run it on.
pub trait Adapter: 'static {
    /// What it brings.
    type Runtime: Spawn + Clone;

    /// It.
    fn runtime() -> Self::Runtime;

    /// Runs a future to its end, and what it spawns meanwhile.
    fn block_on<F: Future>(future: F) -> F::Output;

    /// Runs a future beside that.
    fn spawn(future: impl Future<Output = ()> + Send + 'static);
}

/// A test for each of the checks.
#[macro_export]
macro_rules! conforms {
    (loop: $node:ty) => {
        $crate::conforms!(
            outside,
            $node,
            it_answers_pings_and_tells_of_nodes,
            it_answers_as_the_application_says,
            it_lives_through_garbage,
            it_lives_through_peers_that_are_gone,
            it_joins_by_a_name,
            it_joins_beside_a_dead_bootstrap_node,
            it_asks_again_when_nobody_answers,
            requests_leave_by_the_client_socket_and_answers_by_the_one_that_was_asked,
            it_answers_while_its_timers_ring,
            its_sockets_are_closed_at_the_end
        );
    };
    ($adapter:ty) => {
        $crate::conforms!(loop: $crate::Spawned<$adapter>);
        $crate::conforms!(
            adapter,
            $adapter,
            values_of_all_sizes_travel,
            answers_leave_from_the_address_that_was_asked,
            nodes_find_each_other_by_name,
            a_taken_port_is_an_error_that_says_so,
            suspended_it_holds_no_socket_and_resumed_the_same,
            datagrams_that_are_not_ours,
            a_timer_rings_when_it_is_set_anew,
            the_system_is_there
        );
        $crate::conforms!(
            trouble,
            $adapter,
            sockets_that_receive_nothing_but_errors,
            sockets_that_send_nothing,
            datagrams_that_are_not_taken_at_first,
            receiving_that_is_said_to_be_ready_and_is_not,
            a_timer_that_rings_early_or_late,
            a_timer_that_never_rings,
            a_timer_that_was_not_set_once,
            interfaces_that_vanish,
            sockets_that_the_system_takes,
            sockets_that_can_not_be_bound,
            a_resolver_that_is_silent,
            sockets_that_can_not_be_bound_again,
            helpers_that_panic,
            a_filter_that_panics,
            a_socket_that_panics,
            a_driver_that_is_dropped
        );
    };
    ($module:ident, $what:ty, $($check:ident),*) => {
        $(
            #[test]
            fn $check() {
                $crate::in_time($crate::$module::$check::<$what>);
            }
        )*
    };
}

/// Runs a check; one that waits for ever is a failure.
pub fn in_time(check: fn()) {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        check();
        done.send(()).ok();
    });
    if is_done.recv_timeout(Duration::from_secs(180)) == Err(RecvTimeoutError::Timeout) {
        panic!("it waits for ever");
    }
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn local(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(LOCALHOST, port)
}

fn builder<A: Adapter>() -> Builder<A::Runtime> {
    Builder::new(A::runtime()).host(LOCALHOST)
}

async fn up<A: Adapter>() -> Dht {
    let dht = builder::<A>().spawn().unwrap();
    dht.listening().await.unwrap();
    dht
}

fn server(dht: &Dht) -> SocketAddrV4 {
    dht.server_address().unwrap()
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().unwrap().port()
}

/// A port that is free, and that nobody gets who asks for any.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() % 1000 * 10;
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (u16::try_from(first).unwrap() + next) % 10_000;
        if UdpSocket::bind((LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Waits while the runtime goes on.
async fn wait<A: Adapter>(time: Duration) {
    let mut timer = A::runtime().timer();
    timer.set(time);
    poll_fn(|cx| timer.poll(cx)).await;
}
