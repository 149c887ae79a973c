//! Nodes of this library that serve hyperdht, in this process and on the loopback interface: on the adapter that
//! `DHT_INTEROP_RUNTIME` names, tokio's if it names none.

use std::env;
use std::future::{Future, pending};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{OnceLock, mpsc};
use std::thread;

use dht_core::driver::{Builder, Dht, Spawn};
use dht_core::hyperdht::{ServiceConfig, ServiceStats};
use tokio::runtime::{self, Handle};

use crate::stage::free_port;

/// How often another port is tried when the one that was free a moment ago no longer is.
const PORT_TRIES: usize = 10;

/// Nodes that store, the bootstrap node first.
#[derive(Debug)]
pub struct Network {
    nodes: Vec<Dht>,
}

impl Network {
    /// A network of `count` nodes.
    #[must_use]
    pub fn form(count: usize) -> Network {
        let first = serving(&ServiceConfig::default());
        let bootstrap = address(&first);
        let others: Vec<_> = (1..count).map(|_| node(bootstrap, true)).collect();
        for node in &others {
            wait(node.fully_bootstrapped()).unwrap();
        }
        Network { nodes: [vec![first], others].concat() }
    }

    /// Where to join it.
    #[must_use]
    pub fn bootstrap(&self) -> SocketAddrV4 {
        address(&self.nodes[0])
    }

    /// Where its nodes are.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        self.nodes.iter().map(address).collect()
    }

    /// Its nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Dht] {
        &self.nodes
    }

    /// A sum over what its nodes keep and do for others.
    #[must_use]
    pub fn sum(&self, of: impl Fn(&ServiceStats) -> u64) -> u64 {
        let stats = self.nodes.iter().filter_map(Dht::service_stats);
        stats.map(|stats| of(&stats)).sum()
    }
}

/// A node that joins there, and serves if it `stores`. It may still be joining.
#[must_use]
pub fn node(bootstrap: SocketAddrV4, stores: bool) -> Dht {
    fn of<R: Spawn>(runtime: R, bootstrap: SocketAddrV4, stores: bool) -> Dht {
        let builder = Builder::new(runtime).host(Ipv4Addr::LOCALHOST).bootstrap([bootstrap]);
        let builder = builder.ephemeral(!stores).hyperdht(ServiceConfig::default());
        begin(if stores { builder.firewalled(false) } else { builder })
    }
    if is_smol() {
        of(dht_smol::Smol, bootstrap, stores)
    } else {
        of(dht_tokio::Tokio, bootstrap, stores)
    }
}

/// Runs a future of a node's.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    background().block_on(future)
}

/// The first node of a network, which serves in this way.
#[must_use]
pub fn serving(config: &ServiceConfig) -> Dht {
    fn of<R: Spawn>(runtime: R, config: ServiceConfig) -> Dht {
        let builder = Builder::bootstrapper(runtime, free_port(), "127.0.0.1");
        begin(builder.host(Ipv4Addr::LOCALHOST).hyperdht(config))
    }
    for _ in 0..PORT_TRIES {
        let config = config.clone();
        let first =
            if is_smol() { of(dht_smol::Smol, config) } else { of(dht_tokio::Tokio, config) };
        if wait(first.fully_bootstrapped()).is_ok() {
            return first;
        }
    }
    panic!("no port stays free");
}

fn begin<R: Spawn>(builder: Builder<R>) -> Dht {
    let _within = background().enter();
    builder.spawn().expect("options that are valid")
}

fn is_smol() -> bool {
    env::var_os("DHT_INTEROP_RUNTIME").is_some_and(|runtime| runtime == "smol")
}

/// Where a node can be asked.
#[must_use]
pub fn address(node: &Dht) -> SocketAddrV4 {
    wait(node.listening()).expect("sockets");
    node.server_address().expect("a socket")
}

/// A thread on which tokio's nodes run, while tests wait for others.
fn background() -> &'static Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let (told, handle) = mpsc::channel();
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            told.send(runtime.handle().clone()).expect("a test that waits");
            runtime.block_on(pending::<()>());
        });
        handle.recv().expect("a runtime")
    })
}
