//! How to write an adapter for a runtime, or an event loop of your own.
//!
//! There are two ways, and both are short:
//!
//! - **A loop around [`Node`]**: without futures, and without `std` if need be; for firmware, for programs that have
//!   an event loop, for many nodes in one thread. Examples: `examples/blocking.rs`, `hundred.rs` and `smoltcp.rs`.
//! - **A [`Runtime`] for the driver**: sockets, a timer and name lookup for an async runtime. What users get is
//!   [`Builder`], [`Dht`] and all their futures. Examples: the crates `dht-tokio` and `dht-smol`.
//!
//! # What a loop and a runtime bring
//!
//! | | the loop | the runtime |
//! |---|---|---|
//! | two UDP sockets over IPv4 | [`handle_bound`] says where they are | [`Runtime::bind`], [`Socket`] |
//! | a timer | for [`poll_timeout`] | [`Timer`]: one deadline at a time |
//! | a clock | `now`, with every call | [`Host::now`] |
//! | randomness, once | for [`Node::new`] | [`Host::fill_random`] |
//! | names to addresses | [`poll_name`], [`handle_resolved`] | [`Runtime::lookup`] |
//! | where this machine is | [`handle_network_change`] if its network is another | [`Host::interfaces`], [`Host::way_out`], looked at every 5 s |
//! | sockets that stay | [`handle_rebound`] after they were replaced | [`Socket::local_addr`], looked at every 5 s |
//!
//! *Two sockets*: requests leave by the client socket, at any port, until the node knows that strangers reach the
//! server socket. With a single socket the node's own requests would open the firewall that it tests for. A node that
//! can be reached for certain needs one socket only: `handle_bound(now, addr, addr)`.
//!
//! *An answer has to leave from the socket and the address that were asked*: a node takes an answer only from the
//! address that it has asked. [`Transmit::via`] says by which socket. On a machine with several addresses, bind to one of them; or learn
//! with each datagram which address it came to, and say so ([`handle_datagram_at`], [`Socket::received_at`]):
//! [`Transmit::source`] then says from which address the answer is to leave. With the feature `system`,
//! `driver::PacketInfo` does it.
//!
//! *The clock* counts microseconds from any moment on, and goes on while the machine sleeps, which is how the node
//! notices sleep (on Linux it is the boot-time clock, never the time of day). With the feature `system`,
//! `driver::System` brings it, with randomness and interfaces.
//!
//! *Buffers*: to receive, one byte more than [`Config::max_datagram_received`] (2,049 by default), since a datagram
//! that is too long must not look like a shorter one that is valid. To send, `DATAGRAM_MAX`; no datagram is longer than
//! [`Config::max_datagram`].
//!
//! # The order of calls
//!
//! Any order of calls is legal, and so are calls without need. This order answers fastest:
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
//! /// Called whenever a socket is readable or writable, or the timer has rung.
//! fn turn(node: &mut Node, now: impl Fn() -> Instant, sockets: [(Via, &UdpSocket); 2]) {
//!     // In: a bounded number of datagrams from each, so that no flood keeps the rest waiting.
//!     let mut buf = [0; DATAGRAM_MAX + 1];
//!     for (via, socket) in sockets {
//!         for _ in 0..64 {
//!             let Some((len, from)) = receive(socket, &mut buf) else { break };
//!             match node.handle_datagram(now(), via, from, &buf[..len]) {
//!                 Handled::Consumed => {}
//!                 // The application answers at once, or later by a copy of `reply_to`, or never.
//!                 Handled::Request(request) => {
//!                     let answer = Answer::error(error_code::UNKNOWN_COMMAND);
//!                     let _ = node.reply(now(), request.reply_to, answer);
//!                 }
//!                 // A datagram of another protocol on the same socket.
//!                 Handled::NotOurs => {}
//!             }
//!         }
//!     }
//!     node.handle_timeout(now());
//!     // Out: first see whether the socket takes a datagram, then poll.
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
//!     // And `poll_name`. Then wait for a socket, or until `poll_timeout`, which any call may have changed.
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
//! its time-out runs from there. It can't be put back: keep it until the socket takes it, or drop it as lost.
//!
//! *Time to live*: [`Transmit::ttl`], if there is one, counts for this datagram only.
//!
//! *Sockets of your own* ([`Via::Extra`], for hole punching) are used as the node's two are: a datagram that arrives
//! goes to [`handle_datagram`], and datagrams to send are polled ([`Dht::extra`] in the front-end).
//!
//! # Asking
//!
//! [`Node::request`] and [`Node::query`] give a number at once. [`Event::Response`] and [`Event::Finished`] tell that
//! the request or the query with this number has ended; [`Node::take_response`] and [`Node::take_outcome`] give the
//! result and free its place. If only the outcome of a query is of use, make it with [`Query::discard_replies`]. Else
//! take each reply by [`Node::next_reply`]: while [`Config::max_unread_replies`] replies wait, the query pauses, without
//! end.
//!
//! # What may go wrong
//!
//! | | what follows |
//! |---|---|
//! | a datagram is late, lost, doubled, out of order | nothing special: a request is sent again after about a second |
//! | sending fails, with any error but `WouldBlock` | the same; go on, and tell the core by [`Node::handle_unsent`], or the request fails as if the peer had been silent |
//! | connection refused, or reset | that is news of one peer, whichever call tells it; go on |
//! | [`Node::reply`] fails: too long, too many wait | the peer gets no answer; answer with an error code if the value was too long, and go on |
//! | `now` is earlier than before | no time has passed |
//! | [`handle_timeout`] is called early, or without need | nothing |
//! | … late | all that is due is late; after more than 10 s the node takes it for sleep ([`Event::WakeUp`]) |
//! | [`poll_event`] is not called | beyond `Config::max_events` the oldest event of the same kind is dropped, but never the end of a request or a query |
//! | a lookup is late, or without result | after 5 s the node does without; a late result still counts; never block on it |
//!
//! And of a [`Runtime`]:
//!
//! | | what follows |
//! |---|---|
//! | a timer rings early; late | a turn without need; all that is due is late |
//! | … never again | only datagrams and calls wake the node, and all that is due waits for them |
//! | [`poll_recv_from`](Socket::poll_recv_from) is ready with an error, also `WouldBlock` | counted ([`Drops`]), and tried again; after 16 errors in a row, or 1,024 resets, a pause of 10 ms to 5 s |
//! | [`poll_send_ready`](Socket::poll_send_ready) is wrong | the datagram is kept and tried again, so it is sent once; after 16 times in a row, a pause as above |
//! | nothing but errors, of either kind | [`Event::SocketTrouble`] once; normal work when they are over |
//! | `interfaces` or `way_out` fails | the network counts as unchanged |
//! | a socket is not bound any more to where it was, or hears nothing | [`Event::SocketLost`]; both are bound again, to the same ports if possible |
//! | the first `bind` fails | the node is closed; everything that waits for it, and every later call, fails with the error |
//! | a later one fails | [`Event::BindFailed`]; the node is suspended until a bind succeeds, which is tried after 1 s, then ever later, up to 60 s |
//! | name lookup, `interfaces`, `way_out`, `bind`, the clock, a waker, the node filter or the cache of ids panic | that counts as a failure; a filter refuses the node, a clock stands still |
//! | a socket or the timer panics | the node is closed, all that waits for it fails, and the panic goes on to the executor that polls the driver |
//! | a lookup never ends | at most 8 are under way: the oldest is given up after 5 s if another name is to be looked up, else after 30 s if its name is asked for again |
//! | the [`Driver`] is dropped | the node is closed; all that waits for it fails at once |
//!
//! # The end, and the time in between
//!
//! To suspend, call [`Node::suspend`], then close the sockets. To resume, call [`Node::resume`], bind them, to the same
//! ports if possible, and tell by [`handle_bound`]. To close, call [`Node::close`], poll the last answers until `None`,
//! then close the sockets. The driver does that by itself, and gives the last answers 250 ms.
//!
//! # A whole runtime
//!
//! This runtime wakes no task: its drivers are polled every millisecond. That is allowed, since polling without need
//! is.
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
//! A real runtime registers the waker wherever it says [`Poll::Pending`](core::task::Poll::Pending), and implements
//! [`Spawn`].
//!
//! # Checklist
//!
//! - Two sockets that don't block, bound to one address, or with `source`; a taken port is an error.
//! - Receive buffers of one byte more than the longest datagram; datagrams of IPv6 are passed over.
//! - No error of a single datagram ends the loop.
//! - A clock that counts through sleep, and seeds from the system.
//! - Writability first, then `poll_transmit`; by the socket that `via` says; with the `ttl` of the datagram.
//! - `poll_timeout` is asked again after any call.
//! - Names are looked up without blocking the loop.
//! - Bounded work per turn, then the executor's other tasks.
//! - Sockets are closed when the node is suspended; the last answers are sent when it is closed.
//!
//! `tests/conformance` in the repository shows most of this, over real sockets: make it a dev-dependency
//! (`dht-conformance = { path = "…/tests/conformance" }`), implement `Loop` or `Adapter` for your tests, and call
//! `conforms!(loop: YourLoop)` or `conforms!(YourAdapter)`.
//! See `dht-smol/tests/sockets.rs` and `tests/conformance/tests/blocking.rs`.
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
//! [`poll_name`]: crate::Node::poll_name
//! [`poll_timeout`]: crate::Node::poll_timeout

#[cfg(doc)]
use super::{Builder, Dht, Driver, Drops, Host, Runtime, Socket, Spawn, Timer};
