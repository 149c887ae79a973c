//! A key-value store on top of the node, put to the test: 20 % of all datagrams are lost, nodes
//! crash (some come back, others are replaced), and for ten minutes the network is cut in half.
//! Once it has healed, everyone must find every value that anyone was told is stored.
//!
//! `cargo run --release -p dht-sim --example kv -- [SEED [holders | writer | nobody]]`
//!
//! What makes it hold, and what does not:
//!
//! - A value is kept under its hash, by the 20 nodes closest to that. A put is a query that commits; the
//!   writer tells its user "stored" when [`ENOUGH`] nodes have taken it, and tries again until then.
//! - Nodes come and go, so a value has to move. Every holder puts it once more when it has heard of it from nobody
//!   for about ten minutes. Whoever is first spares the other 19 the trouble.
//! - A holder that finds 20 others closer than itself, and enough of them have the value, lets it go.
//! - If only the writer did that ([`Upkeep::Writer`]), or nobody, values would go with their nodes.
//! - Answers are verified by hash. A get asks again before it gives up.
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use blake2::{Blake2b256, Digest};
use dht_core::{Answer, Event, Id, Incoming, K, Query, QueryId, bytes::Bytes, error_code};
use dht_sim::link::{Latency, Link, Loss};
use dht_sim::partition::{Partition, Side};
use dht_sim::stream::{Purpose, Stream};
use dht_sim::{App, Cx, HostId, Invariant, Micros, Return, Sim, Spec, Verdict, Violation};

/// The command of the store: with a value and a token it is a put, without a value a get.
const VALUES: u64 = 0;
/// The error code for a value that does not belong under its key, and for one too many.
const REFUSED: u64 = 16;
/// So many nodes have taken it: it is stored.
const ENOUGH: u32 = 15;
/// A node keeps so many values.
const VALUES_MAX: usize = 1_000;
/// A get asks so often.
const TRIES: u32 = 3;
const SECOND: Micros = 1_000_000;
const MINUTE: Micros = 60 * SECOND;
/// How often a node looks for something to do, and so how soon it repeats a put that failed.
const TICK: Micros = 10 * SECOND;
/// A value is put again when it was not for so long, and up to a quarter more.
const REPUBLISH: Micros = 8 * MINUTE;

pub(crate) fn hash(value: &[u8]) -> Id {
    Id(Blake2b256::digest(value).into())
}

/// Who puts a value again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upkeep {
    Holders,
    Writer,
    Nobody,
}

/// What a user would see on the screen.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    Stored { key: Id },
    Read { key: Id, since: Micros, found: bool },
}

#[derive(Clone)]
struct Kept {
    value: Bytes,
    /// Whether it is our own.
    own: bool,
    /// When to put it (again).
    due: Micros,
}

#[derive(Clone, Copy)]
enum Task {
    Put(Id),
    Get { key: Id, since: Micros, tries: u32 },
}

/// The application: a server that keeps values for others, and a client that puts its own and gets those of
/// others. It knows nothing but what it is told over the network.
#[derive(Clone)]
pub(crate) struct Store {
    upkeep: Upkeep,
    /// Values that its user is going to put.
    to_put: Vec<Bytes>,
    /// Keys that its user has heard of (somebody has sent a link).
    links: Arc<[Id]>,
    values: BTreeMap<Id, Kept>,
    tasks: BTreeMap<QueryId, Task>,
    pub(crate) notes: Vec<Note>,
}

impl Store {
    pub(crate) fn new(upkeep: Upkeep, to_put: Vec<Bytes>, links: Arc<[Id]>) -> Self {
        let (values, tasks, notes) = Default::default();
        Self { upkeep, to_put, links, values, tasks, notes }
    }

    /// Keeps a value that has just been put, by us or by somebody else.
    fn keep(&mut self, cx: &mut Cx<'_>, value: Bytes, own: bool) {
        let key = hash(&value);
        let own = own || self.values.get(&key).is_some_and(|kept| kept.own);
        let due = match self.upkeep {
            Upkeep::Holders => cx.time + REPUBLISH + cx.rng.below(REPUBLISH / 4),
            Upkeep::Writer if own => cx.time + REPUBLISH + cx.rng.below(REPUBLISH / 4),
            _ => Micros::MAX,
        };
        self.values.insert(key, Kept { value, own, due });
    }

    fn put(&mut self, cx: &mut Cx<'_>, key: Id) {
        let Some(kept) = self.values.get_mut(&key) else { return };
        kept.due = Micros::MAX;
        let query = Query::new(key, VALUES).value(kept.value.clone()).commit().discard_replies();
        match cx.query(query) {
            Ok(query) => _ = self.tasks.insert(query, Task::Put(key)),
            Err(_) => kept.due = cx.time + TICK,
        }
    }

    fn get(&mut self, cx: &mut Cx<'_>, key: Id, since: Micros, tries: u32) {
        if self.values.contains_key(&key) {
            self.notes.push(Note::Read { key, since, found: true });
        } else if let Ok(query) = cx.query(Query::new(key, VALUES)) {
            self.tasks.insert(query, Task::Get { key, since, tries });
        }
    }

    fn put_ended(&mut self, cx: &mut Cx<'_>, query: QueryId, key: Id) {
        let Some(kept) = self.values.get(&key).cloned() else { return };
        let outcome = cx.node.take_outcome(query).and_then(Result::ok).unwrap_or_default();
        if outcome.commit.unwrap_or_default().succeeded < ENOUGH {
            return self.values.extend([(key, Kept { due: cx.time + TICK, ..kept })]);
        }
        let ours = cx.node.id().map(|id| id.distance(&key));
        let last = outcome.closest.get(K - 1).and_then(|reply| reply.from.id);
        if !kept.own && last.is_some_and(|last| ours.is_none_or(|ours| last.distance(&key) < ours))
        {
            self.values.remove(&key);
            return;
        }
        if kept.own {
            self.notes.push(Note::Stored { key });
        }
        self.keep(cx, kept.value, kept.own);
    }
}

impl App for Store {
    fn on_request(&mut self, cx: &mut Cx<'_>, request: &Incoming<'_>) {
        let answer = match (request.command, request.target, request.value) {
            (VALUES, Some(key), None) => match self.values.get(&key) {
                Some(kept) => Answer::value(kept.value.clone()),
                None => Answer::empty(),
            },
            // A writer on its way to the closest: it needs a token first.
            (VALUES, _, Some(_)) if request.token.is_none() => Answer::empty(),
            (VALUES, Some(key), Some(value)) => {
                let room = self.values.len() < VALUES_MAX || self.values.contains_key(&key);
                if room && hash(value) == key {
                    self.keep(cx, Bytes::copy_from_slice(value), false);
                    Answer::empty()
                } else {
                    Answer::error(REFUSED)
                }
            }
            _ => Answer::error(error_code::UNKNOWN_COMMAND),
        };
        cx.reply(request, answer);
    }

    fn on_event(&mut self, cx: &mut Cx<'_>, event: &Event) {
        match *event {
            Event::Ready => {
                let first = cx.rng.below(TICK);
                cx.wake_after(first, 0);
            }
            Event::Reply(query) => {
                let Some(&Task::Get { key, since, .. }) = self.tasks.get(&query) else { return };
                while let Some(reply) = cx.node.next_reply(query) {
                    if reply.value.is_some_and(|value| hash(&value) == key) {
                        self.notes.push(Note::Read { key, since, found: true });
                        self.tasks.remove(&query);
                        return cx.node.cancel_query(cx.now, query);
                    }
                }
            }
            Event::Finished(query) => match self.tasks.remove(&query) {
                Some(Task::Put(key)) => self.put_ended(cx, query, key),
                Some(Task::Get { key, since, tries }) => {
                    _ = cx.node.take_outcome(query);
                    if tries < TRIES {
                        self.get(cx, key, since, tries + 1);
                    } else {
                        self.notes.push(Note::Read { key, since, found: false });
                    }
                }
                None => {}
            },
            _ => {}
        }
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, token: u64) {
        cx.wake_after(TICK, token);
        if cx.rng.chance(0.02) {
            if let Some(value) = self.to_put.pop() {
                let key = hash(&value);
                self.keep(cx, value, true);
                self.put(cx, key);
            }
        }
        let due = self.values.iter().filter(|(_, kept)| kept.due <= cx.time);
        for key in due.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.put(cx, key);
        }
        if cx.rng.chance(0.05) {
            let at = cx.rng.below(self.links.len() as u64) as usize;
            self.get(cx, self.links[at], cx.time, 1);
        }
    }

    fn on_restart(&mut self, how: Return) {
        self.tasks.clear();
        if how == Return::Anew {
            // Another machine, another user. What was on the screen was seen all the same.
            self.values.clear();
            self.to_put.clear();
        }
    }

    fn fork(&self) -> Box<dyn App> {
        Box::new(self.clone())
    }
}

/// "A stored value is found by everyone, once the network has healed."
#[derive(Clone, Default)]
pub(crate) struct NothingIsLost {
    /// From when on.
    pub(crate) healed: Micros,
    /// How much of each host's notes was read.
    seen: Vec<usize>,
    /// When each value was acknowledged, and how often it was found since the network has healed.
    pub(crate) stored: BTreeMap<Id, (Micros, u32)>,
}

impl Invariant for NothingIsLost {
    fn name(&self) -> &'static str {
        "a stored value is found by everyone"
    }

    fn every_second(&mut self, sim: &Sim) -> Verdict {
        self.seen.resize(sim.hosts() as usize, 0);
        for (host, seen) in (0..).map(HostId).zip(&mut self.seen) {
            let Some(store) = sim.app::<Store>(host) else { continue };
            for note in &store.notes[*seen..] {
                match *note {
                    Note::Stored { key } => _ = self.stored.entry(key).or_insert((sim.now(), 0)),
                    Note::Read { key, since, found } if since >= self.healed => {
                        let Some((at, finds)) = self.stored.get_mut(&key) else { continue };
                        if !found && *at < since {
                            let (at, since) = (*at / SECOND, since / SECOND);
                            return Err(format!(
                                "{key}, stored at {at} s, was not found by host {} from {since} s on",
                                host.0
                            ));
                        }
                        *finds += u32::from(found);
                    }
                    Note::Read { .. } => {}
                }
            }
            *seen = store.notes.len();
        }
        Ok(())
    }

    fn fork(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

/// The hosts: the first two stay up, and the others join through them.
const HOSTS: u32 = 100;
/// One value in each of these hosts' pockets.
const WRITERS: u32 = 40;
/// From when to when the network is in two halves.
const CUT: [Micros; 2] = [20 * MINUTE, 30 * MINUTE];
/// So long after that every value was put again by some holder, and both halves know each other.
const SETTLE: Micros = REPUBLISH + REPUBLISH / 4 + 2 * MINUTE;
const END: Micros = 60 * MINUTE;

/// The network, before anything has happened in it.
pub(crate) fn network(seed: u64, upkeep: Upkeep) -> Result<Sim, Box<dyn Error>> {
    let mut sim = Sim::new(seed);
    let median_us = 40_000;
    sim.set_link(Link {
        latency: Latency::LogNormal {
            median_us,
            sigma: 0.5,
            min_us: 1_000,
            per_pair: true,
            jitter_sigma: 0.1,
        },
        loss: Loss::Independent(0.2),
        ..Link::default()
    });
    sim.add_partition(&Partition {
        first: Side::Hosts((0..HOSTS).step_by(2).collect()),
        one_way: false,
        from_us: CUT[0],
        until_us: CUT[1],
        flap: None,
    })?;
    sim.add_invariant(NothingIsLost { healed: CUT[1] + SETTLE, ..NothingIsLost::default() });
    let values: Vec<_> =
        (0..WRITERS).map(|n| Bytes::from(format!("value {n} of {seed}"))).collect();
    let links: Arc<[Id]> = values.iter().map(|value| hash(value)).collect();
    let mut values = values.into_iter();
    let first = sim.next_address();
    sim.add(Spec::bootstrapper(first)?.app(Store::new(upkeep, vec![], links.clone())))?;
    let second = sim.next_address();
    for n in 1..HOSTS {
        let store = Store::new(upkeep, values.next().into_iter().collect(), links.clone());
        let join = if n == 1 { vec![first] } else { vec![first, second] };
        sim.add(Spec::joining(&join).app(store).after(u64::from(n) * SECOND))?;
    }
    Ok(sim)
}

/// Lets an hour pass in which nodes crash, after half an hour each. Two minutes later half of them are
/// back, with table and values, and new ones have come in place of the others.
pub(crate) fn trial(sim: &mut Sim) -> Result<(), Box<dyn Error>> {
    let mut rng = Stream::new(sim.seed(), Purpose::Churn, 0);
    while sim.now() < END {
        sim.run_for(Duration::from_secs(1))?;
        for host in (2..HOSTS).map(HostId) {
            if sim.node(host).is_some() {
                if sim.now() > 3 * MINUTE && rng.chance(1.0 / 600.0) {
                    sim.crash(host);
                }
            } else if sim.now() > 3 * MINUTE && rng.chance(1.0 / 120.0) {
                let how = if rng.chance(0.5) { Return::WithTable } else { Return::Anew };
                sim.restart(host, how)?;
            }
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().collect();
    let seed = args.get(1).map_or(Ok(1), |seed| seed.parse())?;
    let upkeep = match args.get(2).map_or("holders", String::as_str) {
        "holders" => Upkeep::Holders,
        "writer" => Upkeep::Writer,
        "nobody" => Upkeep::Nobody,
        other => return Err(format!("{other}: holders, writer or nobody").into()),
    };
    let mut sim = network(seed, upkeep)?;
    let result = trial(&mut sim);
    let stored = sim.invariant().map_or_else(BTreeMap::new, |it: &NothingIsLost| it.stored.clone());
    let found: u32 = stored.values().map(|(_, finds)| finds).sum();
    println!("{} values stored, found {found} times since the network has healed", stored.len());
    println!("{:?}", sim.counts());
    match result.as_ref().map_err(|error| error.downcast_ref::<Violation>()) {
        Err(Some(violation)) => println!("again: cargo run … --example kv -- {}", violation.seed),
        _ => println!("nothing is lost; trace {:016x}", sim.trace_hash()),
    }
    result
}
