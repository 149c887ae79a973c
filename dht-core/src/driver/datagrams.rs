//! Datagrams that are not dht-rpc's, and sockets that are not the node's.

use alloc::sync::Arc;
use core::net::SocketAddrV4;

use super::feed::{Feed, Kind};
use super::mail::{Datagram, RawTransmit};
use super::queue::Mailbox;
use super::shared::Shared;
use super::state::State;
use crate::{Instant, Via};

/// Datagrams of other protocols that arrive at the node's sockets from now on, made by
/// [`Dht::datagrams`](super::Dht::datagrams).
///
/// At most [`DATAGRAMS_MAX`](super::DATAGRAMS_MAX) wait here; any further one is dropped and counted. If there are
/// several feeds of this kind, each datagram goes to one of them.
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use dht_core::Via;
///
/// let (node, other) = (Local::node().await, Local::node().await);
/// let mut datagrams = other.datagrams();
/// node.send_datagram(Via::Client, other.server_address().unwrap(), "not of the DHT", None)?;
/// let datagram = datagrams.next().await.expect("open");
/// assert_eq!((datagram.via, &datagram.data[..]), (Via::Server, &b"not of the DHT"[..]));
/// assert_eq!(Some(datagram.from), node.status().client_address);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub type Datagrams = Feed<Datagram>;

impl Kind for Datagram {
    type Note = Self;
    type Key = ();

    fn mailbox(state: &mut State, (): (), _: u64) -> &mut Mailbox<Self> {
        &mut state.mail.datagrams
    }

    fn clear(state: &mut State, _: Instant, (): (), _: u64) {
        state.mail.datagrams.queue.take();
    }

    fn build(_: &Arc<Shared>, datagram: Self) -> Option<Self> {
        Some(datagram)
    }
}

/// A socket of the embedder's own that the node uses as [`Via::Extra`], made by [`Dht::extra`](super::Dht::extra):
/// what arrives there is handed in, and the feed gives what is to be sent there.
///
/// At most [`RAW_MAX`](super::RAW_MAX) datagrams wait. A further one counts as lost on the network, as does any while
/// there is no feed for it.
///
/// ```
/// # mod support { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/local.rs")); }
/// # use support::{Local, block_on};
/// # block_on(async {
/// use dht_core::Request;
///
/// let (node, other) = (Local::node().await, Local::node().await);
/// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// let mut extra = node.extra(1);
/// let to = other.server_address().unwrap();
/// let asked = node.request(Request::ping(to).via(extra.via()));
///
/// let transmit = extra.next().await.expect("open");
/// socket.send_to(&transmit.data, transmit.to)?;
/// let mut buf = [0; 2049];
/// let (len, _) = socket.recv_from(&mut buf)?;
/// assert!(extra.receive(to, &buf[..len]), "a datagram of dht-rpc");
/// asked.await?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub type ExtraSocket = Feed<RawTransmit>;

impl Kind for RawTransmit {
    type Note = Self;
    /// The number of the socket.
    type Key = u16;

    fn mailbox(state: &mut State, socket: u16, _: u64) -> &mut Mailbox<Self> {
        state.mail.extra(socket)
    }

    fn clear(state: &mut State, _: Instant, socket: u16, _: u64) {
        state.mail.extras.remove(&socket);
    }

    fn build(_: &Arc<Shared>, transmit: Self) -> Option<Self> {
        Some(transmit)
    }
}

impl Feed<RawTransmit> {
    /// The socket as requests and answers name it.
    #[must_use]
    pub const fn via(&self) -> Via {
        Via::Extra(self.key)
    }

    /// Hands in a datagram that arrived there; `false` if it is not dht-rpc's.
    pub fn receive(&self, from: SocketAddrV4, data: &[u8]) -> bool {
        self.shared.act(|state, now| state.receive(now, self.via(), None, from, data))
    }
}
