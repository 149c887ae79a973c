//! How to write an adapter, or a loop of one's own.
//!
//! There are two ways, and both are short:
//!
//! - **A loop around [`Node`]**: without futures and without `std`, if need be; for firmware, for programs with
//!   a loop of their own, for many nodes in one thread. `examples/blocking.rs`, `hundred.rs` and `smoltcp.rs` are such loops.
//! - **A [`Runtime`] for the driver**: sockets, a timer and name lookup for an async runtime. What users get is
//!   [`Builder`], [`Dht`] and all their futures. `dht-tokio` and `dht-smol` are such adapters.
//!
//! # What to bring
//!
//! | | the loop | the runtime |
//! |---|---|---|
//! | two UDP sockets over IPv4 | [`handle_bound`] says where they are | [`Runtime::bind`], [`Socket`] |
//! | a timer | for [`poll_timeout`] | [`Timer`]: one deadline at a time |
//! | a clock | `now`, with every call | [`Host::now`] |
//! | randomness, once | for [`Node::new`] | [`Host::fill_random`] |
//! | names to addresses | [`poll_lookup`], [`handle_resolved`] | [`Runtime::lookup`] |
//! | where this machine is | [`handle_network_change`] if its network is another | [`Host::interfaces`], [`Host::way_out`], looked at every 5 s |
//! | sockets that stay | [`handle_rebound`] if others took their place | [`Socket::local_addr`], looked at every 5 s |
//!
//! *Two sockets*: requests leave by the client's, at any port, until the node knows that strangers reach the
//! server's. Were they one, the node's own requests would open the firewall that it wants to know of. For
//! a node that can be reached for certain, one does for both: `handle_bound(now, addr, addr)`.
//!
//! *An answer leaves from where it was asked*, the same socket ([`Transmit::via`] says which) and the same
//! address: peers like this one take it from no other. On a machine with several addresses, bind to one of them;
//! or learn with each datagram which of them it came to, and say so ([`handle_datagram_at`], [`Socket::received_at`]):
//! [`Transmit::source`] is where the answer is to leave from. With the feature `system`, `driver::PacketInfo` does it.
//!
//! *The clock* counts microseconds from any moment on, and goes on while the machine sleeps: that is how the node
//! notices (on Linux the boot-time clock, never the time of day). With the feature `system`, `driver::System` brings
//! it, with randomness and interfaces.
//!
//! *Buffers*: to receive, one byte more than [`Config::max_datagram_received`] (2,049 by default): what is too long
//! must look too long, not cut off and valid. To send, `DATAGRAM_MAX`; nothing longer than [`Config::max_datagram`] is ever put there.
//!
//! # In which order
//!
//! Any order of calls is legal, and so is calling for nothing. This one answers fastest:
//!
//! ```
//! use std::net::UdpSocket;
//! use dht_core::{DATAGRAM_MAX, Handled, Instant, Node, Via, error_code, Answer};
//! # use std::net::{SocketAddr, SocketAddrV4};
//! # fn is_writable(_: &UdpSocket) -> bool { true }
//! # fn receive(socket: &UdpSocket, buf: &mut [u8]) -> Option<(usize, SocketAddrV4)> {
//! #     let (len, from) = socket.recv_from(buf).ok()?;
//! #     if let SocketAddr::V4(from) = from { Some((len, from)) } else { None }
//! # }
//!
//! /// What to do whenever a socket or the timer has something.
//! fn turn(node: &mut Node, now: impl Fn() -> Instant, sockets: [(Via, &UdpSocket); 2]) {
//!     // In: a bounded number of datagrams from each, so that no flood keeps the rest waiting.
//!     let mut buf = [0; DATAGRAM_MAX + 1];
//!     for (via, socket) in sockets {
//!         for _ in 0..64 {
//!             let Some((len, from)) = receive(socket, &mut buf) else { break };
//!             match node.handle_datagram(now(), via, from, &buf[..len]) {
//!                 Handled::Consumed => {}
//!                 // For the application: at once, or later by this Copy of `reply_to`, or never.
//!                 Handled::Request(request) => {
//!                     let answer = Answer::error(error_code::UNKNOWN_COMMAND);
//!                     let _ = node.reply(now(), request.reply_to, answer);
//!                 }
//!                 // Another protocol's, if one shares the socket.
//!                 Handled::NotOurs => {}
//!             }
//!         }
//!     }
//!     node.handle_timeout(now());
//!     // Out: first see whether the socket takes one, then poll.
//!     let mut out = [0; DATAGRAM_MAX];
//!     for (via, socket) in sockets {
//!         while is_writable(socket) {
//!             let Some(transmit) = node.poll_transmit_via(now(), via, &mut out) else { break };
//!             let _ = socket.send_to(&out[..transmit.len], transmit.to);
//!         }
//!     }
//!     while let Some(event) = node.poll_event() {
//!         println!("{event:?}");
//!     }
//!     // And `poll_lookup`. Then wait for a socket, or until `poll_timeout`, which any call may have changed.
//! }
//! # let config = dht_core::Config::default();
//! # let mut rng: rand_chacha::ChaCha20Rng = rand_core::SeedableRng::from_seed([1; 32]);
//! # let mut node = Node::new(config, &mut rng, Instant::ZERO)?;
//! # let sockets = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
//! # sockets.each_ref().map(|socket| socket.set_nonblocking(true).unwrap());
//! # let [client, server] = &sockets;
//! # turn(&mut node, || Instant::ZERO, [(Via::Client, client), (Via::Server, server)]);
//! # Ok::<_, dht_core::ConfigError>(())
//! ```
//!
//! *Writability first*: a datagram is encoded when it is polled, with the token and the nodes of that moment, and
//! its time-out runs from there. It can't be put back: keep it until the socket takes it, or let it be lost.
//!
//! *Per datagram*: [`Transmit::ttl`], if there is one, counts for this datagram only.
//!
//! *Sockets of your own* ([`Via::Extra`], for hole punching) are like the two: what comes in goes to
//! [`handle_datagram`], what is to go out is polled ([`Dht::extra`] in the front-end).
//!
//! # Asking
//!
//! [`Node::request`] and [`Node::query`] give a number at once; [`Event::Response`] and [`Event::Finished`] tell that it
//! has ended, and [`Node::take_response`] and [`Node::take_outcome`] how, and free its place. Whoever wants only the
//! outcome of a query says so by [`Query::discard_replies`]. Else each reply has to be taken by
//! [`Node::next_reply`]: while [`Config::max_unread_replies`] wait, the query does, without end.
//!
//! # What may go wrong
//!
//! | | what follows |
//! |---|---|
//! | a datagram is late, lost, doubled, out of order | what follows on a network: nothing special: it is asked again after about a second |
//! | sending fails, with any error but `WouldBlock` | the same; no reason to stop; tell by [`Node::handle_unsent`], or whoever asked hears that nobody answers |
//! | connection refused, or reset | news of one peer, whichever call tells it; go on |
//! | [`Node::reply`] fails: too long, too many wait | whoever asked hears nothing; go on |
//! | `now` is earlier than before | it counts as no time |
//! | [`handle_timeout`] early, or for nothing | nothing |
//! | … late | all that is due is late; by more than 10 s, the node thinks that it has slept ([`Event::WakeUp`]) |
//! | [`poll_event`] is not called | news are dropped beyond `Config::max_events`, the oldest of its kind, but never that a request or a query has ended |
//! | a lookup is late, or none comes | after 5 s nobody waits; it still counts when it comes; never block on it |
//!
//! And of a [`Runtime`]:
//!
//! | | what follows |
//! |---|---|
//! | a timer rings early; late | a look for nothing; what is due is late |
//! | … never again | datagrams and calls still wake the node; what waits for time waits for them |
//! | [`poll_recv_from`](Socket::poll_recv_from) is ready with an error, also `WouldBlock` | counted ([`Drops`]), and asked again; after 16 in a row, a pause of 10 ms to 5 s. Resets: after 1,024 |
//! | [`poll_send_ready`](Socket::poll_send_ready) is wrong | the datagram is kept and tried again, so it is sent once; after 16 in a row, a pause as above |
//! | nothing but errors, of either kind | [`Event::SocketTrouble`] once; all is as before when it is over |
//! | `interfaces` or `way_out` fails | nothing changed |
//! | a socket is not bound any more to where it was, or hears nothing | [`Event::SocketLost`]; both are bound again, to the same ports if possible |
//! | the first `bind` fails | the end: whoever waits for the node gets the error, and whoever comes later |
//! | a later one fails | [`Event::BindFailed`]; suspended until one succeeds, tried again after 1 s, then ever later, up to 60 s |
//! | name lookup, `interfaces`, `way_out`, `bind`, the clock, a waker, the node filter or the cache of ids panic | they have failed; a filter has said no, a clock stands still |
//! | a socket or the timer panics | the node is closed, everybody who waits gets to know, and the panic goes on to whoever polls the driver |
//! | a lookup never ends | at most 8 are under way: the oldest is given up after 5 s if another name is to be looked up; else after 30 s, if the same one is asked for again |
//! | the [`Driver`] is dropped | the node is closed: whoever waits hears of it at once |
//!
//! # The end, and the time in between
//!
//! [`Node::suspend`], then close the sockets. [`Node::resume`], bind them, to the same ports if possible, and tell
//! by [`handle_bound`]. [`Node::close`], then poll what was answered before until `None`, and close the sockets.
//! The driver does that by itself, and gives the last answers 250 ms.
//!
//! # A whole runtime
//!
//! Nothing ever wakes this one: whoever runs the driver looks again every millisecond. That is allowed, since polling
//! for nothing is.
//!
#![cfg_attr(feature = "system", doc = "```")]
#![cfg_attr(not(feature = "system"), doc = "```ignore")]
//! use std::future::{Future, ready};
//! use std::io::{self, ErrorKind};
//! use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs, UdpSocket};
//! use std::pin::Pin;
//! use std::task::{Context, Poll, Waker};
//! use std::time::{Duration, Instant};
//!
//! use dht_core::driver::{Builder, LookupFuture, Runtime, Socket, System, Timer, all_v4, bind_udp};
//!
//! struct Beat;
//!
//! // Clock, randomness and interfaces are the system's.
//! impl System for Beat {}
//!
//! impl Runtime for Beat {
//!     type Socket = Udp;
//!     type Timer = Alarm;
//!
//!     fn bind(&self, addr: SocketAddrV4) -> io::Result<Udp> {
//!         bind_udp(addr).map(Udp)
//!     }
//!
//!     fn timer(&self) -> Alarm {
//!         Alarm(None)
//!     }
//!
//!     fn lookup(&self, host: &str) -> LookupFuture {
//!         // It blocks: another thread would be better.
//!         Box::pin(ready(all_v4((host, 0).to_socket_addrs())))
//!     }
//! }
//!
//! struct Udp(UdpSocket);
//!
//! impl Socket for Udp {
//!     fn local_addr(&self) -> io::Result<SocketAddr> {
//!         self.0.local_addr()
//!     }
//!
//!     fn poll_recv_from(
//!         &mut self,
//!         _: &mut Context<'_>,
//!         buf: &mut [u8],
//!     ) -> Poll<io::Result<(usize, SocketAddr)>> {
//!         match self.0.recv_from(buf) {
//!             Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
//!             received => Poll::Ready(received),
//!         }
//!     }
//!
//!     fn poll_send_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
//!         Poll::Ready(Ok(()))
//!     }
//!
//!     fn try_send_to(&mut self, data: &[u8], to: SocketAddr) -> io::Result<()> {
//!         self.0.send_to(data, to).map(drop)
//!     }
//!
//!     fn ttl(&self) -> io::Result<u32> {
//!         self.0.ttl()
//!     }
//!
//!     fn set_ttl(&self, ttl: u32) -> io::Result<()> {
//!         self.0.set_ttl(ttl)
//!     }
//! }
//!
//! struct Alarm(Option<Instant>);
//!
//! impl Timer for Alarm {
//!     fn set(&mut self, after: Duration) {
//!         self.0 = Some(Instant::now() + after);
//!     }
//!
//!     fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
//!         match self.0.take_if(|at| *at <= Instant::now()) {
//!             Some(_) => Poll::Ready(()),
//!             None => Poll::Pending,
//!         }
//!     }
//! }
//!
//! let (a, mut first) = Builder::new(Beat).host(Ipv4Addr::LOCALHOST).build()?;
//! let (b, mut second) = Builder::new(Beat).host(Ipv4Addr::LOCALHOST).build()?;
//! let mut cx = Context::from_waker(Waker::noop());
//! let mut beat = |cx: &mut Context<'_>| {
//!     for driver in [&mut first, &mut second] {
//!         let _ended = Pin::new(driver).poll(cx);
//!     }
//!     std::thread::sleep(Duration::from_millis(1));
//! };
//! beat(&mut cx);
//! let mut ping = b.ping(a.server_address().unwrap());
//! let pong = loop {
//!     beat(&mut cx);
//!     if let Poll::Ready(pong) = Pin::new(&mut ping).poll(&mut cx) {
//!         break pong?;
//!     }
//! };
//! assert_eq!(pong.from.addr, a.server_address().unwrap());
//! # Ok::<_, dht_core::driver::Error>(())
//! ```
//!
//! A real one registers the waker wherever it says [`Poll::Pending`](core::task::Poll::Pending), and implements
//! [`Spawn`].
//!
//! # The list
//!
//! - Two sockets, not blocking, bound to one address, or with `source`; taken ports are an error.
//! - Receive buffers of one byte more than the longest, and datagrams of IPv6 passed over.
//! - No error of a single datagram ends the loop.
//! - A clock that counts through sleep, and seeds from the system.
//! - Writability first, then `poll_transmit`; by the socket that `via` says; with its `ttl`.
//! - `poll_timeout` is asked again after any call.
//! - Names are looked up beside the loop.
//! - Bounded work per turn, then everybody else's turn.
//! - Sockets are closed when suspended, and last answers sent when closed.
//!
//! `tests/conformance` in the repository shows most of this, over real sockets: make it a dev-dependency
//! (`dht-conformance = { path = "…/tests/conformance" }`), implement `Loop` or `Adapter` for your tests, and call
//! `conforms!(loop: YourLoop)` or `conforms!(YourAdapter)`.
//! `dht-smol/tests/sockets.rs` and `tests/conformance/tests/blocking.rs` are all that it takes.
//!
//! [`Config::max_datagram`]: crate::Config::max_datagram
//! [`Config::max_datagram_received`]: crate::Config::max_datagram_received
//! [`Config::max_unread_replies`]: crate::Config::max_unread_replies
//! [`Event::BindFailed`]: crate::Event::BindFailed
//! [`Event::Finished`]: crate::Event::Finished
//! [`Event::Response`]: crate::Event::Response
//! [`Event::SocketLost`]: crate::Event::SocketLost
//! [`Event::SocketTrouble`]: crate::Event::SocketTrouble
//! [`Event::WakeUp`]: crate::Event::WakeUp
//! [`Node::handle_unsent`]: crate::Node::handle_unsent
//! [`Node::next_reply`]: crate::Node::next_reply
//! [`Node::query`]: crate::Node::query
//! [`Node::reply`]: crate::Node::reply
//! [`Node::request`]: crate::Node::request
//! [`Node::take_outcome`]: crate::Node::take_outcome
//! [`Node::take_response`]: crate::Node::take_response
//! [`Query::discard_replies`]: crate::Query::discard_replies
//! [`Node`]: crate::Node
//! [`Node::close`]: crate::Node::close
//! [`Node::new`]: crate::Node::new
//! [`Node::resume`]: crate::Node::resume
//! [`Node::suspend`]: crate::Node::suspend
//! [`Transmit::source`]: crate::Transmit::source
//! [`Transmit::ttl`]: crate::Transmit::ttl
//! [`Transmit::via`]: crate::Transmit::via
//! [`Via::Extra`]: crate::Via::Extra
//! [`handle_bound`]: crate::Node::handle_bound
//! [`handle_rebound`]: crate::Node::handle_rebound
//! [`handle_datagram_at`]: crate::Node::handle_datagram_at
//! [`handle_datagram`]: crate::Node::handle_datagram
//! [`handle_network_change`]: crate::Node::handle_network_change
//! [`handle_resolved`]: crate::Node::handle_resolved
//! [`handle_timeout`]: crate::Node::handle_timeout
//! [`poll_event`]: crate::Node::poll_event
//! [`poll_lookup`]: crate::Node::poll_lookup
//! [`poll_timeout`]: crate::Node::poll_timeout

#[cfg(doc)]
use super::{Builder, Dht, Driver, Drops, Host, Runtime, Socket, Spawn, Timer};
