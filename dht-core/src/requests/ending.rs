//! How requests end: by an answer, by silence, or because their answer is wanted no longer.

use core::net::SocketAddrV4;
use core::time::Duration;

use bytes::Bytes;

use super::{Flight, Purpose, Question, RequestError, Requests};
use crate::api::id_cache::Ids;
use crate::api::message::{Nodes, Peer, Reply, RequestId};
use crate::api::stats::RequestStats;
use crate::context::Cx;
use crate::requests::inflight::Match;
use crate::requests::lessons::Lessons;
use crate::requests::pace::{SURE_MIN, Timing};
use crate::wire;

/// A node that leaves this many tries unanswered is in doubt.
const DOUBT: u16 = 2;

/// A request that has ended. Its owner, known by the purpose of the call, decides what follows.
pub(crate) struct Ended {
    pub(crate) id: RequestId,
    pub(crate) to: SocketAddrV4,
    pub(crate) purpose: Purpose,
    pub(crate) question: Question,
    pub(crate) result: Result<Reply, RequestError>,
    /// The number of tries, and the time since the first and the last.
    pub(crate) timing: Timing,
    /// What the answer may teach; of a failed request, what an answer would have taught.
    pub(crate) lessons: Lessons,
    /// All tries, at least two, timed out: the node may be down.
    pub(crate) doubt: bool,
    /// At least as many as [`Pace::tries_to_be_sure`](super::pace::Pace::tries_to_be_sure) did: it is down.
    pub(crate) sure: bool,
}

impl Ended {
    /// Whether the answer counts. A possibly forged one does not.
    pub(crate) fn counts(&self) -> bool {
        self.lessons.tell(Lessons::THERE)
    }

    /// Whether it tells our own address.
    pub(crate) fn votes(&self) -> bool {
        self.lessons.tell(Lessons::VOTE)
    }

    /// Whether it tells if the network works.
    pub(crate) fn tells_health(&self) -> bool {
        self.lessons.tell(Lessons::HEALTH)
    }

    /// Whether it tells how soon answers come.
    pub(crate) fn tells_pace(&self) -> bool {
        self.lessons.tell(Lessons::PACE)
    }

    /// Whether all tries were left unanswered.
    pub(crate) fn timed_out(&self) -> bool {
        matches!(self.result, Err(RequestError::Timeout))
    }
}

/// A response that fits no request in flight.
pub(crate) enum Unmatched {
    /// It may be late.
    Unknown,
    /// The request went to another address. An attacker may be trying all transaction ids in the name of the sender.
    WrongSource,
}

/// What follows when a try was not answered in time.
#[expect(clippy::large_enum_variant, reason = "one at a time, and never kept")]
pub(crate) enum Overdue {
    /// The end of the request.
    Ended(Ended),
    /// Another try. `doubt`, if the node is in doubt by now: the question it left unanswered, and whether an answer that
    /// comes too late counts.
    Again { to: SocketAddrV4, purpose: Purpose, doubt: Option<(Question, bool)> },
}

impl Requests {
    /// A response has come in, and ends its request.
    pub(crate) fn on_response(
        &mut self,
        cx: &mut Cx,
        ids: &Ids,
        from: SocketAddrV4,
        response: &wire::Response<'_>,
    ) -> Result<Ended, Unmatched> {
        let id = match self.flights.find(response.tid, from) {
            Match::Fits(id) => id,
            Match::WrongSource(asked) => {
                cx.stats.drops.wrong_source += 1;
                let asked = asked.and_then(|id| self.flights.call(id));
                if let Some(call) = asked.filter(|call| Lessons::of(call).tell(Lessons::HEALTH)) {
                    self.elsewhere.note(cx.tick, call.to(), from);
                }
                self.flights.missed(from);
                return Err(Unmatched::WrongSource);
            }
            Match::Unknown => {
                cx.stats.drops.unsolicited += 1;
                return Err(Unmatched::Unknown);
            }
        };
        let flight = self.flights.get(id).ok_or(Unmatched::Unknown)?;
        let guessed = self.flights.is_guessed_at(flight);
        let lessons = Lessons::of(&flight.call).unless(guessed);
        // After a retry the answer may be to any try (Karn's rule), and a delayed one does not measure the way.
        let measures = flight.sent == 1 && flight.call.request.delay.is_zero();
        let rtt = cx.now.saturating_since(flight.sent_at);
        let result = Ok(read_reply(ids, from, response, rtt, flight.call.purpose));
        if let Some(rtts) = self.rtts.as_mut().filter(|_| measures && lessons.tell(Lessons::RTT)) {
            rtts.record(cx.now, from, rtt);
        }
        if lessons.tell(Lessons::WINDOW) {
            self.window.freed();
        }
        if lessons.tell(Lessons::THERE) {
            self.elsewhere.remove(from);
        }
        if let Some(requests) = Self::count(cx, flight.call.purpose) {
            requests.responses += 1;
            if let Some(count) =
                cx.stats.commands.of(flight.call.request.internal, flight.call.request.command)
            {
                count.rx += 1;
            }
        }
        self.end(cx, id, result, lessons)
    }

    /// Records how soon an answer has come. `hasty`: only a deliberate wait kept its walk from giving the node up.
    pub(crate) fn learn_pace(&mut self, ended: &Ended, hasty: bool) {
        let (lessons, internal) = (ended.lessons, ended.question != Question::Command);
        if lessons.tell(Lessons::PACE) {
            let late = !matches!(ended.purpose, Purpose::Visit { .. });
            if internal && self.pace.record(ended.timing) && late {
                self.pace.was_wrong();
            }
            if hasty {
                self.pace.was_hasty();
            } else if !internal {
                self.pace.was_in_time(ended.timing.tries);
            }
        } else if lessons.tell(Lessons::TRIES) {
            self.pace.count_tries(ended.timing.tries);
        }
    }

    /// The question that a response under `tid` from `from` belongs to, if it fits nothing in flight: that of a request
    /// given up, or a second answer to one sent several times. If there is none, it counts as a miss.
    pub(crate) fn late_answer(
        &mut self,
        cx: &Cx,
        tid: u16,
        from: SocketAddrV4,
    ) -> Option<Question> {
        let question = self.flights.rests(cx.now, tid, from);
        if question.is_none() {
            self.flights.missed(from);
        }
        question
    }

    /// The next request of which a try was not answered in time; [`on_overdue`](Self::on_overdue) is to follow.
    pub(crate) fn pop_overdue(&mut self, cx: &Cx) -> Option<RequestId> {
        self.flights.pop_overdue(cx.now)
    }

    /// A try of a request was not answered in time. `is_member`: whether an address is in the table; `may_knock`:
    /// whether it may be asked again.
    pub(crate) fn on_overdue(
        &mut self,
        cx: &mut Cx,
        id: RequestId,
        is_member: impl Fn(SocketAddrV4) -> bool,
        may_knock: impl FnOnce(&Cx, Purpose, SocketAddrV4) -> bool,
    ) -> Option<Overdue> {
        let flight = self.flights.get(id)?;
        let (to, purpose, sent) = (flight.call.to(), flight.call.purpose, flight.sent);
        let unsent = flight.unsent;
        let doubt = (flight.call.question(), Lessons::of(&flight.call).tell(Lessons::HEALTH));
        let tries = match purpose {
            // An address that is not in the table gets no more tries than that.
            Purpose::Late { .. } if !is_member(to) => SURE_MIN,
            _ if purpose.asks_to_judge() => self.pace.tries_to_be_sure(),
            _ => u16::from(flight.call.request.retries) + 1,
        };
        if purpose != Purpose::Verify {
            self.release_share(to);
        }
        let barred = sent < tries && !may_knock(cx, purpose, to);
        cx.stats.withheld.requests += u64::from(barred);
        if sent >= tries || barred {
            let error = unsent.map_or(RequestError::Timeout, RequestError::Unsent);
            let ended = self.fail(cx, id, error);
            // No more tries will tell, so this one has to do, if it was sent.
            return ended.map(|ended| {
                let doubt = ended.doubt || (barred && ended.timed_out());
                Overdue::Ended(Ended { doubt, ..ended })
            });
        }
        cx.stats.requests.retries += 1;
        self.enqueue(id, false);
        let doubt = (sent >= DOUBT && purpose.judges() && unsent.is_none()).then_some(doubt);
        Some(Overdue::Again { to, purpose, doubt })
    }

    /// Ends a request without an answer.
    pub(crate) fn fail(
        &mut self,
        cx: &mut Cx,
        id: RequestId,
        error: RequestError,
    ) -> Option<Ended> {
        let flight = self.flights.get(id)?;
        let lessons = Lessons::of(&flight.call);
        if let Some(requests) = Self::count(cx, flight.call.purpose) {
            *match error {
                RequestError::Timeout | RequestError::Elsewhere(_) => &mut requests.timeouts,
                RequestError::Unsent(_) => &mut requests.unsent,
                RequestError::Destroyed | RequestError::Suspended => &mut requests.cancelled,
            } += 1;
            if flight.sent > 0 {
                self.window.freed();
            }
        }
        self.end(cx, id, Err(error), lessons).ok()
    }

    /// Drops a request without any consequence.
    pub(crate) fn forget(&mut self, cx: &mut Cx, id: RequestId) {
        let Some(flight) = self.flights.get(id) else { return };
        if let Some(requests) = Self::count(cx, flight.call.purpose) {
            requests.cancelled += 1;
            if flight.sent > 0 {
                self.window.freed();
            }
        }
        if let Some(flight) = self.flights.end(cx.now, id, false) {
            self.release(&flight);
            self.count_places(cx);
        }
    }

    /// Drops all requests that `which` selects.
    pub(crate) fn forget_all(&mut self, cx: &mut Cx, which: &dyn Fn(Purpose) -> bool) {
        let mut slot = 0;
        while let Some(id) = self.flights.next_from(&mut slot, &|call| which(call.purpose)) {
            self.forget(cx, id);
        }
    }

    /// Counts the end of a request; verifications have a count of their own.
    fn count(cx: &mut Cx, purpose: Purpose) -> Option<&mut RequestStats> {
        (purpose != Purpose::Verify).then(|| {
            cx.stats.requests.active -= 1;
            &mut cx.stats.requests
        })
    }

    fn end(
        &mut self,
        cx: &mut Cx,
        id: RequestId,
        mut result: Result<Reply, RequestError>,
        lessons: Lessons,
    ) -> Result<Ended, Unmatched> {
        let call = &self.flights.get(id).ok_or(Unmatched::Unknown)?.call;
        let (purpose, to) = (call.purpose, call.to());
        let flight = match purpose {
            Purpose::User => {
                if let (Err(RequestError::Timeout), Some(from)) =
                    (&result, self.answered_instead(cx, to))
                {
                    result = Err(RequestError::Elsewhere(from));
                }
                self.flights.complete(cx.now, id, result.clone())
            }
            _ => self.flights.end(cx.now, id, result.is_ok()),
        };
        let flight = flight.ok_or(Unmatched::Unknown)?;
        self.release(&flight);
        self.count_places(cx);
        let timing = Timing {
            tries: flight.sent,
            since_first: cx.now.saturating_since(flight.first_sent_at),
            since_last: cx.now.saturating_since(flight.sent_at),
        };
        let timed_out = result == Err(RequestError::Timeout);
        let doubt = timed_out && flight.sent >= DOUBT;
        let sure = timed_out && flight.sent >= self.pace.tries_to_be_sure();
        let question = flight.call.question();
        Ok(Ended { id, to, purpose, question, result, timing, lessons, doubt, sure })
    }

    /// Frees the places that an ended request held.
    fn release(&mut self, flight: &Flight) {
        if flight.call.purpose == Purpose::Verify {
            return;
        }
        if flight.deadline.is_some() {
            self.release_share(flight.call.to());
        } else {
            // It may have been woken up for a place that it now never takes.
            self.wake_parked(flight.call.to());
        }
    }
}

fn read_reply(
    ids: &Ids,
    from: SocketAddrV4,
    response: &wire::Response<'_>,
    rtt: Duration,
    purpose: Purpose,
) -> Reply {
    let keep = matches!(purpose, Purpose::User | Purpose::Visit { .. } | Purpose::Commit { .. });
    Reply {
        from: Peer { addr: from, id: ids.proven(response.id, from) },
        seen_as: response.to,
        token: response.token.copied().map(crate::Token::from),
        closer_nodes: response.closer_nodes.map(read_nodes),
        error: response.error,
        value: response.value.filter(|_| keep).map(Bytes::copy_from_slice),
        rtt,
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
