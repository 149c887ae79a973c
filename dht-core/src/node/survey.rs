//! Asking the table for our address, while the node wants an id and does not know what it would be made of, and
//! after it has got one: [`survey`](crate::reach::survey) says what follows from the answers. (None in JavaScript, where the
//! first who answer decide.)

use core::net::SocketAddrV4;

use super::Node;
use crate::addr::is_local;
use crate::api::event::Event;
use crate::api::message::Via;
use crate::reach::nat::Sampler;
use crate::reach::survey::Verdict;
use crate::requests::call::Purpose;
use crate::requests::congestion::Class;
use crate::table::{SPREAD, place_of};
use crate::wire::command::PING;

impl Node {
    /// In every tick: begins a survey if there is reason to, or asks the next of one.
    pub(super) fn survey_on_tick(&mut self) {
        let ready = self.survey.pass();
        let room = self.requests.free(&self.cx.config) >= SPREAD;
        if !ready || !room || self.bootstrap.is_active() || self.probe.is_some() {
            return;
        }
        if self.survey.order.is_none() {
            if self.wants_survey() {
                self.survey.begin(self.cx.rng.next_u32());
                self.ask_users();
            }
            return;
        }
        self.ask_next();
    }

    fn wants_survey(&self) -> bool {
        if self.own_addr.is_some() && self.cx.config.public_address == self.own_addr {
            return false;
        }
        if !self.ephemeral {
            return !self.survey.sure || self.survey.contradicted;
        }
        // So that it is known when it is needed.
        let soon = match self.cx.config.ephemeral {
            Some(false) => true,
            _ => self.upkeep.adaptive && self.upkeep.settles_soon(),
        };
        soon && !self.survey.sure
    }

    /// First those that the user has chosen: what they see counts on its own.
    fn ask_users(&mut self) {
        let mut asked = heapless::Vec::<SocketAddrV4, SPREAD>::new();
        for addr in self.bootstrap_addrs() {
            let other = asked.iter().all(|other| place_of(*other, 0) != place_of(addr, 0));
            if other && !is_local(*addr.ip()) {
                // There is a place, or it is over.
                let _ = asked.push(addr);
            }
        }
        for addr in asked {
            self.ask_view(addr, true);
        }
        if self.survey.open == 0 {
            self.ask_next();
        }
    }

    /// The next few /24s in the order of this survey; if there are none, it is over.
    fn ask_next(&mut self) {
        let Some((key, after)) = self.survey.order else { return };
        let next = self.table.spread(key, after, 0, self.cx.tick);
        let Some((last, _)) = next.last() else { return self.conclude_survey(true) };
        self.survey.order = Some((key, Some(*last)));
        for (place, addr) in next {
            let users = self
                .bootstrap_addrs()
                .any(|other| !is_local(*other.ip()) && place_of(other, key) == place);
            if !users {
                self.ask_view(addr, false);
            }
        }
    }

    fn ask_view(&mut self, addr: SocketAddrV4, users: bool) {
        let purpose = Purpose::View { users };
        if self.begin_internal(addr, PING, None, Class::KeepAlive, purpose).is_some() {
            self.survey.open += 1;
        }
    }

    /// One that was asked has seen us as `to`, or is silent.
    pub(super) fn on_view(&mut self, users: bool, seen: Option<(Via, SocketAddrV4)>) {
        self.survey.open = self.survey.open.saturating_sub(1);
        // What arrives at the other socket tells of another port than the one in use.
        if let Some((_, to)) = seen.filter(|(via, _)| *via == self.request_via()) {
            self.survey.count(to, users);
        }
        if self.survey.open == 0 {
            self.conclude_survey(false);
        }
    }

    /// A survey is given up.
    pub(super) fn stop_survey(&mut self) {
        self.survey.anew();
        self.requests.forget_all(&mut self.cx, |purpose| matches!(purpose, Purpose::View { .. }));
    }

    fn conclude_survey(&mut self, end: bool) {
        let verdict = self.survey.verdict(end);
        if verdict == Verdict::Open || self.survey.order.is_none() {
            return;
        }
        if self.survey.end(verdict) {
            self.emit(Event::AddressDisputed);
        }
        match verdict {
            Verdict::At(addr) if self.ephemeral => self.believe(addr),
            Verdict::At(addr) => self.compare_own_addr(addr),
            _ if self.survey.sure => _ = self.survey.is_moved(None),
            _ => {}
        }
    }

    /// What the table agrees on counts, whatever was heard before.
    fn believe(&mut self, addr: SocketAddrV4) {
        if (self.nat.host(), self.nat.port()) != (Some(*addr.ip()), addr.port()) {
            self.take_views(Sampler::unanimous(addr));
            self.looks.anew();
        }
        self.survey.sure = true;
    }

    /// A persistent node is seen at `addr`. As long as its id is of the first views only, that is where it is.
    fn compare_own_addr(&mut self, addr: SocketAddrV4) {
        let Some(own) = self.own_addr else { return };
        let same = addr == own;
        let possible = self.may_have_id_of(addr, own) && self.may_be_at(addr);
        let sure = core::mem::replace(&mut self.survey.sure, true);
        // A few whom a bootstrap node backs are enough to get an id by, not to lose it.
        if same || !possible || (sure && !self.survey.most_see(addr)) {
            _ = self.survey.is_moved(None);
        } else if !sure || self.survey.is_moved(Some(addr)) {
            self.looks.changed(false);
            self.move_id_to(addr, Sampler::unanimous(addr));
            self.survey.sure = true;
        }
    }
}
