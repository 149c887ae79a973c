//! Where hosts are: whose each address is, and which ones are given out.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::Sim;
use crate::world::addresses::{
    ADDRESSES_PER_NETWORK_MAX, Addresses, Model, NODES_PER_ADDRESS_MAX, Place, Who,
};
use crate::world::addrs::{HOSTS_MAX, Owner, port_of};
use crate::world::{HostId, NatId, addrs};

impl Sim {
    /// The server address that the next host will get, if it asks for none and is behind no NAT.
    pub fn next_address(&self) -> SocketAddrV4 {
        let Place { ip, slot } = self.next_place(HostId(self.hosts.len() as u32)).0;
        SocketAddrV4::new(ip, port_of(slot, 0))
    }

    /// The address of the server socket as the public network sees it, unless a NAT translates it.
    pub fn address(&self, host: HostId) -> SocketAddrV4 {
        self.hosts[host.index()].server()
    }

    /// The address of the client socket, likewise.
    pub fn client_address(&self, host: HostId) -> SocketAddrV4 {
        self.hosts[host.index()].client()
    }

    /// Notes whose an address is.
    pub(crate) fn claim(&mut self, ip: Ipv4Addr, owner: Owner) {
        assert!(self.addrs.claim(ip, owner), "{ip} is somebody's already");
    }

    /// From now on hosts and NATs that ask for no address draw one from a model in which some share a /24
    /// or an address. Without this each has a /24 of its own.
    ///
    /// # Errors
    /// If it is impossible; the field is named.
    pub fn set_addresses(&mut self, addresses: Addresses) -> Result<(), String> {
        addresses.check()?;
        self.model = Some(Box::new(Model::new(addresses, self.seed)));
        Ok(())
    }

    /// How many hosts are to be behind the next NAT, by the model; one without.
    pub(crate) fn behind_next_nat(&self) -> u32 {
        self.model.as_ref().map_or(1, |model| model.behind(self.nats.len() as u32))
    }

    /// Free addresses in the /24 of a host, which no later host will be given.
    pub(crate) fn free_beside(&self, host: HostId) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let network = self.address(host).ip().to_bits() & !0xff;
        let last = ADDRESSES_PER_NETWORK_MAX + 1..u32::from(u8::MAX);
        let ips = last.rev().map(move |last| Ipv4Addr::from(network + last));
        ips.filter(|ip| !self.addrs.is_taken(*ip))
    }

    /// Where the next host is that asks for no address, and the model then.
    fn next_place(&self, at: HostId) -> (Place, Option<Model>) {
        match self.model.as_deref().copied() {
            Some(mut model) => (model.place(Who::Host(at.0)), Some(model)),
            None => (Place { ip: addrs::in_row(at.index()), slot: None }, None),
        }
    }

    /// Where a new host is.
    pub(crate) fn place(
        &mut self,
        at: HostId,
        ip: Option<Ipv4Addr>,
        slot: Option<u16>,
        nat: Option<NatId>,
    ) -> Place {
        assert!(at.index() < HOSTS_MAX, "there are addresses for {HOSTS_MAX} hosts");
        if let Some(nat) = nat {
            let inner = if self.nats[nat.index()].is_firewall() {
                self.next_behind(nat)
            } else {
                Ipv4Addr::from(0x0a00_0002 + at.0)
            };
            self.inner_hosts.insert((nat, inner), at);
            return Place { ip: inner, slot: None };
        }
        let place = match ip {
            Some(ip) => Place { ip, slot },
            None => {
                let (place, model) = self.next_place(at);
                let Some(model) = model else { return place };
                self.model = Some(Box::new(model));
                place
            }
        };
        let Place { ip, slot } = place;
        let Some(slot) = slot else {
            self.claim(ip, Owner::Host(at));
            return place;
        };
        assert!(u32::from(slot) < NODES_PER_ADDRESS_MAX, "{slot} is too large a number");
        assert!(self.addrs.claim_slot(ip, slot, at), "{slot} of {ip} is somebody's already");
        place
    }

    /// The next address behind a firewall, in a row from that of the firewall on.
    fn next_behind(&mut self, firewall: NatId) -> Ipv4Addr {
        let first = self.nats[firewall.index()].public_ip();
        let behind = (firewall, first)..=(firewall, Ipv4Addr::BROADCAST);
        let count = self.inner_hosts.range(behind).count() as u32;
        let room = u32::from(u8::MAX) - u32::from(first.octets()[3]);
        assert!(count < room, "a firewall stands before the rest of a /24");
        let ip = Ipv4Addr::from(first.to_bits() + count);
        self.claim(ip, Owner::Nat(firewall));
        ip
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dht_core::{Config, Request};

    use super::*;
    use crate::attack::Bystander;
    use crate::sim::Spec;
    use crate::world::nat::{Kind, Nat};

    const IP: Ipv4Addr = Ipv4Addr::new(90, 0, 0, 250);

    #[test]
    #[should_panic(expected = "90.0.0.250 is somebody's already")]
    fn an_address_is_nobody_elses() {
        let mut sim = Sim::new(1);
        sim.add_actor(&[IP], Bystander::new());
        sim.add_actor(&[IP], Bystander::new());
    }

    #[test]
    fn hosts_behind_a_firewall_have_the_rest_of_its_network() {
        let mut sim = Sim::new(1);
        let firewall = sim.add_nat_at(IP, Nat { kind: Kind::Firewall, ..Nat::default() });
        let mut add = || sim.add(Spec::new(Config::default()).behind(firewall)).unwrap();
        let hosts: Vec<_> = (0..5).map(|_| add()).collect();
        let last = hosts.iter().map(|host| sim.address(*host).ip().octets()[3]);
        assert_eq!(last.collect::<Vec<_>>(), [250, 251, 252, 253, 254]);
    }

    #[test]
    #[should_panic(expected = "a firewall stands before the rest of a /24")]
    fn a_network_is_full_some_time() {
        let mut sim = Sim::new(1);
        let firewall = sim.add_nat_at(IP, Nat { kind: Kind::Firewall, ..Nat::default() });
        for _ in 0..6 {
            sim.add(Spec::new(Config::default()).behind(firewall)).unwrap();
        }
    }

    /// What one host knows of the other: whether it gets an answer to a ping.
    fn reaches(sim: &mut Sim, from: HostId, to: HostId) -> bool {
        let request = Request::ping(sim.address(to)).retries(0);
        let answer = sim.ask_node(from, request, Duration::from_secs(5)).unwrap();
        matches!(answer, Some(Ok(_)))
    }

    #[test]
    fn nodes_at_one_address_are_told_apart_by_their_ports() {
        let mut sim = Sim::new(1);
        let first = sim.next_address();
        sim.add(Spec::bootstrapper(first).unwrap()).unwrap();
        let mut add = |n| sim.add(Spec::joining(&[first]).shared(IP, n)).unwrap();
        let hosts = [0, 1, 99].map(&mut add);
        sim.run_for(Duration::from_secs(30)).unwrap();
        let mut ports = std::collections::BTreeSet::new();
        for _ in 0..4 {
            for at in hosts {
                assert_eq!(*sim.address(at).ip(), IP);
                assert!(ports.insert(sim.address(at).port()), "a port was another node's");
                assert!(reaches(&mut sim, HostId(0), at), "{}", sim.address(at));
                assert!(hosts.iter().all(|other| at == *other || reaches(&mut sim, *other, at)));
                sim.crash(at);
                assert!(!reaches(&mut sim, HostId(0), at), "its neighbours are not it");
                sim.restart(at, crate::Return::Anew).unwrap();
            }
            sim.run_for(Duration::from_secs(10)).unwrap();
        }
    }

    #[test]
    #[should_panic(expected = "1 of 90.0.0.250 is somebody's already")]
    fn a_place_at_an_address_is_nobody_elses() {
        let mut sim = Sim::new(1);
        for n in [0, 1, 1] {
            sim.add(Spec::new(Config::default()).shared(IP, n)).unwrap();
        }
    }

    #[test]
    fn a_network_with_neighbours_finds_itself() {
        let mut sim = Sim::new(5);
        sim.set_addresses(Addresses::default()).unwrap();
        let first = sim.next_address();
        let bootstrap = sim.add(Spec::bootstrapper(first).unwrap()).unwrap();
        assert_eq!(sim.address(bootstrap), first, "as was said beforehand");
        for n in 0..120_u64 {
            let next = sim.next_address();
            let at = sim.add(Spec::joining(&[first]).after(50_000 * n)).unwrap();
            assert_eq!(sim.address(at), next);
        }
        let nat = sim.add_nat(Nat::default());
        assert_eq!(sim.nats[nat.index()].public_ip().octets()[0], 0x70, "NATs are among them");
        sim.run_for(Duration::from_secs(60)).unwrap();
        assert_eq!(sim.persistent_count(), 121);
        let ips: Vec<_> = (0..121).map(|n| *sim.address(HostId(n)).ip()).collect();
        let of = |ip: &Ipv4Addr| ips.iter().filter(|other| *other == ip).count();
        assert!(ips.iter().any(|ip| of(ip) > 5), "there is a server");
        // An attacker has room beside each host.
        assert_eq!(sim.free_beside(HostId(40)).count(), 128);
        let beside: Vec<_> = sim.free_beside(HostId(40)).take(3).collect();
        sim.add_actor(&beside, Bystander::new());
        assert_eq!(sim.free_beside(HostId(40)).count(), 125);
    }

    #[test]
    fn neighbours_behind_a_firewall_need_not_cross_it() {
        let mut sim = Sim::new(1);
        let first = sim.next_address();
        let outside = sim.add(Spec::bootstrapper(first).unwrap()).unwrap();
        let config = Nat { kind: Kind::Firewall, timeout_us: 1_000_000, ..Nat::default() };
        let firewall = sim.add_nat_at(IP, config);
        let inside = [0, 1].map(|_| {
            let spec = Spec::joining(&[first]).behind(firewall);
            sim.add(spec).unwrap()
        });
        sim.run_for(Duration::from_secs(30)).unwrap();
        assert!(reaches(&mut sim, inside[0], inside[1]) && reaches(&mut sim, inside[1], inside[0]));
        assert!(reaches(&mut sim, inside[0], outside), "who is asked may answer");
        sim.run_for(Duration::from_secs(2)).unwrap();
        assert!(!reaches(&mut sim, outside, inside[1]), "but not ask");
    }

    #[test]
    fn what_is_refused_was_sent() {
        let mut sim = Sim::new(1);
        let nat = sim.add_nat_at(IP, Nat { hairpin: false, ..Nat::default() });
        let host = sim.add(Spec::new(Config::default()).behind(nat)).unwrap();
        let to = SocketAddrV4::new(IP, 5_000);
        sim.with(host, |node, now| node.request(now, Request::ping(to).retries(0)));
        sim.run_for(Duration::from_secs(5)).unwrap();
        let counts = sim.counts();
        assert_eq!((counts.sent, counts.lost, counts.delivered), (1, 1, 0));
    }

    #[test]
    fn an_actor_that_is_gone_is_nobody() {
        let mut sim = Sim::new(1);
        let host = sim.add(Spec::new(Config::default())).unwrap();
        let actor = sim.add_actor(&[IP], Bystander::new());
        let ping = |sim: &mut Sim| {
            let request = Request::ping(SocketAddrV4::new(IP, 5_000)).retries(0);
            sim.with(host, |node, now| node.request(now, request));
            sim.run_for(Duration::from_secs(5)).unwrap();
        };
        ping(&mut sim);
        assert_eq!(sim.actor::<Bystander>(actor).map(|it| it.received().datagrams), Some(1));
        sim.remove_actor(actor);
        ping(&mut sim);
        assert_eq!((sim.counts().delivered, sim.counts().unreachable), (1, 1));
        assert!(sim.actor::<Bystander>(actor).is_none());
    }
}
