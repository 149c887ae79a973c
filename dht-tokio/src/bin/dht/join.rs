//! Getting into a network, or knowing soon why not.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use dht_tokio::{BootstrapNode, Builder, Dht, Error, Event, Events, Spawn, Tokio};
use tokio::time::timeout;

use crate::args::Join;
use crate::failure::{Failure, because};

/// For how long anything may take that is waited for before the node is of use.
const PATIENCE: Duration = Duration::from_secs(5);

/// A node that asks, and that others need not know.
pub(crate) async fn client(join: Join) -> Result<Dht, Failure> {
    // Nobody will ask it, so whether it can be reached is not worth a probe.
    enter(join, |builder| builder.ephemeral(true).quick_firewall(false)).await
}

/// What the system said when it did not send.
pub(crate) fn said(dht: &Dht) -> String {
    dht.send_error().map(|error| error.to_string()).unwrap_or_default()
}

/// A node in the network, with these options.
pub(crate) async fn enter(
    join: Join,
    options: impl FnOnce(Builder<Tokio>) -> Builder<Tokio>,
) -> Result<Dht, Failure> {
    let Join { bootstrap, host } = join;
    let builder = dht_tokio::builder().bootstrap(&bootstrap).host(host);
    let (dht, driver) = options(builder).build()?;
    let mut events = dht.events();
    Tokio::spawn(driver)?;
    dht.listening().await.map_err(|error| unbound(&error, host, dht.port_range().bounds().0))?;
    match timeout(PATIENCE, bootstrapped(&mut events, &bootstrap)).await {
        Ok(joined) => joined?,
        // Somebody answered, if not all did.
        Err(_) if dht.table_len() > 0 => {}
        Err(_) => return Err(because(format!("no answer from {} yet", list(&bootstrap)))),
    }
    Ok(dht)
}

async fn bootstrapped(events: &mut Events, nodes: &[BootstrapNode]) -> Result<(), Failure> {
    while let Some(event) = events.next().await {
        match event {
            Event::Ready => return Ok(()),
            Event::BootstrapSilent { asked: 0, .. } => {
                let nodes: Vec<_> = nodes.iter().filter(|node| node.name().is_some()).collect();
                return Err(because(format!("there is no address for {}", list(nodes))));
            }
            Event::BootstrapSilent { unresolved, .. } => {
                let rest = if unresolved > 0 { ", and not all names have an address" } else { "" };
                return Err(because(format!("nobody answers at {}{rest}", list(nodes))));
            }
            _ => {}
        }
    }
    Err(because("the node was closed"))
}

fn list<'n>(nodes: impl IntoIterator<Item = &'n BootstrapNode>) -> String {
    let nodes: Vec<_> = nodes.into_iter().map(ToString::to_string).collect();
    nodes.join(", ")
}

/// Why a node could not be bound, in words.
pub(crate) fn unbound(error: &Error, host: Ipv4Addr, port: impl Into<u32>) -> Failure {
    let port = port.into();
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::AddrInUse => {
            because(format!("port {port} is taken"))
        }
        Error::Io(error) => because(format!("can't listen on {host}:{port}: {error}")),
        error => because(error.to_string()),
    }
}

/// The address of a node, looked up if need be.
pub(crate) async fn resolve(node: &BootstrapNode) -> Result<SocketAddrV4, Failure> {
    let host = node.name().unwrap_or(node.host());
    let unknown = |why: &str| because(format!("there is no address for {host}{why}"));
    let found = timeout(PATIENCE, tokio::net::lookup_host((host, node.port()))).await;
    let mut found = match found {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(unknown(&format!(": {error}"))),
        Err(_) => return Err(unknown(" yet")),
    };
    let found = found.find_map(|addr| match addr {
        SocketAddr::V4(addr) => Some(addr),
        SocketAddr::V6(_) => None,
    });
    found.ok_or_else(|| unknown(" of version 4"))
}
