//! Getting into a network, or knowing soon why not.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

use dht_tokio::{BootstrapNode, Builder, Dht, Error, Event, Events, Spawn, Tokio};
use tokio::time::timeout;

use crate::args::Join;
use crate::failure::{Failure, because};
use crate::output::Output;
use crate::{serve, watch};

/// For how long anything may take that is waited for before the node is of use.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often [`PATIENCE`] runs out before a command that waits for a network asks for it again.
const ASK_AGAIN: u32 = 3;

/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 8;

/// A node that asks, and that no other node needs to know.
pub(crate) async fn client(join: Join) -> Result<Dht, Failure> {
    // It will not be asked, so whether it can be reached is not worth a probe.
    let (dht, events, nodes) = start(join, |builder| {
        builder.ephemeral(true).configure(|config| config.quick_firewall = false)
    })
    .await?;
    enter(&dht, events, &nodes).await?;
    Ok(dht)
}

/// A node with these options, bound; what happens to it; and how it joins.
pub(crate) async fn start(
    join: Join,
    options: impl FnOnce(Builder<Tokio>) -> Builder<Tokio>,
) -> Result<(Dht, Events, Vec<BootstrapNode>), Failure> {
    let Join { bootstrap, host, limits } = join;
    let builder = dht_tokio::builder().bootstrap(&bootstrap).host(host);
    let builder = builder.configure(|config| config.exempt = limits.exempt);
    let (dht, driver) = options(builder).build()?;
    let events = dht.events();
    Tokio::spawn(driver)?;
    dht.listening().await.map_err(|error| unbound(&error, dht.status().port_range.bounds().0))?;
    Ok((dht, events, bootstrap))
}

/// Waits until it is in the network, or it is clear soon that it does not get there.
async fn enter(dht: &Dht, mut events: Events, nodes: &[BootstrapNode]) -> Result<(), Failure> {
    match timeout(PATIENCE, bootstrapped(dht, &mut events, nodes)).await {
        Ok(joined) => joined,
        // Some node answered, if not all did.
        Err(_) if dht.status().table_len > 0 => Ok(()),
        Err(_) => Err(because(format!("no answer from {} yet", list(nodes)))),
    }
}

async fn bootstrapped(
    dht: &Dht,
    events: &mut Events,
    nodes: &[BootstrapNode],
) -> Result<(), Failure> {
    while let Some(event) = events.next().await {
        match silence(&event, dht, nodes) {
            Some(why) => return Err(because(why)),
            None if event == Event::Ready => return Ok(()),
            None => {}
        }
    }
    Err(because("the node was closed"))
}

/// Waits for the network for as long as it takes, and says why it does.
pub(crate) async fn enter_sometime(
    dht: &Dht,
    events: &mut Events,
    nodes: &[BootstrapNode],
    output: &Output,
) -> Result<(), Failure> {
    let (mut ready, mut told, mut waits) = (false, None, 0);
    // It may be its own bootstrap node; then there is no node to wait for.
    while !ready || (told.is_some() && !dht.status().online) {
        let event = match timeout(PATIENCE, events.next()).await {
            Ok(Some(event)) => event,
            Ok(None) => return Err(because("the node was closed")),
            // Some node answered, if not all did.
            Err(_) if dht.status().table_len > 0 => break,
            Err(_) => {
                // The node asks ever less often by itself, but here the user waits.
                waits += 1;
                if waits % ASK_AGAIN == 0 {
                    dht.refresh();
                }
                continue;
            }
        };
        ready |= event == Event::Ready;
        watch::tell(&event, output)?;
        // It may be why no node answers.
        if is_trouble(&event) {
            serve::tell(event, dht, output);
        }
        let why = silence(&event, dht, nodes);
        if let Some(why) = why.filter(|why| told.as_ref() != Some(why)) {
            output.log(format_args!("{why}; trying again"));
            told = Some(why);
        }
    }
    if told.is_some() {
        // It has been ready since before, and may find its place only now.
        let settled =
            async { while !matches!(events.next().await, Some(Event::Persistent) | None) {} };
        let _ = timeout(PATIENCE, settled).await;
    }
    Ok(())
}

/// Whether it tells of what the machine or its sockets do badly, or again well.
const fn is_trouble(event: &Event) -> bool {
    use Event::{BindFailed, Offline, Resumed, SocketLost, SocketTrouble};
    matches!(event, BindFailed | Offline | Resumed | SocketLost(_) | SocketTrouble(_))
}

/// Why no node was found to join by, if that is what the event tells.
fn silence(event: &Event, dht: &Dht, nodes: &[BootstrapNode]) -> Option<String> {
    match *event {
        Event::BootstrapSilent { asked: 0, unusable, .. } => {
            let nodes: Vec<_> = nodes.iter().filter(|node| node.name().is_some()).collect();
            let why =
                dht.status().lookup_error.map(|error| format!(": {error}")).unwrap_or_default();
            let use_ = if unusable > 0 { " that can be sent to" } else { "" };
            Some(format!("there is no address{use_} for {}{why}", list(nodes)))
        }
        Event::BootstrapSilent { unsent: Some(_), .. } => {
            Some(format!("nobody could be asked at {}: {}", list(nodes), said(dht)))
        }
        Event::BootstrapSilent { unresolved, unusable, .. } => {
            let instead = |node: &BootstrapNode| {
                let asked = SocketAddrV4::new(node.host().parse().ok()?, node.port());
                dht.answered_instead(asked)
            };
            let mut rest = match nodes.iter().find_map(instead) {
                Some(from) => format!(", but {from} does: join there"),
                None => String::new(),
            };
            if unresolved + unusable > 0 {
                rest += ", and not all names have an address";
            }
            Some(format!("nobody answers at {}{rest}", list(nodes)))
        }
        _ => None,
    }
}

/// What the system said when it did not send.
pub(crate) fn said(dht: &Dht) -> String {
    dht.status().send_error.map(|error| error.to_string()).unwrap_or_default()
}

fn list<'n>(nodes: impl IntoIterator<Item = &'n BootstrapNode>) -> String {
    let nodes: Vec<_> = nodes.into_iter().map(ToString::to_string).collect();
    nodes.join(", ")
}

/// Why a node could not be bound, in words.
pub(crate) fn unbound(error: &Error, port: impl Into<u32>) -> Failure {
    let port = port.into();
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::AddrInUse => {
            because(format!("port {port} is taken"))
        }
        error => because(error.to_string()),
    }
}

/// The addresses of a node, looked up if need be: at least one.
pub(crate) async fn resolve(node: &BootstrapNode) -> Result<Vec<SocketAddrV4>, Failure> {
    let host = node.name().unwrap_or(node.host());
    let unknown = |why: &str| because(format!("there is no address for {host}{why}"));
    let found = timeout(PATIENCE, tokio::net::lookup_host((host, node.port()))).await;
    let found = match found {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(unknown(&format!(": {error}"))),
        Err(_) => return Err(unknown(" yet")),
    };
    let found = found.filter_map(|addr| match addr {
        SocketAddr::V4(addr) => Some(addr),
        SocketAddr::V6(_) => None,
    });
    let found: Vec<_> = found.take(ADDRESSES_MAX).collect();
    if found.is_empty() { Err(unknown(" of version 4")) } else { Ok(found) }
}
