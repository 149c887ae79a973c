//! The own address, and whether peers can reach it. This part is told what peers see ([`Reach::vote`]) and how its own
//! requests end; it asks for calls ([`Reach::poll_ask`]), and tells what the rest of the node has to do about its
//! findings ([`Reach::poll_news`]).
//!
//! An ephemeral node has no id. It becomes persistent, at an address that its table agrees on, if the user says so or once
//! peers have reached it there; it becomes ephemeral again when they no longer do. Mirrors `_natAdd`,
//! `_updateNetworkState` and `_checkIfFirewalled` of `index.js`, which check once.

mod firewall;
mod looking;
mod nat;
mod stability;
mod survey;
mod surveying;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use crate::addr::{is_host, is_local, is_sendable};
use crate::api::config::Config;
use crate::api::event::Event;
use crate::api::message::Via;
use crate::api::persistence::Persistence;
use crate::bounded::memory::Heap;
use crate::context::Cx;
use crate::sources::Sources;
use crate::table::{SPREAD, Table};
use firewall::{Looks, PROBES, Probe};
use nat::Sampler;
use stability::Stability;
use survey::Survey;

/// With fewer views of our address than this, an id that is made of it is unsure.
const SAMPLES_MIN: usize = 4;

/// Where the two sockets are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) client: SocketAddrV4,
    pub(crate) server: SocketAddrV4,
}

/// The purpose of a request of this part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A part of the firewall check: it is to be sent to this port.
    Probe { port: u16 },
    /// What does a node see as our address? `users`: it is a bootstrap node.
    View { users: bool },
}

/// What the rest of the node has to know, or to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Requests of the firewall check that are under way are wanted no longer.
    ProbesEnd,
    ViewsEnd,
    /// The word of every node of the table counts again.
    ForgetSamples,
    /// The node is reachable at its [own address](Reach::own_addr), so that its id follows.
    Reachable,
    /// The reachability was checked; whether peers reach the node.
    Looked(bool),
}

/// The most news that there can be before they are polled.
const NEWS_MAX: usize = 8;

/// The node's table and sources, which this part reads.
#[derive(Clone, Copy)]
pub(crate) struct Others<'a> {
    pub(crate) table: &'a Table,
    pub(crate) sources: &'a Sources,
}

#[derive(Clone)]
pub(crate) struct Reach {
    binding: Option<Binding>,
    ephemeral: bool,
    firewalled: bool,
    nat: Sampler,
    /// Nodes without an id whose word on our address counted: few, since one attacker can be many.
    anonymous: Vec<SocketAddrV4>,
    /// The own public address: as configured, or the address that the own id is made of.
    own_addr: Option<SocketAddrV4>,
    /// The id derives from fewer than [`SAMPLES_MIN`] samples.
    id_is_unsure: bool,
    /// Boxed: it is seldom there, and large.
    probe: Option<Box<Probe>>,
    looks: Looks,
    survey: Survey,
    stability: Stability,
    told: Persistence,
    /// Addresses to ask, all for the same purpose.
    asks: heapless::Vec<SocketAddrV4, SPREAD, u8>,
    step: Step,
    news: heapless::Vec<News, NEWS_MAX, u8>,
}

impl Reach {
    pub(crate) fn new(config: &Config) -> Self {
        let mut nat = Sampler::default();
        if let Some(addr) = config.public_address {
            nat.add(addr);
        }
        let mut reach = Self {
            binding: None,
            ephemeral: true,
            firewalled: config.firewalled,
            nat,
            anonymous: Vec::new(),
            own_addr: config.public_address,
            id_is_unsure: false,
            probe: None,
            looks: Looks::new(),
            survey: Survey::default(),
            stability: Stability::new(config.ephemeral.is_none() && config.adaptive),
            told: Persistence::Bootstrapping,
            asks: heapless::Vec::new(),
            step: Step::View { users: false },
            news: heapless::Vec::new(),
        };
        reach.told = reach.persistence(config, false);
        reach
    }

    /// What it takes of the heap, at most.
    pub(crate) fn add_to(heap: &mut Heap, config: &Config) {
        heap.exact::<Probe>(1);
        heap.lists::<SocketAddrV4>(1, config.bootstrap.len());
    }

    pub(crate) const fn is_ephemeral(&self) -> bool {
        self.ephemeral
    }

    pub(crate) const fn is_firewalled(&self) -> bool {
        self.firewalled
    }

    pub(crate) const fn binding(&self) -> Option<Binding> {
        self.binding
    }

    /// The own public address: as configured, or the address that the own id is made of.
    pub(crate) const fn own_addr(&self) -> Option<SocketAddrV4> {
        self.own_addr
    }

    /// The socket that requests leave by: by the server's once the node knows that it is reachable.
    pub(crate) const fn request_via(&self) -> Via {
        if self.firewalled { Via::Client } else { Via::Server }
    }

    /// The public host, as far as peers agree on one.
    pub(crate) fn host(&self) -> Option<Ipv4Addr> {
        self.nat.host()
    }

    /// The public port; 0 if unknown, or not the same for everyone.
    pub(crate) fn port(&self) -> u16 {
        self.nat.port()
    }

    /// Whether no peer has been heard yet whose word on our address counts.
    pub(crate) fn is_unseen(&self) -> bool {
        self.nat.size() == 0
    }

    /// Where the server socket is bound.
    pub(crate) fn server_port(&self) -> u16 {
        self.binding.map_or(0, |binding| binding.server.port())
    }

    /// The node's own addresses, which peers may name: each of its ports, at each host where it is known or bound.
    pub(crate) fn own_addrs(&self) -> heapless::Vec<SocketAddrV4, 8> {
        let mut all = heapless::Vec::new();
        let mut add = |addr| {
            // There are places for two sockets at three hosts, and two more.
            if !all.contains(&addr) {
                let _ = all.push(addr);
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
        all
    }

    /// Whether there is a request to make, or news.
    pub(crate) fn wants(&self) -> bool {
        !(self.asks.is_empty() && self.news.is_empty())
    }

    /// The next request to make: to whom, and what for.
    pub(crate) fn poll_ask(&mut self) -> Option<(SocketAddrV4, Step)> {
        let next = (!self.asks.is_empty()).then(|| self.asks.remove(0))?;
        Some((next, self.step))
    }

    /// A request could not be made.
    pub(crate) fn not_asked(&mut self, cx: &mut Cx, others: Others<'_>, step: Step) {
        match step {
            Step::Probe { .. } => self.on_probe(cx, others, None, false),
            Step::View { users } => self.on_view(cx, others, users, None),
        }
    }

    /// What the rest of the node has to know next. To be polled after each call.
    pub(crate) fn poll_news(&mut self) -> Option<News> {
        (!self.news.is_empty()).then(|| self.news.remove(0))
    }

    #[inline(never)]
    fn tell(&mut self, news: News) {
        // Each call tells of a few at most, and they are polled after it.
        let told = self.news.push(news);
        debug_assert!(told.is_ok(), "more news than there is room for");
    }

    /// A node has seen us as `to`, when it answered what we asked on our own account, by the socket in use.
    pub(crate) fn vote(&mut self, cx: &mut Cx, from: SocketAddrV4, to: SocketAddrV4) {
        if self.nat.add_from(to, *from.ip(), &cx.config.exempt) {
            self.emit_nat(cx);
            self.survey.sure &= !self.ephemeral;
        }
        self.survey.contradicted |= self.own_addr.is_some_and(|own| own.ip() != to.ip());
        self.confirm_own_addr(cx);
    }

    /// The same for a node without an id, whose word counts once, and only that of a few.
    pub(crate) fn vote_without_id(&mut self, cx: &mut Cx, from: SocketAddrV4, to: SocketAddrV4) {
        let most = cx.config.bootstrap.len().max(1);
        if self.anonymous.len() < most && !self.anonymous.contains(&from) {
            self.anonymous.push(from);
            self.vote(cx, from, to);
        }
    }

    /// A node of the table has seen us as `to`, whether that counts as a vote now or not.
    pub(crate) fn seen_as(&mut self, to: SocketAddrV4) {
        if self.own_addr.is_some_and(|own| own.ip() != to.ip()) {
            self.looks.doubt();
        }
    }

    /// The first few peers may be wrong about our address, by accident or on purpose, and every other peer rejects an id
    /// made of a wrong address. So as soon as enough peers have been heard, the id is made of the address they agree
    /// on. (The reference keeps the wrong one.) From then on it stays until a check shows another
    /// address: a crowd that outvotes honest nodes later must not take it away.
    fn confirm_own_addr(&mut self, cx: &mut Cx) {
        let own = self.own_addr.filter(|_| self.id_is_unsure && self.nat.size() >= SAMPLES_MIN);
        let (Some(own), Some(host)) = (own, self.nat.host()) else { return };
        let addr = SocketAddrV4::new(host, self.nat.port());
        if self.ephemeral || !may_have_id_of(&cx.config, addr, own) {
            return;
        }
        self.id_is_unsure = false;
        if addr != own {
            self.become_reachable(cx, addr, false);
        }
    }

    fn emit_nat(&self, cx: &mut Cx) {
        cx.emit(Event::NatUpdate { host: self.nat.host(), port: self.nat.port() });
    }

    /// Whether a persistent node may have moved to `addr`: not where another one is, nor out of the internet.
    fn may_be_at(&self, cx: &Cx, others: Others<'_>, addr: SocketAddrV4) -> bool {
        let was_local = self.own_addr.is_some_and(|own| is_local(*own.ip()));
        is_host(addr)
            && (was_local || !is_local(*addr.ip()))
            && others.table.get(addr).is_none()
            && others.sources.bootstrap(&cx.config, self.own_addr).all(|other| other != addr)
    }

    /// A persistent node is at `addr`, as these views have it, and not where it was.
    fn move_to(&mut self, cx: &mut Cx, addr: SocketAddrV4, views: Sampler) {
        self.take_views(cx, views);
        self.tell(News::ForgetSamples);
        self.become_reachable(cx, addr, false);
    }

    /// Has these views of the own address instead of the ones before.
    fn take_views(&mut self, cx: &mut Cx, views: Sampler) {
        self.anonymous.clear();
        let before = (self.nat.host(), self.nat.port());
        self.nat = views;
        if before != (self.nat.host(), self.nat.port()) {
            self.emit_nat(cx);
        }
    }

    /// Nodes that have told the own address are asked anew.
    fn forget_views(&mut self, cx: &mut Cx) {
        self.stop_survey();
        self.take_views(cx, Sampler::default());
        self.tell(News::ForgetSamples);
    }

    /// The node is reachable at `addr`: its id follows, and its table is rebuilt around it.
    fn become_reachable(&mut self, cx: &Cx, addr: SocketAddrV4, only_firewall: bool) {
        self.own_addr = Some(addr);
        let given = cx.config.public_address == Some(addr);
        self.id_is_unsure = self.nat.size() < SAMPLES_MIN && !given;
        self.survey.sure = given;
        if !only_firewall {
            self.ephemeral = false;
        }
        self.tell(News::Reachable);
    }

    fn become_ephemeral(&mut self, cx: &mut Cx) {
        if !self.ephemeral {
            self.ephemeral = true;
            cx.emit(Event::Ephemeral);
        }
    }

    /// Peers do not reach the node, as far as is known.
    fn lose_reachability(&mut self, cx: &mut Cx) {
        self.looks.anew();
        self.stability.try_later();
        if !self.firewalled {
            // From now on requests leave by the client socket.
            self.firewalled = true;
            self.forget_views(cx);
        }
        self.become_ephemeral(cx);
    }

    /// The sockets are bound, for the first time or anew; maybe elsewhere than before, which no peer has to tell us.
    /// A node that is told to be reachable has another id at once then; for another one nothing is known of the new port.
    pub(crate) fn bind(&mut self, cx: &mut Cx, bound: Binding) {
        let Some(before) = self.binding.replace(bound) else { return };
        if bound.client != before.client && self.firewalled {
            self.forget_views(cx);
        }
        if bound.server == before.server {
            return;
        }
        // It is about the old port, and its outcome would count for the new one.
        let check = self.probe.take();
        self.tell(News::ProbesEnd);
        if cx.config.firewalled {
            self.lose_reachability(cx);
        } else {
            self.move_server(cx, before.server, bound.server);
        }
        if check.is_some_and(|check| check.aim != firewall::Aim::Again) {
            self.tell(News::Looked(false));
        }
    }

    fn move_server(&mut self, cx: &mut Cx, before: SocketAddrV4, bound: SocketAddrV4) {
        self.forget_views(cx);
        let Some(own) = self.own_addr else { return };
        let same_host = own.ip() == before.ip();
        let host = if same_host { *bound.ip() } else { *own.ip() };
        let same_port = own.port() == before.port();
        let port = if same_port { bound.port() } else { own.port() };
        let addr = SocketAddrV4::new(host, port);
        if cx.config.public_address.is_some() && self.nat.add(addr) {
            self.emit_nat(cx);
        }
        if self.ephemeral || !is_sendable(addr) {
            self.own_addr = Some(addr);
        } else if addr != own {
            self.become_reachable(cx, addr, false);
        }
    }

    /// The network has changed, or may have: what peers said of the own address may be out of date.
    fn doubt(&mut self) {
        self.anonymous.clear();
        self.looks.doubt();
    }

    /// The network has changed. An ephemeral node that peers reached in the one before asks anew before it becomes
    /// persistent; a persistent node is looked at soon.
    pub(crate) fn change_network(&mut self, cx: &mut Cx) {
        self.doubt();
        if self.ephemeral && !self.firewalled && cx.config.firewalled {
            self.firewalled = true;
            self.forget_views(cx);
        }
    }

    /// The machine has slept: a node that decides by itself proves anew that it is reached, after a while.
    pub(crate) fn wake_up(&mut self, cx: &mut Cx) {
        self.stability.try_later();
        self.doubt();
        if self.stability.adaptive {
            self.become_ephemeral(cx);
        }
    }

    /// The node is suspended, or closed: nothing is looked into any more.
    pub(crate) fn stop(&mut self) {
        self.probe = None;
        self.asks.clear();
        self.survey.anew();
    }

    /// Why the node is persistent, or is not.
    pub(crate) fn persistence(&self, config: &Config, bootstrapped: bool) -> Persistence {
        let wanted = config.ephemeral == Some(false);
        let failed = self.looks.has_failed();
        match (self.nat.host(), self.nat.port()) {
            _ if !self.ephemeral && !config.firewalled => Persistence::Told,
            _ if !self.ephemeral => Persistence::Reachable,
            _ if !wanted && !self.stability.adaptive => Persistence::Declined,
            _ if !bootstrapped => Persistence::Bootstrapping,
            _ if !wanted && !self.stability.is_stable() && !failed => Persistence::Settling,
            (None, _) => Persistence::AddressUnknown,
            (Some(_), 0) => Persistence::PortVaries,
            _ if failed => Persistence::Unreachable,
            _ => Persistence::Unchecked,
        }
    }

    /// What is to be told of it, if that has not been told yet.
    pub(crate) fn persistence_news(
        &mut self,
        config: &Config,
        bootstrapped: bool,
    ) -> Option<Event> {
        let now = self.persistence(config, bootstrapped);
        let before = core::mem::replace(&mut self.told, now);
        (before != now).then_some(Event::Persistence(now))
    }

    /// `probes` and `views`: how many of its requests of either kind are under way.
    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn check_invariants(&self, probes: usize, views: usize) {
        assert_eq!(usize::from(self.survey.open), views, "a survey waits for nothing");
        assert!(self.probe.is_none() || probes > 0, "a check waits for nothing");
        assert!(self.news.is_empty() && self.asks.is_empty(), "nobody was told");
    }

    /// What an answer may teach here.
    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn taught(&self) -> alloc::string::String {
        alloc::format!("{:?}", (&self.nat, &self.anonymous, self.looks.is_doubted()))
    }

    #[cfg(any(test, feature = "_invariants"))]
    pub(crate) fn is_checking(&self) -> bool {
        self.probe.is_some()
    }
}

/// Whether a node that took itself to be at `own` may be at `addr`: only the bound port was found to be reachable.
fn may_have_id_of(config: &Config, addr: SocketAddrV4, own: SocketAddrV4) -> bool {
    is_sendable(addr) && (!config.firewalled || addr.port() == own.port())
}
