//! The walk of a query towards its target, apart from any I/O: which node to ask next,
//! what to make of an answer or of silence, and when nothing better can come.
//!
//! It sends nothing and knows no time: the node asks for the [`next`](Walk::next) visit
//! and tells what became of it. Mirrors `lib/query.js`, but asks the nearest unvisited
//! candidate first, visits each address once, and bounds what peers can make it remember.

mod closest;
mod crowds;
mod doors;
mod frontier;
mod gaps;
mod offers;
mod seen;
#[cfg(test)]
mod tests;
mod waiting;
mod witnesses;

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use crate::api::exempt::Exempt;
use crate::api::message::{Outcome, Reply};
use crate::bounded::memory::{Capped, Heap};
use crate::id::Id;
use crate::requests::congestion::Class;
use crate::requests::pace::{Pace, Timing};
use crate::table::{K, Quotas};
use closest::Closest;
use crowds::closest_max;
use doors::Door;
use frontier::Frontier;
use gaps::Gaps;
pub(crate) use offers::Offer;
use seen::{Seen, State};
use witnesses::Witnesses;

/// The memory of a walk that has remembered more than this is freed, not kept for the next walk.
const SEEN_KEPT: usize = 512;
/// How many nodes a query asks.
const VISITS_MAX: usize = 200;
/// How many candidates are passed over, at one time, whose neighbours have yet to answer.
const PASSED_OVER_MAX: usize = 16;
/// What a query that begins at nodes of the user's, 20 or more, has under way after
/// its first batch, to give the closest a chance before going broad.
const CAUTIOUS: u16 = 3;
/// How many candidates a query puts off: as many as there can be suspects.
const DEFERRED_MAX: usize = 64;
/// A visit that has missed this many tries seems to be gone, while nothing else is known.
const PATIENCE: u8 = 2;
/// What an answer of a node known by hearsay adds to a walk's credit. A try in vain takes one.
const ANSWER_PAYS: i16 = 2;
/// How much of it can be saved up.
const CREDIT_MAX: i16 = 8;
/// With less than this a walk is led astray.
const CREDIT_MIN: i16 = -3;
/// With fewer successes than this it falls back on the routing table.
const SUCCESSES_MIN: u32 = 5;

/// How a walk is made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) target: Id,
    /// Requests under way at once, not counting requests that have missed a try.
    pub(crate) concurrency: u16,
    /// Wait for everyone's last try.
    pub(crate) thorough: bool,
    /// Visit only the nodes given at the start.
    pub(crate) only_given: bool,
    /// Whether the replies of the closest nodes are wanted.
    pub(crate) keeps_replies: bool,
    /// How many addresses are remembered, and mentions of one by another, for down hints.
    pub(crate) max_query_addresses: usize,
    /// How many visits can be under way, whatever the concurrency.
    pub(crate) max_open: usize,
    /// How far from any key the last of the 20 closest is, about; of distances the first eight bytes.
    pub(crate) radius: u64,
    /// The same, at least; 0: not known.
    pub(crate) spacing: u64,
    /// How many of the closest may be of one host, and of one /24, and whose hosts and /24s have no limits.
    pub(crate) quotas: Quotas,
    pub(crate) exempt: Exempt,
    /// Any number; makes collisions among remembered addresses unpredictable.
    pub(crate) salt: u32,
    /// How soon answers come, as far as it is known at the start.
    pub(crate) pace: Pace,
}

/// A visit under way.
#[derive(Clone, Copy, Debug)]
struct Visit {
    node: u16,
    /// Tries without an answer.
    missed: u8,
    role: Role,
}

/// Why a node is visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It may be one of the closest.
    Candidate,
    /// The same, but it was silent before: it is not waited for if other nodes answer.
    Doubted,
    /// It may know one of the closest.
    Witness,
}

/// The walk.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    plan: Plan,
    seen: Seen,
    frontier: Frontier,
    visits: Vec<Visit>,
    /// Candidates which come last: suspects, and nodes of crowded hosts and /24s.
    deferred: Vec<u16>,
    closest: Closest,
    /// Who named whom: (named, by).
    mentions: Vec<(u16, u16)>,
    /// Who has named the latest, and how many in a row.
    teller: (u16, u16),
    asked: u32,
    answered: u32,
    /// How many of these have no id, and whether one would have been given up by then.
    without_id: u32,
    hasty: bool,
    /// Whether a node that was not suspected has answered.
    trusts: bool,
    successes: u32,
    errors: u32,
    timed_out: u32,
    /// Candidates that were not asked since nobody may be there, but for those that the node was told of.
    withheld: u32,
    /// What answers of nodes known by hearsay have earned, and tries in vain have cost.
    credit: i16,
    /// Whether the routing table has been used as a source.
    from_table: bool,
    cautious: bool,
    gaps: Gaps,
    witnesses: Witnesses,
}

impl Walk {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            seen: Seen::new(plan.salt, plan.max_query_addresses),
            frontier: Frontier::default(),
            visits: Vec::new(),
            deferred: Vec::new(),
            closest: Closest::new(
                plan.target,
                plan.quotas,
                plan.exempt.clone(),
                plan.keeps_replies,
            ),
            plan,
            mentions: Vec::new(),
            teller: (u16::MAX, 0),
            asked: 0,
            answered: 0,
            without_id: 0,
            hasty: false,
            trusts: false,
            successes: 0,
            errors: 0,
            timed_out: 0,
            withheld: 0,
            credit: 0,
            from_table: false,
            cautious: false,
            gaps: Gaps::default(),
            witnesses: Witnesses::default(),
        }
    }

    /// What that number of walks takes of the heap, at most, apart from values; some of them keep replies.
    pub(crate) fn add_to(
        heap: &mut Heap,
        (walks, with_replies): (usize, usize),
        max_query_addresses: usize,
        max_open: usize,
    ) {
        let closest = (with_replies, closest_max(max_query_addresses));
        Seen::add_to(heap, walks, max_query_addresses);
        heap.capped_each::<u16>(walks, max_query_addresses); // The frontier.
        heap.capped_each::<Visit>(walks, max_open);
        heap.capped_each::<u16>(walks, DEFERRED_MAX);
        heap.capped_each::<(u16, u16)>(walks, max_query_addresses);
        Closest::add_to(heap, walks, closest);
        // The silent and the closest, while a gap is looked for.
        let named = VISITS_MAX + closest.1;
        heap.passing(3 * named.next_power_of_two() * size_of::<u64>() / 2);
    }

    /// Begins anew, with the memory of the walk before.
    pub(crate) fn reset(&mut self, plan: Plan) {
        let (salt, closest) = (plan.salt, core::mem::take(&mut self.closest));
        let old = core::mem::replace(self, Self::new(plan));
        Self {
            seen: self.seen,
            frontier: self.frontier,
            visits: self.visits,
            deferred: self.deferred,
            mentions: self.mentions,
            ..
        } = old;
        self.seen.reset(salt);
        self.closest.reuse(closest);
        self.frontier.clear();
        self.visits.clear();
        self.deferred.clear();
        self.mentions.clear();
    }

    /// Whether its memory is of a size that the next walk is likely to need.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.seen.capacity() <= SEEN_KEPT && self.mentions.capacity() <= 2 * SEEN_KEPT
    }

    /// Lets go of replies that will not be taken.
    pub(crate) fn forget_replies(&mut self) {
        drop(self.closest.take());
    }

    /// How many candidates were not asked, since the last call, since nobody may be there.
    pub(crate) fn take_withheld(&mut self) -> u32 {
        core::mem::take(&mut self.withheld)
    }

    /// How many candidates wait for a visit.
    pub(crate) fn pending(&self) -> usize {
        if self.has_candidates() { self.frontier.len() } else { 0 }
    }

    /// Notes that the routing table is among the sources now.
    pub(crate) fn uses_table(&mut self) {
        self.from_table = true;
    }

    /// Whether to try again from the routing table, rather than to end as poorly as this.
    pub(crate) fn wants_table(&self) -> bool {
        !self.from_table && self.successes < SUCCESSES_MIN && !self.plan.only_given
    }

    /// Changes how many requests may be under way.
    pub(crate) fn set_concurrency(&mut self, concurrency: u16) {
        self.plan.concurrency = concurrency;
    }

    /// Visits under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.visits.len()
    }

    /// Requests under way that look into gaps.
    pub(crate) fn gaps_open(&self) -> usize {
        self.gaps.open().into()
    }

    /// The next node to ask, if there is a place for one more: its number and address.
    /// Addresses that are `suspected` come last, unless all nodes are waited for anyway; addresses that only peers have named
    /// are asked if the node `may_knock` there, given how many /24s have named them.
    pub(crate) fn next(
        &mut self,
        suspected: impl Fn(SocketAddrV4) -> bool,
        behind_dead_door: impl Fn(SocketAddrV4) -> bool,
        may_knock: impl Fn(SocketAddrV4, &dyn Fn() -> usize) -> bool,
    ) -> Option<(u16, SocketAddrV4)> {
        let late = self.late();
        let concurrency = match self.plan.concurrency {
            concurrency if self.cautious => concurrency.min(CAUTIOUS),
            // Far from the target the answers say much the same: half the concurrency finds as much
            // in the same time, with a quarter fewer requests, unless some nodes are silent.
            concurrency if late == 0 && self.is_far() => concurrency.div_ceil(2),
            concurrency => concurrency,
        };
        if self.visits.len() - late >= usize::from(concurrency) || self.asked as usize >= VISITS_MAX
        {
            return None;
        }
        if let Some((node, addr)) =
            self.witnesses.next().and_then(|n| Some((n, self.seen.addr(n)?)))
        {
            self.visit(node, Role::Witness);
            return Some((node, addr));
        }
        let mut passed_over = heapless::Vec::<u16, PASSED_OVER_MAX, u8>::new();
        let next = loop {
            // If the nearest would not get among the closest, nor would the rest.
            let trusted = self.has_candidates().then(|| self.frontier.pop()).flatten();
            let Some(node) = trusted.or_else(|| self.next_deferred()) else { break None };
            let Some(addr) = self.seen.addr(node) else { break None };
            let asks_all = self.plan.thorough || self.plan.only_given;
            let doubted = !asks_all && suspected(addr);
            match self.seen.is_hearsay(node).then(|| self.door(node, addr, &may_knock)) {
                Some(Door::Shut) => {
                    self.withheld += 1;
                    self.seen.set(node, State::Withheld);
                    continue;
                }
                Some(Door::Crowded) if passed_over.push(node).is_ok() => continue,
                Some(Door::Crowded) => {
                    self.frontier.push(&self.seen, node, self.plan.max_query_addresses);
                    break None;
                }
                Some(Door::Open) | None => {}
            }
            // Its neighbours were silent; it may be there all the same, so it is waited for.
            let last = doubted || !asks_all && self.seen.is_hearsay(node) && behind_dead_door(addr);
            if last && trusted.is_some() && self.deferred.len() < DEFERRED_MAX {
                self.deferred.put(DEFERRED_MAX, node);
                continue;
            }
            self.visit(node, if doubted { Role::Doubted } else { Role::Candidate });
            break Some((node, addr));
        };
        for node in passed_over {
            self.frontier.push(&self.seen, node, self.plan.max_query_addresses);
        }
        next
    }

    /// A visit begins.
    fn visit(&mut self, node: u16, role: Role) {
        self.asked += 1;
        self.visits.put(self.plan.max_open, Visit { node, missed: 0, role });
        self.seen.set(node, State::Asked);
    }

    /// The nearest of the candidates that come last.
    fn next_deferred(&mut self) -> Option<u16> {
        let (seen, closest) = (&self.seen, &self.closest);
        let wanted = |(distance, addr)| closest.would_take(distance, addr);
        self.deferred.retain(|node| seen.at(*node).is_some_and(wanted));
        // While anything else is waited for, a crowded host has time.
        let idle = self.visits.len() == self.late();
        let within = |(distance, addr)| !closest.is_over(distance, addr);
        let has_turn = |node: u16| idle || seen.at(node).is_some_and(within);
        let deferred = self.deferred.iter().enumerate().filter(|(_, node)| has_turn(**node));
        let (at, _) = deferred.min_by_key(|(_, node)| seen.distance(**node))?;
        Some(self.deferred.swap_remove(at))
    }

    /// Whether a node that was come across would be among the closest.
    fn is_wanted(&self, node: u16) -> bool {
        self.seen.at(node).is_some_and(|(distance, addr)| self.closest.would_take(distance, addr))
    }

    /// Whether the next candidate is too far from the target to be among the closest.
    fn is_far(&self) -> bool {
        // With 20 at hand, the next candidate is closer than one of them.
        let may_be = !self.plan.only_given && self.closest.len() < K;
        let next = self.frontier.nearest(&self.seen).filter(|_| may_be);
        next.is_some_and(|distance| distance / 2 > self.plan.radius)
    }

    /// Tells that a batch of visits has begun.
    pub(crate) fn begun(&mut self) {
        if !self.from_table && self.successes == 0 && self.errors == 0 {
            self.cautious = true;
        }
    }

    /// A node has answered.
    pub(crate) fn answered(&mut self, node: u16, reply: &Reply) {
        let doubted = self.end_visit(node).is_some_and(|visit| visit.role == Role::Doubted);
        self.seen.visited(node, true);
        self.answered += 1;
        if self.seen.is_hearsay(node) {
            self.credit = (self.credit + ANSWER_PAYS).min(CREDIT_MAX);
        }
        self.trusts |= !doubted;
        self.without_id += u32::from(reply.from.id.is_none());
        if reply.error == 0 {
            self.successes += 1;
            if self.closest.insert(reply) {
                self.put_off_crowds();
            }
        } else {
            self.errors += 1;
        }
        self.consider_caution();
    }

    /// An answer has come. Whether a hasty walk would have missed it.
    pub(crate) fn answered_after(&mut self, answer: Timing) -> bool {
        let hasty = self.plan.pace.record(answer);
        self.hasty |= hasty;
        hasty
    }

    /// A visit has failed. If the node was silent (`timed_out`), the nodes that named it may be told.
    pub(crate) fn failed(&mut self, node: u16, timed_out: bool) {
        self.end_visit(node);
        self.errors += 1;
        if timed_out {
            self.timed_out += 1;
            self.in_vain(node);
            self.seen.visited(node, false);
        } else {
            self.seen.set(node, State::Done);
        }
        self.consider_caution();
    }

    fn in_vain(&mut self, node: u16) {
        self.credit = self.credit.saturating_sub(self.seen.is_hearsay(node).into());
    }

    /// How much more it has asked in vain than answers have earned.
    pub(crate) fn debt(&self) -> u16 {
        self.credit.min(0).unsigned_abs()
    }

    /// Whether it may ask one more node, where a `share` of nodes known by hearsay may wait for their first answer, and more
    /// if it has credit.
    pub(crate) fn may_ask(&self, share: usize) -> bool {
        let open = self.visits.iter().filter(|visit| visit.missed == 0);
        let open = open.filter(|visit| self.seen.is_hearsay(visit.node)).count();
        open < share
            .saturating_add_signed(if self.is_astray() { 0 } else { self.credit.into() })
            .max(1)
    }

    /// Whether most nodes that it asks are silent. Other walks go first then.
    pub(crate) fn is_astray(&self) -> bool {
        self.credit < CREDIT_MIN
    }

    /// How urgent its visits are.
    pub(crate) fn class(&self) -> Class {
        if self.is_astray() { Class::Hint } else { Class::Query }
    }

    /// The visits under way will not be answered any more: they have failed, all of them, if
    /// `silent` because their nodes took too long.
    pub(crate) fn abandon(&mut self, silent: bool) {
        let open = u32::try_from(self.visits.len()).unwrap_or(u32::MAX);
        self.errors += open;
        self.timed_out += if silent { open } else { 0 };
        self.visits.clear();
    }

    /// Whether it is known only since others have named it.
    pub(crate) fn is_hearsay(&self, node: u16) -> bool {
        self.seen.is_hearsay(node)
    }

    /// The address of a node that was visited.
    pub(crate) fn addr(&self, node: u16) -> Option<SocketAddrV4> {
        self.seen.addr(node)
    }

    /// The first eight bytes of its id.
    pub(crate) fn id_prefix(&self, node: u16) -> u64 {
        self.seen.distance(node).unwrap_or_default() ^ self.plan.target.prefix()
    }

    /// The replies of the closest so far.
    pub(crate) fn closest(&self) -> &[Reply] {
        self.closest.replies()
    }

    /// Whether any candidate is left that would be worth a visit.
    pub(crate) fn has_candidates(&self) -> bool {
        self.frontier.first().is_some_and(|node| self.is_wanted(node))
    }

    /// Whether any node has answered.
    pub(crate) fn has_answers(&self) -> bool {
        self.answered > 0
    }

    /// Takes what was found so far.
    pub(crate) fn take_outcome(&mut self) -> Outcome {
        Outcome {
            closest: self.closest.take(),
            successes: self.successes,
            errors: self.errors,
            asked: self.asked,
            answered: self.answered,
            without_id: self.without_id,
            timed_out: self.timed_out,
            ..Outcome::default()
        }
    }

    fn end_visit(&mut self, node: u16) -> Option<Visit> {
        let at = self.visits.iter().position(|visit| visit.node == node)?;
        Some(self.visits.swap_remove(at))
    }

    fn consider_caution(&mut self) {
        if self.successes + self.errors >= u32::from(self.plan.concurrency) {
            self.cautious = false;
        }
    }
}
