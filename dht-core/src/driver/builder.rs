//! Options of a node, and how it is made of them.
//!
//! There is a method for what belongs to the sockets, and for what nearly every node sets: where it joins, and
//! whether it can be reached. Everything else is a field of [`Config`], described there once.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use super::bind::{Binding, Ports};
use super::dht::Dht;
use super::error::Error;
use super::guard::guard_config;
use super::look::hail;
use super::runtime::Runtime;
use super::shared::Shared;
use super::task::{Driver, Spawn};
#[cfg(feature = "hyperdht")]
use crate::hyperdht::{Service, ServiceConfig};
use crate::{BootstrapNode, Config, ConfigError, Node};

/// The options of a node on a runtime.
///
/// Options have the names that dht-rpc gives them, in snake case. For one without a method, change the [`Config`]:
/// [`configure`](Self::configure). Invalid options are told by [`build`](Self::build) or [`spawn`](Self::spawn);
/// sockets that can't be bound, by [`Dht::listening`] and everything that waits.
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use std::net::Ipv4Addr;
/// use dht_core::driver::Builder;
///
/// // `Local` is a runtime; with tokio, `Builder::new(Local)` is `dht_tokio::builder()`.
/// # let port = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
/// let local = |builder: Builder<Local>| builder.host(Ipv4Addr::LOCALHOST);
/// let first = local(Builder::bootstrapper(Local, port, "127.0.0.1")).spawn()?;
/// first.fully_bootstrapped().await?;
///
/// let node = local(Builder::new(Local))
///     .port(40_000..50_000)
///     .bootstrap(first.server_address())
///     .configure(|config| config.concurrency = 5)
///     .spawn()?;
/// node.fully_bootstrapped().await?;
/// assert_eq!(node.nodes(1), [first.server_address().unwrap()]);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "nothing happens until it is spawned"]
pub struct Builder<R> {
    runtime: R,
    pub(crate) config: Config,
    binding: Binding,
    error: Option<ConfigError>,
    #[cfg(feature = "hyperdht")]
    pub(in crate::driver) service: Option<ServiceConfig>,
}

impl<R: Runtime> Builder<R> {
    /// A node with the defaults: any port, no bootstrap nodes.
    pub fn new(runtime: R) -> Self {
        Self {
            runtime,
            config: Config::default(),
            binding: Binding {
                host: Ipv4Addr::UNSPECIFIED,
                ports: Ports::default(),
                any_port: true,
                previous: None,
            },
            error: None,
            #[cfg(feature = "hyperdht")]
            service: None,
        }
    }

    /// A bootstrap node at the public address `host:port`: bound to that port and no other,
    /// persistent and not firewalled, unless further options say otherwise.
    pub fn bootstrapper(runtime: R, port: u16, host: &str) -> Self {
        let mut builder = Self::new(runtime).port(port).any_port(false);
        match Config::bootstrapper(port, host) {
            Ok(config) => builder.config = config,
            Err(error) => builder.error = Some(error),
        }
        builder
    }

    /// Nodes to join the network by: `host:port`, or `ip@host:port` with an address to try
    /// beside the name; or anything that prints like that, a socket address for example. The address
    /// 0.0.0.0 is refused: it stands for all addresses of a machine.
    pub fn bootstrap(mut self, nodes: impl IntoIterator<Item = impl ToString>) -> Self {
        let nodes = nodes.into_iter().map(|node| node.to_string().parse());
        match nodes.collect::<Result<Vec<BootstrapNode>, ConfigError>>() {
            Ok(nodes) => self.config.bootstrap = nodes,
            Err(error) => self.error = self.error.or(Some(error)),
        }
        self
    }

    /// Nodes known from before, put into the routing table, the first one as the most recent
    /// ([`Config::nodes`]). The address 0.0.0.0 and the port 0 are refused.
    pub fn nodes(mut self, nodes: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        self.config.nodes = nodes.into_iter().collect();
        self
    }

    /// The local address to bind; all at first. On a machine with several addresses, replies leave from the address
    /// that was asked on Linux, Android, the BSDs and Apple's systems; elsewhere only if the node is bound to one.
    pub const fn host(mut self, host: Ipv4Addr) -> Self {
        self.binding.host = host;
        self
    }

    /// The server socket's port, for which the next four may stand in, or a range of ports.
    /// 0, as at first, means any. A range without a port is refused.
    pub fn port(mut self, ports: impl Into<Ports>) -> Self {
        self.binding.ports = ports.into();
        self
    }

    /// Whether any port will do if the given ports are taken; true at first. If not, only the port that was given is
    /// tried, without the next four, or all ports of a range; and on resume the port of before.
    pub const fn any_port(mut self, any_port: bool) -> Self {
        self.binding.any_port = any_port;
        self
    }

    /// `true`: never in the tables of other nodes. `false`: persistent from the bootstrap on, if reachable, or as
    /// soon as it is. Adaptive if not given.
    pub const fn ephemeral(mut self, ephemeral: bool) -> Self {
        self.config.ephemeral = Some(ephemeral);
        self
    }

    /// Whether to assume that no unasked datagram reaches the node until the firewall check says otherwise; true at
    /// first.
    pub const fn firewalled(mut self, firewalled: bool) -> Self {
        self.config.firewalled = firewalled;
        self
    }

    /// Everything else that can be configured, by changing the [`Config`] so far or by replacing it.
    pub fn configure(mut self, configure: impl FnOnce(&mut Config)) -> Self {
        configure(&mut self.config);
        self
    }

    /// The node's handle, and the driver that has to be run. Nothing touches the network before that.
    ///
    /// # Errors
    /// If the options are invalid, or the system has no randomness to give.
    pub fn build(mut self) -> Result<(Dht, Driver<R>), Error> {
        if let Some(error) = self.error {
            return Err(error.into());
        }
        self.binding.ports.check()?;
        guard_config(&mut self.config);
        #[cfg(feature = "hyperdht")]
        let service = self.service();
        let runtime = Arc::new(self.runtime);
        let mut seed = [0; 32];
        let now = runtime.now();
        runtime.fill_random(&mut seed)?;
        let node = Node::seeded(self.config, seed, now)?;
        let hail = hail(&*runtime)?;
        let shared = Arc::new(Shared::new(runtime.clone(), node, self.binding.ports));
        #[cfg(feature = "hyperdht")]
        if let Some(config) = service {
            runtime.fill_random(&mut seed)?;
            let service = Service::seeded(config, seed);
            shared.drive(|state, _| state.service = Some(service.into()));
        }
        let driver = Driver::new(Arc::clone(&shared), runtime, self.binding, hail);
        Ok((Dht::new(shared), driver))
    }

    /// Runs the node in the background. The sockets are not bound yet when this returns: whether they
    /// could be shows in [`Dht::listening`].
    ///
    /// # Errors
    /// As [`build`](Self::build), or if there is no runtime to run it on.
    pub fn spawn(self) -> Result<Dht, Error>
    where
        R: Spawn,
    {
        let (dht, driver) = self.build()?;
        R::spawn(driver)?;
        Ok(dht)
    }
}
