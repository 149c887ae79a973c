//! What happened, in order.
//!
//! Events are small and `Copy`: what is large (a reply, an outcome) stays where it
//! is until it is taken by its id. An id whose content was taken already gives
//! `None`, so reacting late, twice or never is harmless.

use core::net::{Ipv4Addr, SocketAddrV4};

use crate::api::drop_reason::DropReason;
use crate::api::error::Unsent;
use crate::api::message::{QueryId, RequestId, Via};
use crate::api::persistence::Persistence;

/// What [`Node::poll_event`](crate::Node::poll_event) tells.
///
/// JavaScript names in brackets where they differ. Responses, replies and outcomes are never lost. Of all other
/// events, [`Config::max_events`](crate::Config::max_events) wait (256 by default): after that events about nodes
/// give way first, counted by [`Event::Dropped`], and then the oldest of the same kind.
///
/// ```
/// use dht_core::{Config, Event, Instant, Node};
/// # use rand_core::SeedableRng;
/// # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
///
/// let (now, addr) = (Instant::ZERO, "45.0.0.1:49737".parse()?);
/// let mut node = Node::new(Config::default(), &mut rng, now)?;
/// node.handle_bound(now, addr, addr);
/// while let Some(event) = node.poll_event() {
///     match event {
///         Event::Listening => println!("bound"),
///         Event::Ready => println!("bootstrapped"),
///         _ => {}
///     }
/// }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A request has ended: [`Node::take_response`](crate::Node::take_response).
    Response(RequestId),
    /// A reply to a query is there: [`Node::next_reply`](crate::Node::next_reply).
    Reply(QueryId),
    /// A query has ended: [`Node::take_outcome`](crate::Node::take_outcome).
    Finished(QueryId),
    /// The sockets are bound.
    Listening,
    /// Bootstrapped: the table is as full as it gets for now.
    Ready,
    /// While bootstrapping, no node answered, or there was none to ask.
    /// The node is `Ready` all the same, and goes on trying with back-off.
    BootstrapSilent {
        /// How many nodes were asked.
        asked: u32,
        /// How many of them have timed out or are overdue.
        timed_out: u32,
        /// How many bootstrap names could not be resolved, so far.
        unresolved: u16,
        /// How many bootstrap names resolve to addresses that nothing can be sent to, and to no other.
        unusable: u16,
        /// Why the system did not send, if so: then it is not they who were silent.
        unsent: Option<Unsent>,
    },
    /// The node has an id of its own now, and peers put it into their tables. Told again whenever its address
    /// changes, and with it the id.
    Persistent,
    /// The node has no id any more.
    Ephemeral,
    /// Why the node is persistent, or is not, has changed: what is so when the events are polled.
    Persistence(Persistence),
    /// Peers contradict one another about the node's public address: all /24s of the table were asked twice, at
    /// least a minute apart; no address was seen by three in four of them, none had a lead of twelve, and the
    /// bootstrap nodes did not decide. So the node has no id, or perhaps a wrong one. It goes on asking, in the end
    /// every half an hour. Told once until the dispute is decided (none in JavaScript).
    AddressDisputed,
    /// The machine has slept, or the node was resumed, or the embedder said so (`wakeup`).
    WakeUp,
    /// The machine is in another network: the address that is bound has come or gone, or datagrams leave by
    /// another one. Not more often than every 30 s.
    NetworkChange,
    /// Connectivity has changed: [`HealthInfo::online`](crate::HealthInfo::online), degraded or offline, or the interfaces.
    NetworkUpdate,
    /// Peers answer, for the first time or again: [`Node::online`](crate::Node::online) (none in JavaScript).
    Online,
    /// No peer answers any more (none in JavaScript). Not told after [`Event::WakeUp`], [`Event::Suspended`] and
    /// [`Event::Closed`], which imply it until the next [`Event::Online`].
    Offline,
    /// What is known of the own public address has changed.
    NatUpdate {
        /// The public host, if enough peers agree on one.
        host: Option<Ipv4Addr>,
        /// The public port; 0 if unknown or not the same for everyone.
        port: u16,
    },
    /// The node is suspended (`suspend`).
    Suspended,
    /// The node is back (`resume`).
    Resumed,
    /// The node is closed for good (`close`).
    Closed,
    /// The sockets could not be bound, though once they were: [`Event::Suspended`] follows, until they can. It is
    /// tried again by itself, after 1 s at first and after 60 s at most. Told once per time that it is asked
    /// for, and by the `driver` only.
    BindFailed,
    /// One of the sockets was gone, taken by the system, or was deaf: both are closed, and bound anew next, at the
    /// same ports if possible; [`Event::BindFailed`] if that fails. Told by the `driver` only.
    SocketLost(Via),
    /// One of the sockets brings nothing but errors, 16 in a row of receiving or of sending. Receiving
    /// and waiting to send are tried ever less often, and what the system refuses to send is lost. Told once,
    /// until it works again, and by the `driver` only: the core has no sockets.
    SocketTrouble(Via),
    /// Queries, the node's own among them, ended with nodes that are too far from their targets for a network of this size,
    /// even after nodes from all over the table were asked: somebody may lead queries astray, or the network has fallen
    /// apart. By chance it is one query in 2,000. Told once a minute at most (none in JavaScript).
    ThinResults {
        /// How many, since the event was told last.
        queries: u32,
    },
    /// The nodes nearest to the targets of these queries are too many to be there by chance, so that the queries went on
    /// to more than 20: somebody may crowd a key. By chance it is one query in 2,000. Told once a minute at most
    /// (none in JavaScript).
    CrowdedKeys {
        /// How many, since the event was told last.
        queries: u32,
    },
    /// In a tick of 5 s more than 100 datagrams, answers or requests were dropped or withheld for one reason; of several,
    /// the most frequent. Told once a minute at most (none in JavaScript). Reasons that need no attacker are not told:
    /// `NotOurs`, `Suspended`, `CloserNodes` and `Events`.
    ManyDropped {
        /// Why.
        reason: DropReason,
        /// How many for this reason since the node was made: [`Stats::dropped`](crate::Stats::dropped).
        total: u64,
    },
    /// A node entered the routing table (`add-node`); only if asked for.
    NodeAdded(SocketAddrV4),
    /// A node left the routing table (`remove-node`); only if asked for.
    NodeRemoved(SocketAddrV4),
    /// This many [`Event::NodeAdded`] and [`Event::NodeRemoved`] were dropped,
    /// because they were not polled in time.
    Dropped(u32),
}

impl Event {
    /// Whether it is news of the state, rather than a note of something that waits to be taken.
    pub(crate) const fn is_change(&self) -> bool {
        !matches!(self, Self::Response(_) | Self::Reply(_) | Self::Finished(_))
    }

    /// Whether it tells of a node that enters or leaves the table.
    pub(crate) const fn is_about_node(&self) -> bool {
        matches!(self, Self::NodeAdded(_) | Self::NodeRemoved(_))
    }
}
