//! Datagrams that go out: bytes come into being here, when the embedder asks for them.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use super::{Node, Stage};
use crate::addr::{learnable, prefix24};
use crate::api::config::DATAGRAM_MAX;
use crate::api::error::RequestError;
use crate::api::event::Event;
use crate::api::message::{Nodes, RequestId, Transmit, Via};
use crate::id::Id;
use crate::replies::outbox::Out;
use crate::requests::congestion::Class;
use crate::requests::inflight::{Call, Flight, Purpose, Question, URGENCIES, Urgency};
use crate::requests::lessons::Lessons;
use crate::requests::pace::SURE_MIN;
use crate::time::Instant;
use crate::wire::{self, CloserNodes};

/// How long a try may take, unless time-outs are adaptive.
const TIMEOUT: Duration = Duration::from_secs(1);
/// A node that leaves so many tries unanswered is in doubt.
const DOUBT: u16 = 2;
/// Visits that nobody waits for leave while one in so many places of the window is free.
const LATE_ROOM: u32 = 4;
/// So many answers leave before a request gets its turn.
const ANSWERS_IN_A_ROW_MAX: u8 = 4;
/// A network that swallows everything may fill this part of the window: one in two places.
const SHARE: u32 = 2;

impl Node {
    /// The next datagram to send by any socket, written to `buf`. Poll until `None` after any
    /// other call, when the sockets can take one: closer nodes and tokens are those of this
    /// moment, and the time-out of a request runs from here. Whether `None` comes early, because
    /// the window is full, shows in [`poll_timeout`](Self::poll_timeout).
    #[must_use]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        self.transmit(now, None, buf)
    }

    /// The next datagram to send by `via`, for embedders that wait for each socket apart.
    #[must_use]
    pub fn poll_transmit_via(
        &mut self,
        now: Instant,
        via: Via,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        self.transmit(now, Some(via), buf)
    }

    fn transmit(
        &mut self,
        now: Instant,
        only: Option<Via>,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        self.enter(now);
        // What was answered before the end is still flushed after it.
        if !matches!(self.stage, Stage::Running | Stage::Closed) {
            return None;
        }
        // Answers go first, but whoever asks a lot must not keep our own requests from leaving.
        let answers_first = self.answers_in_a_row < ANSWERS_IN_A_ROW_MAX;
        if answers_first {
            if let Some(transmit) = self.transmit_out(only, buf) {
                self.answers_in_a_row += 1;
                return Some(transmit);
            }
        }
        self.answers_in_a_row = 0;
        while let Some(id) = self.next_request(only) {
            if let Some(transmit) = self.send_request(id, buf) {
                return Some(transmit);
            }
        }
        if answers_first { None } else { self.transmit_out(only, buf) }
    }

    fn transmit_out(
        &mut self,
        only: Option<Via>,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        while let Some(out) = self.outbox.pop(only) {
            if let Some(transmit) = self.encode_out(out, buf) {
                return Some(transmit);
            }
        }
        None
    }

    /// The most urgent request that may leave now.
    fn next_request(&mut self, only: Option<Via>) -> Option<RequestId> {
        if self.inflight.in_lanes() == 0 {
            return None;
        }
        let share = (self.cx.config.max_window / SHARE).max(1);
        let room = self.window.room_for(Class::Hint);
        let scarce = room < self.cx.config.max_window / LATE_ROOM;
        for urgency in URGENCIES {
            let (full, share) = match urgency {
                Urgency::Force => (false, u32::MAX),
                Urgency::Class(class) => (
                    // Those that it is kept free from are looked at one by one.
                    self.window.full_for(class.min(Class::KeepAlive)),
                    // A quarter of it is kept for what the user asks for.
                    if class == Class::User { share } else { share - share / 4 },
                ),
            };
            if full {
                continue;
            }
            let hint = urgency == Urgency::Class(Class::Hint);
            let queries = &self.queries;
            let debt = |call: &Call| match call.purpose {
                // Nobody waits for it.
                Purpose::Late { .. } => (!scarce).then_some(u16::MAX),
                Purpose::Visit { query, .. } if hint => {
                    let astray = queries.class_of(query) == Some(Class::Hint);
                    (!astray || room > 0).then(|| queries.debt(query))
                }
                _ => Some(0),
            };
            while let Some(id) = self.inflight.dequeue(urgency, only, debt) {
                let to = *self.inflight.get(id)?.call.to.ip();
                if self.shares.admit(to, share) {
                    return Some(id);
                }
                self.inflight.park(id);
            }
        }
        None
    }

    fn encode_out(&mut self, out: Out, buf: &mut [u8; DATAGRAM_MAX]) -> Option<Transmit> {
        let (via, source, to, len) = match out {
            Out::Verify(_, id) => return self.send_request(id, buf),
            Out::Reply { to, way, tid, closer_to, token, error, value } => {
                let token = token.then(|| self.tokens.make(self.cx.now, *to.ip()));
                let own = self.own_id(way.via());
                let head = wire::Response {
                    tid,
                    to,
                    id: own.as_ref().map(Id::as_bytes),
                    token: token.as_ref(),
                    closer_nodes: None,
                    error,
                    value: value.as_deref(),
                };
                (way.via(), way.source(), to, self.encode_reply(head, closer_to, buf)?)
            }
            Out::Relay { to, via, tid, internal, command, target, value } => {
                let own = self.own_id(via);
                let request = wire::Request {
                    tid,
                    to,
                    id: own.as_ref().map(Id::as_bytes),
                    token: None,
                    internal,
                    command,
                    target: target.as_ref().map(Id::as_bytes),
                    value: value.as_deref(),
                };
                (via, None, to, request.encode(buf).ok()?)
            }
        };
        Some(Transmit { via, to, source, ttl: None, len, request: None })
    }

    /// Adds as many closer nodes as there is room for.
    fn encode_reply(
        &self,
        reply: wire::Response<'_>,
        closer_to: Option<Id>,
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<usize> {
        let mut bytes = heapless::Vec::<[u8; 6], { wire::CLOSER_NODES_MAX }>::new();
        if let Some(target) = closer_to {
            let mut nodes = Nodes::new();
            self.table.closest(&target, &mut nodes);
            // One byte for their number, six for each.
            let room = self.cx.config.max_datagram.saturating_sub(reply.encoded_len() + 1) / 6;
            bytes.extend(nodes.iter().take(room).map(|addr| wire::addr_bytes(*addr)));
        }
        if !bytes.is_empty() {
            let closer_nodes = Some(CloserNodes::new(&bytes));
            return wire::Response { closer_nodes, ..reply }.encode(buf).ok();
        }
        reply.encode(buf).ok()
    }

    fn send_request(&mut self, id: RequestId, buf: &mut [u8; DATAGRAM_MAX]) -> Option<Transmit> {
        let via = self.inflight.get(id)?.call.via;
        let own = self.own_id(via);
        let with_id = self.inflight.with_id(id, own.is_some());
        let own = own.filter(|_| with_id);
        self.inflight.renew_tid(self.cx.now, id, &mut self.cx.rng);
        let flight = self.inflight.get(id)?;
        let call = &flight.call;
        let request = wire::Request {
            tid: flight.tid,
            to: call.to,
            id: own.as_ref().map(Id::as_bytes),
            token: call.token.as_ref(),
            internal: call.internal,
            command: call.command,
            target: call.target.as_ref().map(Id::as_bytes),
            value: call.value.as_deref(),
        };
        let len = request.encode(buf).ok()?;
        let (to, ttl) = (call.to, call.ttl);
        let transmit = Transmit { via, to, source: None, ttl, len, request: Some(id) };
        let (attempt, delay, verifies) =
            (u32::from(flight.sent) + 1, call.delay, call.purpose == Purpose::Verify);
        let timeout = match &mut self.rtts {
            Some(rtts) if delay.is_zero() && !verifies => {
                rtts.timeout(self.cx.now, transmit.to, attempt, &mut self.cx.rng)
            }
            _ => self.hurry(id).unwrap_or(delay + TIMEOUT),
        };
        if !verifies {
            self.window.sent();
            self.shares.taken(*transmit.to.ip(), self.inflight.max());
        }
        self.inflight.sent(self.cx.now, id, self.cx.now + timeout);
        Some(transmit)
    }

    /// How long to wait for the answer to a visit, if its walk knows how soon answers come.
    fn hurry(&self, id: RequestId) -> Option<Duration> {
        let flight = self.inflight.get(id)?;
        let waited = self.cx.now.saturating_since(flight.first_sent_at);
        let walk = |query| Some(&self.queries.get(query)?.walk);
        match flight.call.purpose {
            // A last try is not cut short: what follows is more than another try.
            Purpose::Visit { query, .. } if flight.sent < u16::from(flight.call.retries) => {
                walk(query)?.patience(flight.sent, waited)
            }
            // Its only try, to one that has answered.
            Purpose::Gap { query, .. } => walk(query)?.last_patience(waited),
            _ => None,
        }
    }

    /// A try has not been answered in time.
    pub(super) fn on_overdue(&mut self, id: RequestId) {
        let Some(flight) = self.inflight.get(id) else {
            return;
        };
        let (to, purpose, sent, unsent) =
            (flight.call.to, flight.call.purpose, flight.sent, flight.unsent);
        let question = flight.call.question();
        let tries = match purpose {
            // A stranger's door is not knocked at more often than that.
            Purpose::Late { .. } if self.table.get(to).is_none() => SURE_MIN,
            _ if purpose.asks_to_judge() => self.pace.tries_to_be_sure(),
            _ => u16::from(flight.call.retries) + 1,
        };
        let late = Lessons::of(&flight.call).tell(Lessons::HEALTH);
        if purpose != Purpose::Verify {
            self.unshare(to);
        }
        if sent >= tries {
            self.fail(id, unsent.map_or(RequestError::Timeout, RequestError::Unsent));
        } else {
            self.cx.stats.requests.retries += 1;
            self.enqueue(id, false);
            if sent >= DOUBT && purpose.judges() && unsent.is_none() {
                self.suspect(to, false, question, late);
            }
            if let Purpose::Visit { query, node, .. } = purpose {
                self.on_visit_missed(query, node);
            }
        }
    }

    /// Puts a request into its lane, `first` or last.
    pub(super) fn enqueue(&mut self, id: RequestId, first: bool) {
        let Some(flight) = self.inflight.get(id) else {
            return;
        };
        let call = &flight.call;
        let urgency = match call.purpose {
            _ if call.force => Urgency::Force,
            // Queries that were sent to the dead must not hold up those that were not.
            Purpose::Late { .. } => Urgency::Class(Class::Hint),
            Purpose::Visit { .. } if flight.sent > 0 => Urgency::Class(Class::Hint),
            Purpose::Visit { query, .. } => {
                Urgency::Class(self.queries.class_of(query).unwrap_or(call.class))
            }
            _ => Urgency::Class(call.class),
        };
        self.inflight.enqueue(id, urgency, first);
    }

    /// Ends a request without an answer, and lets what it was for go on.
    pub(super) fn fail(&mut self, id: RequestId, error: RequestError) {
        let Some(flight) = self.inflight.get(id) else {
            return;
        };
        let (purpose, to) = (flight.call.purpose, flight.call.to);
        let own = Lessons::of(&flight.call).tell(Lessons::HEALTH);
        if purpose != Purpose::Verify {
            // Of whom the user asks he knows more than we do; of whom others have named nobody does.
            let known =
                purpose == Purpose::User || self.table.is_empty() || self.table.get(to).is_some();
            let requests = &mut self.cx.stats.requests;
            requests.active -= 1;
            let (count, silent) = match error {
                RequestError::Timeout | RequestError::Elsewhere(_) => {
                    (&mut requests.timeouts, true)
                }
                RequestError::Unsent(_) => (&mut requests.unsent, true),
                RequestError::Destroyed | RequestError::Suspended => {
                    (&mut requests.cancelled, false)
                }
            };
            *count += 1;
            if silent && own && known {
                self.silences += 1;
                self.contact.missed();
            }
            if flight.sent > 0 {
                self.window.freed();
            }
        }
        let flight = match purpose {
            Purpose::User => {
                let instead = self.answered_instead(flight.call.to);
                let error = match (error, instead) {
                    (RequestError::Timeout, Some(from)) => RequestError::Elsewhere(from),
                    (error, _) => error,
                };
                let flight = self.inflight.complete(self.cx.now, id, Err(error));
                self.note(Event::Response(id));
                flight
            }
            _ => self.inflight.end(self.cx.now, id, false),
        };
        let ended =
            flight.as_ref().map(|flight| (flight.call.to, flight.call.question(), flight.sent));
        self.after_end(flight);
        if let Some((to, question, tries)) = ended {
            self.on_failed(to, (question, own), tries, purpose, error);
        }
        self.pump_stalled();
    }

    /// Forgets a request; nothing follows.
    pub(super) fn forget(&mut self, id: RequestId) {
        let Some(flight) = self.inflight.end(self.cx.now, id, false) else {
            return;
        };
        if flight.call.purpose != Purpose::Verify {
            self.cx.stats.requests.active -= 1;
            self.cx.stats.requests.cancelled += 1;
            if flight.sent > 0 {
                self.window.freed();
            }
        }
        self.after_end(Some(flight));
    }

    fn on_failed(
        &mut self,
        to: SocketAddrV4,
        (question, own): (Question, bool),
        tries: u16,
        purpose: Purpose,
        error: RequestError,
    ) {
        let timed_out = error == RequestError::Timeout;
        let sure = timed_out && tries >= self.pace.tries_to_be_sure();
        if timed_out && tries >= DOUBT && purpose.judges() {
            self.suspect(to, sure, question, own);
        }
        match purpose {
            Purpose::User => {}
            Purpose::Visit { query, node, seen } => {
                // What is left unanswered of an application's says little of a node: it is asked on, for what
                // every node answers.
                if sure && question != Question::Command {
                    self.evict_unless_seen(to, seen);
                }
                self.on_visit_failed(query, node, seen, timed_out);
            }
            Purpose::Gap { query, .. } => self.on_gap_failed(query),
            Purpose::Commit { query, .. } => self.on_commit_failed(query, error),
            Purpose::Check { seen, hinted } => self.on_check_failed(to, seen, hinted, timed_out),
            Purpose::Swap { seen, newcomer, verified } => {
                self.on_swap_failed(to, seen, (newcomer, verified), timed_out);
            }
            Purpose::Verify => self.on_verify_ended(to, false),
            Purpose::Late { seen } => {
                if sure && self.evict_unless_seen(to, seen) {
                    self.report(to);
                }
            }
            Purpose::Hint { seen } => {
                if sure {
                    self.evict_unless_seen(to, seen);
                }
            }
            Purpose::QuickNat => {}
            Purpose::Probe => self.on_probe_failed(),
            Purpose::View { users } => self.on_view(users, None),
        }
    }

    /// A request has ended: what it held is free for others.
    pub(super) fn after_end(&mut self, flight: Option<Flight>) {
        let Some(flight) = flight.filter(|flight| flight.call.purpose != Purpose::Verify) else {
            return;
        };
        if flight.deadline.is_some() {
            self.unshare(flight.call.to);
        } else {
            // Perhaps it was called up for a place, and now never takes it.
            self.call_up(flight.call.to);
        }
    }

    fn unshare(&mut self, to: SocketAddrV4) {
        self.shares.freed(*to.ip());
        self.call_up(to);
    }

    /// Puts the next request that waits for a place in its share back into its lane.
    fn call_up(&mut self, to: SocketAddrV4) {
        if let Some(id) = self.inflight.unpark(prefix24(*to.ip())) {
            self.enqueue(id, true);
        }
    }

    /// The id that goes with what leaves by `via`: only a persistent node's, only by the server socket.
    fn own_id(&self, via: Via) -> Option<Id> {
        (!self.ephemeral && via == Via::Server).then(|| self.table.own())
    }

    /// Whether an address that `from` has named may be visited; `homes` are our own.
    pub(super) fn is_visitable(
        &self,
        addr: SocketAddrV4,
        from: SocketAddrV4,
        homes: &[SocketAddrV4],
    ) -> bool {
        learnable(addr, *from.ip()) && !homes.contains(&addr) && self.admits(addr)
    }

    /// Where the node itself is, which others may name: each of its ports, at each host that it is
    /// known or bound at.
    pub(super) fn homes(&self) -> heapless::Vec<SocketAddrV4, 8> {
        let mut homes = heapless::Vec::new();
        let mut add = |home| {
            // There are places for two sockets at three hosts, and two more.
            if !homes.contains(&home) {
                let _ = homes.push(home);
            }
        };
        let hosts = [self.nat.host(), self.own_addr.map(|own| *own.ip())];
        for bound in self.binding.iter().flat_map(|bound| [bound.client, bound.server]) {
            add(bound);
            let at_host = |host: Ipv4Addr| SocketAddrV4::new(host, bound.port());
            hosts.into_iter().flatten().map(at_host).for_each(&mut add);
        }
        self.own_addr.into_iter().for_each(&mut add);
        if let Some(host) = self.nat.host() {
            add(SocketAddrV4::new(host, self.nat.port()));
        }
        homes
    }
}
