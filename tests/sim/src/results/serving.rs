//! What becomes of announcements and values that nodes of hyperdht keep for others, while these nodes come and go:
//! M23 and M24.
//!
//! A node keeps them in memory, so they are gone when its process ends. Nodes pass nothing on to each other: what is to
//! last has to be announced or stored again.

use std::collections::BTreeMap;

use bytes::Bytes;
use dht_core::hyperdht::{
    Action, Announcer, KeyPair, PublicKey, Service, ServiceConfig, Slot, Want, asking, hash,
};
use dht_core::{
    Answer, Event, Id, Incoming, Instant, Node, Outcome, Query, QueryError, QueryId, Reply,
    RequestId, error_code,
};

use super::{Figure, MINUTE, SEED, Size, churning, figure, impossible};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::sim::{App, Cx, Return, Spec, Violation};
use crate::world::{HostId, Purpose, SECOND, Stream};

/// Seconds.
const HOUR: u64 = 3_600;
/// Announcers, each with a topic of its own.
const TOPICS: u8 = 10;
/// Values of each kind.
const VALUES: u64 = 100;

/// M23 and M24, of one run.
pub(super) fn kept_for_others(size: Size) -> Result<Vec<Figure>, Violation> {
    let (hours, looks) = size.pick((24, &[1, 3, 6, 12, 24][..]), (1, &[1]));
    let mut users = Users::new(size, hours)?;
    let from = users.run.scenario().run_from();
    for second in 0..hours * HOUR + VALUES {
        users.run.run_to(from + second * SECOND)?;
        users.act(second, hours, looks);
    }
    users.run.finish()?;
    Ok(users.figures(hours, looks))
}

/// What a query is for.
#[derive(Clone, Debug)]
enum Task {
    /// The announcer's.
    Announce,
    /// To store a value.
    Store(Bytes),
    /// To look for something, which counts in a column; and whether it was found.
    Find(Sought, Column, bool),
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
enum Sought {
    Topic(Id, PublicKey),
    Value(Id),
}

/// Lookups that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Topic,
    /// Values that were stored once, after so many hours.
    Once(u64),
    /// Values that are stored each hour, after so many hours.
    Hourly(u64),
}

/// A node of hyperdht with its user: it serves, and it announces, stores and looks for things.
#[derive(Clone, Default)]
struct Peer {
    /// Since its first request.
    service: Option<Service>,
    /// Keeps its topic announced.
    announcer: Option<Announcer<KeyPair>>,
    /// The requests of the announcer that are under way, and when it is due.
    announcing: BTreeMap<RequestId, Slot>,
    due: Option<Instant>,
    tasks: BTreeMap<QueryId, Task>,
    /// Of each column: lookups that have found it, and all that have ended.
    seen: BTreeMap<Column, [u64; 2]>,
}

impl Sought {
    fn query(&self) -> Query {
        match *self {
            Self::Topic(topic, _) => asking::lookup(topic),
            Self::Value(target) => asking::immutable_get(target),
        }
    }

    fn is_in(&self, reply: &Reply) -> bool {
        match *self {
            Self::Topic(_, key) => asking::peers(reply)
                .is_some_and(|found| found.peers.iter().any(|peer| peer.public_key == key)),
            Self::Value(target) => asking::immutable(reply, target).is_some(),
        }
    }
}

/// What a peer with this key announces, in here.
fn topic(key: &KeyPair) -> Id {
    hash(&hash(&key.public_key().0).0)
}

impl Peer {
    fn begin(&mut self, cx: &mut Cx<'_>, query: Query, task: Task) {
        // Nobody here has so much to do that a query is refused.
        self.tasks.extend(cx.query(query).ok().map(|id| (id, task)));
    }

    /// Does what the announcer wants.
    fn announce(&mut self, cx: &mut Cx<'_>) {
        let Some(announcer) = &mut self.announcer else { return };
        while let Some(want) = announcer.poll(cx.now) {
            match want {
                Want::Query(query) => match cx.query(query) {
                    Ok(id) => _ = self.tasks.insert(id, Task::Announce),
                    Err(error) => announcer.handle_outcome(cx.now, Err(error)),
                },
                Want::Request(slot, request) => match cx.node.request(cx.now, request) {
                    Ok(id) => _ = self.announcing.insert(id, slot),
                    Err(error) => announcer.handle_response(cx.now, slot, Err(error)),
                },
            }
        }
        let due = announcer.poll_timeout();
        if let Some(at) = due.filter(|_| due != self.due) {
            cx.wake_after(at.saturating_since(cx.now).as_micros() as u64, 0);
        }
        self.due = due;
    }

    fn on_response(&mut self, cx: &mut Cx<'_>, id: RequestId) {
        let response = cx.node.take_response(id);
        let slot = self.announcing.remove(&id);
        if let (Some(announcer), Some(slot), Some(response)) = (&mut self.announcer, slot, response)
        {
            announcer.handle_response(cx.now, slot, response);
        }
    }

    fn store(&mut self, cx: &mut Cx<'_>, value: Bytes) {
        self.begin(cx, asking::immutable_get(hash(&value)), Task::Store(value));
    }

    fn find(&mut self, cx: &mut Cx<'_>, sought: Sought, column: Column) {
        self.begin(cx, sought.query(), Task::Find(sought, column, false));
    }

    fn on_end(&mut self, cx: &mut Cx<'_>, task: Task, outcome: Result<Outcome, QueryError>) {
        match task {
            Task::Announce => {
                let announcer = self.announcer.iter_mut();
                announcer.for_each(|it| it.handle_outcome(cx.now, outcome.clone()));
            }
            Task::Store(value) => {
                let put = |reply| asking::immutable_put(reply, value.clone());
                for request in outcome.unwrap_or_default().closest.iter().filter_map(put) {
                    let _ = cx.node.request(cx.now, request);
                }
            }
            Task::Find(_, column, found) => {
                let [hits, all] = self.seen.entry(column).or_default();
                *hits += u64::from(found);
                *all += 1;
            }
        }
    }
}

impl App for Peer {
    fn on_request(&mut self, cx: &mut Cx<'_>, request: &Incoming<'_>) {
        let new = || Service::new(ServiceConfig::default(), cx.rng);
        let service = self.service.get_or_insert_with(new);
        service.handle_timeout(cx.now);
        match service.handle_request(cx.now, cx.node.id(), request) {
            Action::Reply(answer) => cx.reply(request, answer),
            Action::NotMine => cx.reply(request, Answer::error(error_code::UNKNOWN_COMMAND)),
            _ => {}
        }
    }

    fn on_event(&mut self, cx: &mut Cx<'_>, event: &Event) {
        match event {
            Event::Response(id) => self.on_response(cx, *id),
            Event::Reply(id) | Event::Finished(id) => {
                while let Some(reply) = cx.node.next_reply(*id) {
                    if let Some(Task::Find(sought, _, found)) = self.tasks.get_mut(id) {
                        *found |= sought.is_in(&reply);
                    }
                }
                let outcome = cx.node.take_outcome(*id);
                if let Some((outcome, task)) =
                    outcome.and_then(|it| Some((it, self.tasks.remove(id)?)))
                {
                    self.on_end(cx, task, outcome);
                }
            }
            event => self.announcer.iter_mut().for_each(|it| it.handle_event(event)),
        }
        self.announce(cx);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, _: u64) {
        // The node's clock may be late.
        self.due = None;
        self.announce(cx);
    }

    fn on_restart(&mut self, _: Return) {
        *self = Self { seen: core::mem::take(&mut self.seen), ..Self::default() };
    }
}

/// A run, and who does what in it.
struct Users {
    run: Run,
    draws: Stream,
    /// Clients with a topic each; they are there all the time, as `hourly` is.
    announcers: Vec<HostId>,
    /// Stores values once, and leaves.
    once: HostId,
    /// Stores other ones each hour.
    hourly: HostId,
}

impl Users {
    fn new(size: Size, hours: u64) -> Result<Self, Violation> {
        let run_us = (hours * HOUR + 3 * VALUES) * SECOND;
        let nodes = size.nodes(2_000);
        let scenario = Scenario { run_us, ..churning(nodes, 60 * MINUTE, 0.05, 0) };
        let mut run = Run::new(scenario).map_err(|error| impossible(&error))?;
        (0..nodes).for_each(|host| run.sim_mut().set_app(HostId(host), Peer::default()));
        run.run_to(run.scenario().run_from() - MINUTE)?;
        let bootstraps: Vec<_> =
            (0..run.scenario().bootstraps).map(|host| run.sim().address(HostId(host))).collect();
        let mut client = || {
            let mut spec = Spec::joining(&bootstraps).app(Peer::default());
            spec.config.ephemeral = Some(true);
            run.sim_mut()
                .add(spec)
                .map_err(|error| Violation::before(SEED, "scenario", error.to_string()))
        };
        let announcers = (0..TOPICS).map(|_| client()).collect::<Result<_, _>>()?;
        let (once, hourly) = (client()?, client()?);
        run.run_to(run.scenario().run_from())?;
        let draws = Stream::new(SEED, Purpose::Workload, 0);
        Ok(Self { run, draws, announcers, once, hourly })
    }

    /// Has a random node that has joined look for something.
    fn find(&mut self, sought: Sought, column: Column) {
        let nodes = self.run.scenario().nodes.into();
        for _ in 0..1_000 {
            let host = HostId(self.draws.below(nodes) as u32);
            if self.run.sim().node(host).is_some_and(Node::bootstrapped) {
                self.with(host, |peer, cx| peer.find(cx, sought, column));
                return;
            }
        }
    }

    fn with(&mut self, host: HostId, call: impl FnOnce(&mut Peer, &mut Cx<'_>)) {
        self.run.sim_mut().with_app(host, call);
    }

    /// What is done in this second.
    fn act(&mut self, second: u64, hours: u64, looks: &[u64]) {
        if let Some(host) = self.announcers.get(second as usize) {
            let key = KeyPair::from_seed([second as u8; 32]);
            self.with(*host, |peer, cx| {
                peer.announcer = Some(Announcer::new(topic(&key), key, &[]));
                peer.announce(cx);
            });
        }
        if second >= 60 && second.is_multiple_of(10) && second < hours * HOUR {
            let key = KeyPair::from_seed([self.draws.below(TOPICS.into()) as u8; 32]);
            self.find(Sought::Topic(topic(&key), key.public_key()), Column::Topic);
        }
        if second < VALUES {
            self.with(self.once, |peer, cx| peer.store(cx, value("once", second)));
        }
        if second == VALUES + 60 {
            self.run.sim_mut().crash(self.once);
        }
        // Evenly over each hour.
        let pause = HOUR / VALUES;
        if second.is_multiple_of(pause) && second < hours * HOUR {
            let n = second / pause % VALUES;
            self.with(self.hourly, |peer, cx| peer.store(cx, value("each hour", n)));
        }
        for hours in looks.iter().copied() {
            let n = second.wrapping_sub(hours * HOUR);
            if n < VALUES {
                self.find(Sought::Value(hash(&value("once", n))), Column::Once(hours));
                self.find(Sought::Value(hash(&value("each hour", n))), Column::Hourly(hours));
            }
        }
    }

    /// Lookups of a column that have found what they looked for, and all that have ended.
    fn seen(&self, column: Column) -> [u64; 2] {
        let hosts = (0..self.run.sim().hosts()).map(HostId);
        let peers = hosts.filter_map(|host| self.run.sim().app::<Peer>(host));
        let seen = peers.filter_map(|peer| peer.seen.get(&column));
        seen.fold([0, 0], |[hits, all], [more_hits, more]| [hits + more_hits, all + more])
    }

    fn figures(&self, hours: u64, looks: &[u64]) -> Vec<Figure> {
        let is_met = |[hits, all]: [u64; 2]| all > 0 && hits * 1_000 >= all * 999;
        let network = format!("sessions of 60 min, 5 % loss, {hours} h");
        let found = |what, result: String, met| figure(&self.run, what, &network, result, met);
        let seen = self.seen(Column::Topic);
        let what = ("M23", "lookups that find who announces every 5 min", "99.9 %");
        let topics = found(what, format!("{} of {}", seen[0], seen[1]), is_met(seen));
        let values = |what, column: fn(u64) -> Column| {
            let seen: Vec<_> = looks.iter().map(|hours| self.seen(column(*hours))).collect();
            let result = seen.iter().zip(looks);
            let result =
                result.map(|([hits, all], hours)| format!("{hits} of {all} after {hours} h"));
            let result = result.collect::<Vec<_>>().join(", ");
            let met = seen.last().is_some_and(|seen| is_met(*seen));
            found(("M24", what, "99.9 %"), result, met)
        };
        let once = values("values found, stored once, their client gone", Column::Once);
        vec![topics, once, values("values found, stored each hour", Column::Hourly)]
    }
}

/// The values that are stored once, and each hour.
fn value(how: &str, n: u64) -> Bytes {
    Bytes::from(format!("value {n}, stored {how}"))
}
