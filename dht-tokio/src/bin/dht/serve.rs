//! Commands that run until they are told to stop: `testnet`, `bootstrap`, `node`.

use std::net::{Ipv4Addr, SocketAddrV4};

use dht_tokio::dht_core::driver::Host;
use dht_tokio::dht_core::hyperdht::ServiceConfig;
use dht_tokio::{Builder, Dht, Event, Events, Persistence, Tokio};
use serde_json::json;

use crate::args::{Join, Limits, Serving};
use crate::failure::Failure;
use crate::join::{self, unbound};
use crate::network::Network;
use crate::output::Output;
use crate::stop::Stop;
use crate::watch::{self, Watch};
use crate::{format, store};

/// How many values all nodes of a test network keep together, at least one each.
const TESTNET_VALUES_MAX: usize = 100_000;

pub(crate) async fn testnet(
    nodes: u16,
    port: Option<u16>,
    serving: Serving,
    output: &Output,
    stop: &mut Stop,
) -> Result<(), Failure> {
    let size = usize::from(nodes) + 1;
    let serve = Serve::of(serving, (TESTNET_VALUES_MAX / size).clamp(1, store::VALUES_MAX));
    let progress = output.progress("forming a network", size);
    let network = Network::form(nodes.into(), port, serve, |grown| progress.at(grown));
    let network = stop.or(network).await?;
    drop(progress);

    let bootstrap = network.bootstrap();
    output
        .result(bootstrap, &json!({ "event": "ready", "bootstrap": bootstrap, "nodes": size }))?;
    output.log(format_args!(
        "{} are running; try: {} put{} \"hello\" --bootstrap {bootstrap}",
        format::count(size, "node"),
        command(),
        if serving.hyperdht { " --immutable" } else { "" }
    ));
    stop.wait().await;
    output.log("closing");
    network.close().await;
    Ok(())
}

/// What to type to run this again: in a checkout it is cargo's alias.
fn command() -> &'static str {
    if std::env::var_os("CARGO").is_some() { "cargo dht" } else { "dht" }
}

pub(crate) async fn bootstrap(
    port: u16,
    host: Ipv4Addr,
    limits: Limits,
    serving: Serving,
    output: &Output,
    stop: &mut Stop,
) -> Result<(), Failure> {
    // A node that can't be reached need not listen to the world. A public address may be a router's.
    let local = if host.is_loopback() { host } else { Ipv4Addr::UNSPECIFIED };
    let builder = dht_tokio::bootstrapper(port, &host.to_string()).host(local);
    let serve = Serve::of(serving, store::VALUES_MAX);
    let dht = serve.build(builder.configure(|config| config.exempt = limits.exempt)).spawn()?;
    let events = dht.events();
    dht.fully_bootstrapped().await.map_err(|error| unbound(&error, port))?;
    serve.begin(&dht);

    let address = SocketAddrV4::new(host, port);
    output.result(address, &json!({ "event": "ready", "bootstrap": address }))?;
    if Tokio.interfaces().is_ok_and(|all| !all.contains(&host)) && !host.is_loopback() {
        output.log(format_args!(
            "no interface of this machine has the address {host}: other nodes reach this one only if a router \
             forwards port {port} to it"
        ));
    }
    let (command, kind) = (command(), if serving.hyperdht { " --hyperdht" } else { "" });
    output.log(format_args!("running; others join by: {command} node{kind} --bootstrap {address}"));
    watch(&dht, events, output, stop).await
}

pub(crate) async fn node(
    join: Join,
    port: u16,
    exact_port: bool,
    serving: Serving,
    output: &Output,
    stop: &mut Stop,
) -> Result<(), Failure> {
    let serve = Serve::of(serving, store::VALUES_MAX);
    let options = |builder: Builder<Tokio>| {
        serve.build(builder.port(port).any_port(!exact_port).ephemeral(false))
    };
    let (dht, mut events, nodes) = stop.or(join::start(join, options)).await?;
    serve.begin(&dht);
    stop.or(join::enter_sometime(&dht, &mut events, &nodes, output)).await?;

    let address = dht.status().remote_address;
    let local = dht.server_address().map(to_give);
    let seen = address.or(local).map(|addr| addr.to_string()).unwrap_or_default();
    output.result(
        seen,
        &json!({
            "event": "ready", "address": address, "local": local,
            "id": dht.status().id.map(|id| id.to_string()), "persistence": dht.status().persistence.name(),
        }),
    )?;
    match dht.status().id {
        Some(id) => output.log(format_args!("joined as {id}; knows {}", knows(&dht))),
        None => output.log(format_args!("joined; {}", why(dht.status().persistence))),
    }
    watch(&dht, events, output, stop).await
}

/// What a node does for others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Serve {
    /// Stores this many values.
    Values(usize),
    /// What hyperdht's nodes do.
    Hyperdht,
}

impl Serve {
    const fn of(serving: Serving, values: usize) -> Self {
        if serving.hyperdht { Self::Hyperdht } else { Self::Values(values) }
    }

    /// The options that it takes.
    pub(crate) fn build(self, builder: Builder<Tokio>) -> Builder<Tokio> {
        match self {
            Self::Values(_) => builder,
            Self::Hyperdht => builder.hyperdht(ServiceConfig::default()),
        }
    }

    /// Serves until the node is closed.
    pub(crate) fn begin(self, dht: &Dht) {
        if let Self::Values(max) = self {
            tokio::spawn(store::serve(dht.requests(), max));
        }
    }
}

/// Tells what happens until the command is told to stop; closes the node then.
async fn watch(
    dht: &Dht,
    mut events: Events,
    output: &Output,
    stop: &mut Stop,
) -> Result<(), Failure> {
    let (mut drops, mut timer) = (Watch::default(), Watch::timer());
    loop {
        tokio::select! {
            () = stop.wait() => break,
            _ = timer.tick() => drops.show(dht, output)?,
            event = events.next() => match event {
                Some(event) => {
                    watch::tell(&event, output)?;
                    tell(event, dht, output);
                }
                None => break,
            },
        }
    }
    drops.show(dht, output)?;
    output.log("closing");
    // It always succeeds.
    let _ = dht.close().await;
    Ok(())
}

/// The address by which programs on this machine can reach a node that is bound to this address: 0.0.0.0 stands for
/// all of the machine's, and can't be sent to.
fn to_give(bound: SocketAddrV4) -> SocketAddrV4 {
    match bound.ip().is_unspecified() {
        true => SocketAddrV4::new(Ipv4Addr::LOCALHOST, bound.port()),
        false => bound,
    }
}

/// What an operator may want to know of.
pub(crate) fn tell(event: Event, dht: &Dht, output: &Output) {
    match event {
        Event::Persistent => {
            let id = dht.status().id.map(|id| id.to_string()).unwrap_or_default();
            output.log(format_args!("others can reach this node now, as {id}"));
        }
        Event::Persistence(reason) if !reason.is_persistent() => output.log(why(reason)),
        Event::Offline => {
            let unsent = dht.status().health.unsent.map(|_| format!(": {}", join::said(dht)));
            output.log(format_args!("offline: nobody answers{}", unsent.unwrap_or_default()));
        }
        Event::Online => output.log(format_args!("online; knows {}", knows(dht))),
        Event::NetworkUpdate if dht.status().health.degraded => {
            output.log("degraded: many don't answer");
        }
        Event::BindFailed => output.log("no sockets: trying to bind them again"),
        Event::Resumed => output.log("sockets are bound again"),
        Event::SocketLost(via) => output.log(format_args!("{via:?} socket: lost; binding again")),
        Event::SocketTrouble(via) => output.log(format_args!("{via:?} socket: nothing but errors")),
        Event::WakeUp => output.log("the machine has slept"),
        _ => {}
    }
}

/// Why other nodes don't have this one in their tables.
fn why(reason: Persistence) -> String {
    format!("not in others' tables: {reason}")
}

fn knows(dht: &Dht) -> String {
    format::count(dht.status().table_len, "node")
}
