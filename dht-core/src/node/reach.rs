//! What finding out about the own address means for the rest of the node.

use core::net::SocketAddrV4;

use bytes::Bytes;

use super::Parts;
use crate::api::ask::Request;
use crate::api::event::Event;
use crate::api::message::Via;
use crate::reach::{News, Step};
use crate::requests::call::{Call, Purpose};
use crate::requests::congestion::Class;
use crate::wire::command::PING_NAT;

impl Parts {
    /// In every tick: the own address is looked into.
    pub(super) fn reach_on_tick(&mut self) {
        let bootstraps = self.upkeep.bootstrap.is_active();
        let free = self.requests.free(&self.cx.config);
        self.reach.survey_on_tick(&mut self.cx, others!(self), free, bootstraps);
        self.carry_reach();
        let free = self.requests.free(&self.cx.config);
        self.reach.look_on_tick(&mut self.cx, others!(self), free, bootstraps);
    }

    /// Does what was found out, and asks what is asked for.
    pub(super) fn carry_reach(&mut self) {
        loop {
            while let Some(news) = self.reach.poll_news() {
                self.on_news(news);
            }
            let Some((to, step)) = self.reach.poll_ask() else { return };
            let begun = match step {
                Step::Probe { port } => self.ping_nat(to, port, Purpose::Probe),
                Step::View { users } => {
                    let purpose = Purpose::View { users };
                    self.ask(Call::new(Request::ping(to), Class::KeepAlive, purpose))
                }
            };
            if !begun {
                self.reach.not_asked(&mut self.cx, others!(self), step);
            }
        }
    }

    fn on_news(&mut self, news: News) {
        match news {
            News::ProbesEnd => {
                self.requests.forget_all(&mut self.cx, &|purpose| purpose == Purpose::Probe);
            }
            News::ViewsEnd => {
                let views = |purpose| matches!(purpose, Purpose::View { .. });
                self.requests.forget_all(&mut self.cx, &views);
            }
            News::ForgetSamples => self.members.forget_samples(),
            News::Reachable => self.on_reachable(),
            News::Looked(reached) => {
                if self.upkeep.is_running() {
                    self.upkeep.bootstrap.looked(reached);
                }
            }
        }
    }

    /// The node is reachable: its id follows, and its table is rebuilt around it.
    fn on_reachable(&mut self) {
        let Some(addr) = self.reach.own_addr() else { return };
        let id = self.members.table().ids().of(addr);
        if *self.members.table().own() != id {
            self.members.rebase(&mut self.cx, id);
            if self.upkeep.bootstrap.is_done() {
                // Its new neighbours get to know of it.
                self.start_search(id);
            }
        }
        if !self.reach.is_ephemeral() {
            self.cx.emit(Event::Persistent);
        }
    }

    /// Asks a node to answer to the server socket, early: if that works, the node may well be reachable, and checks it
    /// while it bootstraps.
    pub(super) fn quick_nat(&mut self, to: SocketAddrV4) {
        if self.upkeep.bootstrap.take_quick_nat(to, &self.cx.config.exempt) {
            self.ping_nat(to, self.reach.server_port(), Purpose::QuickNat);
        }
    }

    /// Asks a node to answer to another port.
    fn ping_nat(&mut self, to: SocketAddrV4, port: u16, purpose: Purpose) -> bool {
        let value = Some(Bytes::copy_from_slice(&port.to_le_bytes()));
        let via = (purpose == Purpose::Probe).then_some(Via::Client);
        let request = Request { value, via, ..Request::internal(to, PING_NAT) };
        self.ask(Call::new(request, Class::KeepAlive, purpose))
    }
}
