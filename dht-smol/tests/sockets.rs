//! What every adapter shows with real sockets: on smol's executor, and on none but the one
//! that waits. All on loopback.

#![allow(clippy::unwrap_used)] // Outside of test functions, too.

use std::net::Ipv4Addr;

use dht_conformance::{Adapter, conforms};
use dht_smol::Smol;

struct OnSmol;

impl Adapter for OnSmol {
    type Runtime = Smol;

    fn runtime() -> Smol {
        Smol
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        smol::block_on(future)
    }

    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(future).detach();
    }
}

conforms!(OnSmol);

#[test]
fn a_driver_runs_on_any_executor() {
    let executor = smol::LocalExecutor::new();
    smol::block_on(executor.run(async {
        let nodes = [(); 2].map(|()| {
            let builder = dht_smol::builder().host(Ipv4Addr::LOCALHOST);
            let (node, driver) = builder.build().unwrap();
            executor.spawn(driver).detach();
            node
        });
        for node in &nodes {
            node.listening().await.unwrap();
        }
        nodes[0].ping(nodes[1].server_address().unwrap()).await.unwrap();
    }));
    // Its driver is gone with the executor.
    drop(executor);
}
