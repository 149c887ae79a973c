//! Options, under the names that dht-rpc gives them, in snake case.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::io;

use rand_core::{TryCryptoRng, TryRng};

use super::bind::{Binding, Ports};
use super::error::Error;
use super::guard::guard_config;
use super::handle::Dht;
use super::look::Hail;
use super::runtime::{Host, Runtime, Spawn};
use super::shared::Shared;
use super::task::Driver;
use crate::{BootstrapNode, Config, ConfigError, Node, NodeFilter};

/// How a node is to be, and on which runtime.
///
/// Options that are no good are told by [`build`](Self::build) or [`spawn`](Self::spawn);
/// sockets that can't be bound, by [`Dht::listening`] and everything that waits.
#[must_use = "nothing happens until it is spawned"]
pub struct Builder<R> {
    runtime: R,
    config: Config,
    binding: Binding,
    error: Option<ConfigError>,
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
    /// 0.0.0.0 is refused: it stands for all of a machine's.
    pub fn bootstrap(mut self, nodes: impl IntoIterator<Item = impl ToString>) -> Self {
        let nodes = nodes.into_iter().map(|node| node.to_string().parse());
        match nodes.collect::<Result<Vec<BootstrapNode>, ConfigError>>() {
            Ok(nodes) => self.config.bootstrap = nodes,
            Err(error) => self.error = self.error.or(Some(error)),
        }
        self
    }

    /// Nodes known from before, put into the routing table, the first one as the most recent. The address
    /// 0.0.0.0 and the port 0 are refused.
    pub fn nodes(mut self, nodes: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        self.config.nodes = nodes.into_iter().collect();
        self
    }

    /// The local address to bind; all at first. On a machine with several, replies leave from the address that was
    /// asked, on Linux, Android, the BSDs and Apple's systems; on others only if the node is bound to one.
    pub const fn host(mut self, host: Ipv4Addr) -> Self {
        self.binding.host = host;
        self
    }

    /// The server socket's port, for which the next four may stand in, or a range of ports.
    /// 0, as at first, means any.
    pub fn port(mut self, ports: impl Into<Ports>) -> Self {
        self.binding.ports = ports.into();
        self
    }

    /// Whether any port will do if those given are taken; true at first. If not, only the
    /// first one is tried, and on resume the one of before.
    pub const fn any_port(mut self, any_port: bool) -> Self {
        self.binding.any_port = any_port;
        self
    }

    /// `true`: never in others' tables. `false`: persistent from the bootstrap on, if reachable, or as soon as
    /// it is.
    /// Adaptive if not given.
    pub const fn ephemeral(mut self, ephemeral: bool) -> Self {
        self.config.ephemeral = Some(ephemeral);
        self
    }

    /// [`Config::adaptive`]; true at first.
    pub const fn adaptive(mut self, adaptive: bool) -> Self {
        self.config.adaptive = adaptive;
        self
    }

    /// [`Config::firewalled`]; true at first.
    pub const fn firewalled(mut self, firewalled: bool) -> Self {
        self.config.firewalled = firewalled;
        self
    }

    /// [`Config::quick_firewall`]; true at first.
    pub const fn quick_firewall(mut self, quick_firewall: bool) -> Self {
        self.config.quick_firewall = quick_firewall;
        self
    }

    /// [`Config::concurrency`]; 10 at first.
    pub const fn concurrency(mut self, concurrency: u16) -> Self {
        self.config.concurrency = concurrency;
        self
    }

    /// [`Config::max_window`]; 80 at first.
    pub const fn max_window(mut self, max_window: u32) -> Self {
        self.config.max_window = max_window;
        self
    }

    /// [`Config::max_ping_delay`]; 10 s at first.
    pub const fn max_ping_delay(mut self, max_ping_delay: Duration) -> Self {
        self.config.max_ping_delay = max_ping_delay;
        self
    }

    /// [`Config::send_down_hints`]; true at first.
    pub const fn send_down_hints(mut self, send_down_hints: bool) -> Self {
        self.config.send_down_hints = send_down_hints;
        self
    }

    /// [`Config::down_hints_rate_limit`]; 50 at first, `None` for no limit.
    pub const fn down_hints_rate_limit(mut self, limit: Option<u32>) -> Self {
        self.config.down_hints_rate_limit = limit;
        self
    }

    /// Keeps nodes out of table and queries for which this says `false`. Asked on the
    /// datagram path, under the node's lock: it must answer at once, and call no handle. If it panics
    /// it has said `false`.
    pub fn filter_node(
        mut self,
        allow: impl Fn(SocketAddrV4) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.config.filter = Some(NodeFilter::new(allow));
        self
    }

    /// [`Config::adaptive_timeout`]; false at first.
    pub const fn adaptive_timeout(mut self, adaptive_timeout: bool) -> Self {
        self.config.adaptive_timeout = adaptive_timeout;
        self
    }

    /// Whatever else there is to configure.
    pub fn configure(mut self, configure: impl FnOnce(&mut Config)) -> Self {
        configure(&mut self.config);
        self
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    /// The node's handle, and the driver that has to be run. Nothing touches the network before that.
    ///
    /// # Errors
    /// If the options are no good, or the system has no randomness to give.
    pub fn build(mut self) -> Result<(Dht, Driver<R>), Error> {
        if let Some(error) = self.error {
            return Err(error.into());
        }
        guard_config(&mut self.config);
        let runtime = Arc::new(self.runtime);
        let now = runtime.now();
        let mut rng = Entropy { host: &*runtime, result: Ok(()) };
        let node = Node::new(self.config, &mut rng, now)?;
        rng.result?;
        let hail = Hail::new(&*runtime)?;
        let shared = Arc::new(Shared::new(runtime.clone(), node, self.binding.ports));
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

impl<R> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}

/// The system's randomness as the core takes it. An error shows afterwards.
struct Entropy<'h> {
    host: &'h dyn Host,
    result: io::Result<()>,
}

impl TryRng for Entropy<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        if let Err(error) = self.host.fill_random(bytes) {
            self.result = Err(error);
        }
        Ok(())
    }
}

impl TryCryptoRng for Entropy<'_> {}
