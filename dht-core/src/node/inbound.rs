//! Datagrams that come in: requests are answered or handed on, responses find their request.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use bytes::Bytes;

use super::{Node, Stage};
use crate::addr::is_host;
use crate::api::event::Event;
use crate::api::message::{Handled, Incoming, Nodes, Peer, Reply, ReplyTo, RequestId, Via};
use crate::error_code::{INVALID_TOKEN, UNKNOWN_COMMAND};
use crate::id::Id;
use crate::replies::delayed::Pong;
use crate::replies::outbox::Out;
use crate::replies::way::Way;
use crate::requests::inflight::{Match, Purpose};
use crate::requests::lessons::Lessons;
use crate::requests::pace::Timing;
use crate::time::Instant;
use crate::wire::command::{DELAYED_PING, DOWN_HINT, FIND_NODE, PING, PING_NAT};
use crate::wire::{self, DecodeError, Message};

impl Node {
    /// A datagram has arrived from `from` on the socket `via`.
    ///
    /// Takes time bounded by its length and allocates only for payloads that outlive it.
    /// Nothing in it can be an error for the caller: what is of no use is dropped and counted
    /// in [`Stats::drops`](crate::Stats). Poll everything afterwards.
    pub fn handle_datagram<'d>(
        &mut self,
        now: Instant,
        via: Via,
        from: SocketAddrV4,
        data: &'d [u8],
    ) -> Handled<'d> {
        self.handle_datagram_at(now, via, None, from, data)
    }

    /// As [`handle_datagram`](Self::handle_datagram), of one that came to `at`, an address of this machine, by a
    /// socket that is bound to several: what answers it says so in [`Transmit::source`](crate::Transmit::source).
    pub fn handle_datagram_at<'d>(
        &mut self,
        now: Instant,
        via: Via,
        at: Option<Ipv4Addr>,
        from: SocketAddrV4,
        data: &'d [u8],
    ) -> Handled<'d> {
        self.enter(now);
        let drops = &mut self.cx.stats.drops;
        let counter = match wire::decode(data) {
            Err(DecodeError::NotOurs) => {
                drops.not_ours += 1;
                return Handled::NotOurs;
            }
            _ if self.stage != Stage::Running => &mut drops.suspended,
            _ if data.len() > self.cx.config.max_datagram_received => &mut drops.oversize,
            _ if !is_host(from) => &mut drops.port_zero,
            Ok(Message::Request(request)) => {
                return self.on_request(Way::new(via, at), from, &request);
            }
            Ok(Message::Response(response)) => {
                self.on_response(via, from, &response);
                return Handled::Consumed;
            }
            Err(_) => &mut drops.malformed,
        };
        *counter += 1;
        Handled::Consumed
    }

    fn on_request<'d>(
        &mut self,
        way: Way,
        from: SocketAddrV4,
        request: &wire::Request<'d>,
    ) -> Handled<'d> {
        let target = request.target.copied().map(Id);
        let &wire::Request { tid, command, internal, .. } = request;
        let reply_to = ReplyTo { from, way, tid, command, internal, target };
        if request.token.is_some_and(|token| !self.tokens.check(self.cx.now, *from.ip(), token)) {
            self.cx.stats.drops.bad_token += 1;
            self.respond(reply_to, from, INVALID_TOKEN, true, true);
            return Handled::Consumed;
        }
        let id = self.table.ids().proven(request.id, from);
        if let Some(id) = id {
            self.heard_of(Peer { addr: from, id: Some(id) });
        }
        if !internal {
            return Handled::Request(Incoming {
                from: Peer { addr: from, id },
                to: request.to,
                token: request.token,
                target,
                command,
                value: request.value,
                reply_to,
            });
        }
        if self.on_internal(reply_to, request.value).is_none() {
            self.cx.stats.drops.bad_command += 1;
        }
        Handled::Consumed
    }

    /// `None`: nothing sensible can be answered.
    fn on_internal(&mut self, to: ReplyTo, value: Option<&[u8]>) -> Option<()> {
        match to.command {
            PING => self.respond(to, to.from, 0, false, false),
            PING_NAT => {
                let port = u16::from_le_bytes(*value?.first_chunk()?);
                let other = SocketAddrV4::new(*to.from.ip(), port);
                (port != 0).then(|| self.respond(to, other, 0, false, false))?;
            }
            FIND_NODE => to.target.map(|_| self.respond(to, to.from, 0, false, true))?,
            DOWN_HINT => {
                let addr = wire::addr_from_bytes(*value?.first_chunk()?);
                self.on_down_hint(addr, *to.from.ip());
                self.respond(to, to.from, 0, false, false);
            }
            DELAYED_PING => {
                let millis = u32::from_le_bytes(*value?.first_chunk()?);
                let delay = Duration::from_millis(u64::from(millis));
                (delay <= self.cx.config.max_ping_delay).then_some(())?;
                let pong = Pong { due: self.cx.now + delay, to: to.from, tid: to.tid, way: to.way };
                self.cx.stats.drops.delayed_pings += u64::from(!self.delayed.push(pong));
            }
            _ => self.respond(to, to.from, UNKNOWN_COMMAND, false, true),
        }
        Some(())
    }

    /// Queues an answer without a value.
    pub(super) fn respond(
        &mut self,
        request: ReplyTo,
        to: SocketAddrV4,
        error: u64,
        token: bool,
        closer_nodes: bool,
    ) {
        let ReplyTo { way, tid, target, .. } = request;
        let closer_to = target.filter(|_| closer_nodes);
        self.push_out(Out::Reply { to, way, tid, closer_to, token, error, value: None });
    }

    /// Queues an answer, unless too many wait: nobody polls, so they are of no use any more.
    pub(super) fn push_out(&mut self, out: Out) -> bool {
        let room = self.outbox.answers() < self.cx.config.max_replies;
        if room {
            self.outbox.push(out);
        } else {
            self.cx.stats.drops.replies += 1;
        }
        room
    }

    pub(super) fn on_delayed(&mut self, pong: Pong) {
        let Pong { to, tid, way, .. } = pong;
        let reply =
            Out::Reply { to, way, tid, closer_to: None, token: false, error: 0, value: None };
        self.push_out(reply);
    }

    fn on_response(&mut self, via: Via, from: SocketAddrV4, response: &wire::Response<'_>) {
        let id = match self.inflight.find(response.tid, from) {
            Match::Fits(id) => id,
            Match::WrongSource(asked) => {
                self.cx.stats.drops.wrong_source += 1;
                let asked = asked.and_then(|id| Some(&self.inflight.get(id)?.call));
                if let Some(call) = asked.filter(|call| Lessons::of(call).tell(Lessons::HEALTH)) {
                    self.elsewhere.note(self.upkeep.tick(), call.to, from);
                }
                return self.on_miss(from);
            }
            Match::Unknown => {
                self.cx.stats.drops.unsolicited += 1;
                return self.on_stray(response.tid, from);
            }
        };
        let Some(flight) = self.inflight.get(id) else {
            return;
        };
        let purpose = flight.call.purpose;
        let (internal, command) = (flight.call.internal, flight.call.command);
        let question = flight.call.question();
        let rtt = self.cx.now.saturating_since(flight.sent_at);
        let measures = flight.sent == 1 && flight.call.delay.is_zero();
        let timing = Timing {
            tries: flight.sent,
            since_first: self.cx.now.saturating_since(flight.first_sent_at),
            since_last: rtt,
        };
        let guessed = self.inflight.is_guessed_at(flight);
        let lessons = Lessons::of(&flight.call).unless(guessed);
        let reply = self.read_reply(from, response, rtt, purpose);

        if purpose != Purpose::Verify {
            self.cx.stats.requests.active -= 1;
            self.cx.stats.requests.responses += 1;
            if let Some(count) = self.cx.stats.commands.of(internal, command) {
                count.rx += 1;
            }
        }
        if lessons.tell(Lessons::WINDOW) {
            self.window.freed();
        }
        self.answers += u64::from(lessons.tell(Lessons::HEALTH));
        // An answer after a retry may be to any of the tries (Karn's rule), and a delayed one says
        // nothing of the way.
        let measures = measures && lessons.tell(Lessons::RTT);
        if let Some(rtts) = self.rtts.as_mut().filter(|_| measures) {
            rtts.record(self.cx.now, from, rtt);
        }
        if lessons.tell(Lessons::THERE) {
            self.unsent = None;
            self.on_contact();
            self.elsewhere.clear_of(from);
            self.learn(via, reply.from, reply.to, question, lessons.tell(Lessons::VOTE));
        }
        if lessons.tell(Lessons::PACE) {
            self.keep_pace(purpose, internal, timing);
        } else if lessons.tell(Lessons::TRIES) {
            self.pace.count_tries(timing.tries);
        }
        self.on_answer(id, via, reply, lessons.tell(Lessons::THERE));
    }

    /// A visit was answered, or what was one: how soon?
    fn keep_pace(&mut self, purpose: Purpose, internal: bool, timing: Timing) {
        let query = match purpose {
            Purpose::Visit { query, .. } => Some(query),
            _ => None,
        };
        let late = query.is_none();
        if internal && self.pace.record(timing) && late {
            self.pace.was_wrong();
        }
        let walk = query.and_then(|query| self.queries.get_mut(query)?.walking());
        let hasty = walk.is_some_and(|walk| walk.answered_after(timing));
        if hasty {
            self.pace.was_hasty();
        } else if !internal {
            self.pace.was_in_time(timing.tries);
        }
    }

    /// An answer to nothing that is in flight. To what was given up, or once more to what was sent more than once, it
    /// is not a guess; and a node that was taken for silent is there, unless others have missed before.
    fn on_stray(&mut self, tid: u16, from: SocketAddrV4) {
        let believed = self.suspects.believe(self.cx.now, from);
        if believed.is_none() && !self.inflight.asks(from) {
            return;
        }
        let Some(question) = self.inflight.rests(self.cx.now, tid, from) else {
            return self.on_miss(from);
        };
        if believed == Some(true) {
            self.trust(from, question);
            self.pace.was_wrong();
        }
    }

    /// Perhaps somebody is trying all transaction ids in this name.
    fn on_miss(&mut self, from: SocketAddrV4) {
        self.inflight.missed(from);
        self.suspects.missed(from);
    }

    fn read_reply(
        &self,
        from: SocketAddrV4,
        response: &wire::Response<'_>,
        rtt: Duration,
        purpose: Purpose,
    ) -> Reply {
        let keep =
            matches!(purpose, Purpose::User | Purpose::Visit { .. } | Purpose::Commit { .. });
        Reply {
            from: Peer { addr: from, id: self.table.ids().proven(response.id, from) },
            to: response.to,
            token: response.token.copied(),
            closer_nodes: response.closer_nodes.map(read_nodes),
            error: response.error,
            value: response.value.filter(|_| keep).map(Bytes::copy_from_slice),
            rtt,
        }
    }

    /// A request is answered: it ends, and what it was for goes on. Unless it `counts`, somebody may have guessed the answer.
    /// Users and walks get it all the same, since the true one is more likely by far: with four datagrams anybody could
    /// silence any node for them. It says no more than any node may say of others.
    fn on_answer(&mut self, id: RequestId, via: Via, reply: Reply, counts: bool) {
        let Some(flight) = self.inflight.get(id) else {
            return;
        };
        let purpose = flight.call.purpose;
        let asked = flight.call.to;
        if purpose == Purpose::User {
            let flight = self.inflight.complete(self.cx.now, id, Ok(reply));
            self.note(Event::Response(id));
            self.after_end(flight);
            return;
        }
        let flight = self.inflight.end(self.cx.now, id, true);
        self.after_end(flight);
        let no_id = counts && reply.from.id.is_none();
        match purpose {
            Purpose::User | Purpose::Hint { .. } | Purpose::Late { .. } => {}
            Purpose::Visit { query, node, .. } => self.on_visit_answered(query, node, reply),
            Purpose::Gap { query, node } => self.on_gap_answered(query, node, &reply),
            Purpose::Commit { query, to, again } => {
                self.on_commit_answered(query, to, again, &reply);
            }
            Purpose::Check { hinted, .. } => self.on_check_answered(asked, hinted, no_id),
            Purpose::Swap { newcomer, verified, .. } => {
                self.on_swap_answered(asked, (newcomer, verified), no_id);
            }
            Purpose::Verify => self.on_verify_ended(asked, counts && !no_id),
            Purpose::QuickNat if counts => self.bootstrap.on_quick_nat(),
            Purpose::QuickNat => {}
            Purpose::Probe if counts => self.on_probe_answered(via, asked, reply.to),
            Purpose::Probe => self.on_probe_guessed(),
            Purpose::View { users } => {
                self.on_view(users, counts.then_some((via, reply.to)));
            }
        }
        self.pump_stalled();
    }
}

fn read_nodes(nodes: wire::CloserNodes<'_>) -> Nodes {
    let mut read = Nodes::new();
    for addr in nodes.iter() {
        if read.push(addr).is_err() {
            break;
        }
    }
    read
}
