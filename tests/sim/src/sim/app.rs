//! What runs on a host besides the protocol: the user's application on a node, or an attacker
//! in place of one. Both see virtual time and a random stream of their own, nothing else.

use std::any::Any;
use std::net::SocketAddrV4;

use dht_core::{Answer, Event, Incoming, Instant, Node, QueryId, SendError, error_code};
use dyn_clone::DynClone;

use super::{Datagram, Return};
use crate::world::{HostId, Micros, Stream};

/// An application on a node: it answers requests for its commands, and is told what happens.
///
/// It is `Clone`, so that a simulation with it can be forked.
///
/// ```
/// use dht_core::{Answer, Incoming};
/// use dht_sim::{App, Cx};
///
/// /// Counts, for each of its askers.
/// #[derive(Clone, Default)]
/// struct Counter(u8);
///
/// impl App for Counter {
///     fn on_request(&mut self, cx: &mut Cx<'_>, request: &Incoming<'_>) {
///         self.0 += 1;
///         cx.reply(request, Answer::value(vec![self.0]));
///     }
/// }
/// ```
#[allow(unused_variables, reason = "what the defaults make nothing of")]
pub trait App: DynClone + Any + Send {
    /// A request for the application has come in. Answer it by [`Cx::reply`], now or later, or not at all.
    /// By default no command is known.
    fn on_request(&mut self, cx: &mut Cx<'_>, request: &Incoming<'_>) {
        cx.reply(request, Answer::error(error_code::UNKNOWN_COMMAND));
    }

    /// Something has happened to the node: also how requests and queries of the application end.
    fn on_event(&mut self, cx: &mut Cx<'_>, event: &Event) {}

    /// A timer that was set by [`Cx::wake_after`] has run out. Timers of a process that was stopped meanwhile run
    /// out when it goes on; timers of a process that has crashed never do.
    fn on_timer(&mut self, cx: &mut Cx<'_>, token: u64) {}

    /// The host has crashed and is about to come back: lose what is only in memory, and all if it
    /// comes back [`Anew`](Return::Anew). Requests and queries of before are gone.
    /// [`Event::Listening`] follows, then [`Event::Ready`].
    fn on_restart(&mut self, how: Return) {}
}

dyn_clone::clone_trait_object!(App);

/// What an application can do.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The node that it runs on: ask it anything; what is to be sent is sent afterwards.
    pub node: &'a mut Node,
    /// What the node's own clock shows; [`Node`]'s calls take it.
    pub now: Instant,
    /// Virtual time.
    pub time: Micros,
    /// What a wall clock shows on this host, in microseconds since an epoch. It may step.
    pub wall: i64,
    /// What a monotonic clock shows, in microseconds: as [`now`](Self::now), which goes by the boot
    /// clock, but it stands still while the machine sleeps.
    pub monotonic: Micros,
    /// Which host it is.
    pub host: HostId,
    /// Randomness of this application on this host.
    pub rng: &'a mut Stream,
    pub(crate) timers: &'a mut Vec<(Micros, u64)>,
}

impl Cx<'_> {
    /// Answers a request. What can't be answered (the value is too large, the node suspended) is dropped.
    pub fn reply(&mut self, request: &Incoming<'_>, answer: Answer) {
        let _ = self.node.reply(self.now, request.reply_to, answer);
    }

    /// Begins a query.
    ///
    /// # Errors
    /// As [`Node::query`].
    pub fn query(&mut self, query: dht_core::Query) -> Result<QueryId, SendError> {
        self.node.query(self.now, query)
    }

    /// Calls [`App::on_timer`] with `token` after this many microseconds of virtual time.
    pub fn wake_after(&mut self, after: Micros, token: u64) {
        self.timers.push((after, token));
    }
}

/// Something on the network that is no node of ours: it sends what it likes, with any source address.
///
/// ```
/// use std::net::Ipv4Addr;
/// use dht_sim::{Actor, ActorCx, Datagram, Sim};
///
/// /// Sends everything back.
/// #[derive(Clone)]
/// struct Mirror;
///
/// impl Actor for Mirror {
///     fn on_packet(&mut self, cx: &mut ActorCx<'_>, packet: Datagram<'_>) {
///         cx.send(packet.to, packet.from, packet.bytes.to_vec());
///     }
/// }
///
/// Sim::new(1).add_actor(&[Ipv4Addr::new(90, 0, 0, 1)], Mirror);
/// ```
#[allow(unused_variables, reason = "what the defaults make nothing of")]
pub trait Actor: DynClone + Any + Send {
    /// It begins.
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {}

    /// A datagram has arrived at one of its addresses.
    fn on_packet(&mut self, cx: &mut ActorCx<'_>, datagram: Datagram<'_>) {}

    /// A datagram from or to a host that it was put in the path of: see
    /// [`Sim::overhear`](crate::Sim::overhear). The datagram itself goes on unharmed.
    fn on_overheard(&mut self, cx: &mut ActorCx<'_>, datagram: Datagram<'_>) {}

    /// A timer has run out.
    fn on_timer(&mut self, cx: &mut ActorCx<'_>, token: u64) {}
}

dyn_clone::clone_trait_object!(Actor);

/// What an actor can do.
#[derive(Debug)]
pub struct ActorCx<'a> {
    /// Virtual time.
    pub time: Micros,
    /// Which host it is.
    pub host: HostId,
    /// Its randomness.
    pub rng: &'a mut Stream,
    pub(crate) timers: &'a mut Vec<(Micros, u64)>,
    pub(crate) out: &'a mut Vec<(SocketAddrV4, SocketAddrV4, Vec<u8>)>,
}

impl ActorCx<'_> {
    /// Sends a datagram. `from` need not be an address of the actor's.
    pub fn send(&mut self, from: SocketAddrV4, to: SocketAddrV4, bytes: Vec<u8>) {
        self.out.push((from, to, bytes));
    }

    /// Calls [`Actor::on_timer`] with `token` after this many microseconds.
    pub fn wake_after(&mut self, after: Micros, token: u64) {
        self.timers.push((after, token));
    }
}
