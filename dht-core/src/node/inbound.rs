//! Datagrams that come in: requests are answered or handed on, responses find their request.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use super::{Node, Parts};
use crate::addr::is_host;
use crate::api::ask::Answer;
use crate::api::message::{Handled, Incoming, Peer, ReplyTo, Via};
use crate::api::way::Way;
use crate::error_code::{INVALID_TOKEN, UNKNOWN_COMMAND};
use crate::id::Id;
use crate::replies::Out;
use crate::requests::Unmatched;
use crate::time::Instant;
use crate::wire::command::{DELAYED_PING, DOWN_HINT, FIND_NODE, PING, PING_NAT};
use crate::wire::{self, DecodeError, Message};

/// # Datagrams in
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

    /// As [`handle_datagram`](Self::handle_datagram), of a datagram that came to `at`, an address of this machine, by a
    /// socket that is bound to several: what answers it says so in [`Transmit::source`](crate::Transmit::source).
    pub fn handle_datagram_at<'d>(
        &mut self,
        now: Instant,
        via: Via,
        at: Option<Ipv4Addr>,
        from: SocketAddrV4,
        data: &'d [u8],
    ) -> Handled<'d> {
        self.parts.enter(now, |node| node.on_datagram(via, at, from, data))
    }
}

impl Parts {
    fn on_datagram<'d>(
        &mut self,
        via: Via,
        at: Option<Ipv4Addr>,
        from: SocketAddrV4,
        data: &'d [u8],
    ) -> Handled<'d> {
        let drops = &mut self.cx.stats.drops;
        let counter = match wire::decode(data) {
            Err(DecodeError::NotOurs) => {
                drops.not_ours += 1;
                return Handled::NotOurs;
            }
            _ if !self.upkeep.is_running() => &mut drops.suspended,
            _ if data.len() > self.cx.config.max_datagram_received => &mut drops.oversize,
            _ if !is_host(from) => &mut drops.bad_source,
            Ok(Message::Request(request)) => {
                return self.on_request(Way::new(via, at), from, &request, data.len());
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
        len: usize,
    ) -> Handled<'d> {
        let target = request.target.copied().map(Id);
        let &wire::Request { tid, command, internal, .. } = request;
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        let reply_to = ReplyTo { from, way, tid, command, internal, target, len };
        let (replies, cx) = (&mut self.replies, &self.cx);
        if request.token.is_some_and(|token| !replies.check_token(cx, *from.ip(), token)) {
            self.cx.stats.drops.bad_token += 1;
            self.respond(reply_to, Answer::error(INVALID_TOKEN).token(true));
            return Handled::Consumed;
        }
        let id = self.members.table().ids().proven(request.id, from);
        if let Some(id) = id {
            self.heard_of(Peer { addr: from, id: Some(id) });
        }
        if !internal {
            return Handled::Request(Incoming {
                from: Peer { addr: from, id },
                seen_as: request.to,
                token: request.token.copied().map(crate::Token::from),
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
        let pong = || Answer::empty().token(false).closer_nodes(false);
        match to.command {
            PING => self.respond(to, pong()),
            PING_NAT => {
                let port = u16::from_le_bytes(*value?.first_chunk()?);
                let other = SocketAddrV4::new(*to.from.ip(), port);
                (port != 0).then(|| self.respond(to, pong().to(other)))?;
            }
            FIND_NODE => to.target.map(|_| self.respond(to, Answer::empty().token(false)))?,
            DOWN_HINT => {
                let addr = wire::addr_from_bytes(*value?.first_chunk()?);
                self.on_down_hint(addr, *to.from.ip());
                self.respond(to, pong());
            }
            DELAYED_PING => {
                let millis = u32::from_le_bytes(*value?.first_chunk()?);
                let delay = Duration::from_millis(u64::from(millis));
                (delay <= self.cx.config.max_ping_delay).then_some(())?;
                self.replies.respond_later(&mut self.cx, to, delay);
            }
            _ => self.respond(to, Answer::error(UNKNOWN_COMMAND)),
        }
        Some(())
    }

    fn respond(&mut self, request: ReplyTo, answer: Answer) {
        self.replies.push(&mut self.cx, Out::answer(request, answer));
    }

    fn on_response(&mut self, via: Via, from: SocketAddrV4, response: &wire::Response<'_>) {
        let ids = self.members.table().ids();
        match &self.requests.on_response(&mut self.cx, ids, from, response) {
            Ok(ended) => self.on_ended(Some(via), ended),
            Err(Unmatched::Unknown) => self.on_unmatched(response.tid, from),
            Err(Unmatched::WrongSource) => self.members.missed(from),
        }
    }

    /// An answer to nothing that is in flight. If it is to a request that was given up, or a second one to a request that was sent more
    /// than once, it is no guess: a node that was taken for silent is there, unless earlier answers have missed.
    fn on_unmatched(&mut self, tid: u16, from: SocketAddrV4) {
        let believed = self.members.believes(&self.cx, from);
        if believed.is_none() && !self.requests.flights().asks(from) {
            return;
        }
        let Some(question) = self.requests.late_answer(&self.cx, tid, from) else {
            return self.members.missed(from);
        };
        if believed == Some(true) {
            self.members.trust(&self.cx, from, question);
            self.requests.gave_up_too_early();
        }
    }
}
