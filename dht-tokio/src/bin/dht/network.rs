//! A network of many nodes in this process, on the loopback interface.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use dht_tokio::{Dht, Error, Id};

use crate::failure::{Failure, because};
use crate::format;
use crate::join::unbound;
use crate::serve::Serve;

/// The number of nodes that join at once: each finds its place with the help of the nodes before it.
const WAVE_MAX: usize = 16;
/// How often a free port is looked for, since another program may take it meanwhile.
const PORT_TRIES: usize = 8;
/// Files that are open besides sockets: standard ones, the runtime's.
const FILES_BESIDES: u64 = 64;

/// Persistent nodes, each with a store of its own. The first one is the bootstrap node.
#[derive(Debug)]
pub(crate) struct Network {
    nodes: Vec<Dht>,
    bootstrap: SocketAddrV4,
}

impl Network {
    /// Forms a network of `count` nodes and a bootstrap node, at `port` or any other, which all
    /// serves. `grown` hears of its size.
    pub(crate) async fn form(
        count: usize,
        port: Option<u16>,
        serve: Serve,
        grown: impl Fn(usize),
    ) -> Result<Self, Failure> {
        let size = count + 1;
        allow_sockets(size * 2)?;
        let (first, bootstrap) = first(port, serve).await?;
        let mut nodes = vec![first];
        while nodes.len() < size {
            let wave = nodes.len().min(WAVE_MAX).min(size - nodes.len());
            let newcomers = (0..wave).map(|_| newcomer(bootstrap, serve));
            let newcomers = newcomers.collect::<Result<Vec<_>, _>>()?;
            for dht in newcomers {
                dht.fully_bootstrapped().await?;
                nodes.push(dht);
                grown(nodes.len());
            }
        }
        Ok(Self { nodes, bootstrap })
    }

    /// Where to join it.
    pub(crate) const fn bootstrap(&self) -> SocketAddrV4 {
        self.bootstrap
    }

    /// Its nodes, the bootstrap node first.
    pub(crate) fn nodes(&self) -> &[Dht] {
        &self.nodes
    }

    /// The 20 nodes closest to `key`, found by looking at all nodes, as none of them could, the closest
    /// first. The node that asks doesn't count.
    pub(crate) fn closest(&self, key: &Id, asker: &Dht) -> Vec<SocketAddrV4> {
        let own = asker.status().remote_address;
        let nodes = self.nodes.iter().filter_map(|node| node.status().remote_address);
        let mut nodes: Vec<_> = nodes.filter(|addr| Some(*addr) != own).collect();
        nodes.sort_by_cached_key(|addr| Id::of(*addr).distance(key));
        nodes.truncate(20);
        nodes
    }

    /// How many nodes a node knows, on average.
    pub(crate) fn mean_table(&self) -> usize {
        let known: usize = self.nodes.iter().map(|node| node.status().table_len).sum();
        known / self.nodes.len().max(1)
    }

    /// Closes all of it.
    pub(crate) async fn close(self) {
        let closing: Vec<_> = self.nodes.iter().map(Dht::close).collect();
        for closed in closing {
            // It always succeeds.
            let _ = closed.await;
        }
    }
}

/// The bootstrap node, and where it is.
async fn first(port: Option<u16>, serve: Serve) -> Result<(Dht, SocketAddrV4), Failure> {
    let host = Ipv4Addr::LOCALHOST;
    let mut tries = if port.is_some() { 1 } else { PORT_TRIES };
    loop {
        tries -= 1;
        let port = match port {
            Some(port) => port,
            None => UdpSocket::bind((host, 0))?.local_addr()?.port(),
        };
        let builder = dht_tokio::bootstrapper(port, &host.to_string()).host(host);
        let dht = serve.build(builder).spawn()?;
        serve.begin(&dht);
        match dht.fully_bootstrapped().await {
            Err(Error::Io(_)) if tries > 0 => {}
            Err(error) => return Err(unbound(&error, port)),
            Ok(()) => return Ok((dht, SocketAddrV4::new(host, port))),
        }
    }
}

fn newcomer(bootstrap: SocketAddrV4, serve: Serve) -> Result<Dht, Error> {
    let builder = dht_tokio::builder().host(Ipv4Addr::LOCALHOST).bootstrap([bootstrap]);
    let dht = serve.build(builder.ephemeral(false).firewalled(false)).spawn()?;
    serve.begin(&dht);
    Ok(dht)
}

/// Raises the limit of open sockets to this number.
#[cfg(unix)]
fn allow_sockets(count: usize) -> Result<(), Failure> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let wanted = u64::try_from(count).unwrap_or(u64::MAX).saturating_add(FILES_BESIDES);
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < wanted) else {
        return Ok(());
    };
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).map_err(|_| {
        let (sockets, most) = (format::count(count, "socket"), limit.maximum.unwrap_or(current));
        because(format!("{sockets} are needed, and only {most} files may be open (ulimit -n)"))
    })
}

#[cfg(not(unix))]
fn allow_sockets(_: usize) -> Result<(), Failure> {
    Ok(())
}
