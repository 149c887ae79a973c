//! Answers to requests of peers, and requests that are passed on for peers: from the moment that they are given
//! until they leave. Tokens are checked here as well, since answers carry them; and how long
//! answers to hosts may be that may not be there.

mod budget;
mod delayed;
mod outbox;

use core::net::Ipv4Addr;
use core::time::Duration;

use crate::api::config::{Config, DATAGRAM_MAX};
use crate::api::message::{Nodes, ReplyTo, Transmit, Via};
use crate::bounded::memory::Heap;
use crate::context::Cx;
use crate::id::Id;
use crate::secret::rng::Rng;
use crate::secret::token::Tokens;
use crate::time::Instant;
use crate::wire::{self, CloserNodes, Message};
pub(crate) use budget::{Budget, Paid, most};
use delayed::{Delayed, Pong};
pub(crate) use outbox::Out;
use outbox::Outbox;

/// This many answers leave before a request gets its turn.
const IN_A_ROW_MAX: u8 = 4;

#[derive(Clone)]
pub(crate) struct Replies {
    queue: Outbox,
    delayed: Delayed,
    tokens: Tokens,
    /// Bytes for hosts that may not be there.
    pub(crate) budget: Budget,
    /// Answers that have left since the last request.
    in_a_row: u8,
}

impl Replies {
    pub(crate) fn new(config: &Config, rng: &mut Rng, now: Instant) -> Self {
        Self {
            queue: Outbox::new(config.max_replies),
            delayed: Delayed::new(config.max_replies),
            tokens: Tokens::new(rng, now),
            budget: Budget::default(),
            in_a_row: 0,
        }
    }

    /// What all of them take of the heap, at most, apart from values.
    pub(crate) fn add_to(heap: &mut Heap, config: &Config) {
        Outbox::add_to(heap, config.max_replies);
        Delayed::add_to(heap, config.max_replies);
        Budget::add_to(heap, config.marks());
    }

    /// Whether a token was given to `host` lately. Then the host is there.
    pub(crate) fn check_token(&mut self, cx: &Cx, host: Ipv4Addr, token: &[u8; 32]) -> bool {
        let valid = self.tokens.check(cx.now, host, token);
        if valid {
            self.budget.prove(cx.now, host, cx.config.marks());
        }
        valid
    }

    /// Queues an answer, unless too many wait: then the embedder does not poll, and the answer would come too late.
    pub(crate) fn push(&mut self, cx: &mut Cx, out: Out) -> bool {
        let room = self.queue.len() < cx.config.max_replies;
        if room {
            self.queue.push(out);
        } else {
            cx.stats.drops.replies += 1;
        }
        room
    }

    /// Answers a request after a while.
    pub(crate) fn respond_later(&mut self, cx: &mut Cx, request: ReplyTo, delay: Duration) {
        let ReplyTo { from: to, tid, way, .. } = request;
        let queued =
            self.delayed.push(Pong { due: cx.now + delay, to, tid, way }, &cx.config.exempt);
        cx.stats.drops.delayed_pings += u64::from(!queued);
    }

    /// Queues delayed answers whose time has come.
    pub(crate) fn on_time(&mut self, cx: &mut Cx) {
        while let Some(Pong { to, tid, way, .. }) = self.delayed.pop_due(cx.now) {
            self.push(cx, Out::pong(to, way, tid));
        }
    }

    /// When a delayed answer is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.delayed.next_due()
    }

    /// Whether answers leave before requests now. A peer that asks a lot must not keep our own requests from leaving.
    pub(crate) fn go_first(&self) -> bool {
        self.in_a_row < IN_A_ROW_MAX
    }

    /// An answer has left, or something that counts like one; or a request has its turn.
    pub(crate) fn has_left(&mut self, answer: bool) {
        self.in_a_row = if answer { self.in_a_row + 1 } else { 0 };
    }

    /// The next answer to leave. `own`: our id, if it is told; `closest`: the nodes of the table closest to a target.
    pub(crate) fn poll_transmit(
        &mut self,
        cx: &Cx,
        only: Option<Via>,
        own: Option<&Id>,
        closest: impl Fn(&Id, &mut Nodes),
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        while let Some(out) = self.queue.pop(only) {
            if let Some(transmit) = self.encode(cx, &out, own, &closest, buf) {
                return Some(transmit);
            }
        }
        None
    }

    // Not inlined, so that it costs little to look whether there is any answer.
    #[inline(never)]
    fn encode(
        &mut self,
        cx: &Cx,
        out: &Out,
        own: Option<&Id>,
        closest: &impl Fn(&Id, &mut Nodes),
        buf: &mut [u8; DATAGRAM_MAX],
    ) -> Option<Transmit> {
        let (to, via, source) = (out.to, out.way.via(), out.way.source());
        let own = own.filter(|_| via == Via::Server);
        let token = out.has_token().then(|| self.tokens.make(cx.now, *to.ip()));
        let len = match out.message(own.map(Id::as_bytes), token.as_ref()) {
            Message::Response(reply) => {
                let mut nodes = Nodes::new();
                if let Some(target) = &out.target {
                    closest(target, &mut nodes);
                }
                nodes.truncate(out.nodes.into());
                encode_reply(reply, &nodes, cx.config.max_datagram, buf)
            }
            Message::Request(request) => request.encode(buf).ok(),
        }?;
        Some(Transmit { via, to, source, ttl: None, len, request: None })
    }

    /// Gives memory back that a burst has left behind.
    pub(crate) fn trim(&mut self) {
        self.queue.trim();
    }

    /// The node is closed, so that nothing is delayed any more, or is `suspended`: then nothing is queued either.
    pub(crate) fn clear(&mut self, suspended: bool) {
        self.delayed.clear();
        if suspended {
            self.queue.clear();
        }
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self, config: &Config) {
        self.queue.check_invariants();
        self.budget.check_invariants(config.marks());
        assert!(self.queue.len() <= config.max_replies);
    }
}

/// Adds as many closer nodes as there is room for.
fn encode_reply(
    reply: wire::Response<'_>,
    nodes: &Nodes,
    max: usize,
    buf: &mut [u8; DATAGRAM_MAX],
) -> Option<usize> {
    let mut bytes = heapless::Vec::<[u8; 6], { wire::CLOSER_NODES_MAX }>::new();
    // One byte for their number, six for each.
    let room = max.saturating_sub(reply.encoded_len() + 1) / 6;
    bytes.extend(nodes.iter().take(room).map(|addr| wire::addr_bytes(*addr)));
    if bytes.is_empty() {
        return reply.encode(buf).ok();
    }
    let closer_nodes = Some(CloserNodes::new(&bytes));
    wire::Response { closer_nodes, ..reply }.encode(buf).ok()
}
