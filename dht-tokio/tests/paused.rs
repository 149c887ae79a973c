//! Nodes under tokio's paused clock, which runs ahead whenever nothing else is to be done.

#![allow(clippy::panic, clippy::unwrap_used)] // Outside of test functions, too.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use dht_tokio::{Dht, Event};
use tokio::time::{Instant, advance, sleep};

const SECOND: Duration = Duration::from_secs(1);

async fn up() -> Dht {
    let dht = dht_tokio::builder().host(Ipv4Addr::LOCALHOST).spawn().unwrap();
    dht.fully_bootstrapped().await.unwrap();
    dht
}

fn silent() -> (UdpSocket, SocketAddrV4) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let SocketAddr::V4(addr) = socket.local_addr().unwrap() else { panic!("not IPv4") };
    (socket, addr)
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_time_takes_as_long_by_that_clock_and_next_to_nothing_by_others() {
    let (a, b) = (up().await, up().await);
    let (_socket, nobody) = silent();
    for _ in 0..3 {
        let start = Instant::now();
        a.ping(nobody).await.unwrap_err();
        // Tokio's timers tick once a millisecond.
        let took = start.elapsed();
        assert!((4 * SECOND..4 * SECOND + SECOND / 10).contains(&took), "{took:?}");
        a.ping(b.server_address().unwrap()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn hours_pass_without_a_wake_up_and_a_jump_is_one() {
    let node = up().await;
    let mut events = node.events();
    sleep(3600 * SECOND).await;
    node.set_node_events(true);
    // The timer rings meanwhile, but late.
    advance(60 * SECOND).await;
    sleep(SECOND).await;
    drop(node);
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        // Whether it can be reached from outside is not what this is about.
        told.extend(Some(event).filter(|event| !matches!(event, Event::Persistence(_))));
    }
    assert_eq!(told, [Event::WakeUp, Event::Closed]);
}
