//! The front-end of two nodes on one machine: any calls, any datagrams, whatever may go wrong with sockets.

mod net;
mod tasks;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::ready;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dht_core::driver::{
    Builder, Datagrams, Dht, Events, ExtraSocket, IncomingRequest, Item, Items, QueryStream,
    Requests, Session, Stream,
};
use dht_core::wire::{self, CloserNodes, Message};
use dht_core::{Answer, Id, Query, QueryId, ReplyTo, Request, RequestId, SavedNode, Via};

use super::Source;
use net::{Machine, local};
use tasks::{Tasks, What};

/// Nothing hangs, spins or is lost: every future resolves, though it is polled only when it was woken, each request and each
/// query of a stream of items is told once, and in the end all sockets and timers are gone.
///
/// The input: two bytes for the configuration, then steps, each a byte for which and as many more as it needs (see
/// `World::step`).
pub fn driver(data: &[u8]) {
    let mut source = Source::new(data);
    let mut world = World::new(&mut source);
    while !source.is_empty() {
        world.step(&mut source);
        world.tasks.run();
        world.check();
    }
    world.settle();
}

/// How many things of each kind the user holds.
const HELD: usize = 24;
/// How many alarms ring before something that ends by itself has to have done so.
const ALARMS_MAX: usize = 20_000;
/// And after what time.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// What the user has of one node.
struct Side {
    /// `None`: the user has dropped it.
    dht: Option<Dht>,
    session: Option<Session>,
    /// The one stream of items, if there is one from the beginning to the end.
    items: Option<Items>,
    /// What was begun for it and has not ended.
    requests: BTreeSet<RequestId>,
    queries: BTreeSet<QueryId>,
}

enum Held {
    Events(Events),
    Requests(Requests),
    Datagrams(Datagrams),
    Extra(ExtraSocket),
    Query(QueryStream),
    Incoming(IncomingRequest),
}

struct World {
    machine: Machine,
    tasks: Tasks,
    sides: [Side; 2],
    held: Vec<Held>,
    reply_to: Vec<ReplyTo>,
    saved: Vec<SavedNode>,
    /// Futures of requests and queries that have ended.
    ended: Rc<Cell<u32>>,
}

impl World {
    fn new(source: &mut Source<'_>) -> Self {
        let [switches, more] = source.array();
        let (machine, mut tasks) = (Machine::default(), Tasks::default());
        machine.get().interfaces = vec![[127, 0, 0, 1].into()];
        let sides = [0, 1].map(|n: u16| {
            let builder = match n {
                1 if switches & 1 != 0 => {
                    Builder::bootstrapper(machine.clone(), server(1), "127.0.0.1")
                }
                _ => Builder::new(machine.clone()).port(server(n)).any_port(switches & 2 == 0),
            };
            let names =
                ["127.0.0.1:2100", "name1.example:2100", "name2.example:9", "name3.example:9"];
            let first = usize::from(switches >> 2 & 3);
            let host = if switches & 16 == 0 { [127, 0, 0, 1] } else { [0; 4] };
            let builder = builder.host(host.into()).configure(|config| {
                if more & 1 != 0 {
                    (config.max_requests, config.max_queries) = (4, 1);
                    (config.max_unread_replies, config.max_events) = (1, 16);
                }
                if more & 2 != 0 {
                    config.ephemeral = Some(n == 0);
                    config.firewalled = false;
                }
                config.node_events = more & 4 != 0;
            });
            let builder = if n == 0 { builder.bootstrap(&names[..first]) } else { builder };
            let (dht, driver) = builder.build().expect("valid options");
            let items = (more >> (3 + n) & 1 != 0).then(|| dht.items());
            tasks.spawn(What::Driver, driver);
            Side {
                session: Some(dht.session()),
                dht: Some(dht),
                items,
                requests: BTreeSet::new(),
                queries: BTreeSet::new(),
            }
        });
        let mut world = Self {
            machine,
            tasks,
            sides,
            held: Vec::new(),
            reply_to: Vec::new(),
            saved: Vec::new(),
            ended: Rc::default(),
        };
        if switches & 32 == 0 {
            world.tasks.run();
        }
        world
    }

    fn step(&mut self, source: &mut Source<'_>) {
        let (which, how) = (source.byte() % 40, source.byte());
        let n = usize::from(how & 1);
        match which {
            0..=3 => _ = self.alarm(),
            4 => self.pass(Duration::from_millis(u64::from(how) * 4)),
            5 => self.pass(Duration::from_millis(u64::from(how) * 400)),
            6 => {
                // The machine sleeps.
                let now = self.machine.get().now + Duration::from_secs(u64::from(how) * 10);
                self.machine.set_clock(now);
            }
            7..=10 => self.peer_answers(source),
            11..=13 => self.peer_asks(source),
            14 => {
                let (from, to) = (port(source.byte()), port(how));
                let len = usize::from(source.byte()) * if how & 128 != 0 { 9 } else { 1 };
                let bytes: Vec<u8> = (0..len).map(|_| source.byte()).collect();
                self.machine.deliver(local(from).into(), to, &bytes);
            }
            15 => self.fault(source, how),
            16 => self.ports(how),
            17 => self.life(how, source.byte()),
            18 => {
                let what = [What::Call, What::Wait][n];
                self.tasks.drop_one(what, how >> 1);
            }
            19 => {
                let what = [What::Call, What::Wait, What::Driver, What::Driver];
                self.tasks.poll_one(what[usize::from(how & 3)], how >> 2);
            }
            20 if how > 250 => self.tasks.drop_one(What::Driver, how),
            20 if how > 240 => (self.sides[n].dht, self.sides[n].session) = (None, None),
            20 => self.mind(how),
            21..=23 => self.request(how, source.byte()),
            24..=26 => self.query(how, source.byte()),
            27 => self.start(how, source.byte()),
            28 => self.open(how),
            29..=32 => self.use_held(how, source.byte()),
            33 => {
                if self.held.len() > 1 {
                    drop(self.held.remove(usize::from(how) % self.held.len()));
                }
            }
            34 | 35 => self.read_items(n, usize::from(how >> 1)),
            36 => self.end_items(how),
            37 => self.reply_late(how),
            38 => self.datagram(how, source.byte()),
            _ => self.wait_for(how),
        }
    }

    fn dht(&self, how: u8) -> Option<&Dht> {
        self.sides[usize::from(how & 1)].dht.as_ref()
    }

    /// The next timer rings.
    fn alarm(&mut self) -> bool {
        let next = self.machine.next_alarm();
        if let Some(next) = next {
            self.machine.set_clock(next);
            self.tasks.run();
        }
        next.is_some()
    }

    fn pass(&mut self, time: Duration) {
        let end = self.machine.get().now + time;
        while self.machine.next_alarm().is_some_and(|next| next <= end) {
            self.alarm();
        }
        self.machine.set_clock(end);
    }

    /// Somebody who was asked answers, well or badly.
    fn peer_answers(&mut self, source: &mut Source<'_>) {
        let (which, how) = (source.byte(), source.byte());
        let asked = {
            let inner = self.machine.get();
            let at = usize::from(which) % inner.sent.len().max(1);
            inner.sent.iter().rev().nth(at).cloned()
        };
        let Some((asker, asked, bytes)) = asked else { return };
        let Ok(Message::Request(request)) = wire::decode(&bytes) else { return };
        let count = if how & 1 != 0 { source.byte() % 21 } else { 0 };
        let nodes: Vec<_> =
            (0..count).map(|_| wire::addr_bytes(local(port(source.byte())))).collect();
        let id = *Id::of(local(asked)).as_bytes();
        let response = wire::Response {
            tid: request.tid,
            to: local(asker),
            id: (how & 2 == 0).then_some(&id),
            token: (how & 4 == 0).then_some(&[7; 32]),
            closer_nodes: (how & 1 != 0).then(|| CloserNodes::new(&nodes)),
            error: if how & 8 != 0 { u64::from(how >> 5) } else { 0 },
            value: (how & 16 != 0).then_some(b"value"),
        };
        let mut bytes = vec![0; response.encoded_len()];
        response.encode(&mut bytes).expect("it fits");
        self.machine.deliver(local(asked).into(), asker, &bytes);
    }

    fn peer_asks(&mut self, source: &mut Source<'_>) {
        let (how, from, to) = (source.byte(), port(source.byte()), port(source.byte()));
        let (id, target) = (*Id::of(local(from)).as_bytes(), [how; 32]);
        let request = wire::Request {
            tid: source.byte().into(),
            to: local(to),
            id: (how & 1 != 0).then_some(&id),
            token: None,
            internal: how & 6 == 0,
            command: u64::from(how >> 3 & 7),
            target: (how & 64 == 0).then_some(&target),
            value: (how & 128 == 0).then_some(&[1, 2, 0, 0]),
        };
        let mut bytes = vec![0; request.encoded_len()];
        request.encode(&mut bytes).expect("it fits");
        // Some in a row fill what waits.
        let times = if how & 6 == 6 { 200 } else { 1 };
        (0..times).for_each(|_| self.machine.deliver(local(from).into(), to, &bytes));
    }

    fn fault(&mut self, source: &mut Source<'_>, how: u8) {
        let count = u16::from(source.byte());
        let count = if how & 128 != 0 { count * 16 } else { count };
        let mut inner = self.machine.get();
        let faults = &mut inner.faults;
        faults.kind = usize::from(how >> 3);
        match how & 7 {
            0 => faults.receive = count,
            1 => faults.send = count,
            2 => faults.would_block = count,
            3 => faults.ready = count,
            4 => faults.bind = count,
            5 => faults.interfaces = count,
            6 => faults.blocked = !faults.blocked,
            _ => inner.silent_names = !inner.silent_names,
        }
        drop(inner);
        self.machine.stir();
    }

    fn ports(&mut self, how: u8) {
        let mut inner = self.machine.get();
        match how & 3 {
            0 => _ = inner.gone.insert(port(how >> 2)),
            1 => _ = inner.taken.insert(port(how >> 2)),
            2 => inner.taken.clear(),
            _ => inner.interfaces = vec![[127, 0, 0, 1].into(), [10, 0, 0, how].into()],
        }
        drop(inner);
        self.machine.stir();
    }

    fn life(&mut self, how: u8, more: u8) {
        let Some(dht) = self.dht(how).cloned() else { return };
        let wait = match how >> 1 & 15 {
            0..=4 => dht.suspend(),
            5..=9 => dht.resume(),
            10 if more > 200 => dht.close(),
            11 => dht.listening(),
            12 => dht.fully_bootstrapped(),
            13 => return dht.network_changed(),
            14 => return dht.wakeup(),
            _ => {
                // Both in one go.
                drop(dht.suspend());
                dht.resume()
            }
        };
        if how & 128 == 0 {
            self.tasks.spawn(What::Wait, async move { drop(wait.await) });
        }
    }

    /// What changes nothing, or nothing that could end.
    fn mind(&mut self, how: u8) {
        let Some(dht) = self.dht(how).cloned() else { return };
        match how >> 1 & 15 {
            0 => _ = dht.status(),
            1 => self.saved = dht.export(),
            2 => _ = dht.import(&self.saved, Duration::from_secs(how.into())),
            3 => _ = dht.add_node(local(port(how))),
            4 => dht.refresh(),
            5 => dht.maintain(how & 64 != 0),
            6 => dht.set_node_events(how & 64 != 0),
            7 => _ = (dht.local_address(), dht.config(), dht.closed(), dht.nodes(how.into())),
            8 => {
                let ended = Rc::clone(&self.ended);
                self.tasks.spawn(What::Call, async move {
                    let _ = dht.rtt_stats().await;
                    ended.set(ended.get() + 1);
                });
            }
            9 => {
                if let Some(session) = &self.sides[usize::from(how & 1)].session {
                    session.end();
                }
            }
            _ => {}
        }
    }

    fn request(&mut self, how: u8, more: u8) {
        let side = &self.sides[usize::from(how & 1)];
        let Some(dht) = &side.dht else { return };
        let to = local(port(more));
        let request = match how >> 1 & 3 {
            0 => Request::ping(to),
            1 => Request::delayed_ping(to, Duration::from_millis(u64::from(more) * 40)),
            2 => Request::new(to, 7).value(vec![more; usize::from(more) * 8]),
            _ => Request::ping(to).via(Via::Extra(more.into())),
        };
        // Some in a row wait for their places.
        let times = if how & 8 != 0 { more & 7 } else { 1 };
        for _ in 0..times {
            let future = match &side.session {
                Some(session) if how & 16 != 0 => session.request(request.clone()),
                _ => dht.request(request.clone()),
            };
            let ended = Rc::clone(&self.ended);
            self.tasks.spawn(What::Call, async move {
                let _ = future.await;
                ended.set(ended.get() + 1);
            });
        }
    }

    fn query(&mut self, how: u8, more: u8) {
        let side = &self.sides[usize::from(how & 1)];
        let Some(dht) = &side.dht else { return };
        let mut query = Query::new(Id([more; 32]), 7).value(vec![more; usize::from(more) * 6]);
        if how & 2 != 0 {
            query = query.commit();
        }
        if how & 4 != 0 {
            query = query.nodes((0..more & 15).map(|n| local(port(n * 16))));
        }
        let mut stream = match &side.session {
            Some(session) if how & 8 != 0 => session.query(query),
            _ => dht.query(query),
        };
        let ended = Rc::clone(&self.ended);
        let most = more & 7;
        let read = async move {
            match how >> 4 & 7 {
                0 => _ = stream.replies().await,
                1 => _ = stream.nodes().await,
                2 => _ = stream.commit_with(ready).await,
                3 => {
                    for _ in 0..most {
                        let _ = stream.next().await;
                    }
                    stream.stop();
                }
                _ => _ = stream.finished().await,
            }
            // As often as one likes.
            let [first, again] = [stream.finished().await, stream.finished().await];
            assert_eq!(first.is_ok(), again.is_ok());
            assert!(stream.next().await.is_none(), "it has ended");
            ended.set(ended.get() + 1);
        };
        match how & 128 {
            0 => self.tasks.spawn(What::Call, read),
            _ if self.held.len() < HELD => {
                self.held.push(Held::Query(dht.find_node(Id([how; 32]))));
            }
            _ => {}
        }
    }

    /// A call for the stream of items.
    fn start(&mut self, how: u8, more: u8) {
        let side = &mut self.sides[usize::from(how & 1)];
        let Some(dht) = &side.dht else { return };
        if how & 2 == 0 {
            let begun = dht.start_request(Request::ping(local(port(more))));
            side.requests.extend(begun.ok().filter(|_| side.items.is_some()));
        } else {
            let begun = dht.start_query(Query::find_node(Id([more; 32])));
            side.queries.extend(begun.ok().filter(|_| side.items.is_some()));
        }
    }

    /// Some of what was begun for the stream of items is given up, or ended early.
    fn end_items(&mut self, how: u8) {
        let side = &mut self.sides[usize::from(how & 1)];
        let Some(dht) = &side.dht else { return };
        let nth = usize::from(how >> 3);
        let (request, query) =
            (side.requests.iter().nth(nth).copied(), side.queries.iter().nth(nth).copied());
        match (how >> 1 & 3, request, query) {
            (0, Some(id), _) => {
                dht.cancel_request(id);
                side.requests.remove(&id);
            }
            (1, _, Some(id)) => {
                dht.cancel_query(id);
                side.queries.remove(&id);
            }
            (_, _, Some(id)) => dht.finish_query(id),
            _ => {}
        }
    }

    fn read_items(&mut self, n: usize, most: usize) {
        for _ in 0..most {
            let side = &mut self.sides[n];
            let Some(item) = side.items.as_mut().and_then(Items::try_next) else { break };
            self.item(n, item);
        }
    }

    fn item(&mut self, n: usize, item: Item) {
        let side = &mut self.sides[n];
        match item {
            Item::Response(id, _) => assert!(side.requests.remove(&id), "told twice, or too late"),
            Item::Reply(id, _) => assert!(side.queries.contains(&id), "a reply after the end"),
            Item::Finished(id, _) => assert!(side.queries.remove(&id), "told twice, or too late"),
            Item::Request(request) => self.hold(Held::Incoming(request)),
            _ => {}
        }
    }

    fn hold(&mut self, thing: Held) {
        if self.held.len() < HELD {
            self.held.push(thing);
        }
    }

    fn open(&mut self, how: u8) {
        let Some(dht) = self.dht(how).cloned() else { return };
        let thing = match how >> 1 & 3 {
            0 => Held::Events(dht.events()),
            1 => Held::Requests(dht.requests()),
            2 => Held::Datagrams(dht.datagrams()),
            _ => Held::Extra(dht.extra((how >> 3 & 3).into())),
        };
        self.hold(thing);
        if let (true, Some(items)) = (how >= 128, &self.sides[usize::from(how & 1)].items) {
            items.take_requests(how & 64 != 0);
        }
    }

    fn use_held(&mut self, how: u8, more: u8) {
        if self.held.is_empty() {
            return;
        }
        let at = usize::from(how) % self.held.len();
        let mut next = None;
        match &mut self.held[at] {
            Held::Events(events) => _ = (events.try_next(), events.lost()),
            Held::Requests(requests) => next = requests.try_next(),
            Held::Datagrams(datagrams) => _ = datagrams.try_next(),
            Held::Extra(extra) => {
                if let Some(transmit) = extra.try_next() {
                    if let Ok(Message::Request(request)) = wire::decode(&transmit.data) {
                        let response = wire::Response {
                            tid: request.tid,
                            to: local(9),
                            id: None,
                            token: None,
                            closer_nodes: None,
                            error: 0,
                            value: None,
                        };
                        let mut bytes = vec![0; response.encoded_len()];
                        response.encode(&mut bytes).expect("it fits");
                        assert!(extra.receive(transmit.to, &bytes), "it is dht-rpc's");
                    }
                }
            }
            Held::Query(stream) => match more & 7 {
                0 => stream.stop(),
                1 => _ = (stream.closest_nodes(), stream.closest_replies().len()),
                _ => {
                    let mut cx = Context::from_waker(Waker::noop());
                    let _polled: Poll<_> = Pin::new(stream).poll_next(&mut cx);
                }
            },
            Held::Incoming(_) => {
                let Held::Incoming(request) = self.held.swap_remove(at) else { return };
                self.answer(request, more);
            }
        }
        next.into_iter().for_each(|request| self.hold(Held::Incoming(request)));
    }

    fn answer(&mut self, request: IncomingRequest, how: u8) {
        let _refused = match how & 7 {
            0 => return drop(request),
            1 => request.error(how.into()),
            2 => request.relay(local(port(how)), None),
            3 | 4 => return self.reply_to.push(request.ignore()),
            _ => request.reply_value(vec![how; usize::from(how) * 8]),
        };
    }

    fn reply_late(&mut self, how: u8) {
        let Some(&to) = self.reply_to.get(usize::from(how >> 1)) else { return };
        let Some(dht) = self.dht(how) else { return };
        let _refused = match how & 2 {
            0 => dht.reply(to, Answer::value(vec![how; 9])),
            _ => dht.relay(to, local(port(how)), Some(vec![how; 3].into())),
        };
    }

    fn datagram(&mut self, how: u8, more: u8) {
        let Some(dht) = self.dht(how) else { return };
        let via = [Via::Client, Via::Server, Via::Extra(1), Via::Server][usize::from(how >> 1 & 3)];
        let ttl = (how & 8 != 0).then_some(more);
        for _ in 0..=(more & 15) * (how >> 4) {
            let _refused = dht.send_datagram(via, local(port(more)), vec![how | 0x80; 9], ttl);
        }
    }

    /// A feed is read to its end.
    fn wait_for(&mut self, how: u8) {
        if self.held.is_empty() {
            return;
        }
        match self.held.swap_remove(usize::from(how) % self.held.len()) {
            Held::Events(mut feed) => {
                self.tasks.spawn(What::Wait, async move { while feed.next().await.is_some() {} });
            }
            Held::Requests(mut feed) => {
                self.tasks.spawn(What::Wait, async move {
                    while let Some(request) = feed.next().await {
                        let _ = request.reply_value("late");
                    }
                });
            }
            Held::Datagrams(mut feed) => {
                self.tasks.spawn(What::Wait, async move { while feed.next().await.is_some() {} });
            }
            Held::Extra(mut feed) => {
                self.tasks.spawn(What::Wait, async move { while feed.next().await.is_some() {} });
            }
            Held::Query(mut stream) => {
                self.tasks.spawn(What::Call, async move { drop(stream.finished().await) });
            }
            Held::Incoming(request) => self.answer(request, how),
        }
    }

    fn check(&self) {
        for dht in self.sides.iter().filter_map(|side| side.dht.as_ref()) {
            let requests = dht.stats().requests;
            let ended =
                requests.responses + requests.timeouts + requests.unsent + requests.cancelled;
            assert_eq!(requests.total, requests.active + ended, "{requests:?}");
            let status = dht.status();
            assert!(!status.closed || dht.closed());
        }
    }

    /// All is well again, and nobody answers: what was asked for ends. Then the nodes are closed, and all else does.
    fn settle(&mut self) {
        {
            let mut inner = self.machine.get();
            inner.faults = net::Faults::default();
            inner.taken.clear();
        }
        self.machine.stir();
        for n in 0..2 {
            if let Some(dht) = self.sides[n].dht.clone() {
                let resumed = dht.resume();
                self.tasks.spawn(What::Wait, async move { drop(resumed.await) });
            }
        }
        while !self.held.is_empty() {
            self.wait_for(5);
        }
        let (start, mut alarms) = (self.machine.get().now, 0);
        loop {
            self.tasks.run();
            (0..2).for_each(|n| self.read_items(n, usize::MAX));
            self.tasks.run();
            let told = |side: &Side| side.requests.is_empty() && side.queries.is_empty();
            if self.tasks.count(What::Call) == 0 && self.sides.iter().all(told) {
                break;
            }
            let calls = self.tasks.count(What::Call);
            assert!(self.alarm(), "{calls} calls wait without end");
            alarms += 1;
            let late = self.machine.get().now.saturating_since(start) > PATIENCE;
            assert!(alarms < ALARMS_MAX && !late, "{calls} calls wait for too long");
        }
        self.close();
    }

    fn close(&mut self) {
        for side in &mut self.sides {
            side.session = None;
            if let Some(dht) = side.dht.take() {
                let closed = dht.close();
                self.tasks.spawn(What::Wait, async move { drop(closed.await) });
                let mut late = dht.ping(local(9));
                let mut cx = Context::from_waker(Waker::noop());
                let polled = Future::poll(Pin::new(&mut late), &mut cx);
                assert!(matches!(polled, Poll::Ready(Err(_))), "{polled:?}");
            }
        }
        let end = self.machine.get().now + Duration::from_secs(1);
        self.tasks.run();
        while self.machine.next_alarm().is_some_and(|next| next <= end) && self.alarm() {}
        let [drivers, waits] = [What::Driver, What::Wait].map(|what| self.tasks.count(what));
        assert_eq!((drivers, waits), (0, 0), "drivers and waits that do not end");
        assert_eq!((self.machine.open(), self.machine.timers()), (Vec::new(), 0));
        for side in &mut self.sides {
            while side.items.as_mut().is_some_and(|items| items.try_next().is_some()) {}
        }
    }
}

/// The server port of a node.
fn server(n: u16) -> u16 {
    2_000 + 100 * n
}

/// The nodes' own ports, those that stand in for them, and some where nobody is.
fn port(n: u8) -> u16 {
    match n & 7 {
        0 => server(0),
        1 => server(1),
        2 => server(0) + 1,
        3 => 40_000,
        4 => 40_001,
        _ => 3_000 + u16::from(n >> 3),
    }
}
