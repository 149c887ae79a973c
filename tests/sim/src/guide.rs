//! Testing your own protocol: a guide from the first application to a failure replayed by its seed.
//!
//! A simulation holds hosts, each with a real [`Node`](dht_core::Node) and, if you like, your
//! application on it. All of it runs in one thread, in virtual time, and everything random follows
//! from one number, the seed. An hour of a hundred nodes takes a second (with `--release`; thirty without).
//!
//! # An application
//!
//! Implement [`App`](crate::App): it is handed requests for your commands, what happens to the node, and timers
//! of its own; it acts through [`Cx`](crate::Cx). It sees nothing else, so what it can do here it can
//! do out there. All examples of this page use this one, a protocol that spreads a rumour:
//!
//! ```
#![doc = include_str!("guide/gossip.rs")]
//! ```
//!
//! What to know about the rest of `App`:
//!
//! - [`Event::Ready`](dht_core::Event::Ready) is the place for a first
//!   [`wake_after`](crate::Cx::wake_after); `on_timer` sets the next one. Timers end with their process.
//! - Requests and queries end as events: [`Response`](dht_core::Event::Response),
//!   [`Reply`](dht_core::Event::Reply), [`Finished`](dht_core::Event::Finished). Remember the ids
//!   that you got, and take what you are told of. Leave other ids alone: they may be the test's.
//! - Randomness comes from `cx.rng` and time from `cx.now` or `cx.time`. Anything else (`HashMap`'s order,
//!   `std::time`, threads) makes two runs of one seed differ.
//! - A crash takes what is only in memory. That is for `on_restart` to do: the simulator cannot
//!   know what is on your disk.
//!
//! # Drive clients
//!
//! Three ways, from outside to inside. [`with_app`](crate::Sim::with_app) is a user at the keyboard of a host;
//! [`ask_node`](crate::Sim::ask_node) and [`walk`](crate::Sim::walk) have a node send a request or a
//! query of yours, and run until it has ended; or the application acts by itself, on timers.
//!
//! ```
//! # mod gossip { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/gossip.rs")); }
//! # use gossip::*;
//! use std::time::Duration;
//! use dht_core::Request;
//! use dht_sim::{HostId, Spec};
//!
//! let mut sim = network(1, 50, 15)?;
//! sim.run_for(JOINED)?;
//! begin(&mut sim); // with_app
//! sim.run_for(Duration::from_secs(5))?;
//! assert_eq!(heard(&sim), 50);
//!
//! // A host without an application asks a host that has it.
//! let asker = sim.add(Spec::joining(&[sim.address(HostId(0))]))?;
//! let request = Request::new(sim.address(HostId(9)), RUMOUR);
//! let reply = sim.ask_node(asker, request, Duration::from_secs(5))?;
//! assert!(matches!(reply, Some(Ok(reply)) if reply.error == 0));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Add faults
//!
//! [`Link`](crate::link::Link) is what every datagram meets: delay, loss, duplicates, damage. A
//! [`Partition`](crate::partition::Partition) has times, so it can be added beforehand. Hosts
//! [`crash`](crate::Sim::crash) and [`restart`](crate::Sim::restart), [`stall`](crate::Sim::stall) and
//! [`sleep`](crate::Sim::sleep). For anything else there are rules, which see every datagram.
//!
//! ```
//! # mod gossip { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/gossip.rs")); }
//! # use gossip::*;
//! use std::time::Duration;
//! use dht_sim::link::{Latency, Link, Loss};
//! use dht_sim::partition::{Partition, Side};
//! use dht_sim::{Fate, HostId, Packet, Return};
//!
//! const SECOND: u64 = 1_000_000; // Virtual time is in microseconds.
//!
//! let mut sim = network(1, 50, 15)?;
//! sim.set_link(Link {
//!     latency: Latency::Uniform { min_us: 20_000, max_us: 120_000 },
//!     loss: Loss::Independent(0.2),
//!     ..Link::default()
//! });
//! // The second half of the hosts is cut off for ten seconds.
//! let half = Side::Hosts((25..50).collect());
//! sim.add_partition(&Partition::new(half, 30 * SECOND, 40 * SECOND))?;
//! // Nothing leaves host 7 after half a minute.
//! sim.add_rule(|now: u64, packet: &Packet| match packet.sender {
//!     HostId(7) if now > 30 * SECOND => Fate::Drop,
//!     _ => Fate::Pass,
//! });
//!
//! sim.run_for(Duration::from_secs(31))?;
//! begin(&mut sim);
//! sim.run_for(Duration::from_secs(5))?;
//! assert!(heard(&sim) <= 25, "not the other half");
//!
//! // One process is replaced by another one, with another id; one is stopped for three seconds.
//! sim.crash(HostId(8));
//! sim.restart(HostId(8), Return::Anew)?;
//! sim.stall(HostId(9), Duration::from_secs(3));
//! sim.run_for(Duration::from_secs(60))?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Give hosts neighbours
//!
//! Each host has a /24 of its own, so that no limit per host or network meets honest nodes. On the internet some
//! hosts share one: [`set_addresses`](crate::Sim::set_addresses) draws places from a [model](crate::addresses), for hosts
//! that ask for no address. [`Spec::ip`](crate::Spec::ip) puts a host where you want it, [`Spec::shared`](crate::Spec::shared)
//! several at one address, and [`add_nat`](crate::Sim::add_nat) many behind one.
//!
//! ```
//! use std::net::Ipv4Addr;
//! use std::time::Duration;
//! use dht_sim::addresses::{Addresses, Sharing};
//! use dht_sim::{Sim, Spec};
//!
//! let mut sim = Sim::new(1);
//! // Half of the /24s have 2 to 100 hosts.
//! let networks = Sharing { part: 0.5, most: 100 };
//! sim.set_addresses(Addresses { networks, ..Addresses::default() })?;
//! let first = sim.next_address();
//! sim.add(Spec::bootstrapper(first)?)?;
//! for _ in 0..40 {
//!     sim.add(Spec::joining(&[first]))?;
//! }
//! // A server with ten nodes.
//! for number in 0..10 {
//!     sim.add(Spec::joining(&[first]).shared(Ipv4Addr::new(90, 0, 0, 1), number))?;
//! }
//! sim.run_for(Duration::from_secs(30))?;
//! assert_eq!(sim.persistent_count(), 51);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Say what must hold
//!
//! An [`Invariant`](crate::Invariant) stands outside: it sees every host at once and changes nothing. Ask after every
//! datagram ([`received`](crate::Invariant::received), [`after`](crate::Invariant::after)) what is
//! cheap, and [`every_second`](crate::Invariant::every_second) what is not. The first that does not hold ends the
//! run with a [`Violation`](crate::Violation), and that has the seed. [`check_nodes`](crate::Sim::check_nodes) has
//! the nodes check themselves as well.
//!
//! Our protocol tells each rumour to some nodes, once, and does not ask whether they have heard it. With four
//! of them and some loss, it takes a few seeds at most:
//!
//! ```
//! # mod gossip { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/gossip.rs")); }
//! # use gossip::*;
//! use std::time::Duration;
//! use dht_sim::link::{Link, Loss};
//! use dht_sim::{Invariant, Sim, Verdict, Violation};
//!
//! #[derive(Clone)]
//! struct EveryoneHears {
//!     by: u64,
//! }
//!
//! impl Invariant for EveryoneHears {
//!     fn name(&self) -> &'static str {
//!         "everyone hears the rumour"
//!     }
//!
//!     fn every_second(&mut self, sim: &Sim) -> Verdict {
//!         let persistent = sim.persistent().filter(|_| sim.now() >= self.by);
//!         for host in persistent {
//!             if sim.app(host).is_some_and(|gossip: &Gossip| !gossip.heard) {
//!                 return Err(format!("host {} has not", host.0));
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! /// One seed, one run.
//! fn run(seed: u64, tell: usize) -> Result<(), Violation> {
//!     let mut sim = network(seed, 50, tell).expect("a valid configuration");
//!     sim.add_invariant(EveryoneHears { by: 30_000_000 });
//!     sim.run_for(JOINED)?;
//!     sim.set_link(Link { loss: Loss::Independent(0.2), ..Link::default() });
//!     begin(&mut sim);
//!     sim.run_for(Duration::from_secs(20))
//! }
//!
//! assert!((0..3).all(|seed| run(seed, 25).is_ok()));
//! let violation = (0..5).find_map(|seed| run(seed, 4).err()).expect("four are too few");
//! println!("{violation}");
//! // everyone hears the rumour violated at 30.000000 s: host 0 has not (seed 0, trace 5d2c…)
//!
//! // The same again: same seed, same run, to the last byte. Now add a tap, or a debugger.
//! assert_eq!(run(violation.seed, 4), Err(violation));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Make the seed an argument of your test, print the violation when it fails, and every failure comes with its
//! own replay. The trace hash covers every datagram delivered: as long as it is the same, on another
//! machine or in another build, so was the run. Make sure also that the test can fail: run it once
//! against a protocol that you have broken, as above.
//!
//! # Try several futures
//!
//! A clone of a simulation is a fork: nodes, applications, datagrams under way and randomness. Let a network
//! settle once, and then see what each fault does to the same one.
//!
//! ```
//! # mod gossip { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/gossip.rs")); }
//! # use gossip::*;
//! use std::time::Duration;
//! use dht_sim::link::{Link, Loss};
//! use dht_sim::{HostId, Sim};
//!
//! let mut settled = network(1, 50, 4)?;
//! settled.run_for(JOINED)?;
//!
//! let futures: [(&str, fn(&mut Sim)); 3] = [
//!     ("nothing happens", |_| {}),
//!     ("half is lost", |sim| {
//!         sim.set_link(Link { loss: Loss::Independent(0.5), ..Link::default() });
//!     }),
//!     ("a third is down", |sim| (10..26).map(HostId).for_each(|host| sim.crash(host))),
//! ];
//! let reached = futures.map(|(what, happens)| {
//!     let mut sim = settled.clone();
//!     happens(&mut sim);
//!     begin(&mut sim);
//!     sim.run_for(Duration::from_secs(10)).expect("there is no invariant");
//!     println!("{what}: {} have heard it", heard(&sim));
//!     heard(&sim)
//! });
//! assert!(reached[0] > reached[1] && reached[0] > reached[2]);
//! assert_eq!(heard(&settled), 0, "the past is as it was");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Look closely
//!
//! A tap records what one host sends, receives and goes through; [`describe`](crate::describe::describe)
//! says what a datagram says, [`Timeline`](crate::timeline::Timeline) makes lines of it, and
//! [`pcap`](crate::pcap) a file for Wireshark.
//!
//! ```
//! # mod gossip { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/gossip.rs")); }
//! # use gossip::*;
//! use std::time::Duration;
//! use dht_sim::describe::describe;
//! use dht_sim::{Direction, HostId, What};
//!
//! let mut sim = network(1, 50, 15)?;
//! sim.run_for(JOINED)?;
//! sim.tap(HostId(3));
//! begin(&mut sim);
//! sim.run_for(Duration::from_secs(1))?;
//!
//! let mut told = 0;
//! for record in sim.take_tapped(HostId(3)) {
//!     if let What::Datagram { direction: Direction::Out, to, bytes, .. } = record.what {
//!         println!("{:>9} µs to {to}: {}", record.at, describe(&bytes));
//!         told += 1;
//!     }
//! }
//! assert!(told >= 15);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # A larger example
//!
//! `examples/kv` is a key-value store on top of the node, under 20 % loss, churn with sessions of
//! five minutes, and a partition into halves: `cargo run --release -p dht-sim --example kv_sim`. Its invariant says
//! that every node finds a value whose owner was told that it is stored, once the partition has healed. What makes it hold:
//!
//! - *Stored* means that 15 of the 20 nodes closest to its hash have taken a value. A query that
//!   [commits](dht_core::Query::commit) says how many did; with fewer it is repeated after a minute.
//! - Every holder puts the value again if no other has for 5 to 6 minutes: holders go, and nodes come that are
//!   closer. That only the writer does so is not enough, since writers go too. It also carries the value over a gap that
//!   has closed: nodes remember the nodes that they have lost, so the halves of the network find each other within a
//!   minute or so.
//! - A holder lets a value go only when 20 other nodes are closer and 15 of them have just taken it.
//! - What comes in is checked against its hash, in puts as in answers. A get asks three times before
//!   it tells its user that there is nothing.
//!
//! The bound follows from that: holders have republished after 6 min 15 s, and two minutes are for
//! a put that has to be repeated. From 8 min 15 s after the partition on, every get that finds
//! nothing is a violation. In the test (`tests/library/store.rs`) users read at random all the time, and at the
//! end three hosts look for each value. It also runs stores without one of these, and wants them
//! found out: try `-- 1 writer` and `-- 1 never`.
