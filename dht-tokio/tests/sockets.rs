//! What every adapter shows with real sockets, and what is tokio's alone. All on loopback.

#![allow(clippy::unwrap_used)] // Outside of test functions, too.

use std::net::{Ipv4Addr, SocketAddrV4};

use dht_conformance::{Adapter, conforms};
use dht_tokio::{Builder, Dht, Error, Id, Query, RequestError, SendError, Tokio};
use tokio::runtime::Runtime;

struct OnTokio;

impl Adapter for OnTokio {
    type Runtime = Tokio;

    fn runtime() -> Tokio {
        Tokio
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        runtime().block_on(future)
    }

    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }
}

conforms!(OnTokio);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn builder() -> Builder<Tokio> {
    dht_tokio::builder().host(Ipv4Addr::LOCALHOST)
}

async fn up() -> Dht {
    let dht = builder().spawn().unwrap();
    dht.listening().await.unwrap();
    dht
}

#[test]
fn without_a_runtime_there_are_errors_and_no_panics() {
    assert!(matches!(builder().spawn(), Err(Error::Io(_))));

    let first = runtime();
    let (node, ping, mut query, mut requests) = first.block_on(async {
        let node = up().await;
        let ping = node.ping(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9));
        let nowhere = [SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9)];
        let query = node.query(Query::find_node(Id([1; 32])).nodes(nowhere));
        let requests = node.requests();
        (node, ping, query, requests)
    });
    drop(first);
    // No runtime at all by now.
    assert!(node.closed());
    let why = node.status().failure.unwrap().to_string();
    assert!(why.contains("driver was dropped"), "{why}");
    let late = node.ping(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9));
    runtime().block_on(async {
        assert!(matches!(ping.await, Err(Error::Request(RequestError::Destroyed))));
        assert!(matches!(late.await, Err(Error::Send(SendError::Closed))));
        assert!(query.next().await.is_none());
        assert!(requests.next().await.is_none());
        node.close().await.unwrap();
    });

    // A driver that is polled without one closes the node.
    let (node, driver) = builder().build().unwrap();
    let mut driver = std::pin::pin!(driver);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(driver.as_mut().poll(&mut cx).is_ready());
    assert!(matches!(node.status().failure, Some(Error::Io(_))));
}

#[test]
fn a_runtime_without_io_or_time_is_told() {
    let build = |io: bool, time: bool| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        if io {
            builder.enable_io();
        }
        if time {
            builder.enable_time();
        }
        builder.build().unwrap()
    };
    for (runtime, lacks) in [(build(false, true), "no I/O"), (build(true, false), "no time")] {
        let error = runtime.block_on(async { builder().spawn().unwrap().listening().await });
        let error = error.unwrap_err().to_string();
        let words = format!("the tokio runtime has {lacks}: build it with `enable_all`");
        assert!(error.starts_with("can't listen on 127.0.0.1:0: "), "{error}");
        assert!(error.ends_with(&words), "{error}");
    }
}
