//! What every adapter shows: the few things that the driver's own tests can't, which run in a world in memory.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use dht_core::driver::*;
use dht_core::*;

use crate::{Adapter, LOCALHOST, builder, port, server, up};

/// Datagrams travel both ways, up to the longest, and with a time to live.
pub fn values_of_all_sizes_travel<A: Adapter>() {
    A::block_on(async {
        let (a, b) = (up::<A>().await, up::<A>().await);
        let mut requests = b.requests();
        A::spawn(async move {
            while let Some(request) = requests.next().await {
                let value = request.value.clone().unwrap_or_default();
                request.reply_value(value).unwrap();
            }
        });
        for size in [0, 1, 1000, 1200] {
            let value = vec![7; size];
            let reply = a.request(Request::new(server(&b), 16).value(value.clone())).await.unwrap();
            assert_eq!(reply.value.as_deref(), Some(&value[..]));
        }
        assert!(a.ping_with(server(&b), 0, 1).await.is_ok(), "a time to live of one hop");
        assert!(a.ping(server(&b)).await.is_ok());
    });
}

/// A node that is bound to all addresses of its machine, asked at several: who asks takes an answer from no other.
/// Where a machine has but one at hand, there is nothing to show.
pub fn answers_leave_from_the_address_that_was_asked<A: Adapter>() {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return;
    }
    A::block_on(async {
        let node = Builder::new(A::runtime()).spawn().unwrap();
        node.listening().await.unwrap();
        let mut requests = node.requests();
        A::spawn(async move {
            while let Some(request) = requests.next().await {
                request.reply_value(&b"here"[..]).unwrap();
            }
        });
        let other = up::<A>().await;
        for bound in [node.server_address(), node.status().client_address] {
            assert_eq!(bound.map(|addr| *addr.ip()), Some(Ipv4Addr::UNSPECIFIED));
            for last in 1..4 {
                let addr = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), bound.unwrap().port());
                assert_eq!(other.ping(addr).await.unwrap().from.addr, addr);
                let asked = other.request(Request::new(addr, 16)).await.unwrap();
                assert_eq!((asked.from.addr, asked.value.as_deref()), (addr, Some(&b"here"[..])));
                other.delayed_ping(addr, Duration::from_millis(1)).await.unwrap();
                // With a time to live of its own, the other way.
                other.ping_with(addr, 0, 3).await.unwrap();
            }
        }
    });
}

/// Names are looked up.
pub fn nodes_find_each_other_by_name<A: Adapter>() {
    A::block_on(async {
        let port = port(&UdpSocket::bind("127.0.0.1:0").unwrap());
        let first = Builder::bootstrapper(A::runtime(), port, "127.0.0.1").host(LOCALHOST);
        let first = first.spawn().unwrap();
        first.fully_bootstrapped().await.unwrap();
        let node = builder::<A>().bootstrap([format!("localhost:{port}")]);
        let (node, driver) = node.build().unwrap();
        let mut events = node.events();
        A::spawn(driver);
        node.fully_bootstrapped().await.unwrap();
        assert_eq!(events.next().await, Some(Event::Listening));
        assert_eq!(node.nodes(10), [server(&first)]);
        let found = node.find_node(Id([3; 32])).nodes().await.unwrap();
        assert_eq!(found.len(), 1);
        let nowhere = builder::<A>().bootstrap(["does.not.exist.invalid:1".to_owned()]);
        let nowhere = nowhere.spawn().unwrap();
        nowhere.fully_bootstrapped().await.unwrap();
        assert_eq!(nowhere.nodes(10), []);
    });
}

/// A port that somebody else has.
pub fn a_taken_port_is_an_error_that_says_so<A: Adapter>() {
    A::block_on(async {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = port(&taken);
        let node = builder::<A>().port(port).any_port(false).spawn().unwrap();
        match node.fully_bootstrapped().await {
            Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
            other => panic!("{other:?}"),
        }
        let node = builder::<A>().port(port..port + 1).spawn().unwrap();
        node.listening().await.unwrap();
        assert_ne!(server(&node).port(), port);
    });
}

/// Sockets are closed, and bound again.
pub fn suspended_it_holds_no_socket_and_resumed_the_same<A: Adapter>() {
    A::block_on(async {
        let (a, b) = (up::<A>().await, up::<A>().await);
        let (client, server) = (b.status().client_address.unwrap(), server(&b));
        b.suspend().await.unwrap();
        drop((UdpSocket::bind(client).unwrap(), UdpSocket::bind(server).unwrap()));
        b.resume().await.unwrap();
        assert_eq!((b.status().client_address, b.server_address()), (Some(client), Some(server)));
        a.ping(server).await.unwrap();
        b.close().await.unwrap();
        drop(UdpSocket::bind(server).unwrap());
        a.request(Request::ping(server).retries(0)).await.unwrap_err();
    });
}

/// Datagrams of other protocols, the longest among them.
pub fn datagrams_that_are_not_ours<A: Adapter>() {
    A::block_on(async {
        let node = up::<A>().await;
        let mut datagrams = node.datagrams();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // Too long, of another protocol: the core hears that it was longer than 2,048 bytes.
        for size in [2048, 2049, 5000] {
            peer.send_to(&vec![0xff; size], server(&node)).unwrap();
            let datagram = datagrams.next().await.unwrap();
            assert_eq!((datagram.via, datagram.data.len()), (Via::Server, size.min(2049)));
        }
        let to = SocketAddrV4::new(LOCALHOST, port(&peer));
        node.send_datagram(Via::Client, to, "hello", None).unwrap();
        // The driver gets its turn before an answer of anybody's is there.
        node.ping(server(&node)).await.ok();
        let mut buf = [0; 16];
        let (len, from) = peer.recv_from(&mut buf).unwrap();
        assert_eq!(
            (&buf[..len], from),
            (&b"hello"[..], node.status().client_address.unwrap().into())
        );
    });
}

/// What is due earlier than what was waited for comes in time, and again after that.
pub fn a_timer_rings_when_it_is_set_anew<A: Adapter>() {
    A::block_on(async {
        let node = up::<A>().await;
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = SocketAddrV4::new(LOCALHOST, port(&silent));
        for _ in 0..2 {
            // Idle, it waits for seconds; the try is over after one.
            let asked = std::time::Instant::now();
            node.request(Request::ping(to).retries(0)).await.unwrap_err();
            let took = asked.elapsed();
            assert!(took >= Duration::from_millis(990), "{took:?}");
            assert!(took < Duration::from_secs(4), "{took:?}");
        }
    });
}

/// Clock, randomness, interfaces.
pub fn the_system_is_there<A: Adapter>() {
    let runtime = A::runtime();
    let before = runtime.now();
    std::thread::sleep(Duration::from_millis(5));
    let passed = runtime.now().saturating_since(before);
    assert!(passed >= Duration::from_millis(5), "{passed:?}");
    assert!(runtime.interfaces().unwrap().contains(&LOCALHOST));
    let way_out = runtime.way_out().unwrap();
    assert!(way_out.is_none_or(|ip| runtime.interfaces().unwrap().contains(&ip)), "{way_out:?}");
    let mut bytes = [0; 32];
    runtime.fill_random(&mut bytes).unwrap();
    assert_ne!(bytes, [0; 32]);
}
