//! When to run a [survey](super::survey), and what its outcome changes: while the node wants an id and does not know its
//! address, and after it has got an id. (None in JavaScript, where the first nodes that answer decide.)

use core::net::SocketAddrV4;

use super::survey::Verdict;
use super::{News, Others, Reach, Step, may_have_id_of};
use crate::api::event::Event;
use crate::api::message::Via;
use crate::context::Cx;
use crate::reach::nat::Sampler;
use crate::table::{SPREAD, place_of};

impl Reach {
    /// In every tick: begins a survey if there is reason to, or asks its next nodes. `free`: how many requests may
    /// begin.
    pub(crate) fn survey_on_tick(
        &mut self,
        cx: &mut Cx,
        others: Others<'_>,
        free: usize,
        bootstraps: bool,
    ) {
        let ready = self.survey.pass();
        if !ready || free < SPREAD || bootstraps || self.probe.is_some() {
            return;
        }
        if self.survey.order.is_some() {
            self.ask_next(cx, others);
        } else if self.wants_survey(cx) {
            self.survey.begin(cx.rng.next_u32());
            self.ask_users(cx, others);
        }
    }

    fn wants_survey(&self, cx: &Cx) -> bool {
        if self.own_addr.is_some() && cx.config.public_address == self.own_addr {
            return false;
        }
        if !self.ephemeral {
            return !self.survey.sure || self.survey.contradicted;
        }
        // So that it is known when it is needed.
        let soon = match cx.config.ephemeral {
            Some(false) => true,
            _ => self.stability.adaptive && self.stability.is_stable_soon(),
        };
        soon && !self.survey.sure
    }

    /// First the nodes that the user has chosen: what they see counts on its own.
    fn ask_users(&mut self, cx: &mut Cx, others: Others<'_>) {
        let mut asked = heapless::Vec::<SocketAddrV4, SPREAD>::new();
        let exempt = &cx.config.exempt;
        for addr in others.sources.bootstrap(&cx.config, self.own_addr) {
            let other =
                asked.iter().all(|other| place_of(*other, 0, exempt) != place_of(addr, 0, exempt));
            if other && !exempt.covers(*addr.ip()) {
                // There is a place, or it is over.
                let _ = asked.push(addr);
            }
        }
        for addr in asked {
            self.ask_view(addr, true);
        }
        if self.survey.open == 0 {
            self.ask_next(cx, others);
        }
    }

    /// The next few /24s in the order of this survey; if there are none, it is over.
    fn ask_next(&mut self, cx: &mut Cx, others: Others<'_>) {
        let Some((key, after)) = self.survey.order else { return };
        let config = cx.config.clone();
        let exempt = &config.exempt;
        let next = others.table.spread((key, after), exempt, 0, cx.tick);
        let Some((last, _)) = next.last() else { return self.conclude_survey(cx, others, true) };
        self.survey.order = Some((key, Some(*last)));
        for (place, addr) in next {
            let mut users = others.sources.bootstrap(&cx.config, self.own_addr);
            if !users
                .any(|other| !exempt.covers(*other.ip()) && place_of(other, key, exempt) == place)
            {
                self.ask_view(addr, false);
            }
        }
    }

    fn ask_view(&mut self, addr: SocketAddrV4, users: bool) {
        self.step = Step::View { users };
        self.survey.open += u8::from(self.asks.push(addr).is_ok());
    }

    /// A node that was asked has seen us as `to`, in an answer that came by this socket; or it is silent.
    pub(crate) fn on_view(
        &mut self,
        cx: &mut Cx,
        others: Others<'_>,
        users: bool,
        seen: Option<(Via, SocketAddrV4)>,
    ) {
        self.survey.open = self.survey.open.saturating_sub(1);
        // What arrives at the other socket tells of another port than the one in use.
        if let Some((_, to)) = seen.filter(|(via, _)| *via == self.request_via()) {
            self.survey.count(to, users);
        }
        if self.survey.open == 0 {
            self.conclude_survey(cx, others, false);
        }
    }

    /// A survey is given up.
    pub(super) fn stop_survey(&mut self) {
        self.survey.anew();
        self.tell(News::ViewsEnd);
    }

    fn conclude_survey(&mut self, cx: &mut Cx, others: Others<'_>, end: bool) {
        let verdict = self.survey.verdict(end);
        if verdict == Verdict::Open || self.survey.order.is_none() {
            return;
        }
        if self.survey.end(verdict) {
            cx.emit(Event::AddressDisputed);
        }
        match verdict {
            Verdict::At(addr) if self.ephemeral => self.believe(cx, addr),
            Verdict::At(addr) => self.compare_own_addr(cx, others, addr),
            _ if self.survey.sure => _ = self.survey.note_move(None),
            _ => {}
        }
    }

    /// What the table agrees on counts, whatever was heard before.
    fn believe(&mut self, cx: &mut Cx, addr: SocketAddrV4) {
        if (self.nat.host(), self.nat.port()) != (Some(*addr.ip()), addr.port()) {
            self.take_views(cx, Sampler::unanimous(addr));
            self.looks.anew();
        }
        self.survey.sure = true;
    }

    /// A persistent node is seen at `addr`. As long as its id is of the first views only, that is where it is.
    fn compare_own_addr(&mut self, cx: &mut Cx, others: Others<'_>, addr: SocketAddrV4) {
        let Some(own) = self.own_addr else { return };
        let same = addr == own;
        let possible = may_have_id_of(&cx.config, addr, own) && self.may_be_at(cx, others, addr);
        let sure = core::mem::replace(&mut self.survey.sure, true);
        // A few nodes that a bootstrap node backs are enough to get an id by, not to lose it.
        if same || !possible || (sure && !self.survey.most_see(addr)) {
            _ = self.survey.note_move(None);
        } else if !sure || self.survey.note_move(Some(addr)) {
            self.looks.changed(false);
            self.move_to(cx, addr, Sampler::unanimous(addr));
            self.survey.sure = true;
        }
    }
}
