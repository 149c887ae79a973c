//! Where hosts are: whose each address is, and which ones are given out.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::addrs::{self, HOSTS_MAX, Owner};
use crate::host::port_of;
use crate::sim::Sim;
use crate::{HostId, NatId};

impl Sim {
    /// The server address that the next host will get, if it asks for none and is behind no NAT.
    #[must_use]
    pub fn next_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(addrs::in_row(self.hosts.len()), port_of(0))
    }

    /// The address of the server socket as the public network sees it, unless a NAT translates it.
    #[must_use]
    pub fn address(&self, host: HostId) -> SocketAddrV4 {
        self.hosts[host.index()].server()
    }

    /// The address of the client socket, likewise.
    #[must_use]
    pub fn client_address(&self, host: HostId) -> SocketAddrV4 {
        self.hosts[host.index()].client()
    }

    /// Notes whose an address is.
    pub(crate) fn claim(&mut self, ip: Ipv4Addr, owner: Owner) {
        assert!(self.addrs.claim(ip, owner), "{ip} is somebody's already");
    }

    /// Where a new host is.
    pub(crate) fn place(
        &mut self,
        at: HostId,
        ip: Option<Ipv4Addr>,
        nat: Option<NatId>,
    ) -> Ipv4Addr {
        assert!(at.index() < HOSTS_MAX, "there are addresses for {HOSTS_MAX} hosts");
        if let Some(nat) = nat {
            let inner = if self.nats[nat.index()].is_firewall() {
                self.next_behind(nat)
            } else {
                Ipv4Addr::from(0x0a00_0002 + at.0)
            };
            self.inner_hosts.insert((nat, inner), at);
            return inner;
        }
        match ip {
            Some(ip) => {
                self.claim(ip, Owner::Host(at));
                ip
            }
            None => addrs::in_row(at.index()),
        }
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
    use crate::Spec;
    use crate::attack::Bystander;
    use crate::nat::{Kind, Nat};

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
