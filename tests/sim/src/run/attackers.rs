//! Attackers of a scenario: who each becomes, once it is known who is there to be attacked.

use std::net::{Ipv4Addr, SocketAddrV4};

use dht_core::Node;

use super::{Run, Step};
use crate::attack::{
    Flood, Flooder, FlooderConfig, Grinder, GrinderConfig, HintAbuser, HintAbuserConfig, Liar,
    LiarConfig, Names, Pace, Replayer, ReplayerConfig, Sees, Sources, Spoofer, SpooferConfig,
    addresses, closest_addresses,
};
use crate::checks::ECHO;
use crate::scenario::{Attack, AttackKind, Stands};
use crate::sim::Actor;
use crate::world::{HostId, Purpose, SECOND, Stream};

/// The stream of what attackers choose; that of random scenarios is the one before.
const ATTACKERS: u32 = u32::MAX - 2;
/// The port of an attacker that needs but one.
const PORT: u16 = 4_000;
/// In the names of this many nodes an attacker guesses, and from this many it wants tokens.
const NAMES_MAX: usize = 20;
/// This many nodes are told lies about one node.
const TOLD_MAX: usize = 100;
/// Nodes of one who searches all ports of its hosts, and how many addresses it hashes for that.
const GROUND: u32 = 64;
const SEARCHED: u32 = 64_512;
/// Addresses named in an answer: as many as an honest one would have, and far too many.
const DOORS: u16 = 20;
const DEAD: u16 = 230;
/// Some of the places in an answer are left for its own nodes.
const GROUND_DEAD: u16 = 12;
/// Wrong answers to each right question.
const STRAYS: u32 = 2;
/// What was overheard is sent again at once, while a token is good, and when it is not any more.
const AGAIN_US: [u64; 3] = [50_000, 5 * SECOND, 20 * SECOND];
/// Datagrams overheard per second, at most; the attacker's own may be among them.
const OVERHEARD: u64 = 100;

impl Run {
    /// An attacker of the scenario begins, unless there is no node that it could attack.
    pub(super) fn attack(&mut self, at: usize) {
        let Some(attack) = self.scenario.attacks.get(at).copied() else { return };
        let victim = HostId(attack.victim % self.sim.hosts());
        let ips = self.stand(at, &attack, victim);
        // A stream of its own, by its time, as with faults.
        let when = (attack.at_us / 1_000) as u32;
        let draws = Stream::of_pair(self.scenario.seed, Purpose::Scenario, ATTACKERS, when);
        let total = u128::from(attack.rate) * u128::from(attack.for_us) / u128::from(SECOND);
        let total = u64::try_from(total).unwrap_or(u64::MAX).max(1);
        let start = Start {
            run: self,
            attack,
            node: self.sim.node(victim),
            client: self.sim.client_address(victim),
            server: self.sim.address(victim),
            ips: &ips,
            own: addresses(&ips, PORT, 1).collect(),
            pace: Pace { total, ..Pace::per_second(attack.rate, 1) },
            draws,
        };
        let Some(attacker) = start.attacker() else { return };
        let sees = matches!(attack.kind, AttackKind::Spoof | AttackKind::Replay);
        let attacker = self.sim.add_boxed_actor(&ips, attacker);
        if sees {
            self.sim.overhear(victim, attacker);
        }
        self.attackers.push(attacker);
        self.plan(self.sim.now().saturating_add(attack.for_us), Step::Retreat(attacker));
    }

    /// Where an attacker has its hosts.
    fn stand(&self, at: usize, attack: &Attack, victim: HostId) -> Vec<Ipv4Addr> {
        let hosts = 0..attack.hosts;
        if attack.stands == Stands::Beside && self.sim.is_public(victim) {
            let free: Vec<_> = self.sim.free_beside(victim).take(attack.hosts as usize).collect();
            if !free.is_empty() {
                return free;
            }
        }
        match attack.stands {
            Stands::Apart => hosts.map(|host| address(at, host)).collect(),
            Stands::Together | Stands::Beside => hosts.map(|host| together(at, host)).collect(),
        }
    }

    /// All attackers are gone.
    pub(super) fn end_attacks(&mut self) {
        for attacker in std::mem::take(&mut self.attackers) {
            self.sim.remove_actor(attacker);
        }
    }

    /// The addresses of all nodes that are up and can be reached.
    fn public_nodes(&self) -> impl Iterator<Item = SocketAddrV4> + '_ {
        let hosts = self.sim.nodes().map(|(at, _)| at).filter(|at| self.sim.is_public(*at));
        hosts.map(|at| self.sim.address(at))
    }

    /// The addresses of all nodes that have this one in their tables.
    pub(super) fn who_knows(&self, addr: SocketAddrV4) -> impl Iterator<Item = SocketAddrV4> + '_ {
        let hosts = self.sim.nodes().filter(move |(_, node)| node.nodes().any(|at| at == addr));
        hosts.map(|(at, _)| self.sim.address(at))
    }
}

/// What an attacker goes by when it begins.
struct Start<'a> {
    run: &'a Run,
    attack: Attack,
    /// The victim's node, if it is up, and its addresses.
    node: Option<&'a Node>,
    client: SocketAddrV4,
    server: SocketAddrV4,
    /// The attacker's hosts, and one address on each.
    ips: &'a [Ipv4Addr],
    own: Vec<SocketAddrV4>,
    pace: Pace,
    draws: Stream,
}

/// An attacker; `None` if it finds no node to attack.
type Begun = Option<Box<dyn Actor>>;

impl Start<'_> {
    fn attacker(mut self) -> Begun {
        let kind = self.attack.kind;
        if self.node.is_none() && !kind.unused().contains(&"victim") {
            return None;
        }
        match kind {
            AttackKind::Guess => {
                let asked: Vec<_> = self.node?.nodes().take(NAMES_MAX).collect();
                if asked.is_empty() { None } else { self.spoofer(asked) }
            }
            AttackKind::Spoof => self.spoofer(Vec::new()),
            AttackKind::Grind => self.grinder(0),
            AttackKind::GrindDead => self.grinder(GROUND_DEAD),
            AttackKind::LieNobody => self.liar(Names::Nobody, Sees::Truth),
            AttackKind::LieDead => self.liar(Names::Dead(DEAD), Sees::Truth),
            AttackKind::LieNear => {
                let own_host = self.draws.chance(0.5).then_some(Sources::Anywhere);
                let sources = own_host.unwrap_or_else(|| hosts_of(self.ips));
                self.liar(Names::Near { sources, of: SEARCHED, count: DOORS }, Sees::Truth)
            }
            AttackKind::LieDoors => {
                let house = *Sources::Anywhere.draw(&mut self.draws).ip();
                self.liar(Names::Doors(house, DOORS), Sees::Truth)
            }
            AttackKind::LieImpossible => self.liar(Names::Impossible, Sees::Truth),
            AttackKind::LieAddress => self.liar(Names::Nobody, Sees::Anything),
            AttackKind::Hints => {
                let victims = self.run.who_knows(self.server).take(TOLD_MAX).collect();
                let own = self.draws.chance(0.5);
                let sources = if own { self.these() } else { Sources::Anywhere };
                self.hints(vec![self.server], victims, sources, 1)
            }
            AttackKind::FloodIds if self.attack.hosts == 1 => {
                self.flooder(Flood::Ids, Sources::Host(*self.ips.first()?))
            }
            AttackKind::FloodIds => self.flooder(Flood::Ids, self.these()),
            AttackKind::FloodDelayedPings => {
                let delay = self.draws.below(10_000) as u32;
                self.flooder(Flood::DelayedPings(delay), self.these())
            }
            AttackKind::FloodFindNode => self.flooder(Flood::FindNode, self.these()),
            AttackKind::FloodCommands => self.flooder(Flood::Command(ECHO), self.these()),
            AttackKind::FloodMalformed => self.flooder(Flood::Malformed, Sources::Anywhere),
            AttackKind::Replay => self.replayer(),
            AttackKind::Slander => {
                let about = self.node?.nodes().collect();
                self.hints(about, vec![self.server], self.these(), 0)
            }
        }
    }

    fn these(&self) -> Sources {
        Sources::These(self.own.clone())
    }

    /// It guesses in the names of these nodes, or, without any, answers what it overhears.
    fn spoofer(mut self, asked: Vec<SocketAddrV4>) -> Begun {
        let guesses = !asked.is_empty();
        boxed(Spoofer::new(SpooferConfig {
            asked,
            victims: vec![self.client, self.server],
            pace: Pace { total: if guesses { self.pace.total } else { 0 }, ..self.pace },
            provoke: guesses && self.draws.chance(0.5),
            with_id: self.draws.chance(0.5),
            names: vec![Sources::Anywhere.draw(&mut self.draws)],
            strays: if guesses { 0 } else { STRAYS },
            ..SpooferConfig::default()
        }))
    }

    fn grinder(self, dead: u16) -> Begun {
        let key = self.node?.table_id();
        boxed(Grinder::new(GrinderConfig {
            ips: self.ips.to_vec(),
            ports: (SEARCHED / self.ips.len() as u32) as u16,
            near: Some(key),
            nodes: GROUND,
            dead,
            // The nodes whose tables matter most to a lookup of the key are told again and again.
            targets: closest_addresses(self.run.public_nodes(), &key, TOLD_MAX),
            known_max: TOLD_MAX as u32,
            pace: self.pace,
            ..GrinderConfig::default()
        }))
    }

    fn liar(self, names: Names, sees: Sees) -> Begun {
        let targets = self.run.public_nodes().collect();
        boxed(Liar::new(LiarConfig { addrs: self.own, names, sees, targets, pace: self.pace }))
    }

    fn flooder(&self, flood: Flood, sources: Sources) -> Begun {
        let (targets, pace) = (vec![self.server], self.pace);
        boxed(Flooder::new(FlooderConfig { flood, targets, sources, pace }))
    }

    fn hints(
        &self,
        about: Vec<SocketAddrV4>,
        victims: Vec<SocketAddrV4>,
        sources: Sources,
        answers: u32,
    ) -> Begun {
        let pace = self.pace;
        boxed(HintAbuser::new(HintAbuserConfig { about, victims, sources, pace, answers }))
    }

    fn replayer(self) -> Begun {
        let records = (self.attack.for_us / SECOND).max(1) * OVERHEARD;
        boxed(Replayer::new(ReplayerConfig {
            addr: *self.own.first()?,
            ask: self.run.public_nodes().take(NAMES_MAX).collect(),
            command: ECHO,
            delays_us: AGAIN_US.to_vec(),
            sources: Vec::new(),
            records: u32::try_from(records).unwrap_or(u32::MAX),
        }))
    }
}

/// A host of the attacker with this number, in a network without other hosts: 160.0.0.0/8.
fn address(attacker: usize, host: u32) -> Ipv4Addr {
    Ipv4Addr::new(160, attacker as u8, host as u8, 1)
}

/// The same if all are in one network.
fn together(attacker: usize, host: u32) -> Ipv4Addr {
    Ipv4Addr::new(160, attacker as u8, 0, 1 + host as u8)
}

/// All ports of the first of these hosts: most are without a node.
fn hosts_of(ips: &[Ipv4Addr]) -> Sources {
    ips.first().map_or(Sources::Anywhere, |ip| Sources::Host(*ip))
}

fn boxed<A: Actor>(attacker: Result<A, String>) -> Begun {
    Some(Box::new(attacker.ok()?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dht_core::{DropStats, wire};

    use super::*;
    use crate::Direction;
    use crate::What;
    use crate::scenario::{Fault, FaultKind, Scenario};

    const NODES: u32 = 20;
    const VICTIM: HostId = HostId(3);
    /// After the nodes and the prober.
    const ATTACKER: HostId = HostId(NODES + 1);
    const FROM: u64 = 5 * SECOND;
    const FOR: u64 = 30 * SECOND;

    fn scenario(kind: AttackKind) -> Scenario {
        // The numbers of hosts begin anew after the last, of which the prober is one.
        let victim = VICTIM.0 + NODES + 1;
        let attack = Attack { victim, at_us: FROM, for_us: FOR, ..kind.into() };
        let attacks = vec![attack];
        let (run_us, checks) = (60 * SECOND, true);
        Scenario { nodes: NODES, run_us, lookups: 6, attacks, checks, ..Scenario::default() }
    }

    /// What an attack came to.
    struct Seen {
        /// When the attacker sent something, from the beginning of the third phase.
        sent: Vec<u64>,
        /// How much it was sent.
        received: usize,
        /// And at addresses of its hosts where it has no node.
        silent: usize,
        /// Of how many nodes it is in the table, halfway.
        known: usize,
        /// What the victim counted, and all nodes together.
        drops: DropStats,
        strangers_named: u64,
        verified: u64,
        /// Requests of all nodes while it lasted, and datagrams to addresses without a socket.
        requests: u64,
        astray: u64,
        /// Answers of the attacker that tell the asker another address for its own.
        misleading: usize,
    }

    /// Requests that all nodes have made, and datagrams to addresses without a socket.
    fn made(run: &Run) -> (u64, u64) {
        let nodes = (0..NODES).filter_map(|host| run.sim().node(HostId(host)));
        let requests = nodes.map(|node| node.stats().requests.total).sum();
        (requests, run.sim().counts().unreachable)
    }

    /// Whether a datagram to `dest` is an answer that names another receiver.
    fn misleads(bytes: &[u8], dest: SocketAddrV4) -> bool {
        matches!(wire::decode(bytes), Ok(wire::Message::Response(response)) if response.to != dest)
    }

    fn see(kind: AttackKind) -> Seen {
        let mut run = Run::new(scenario(kind)).unwrap();
        let from = run.scenario().run_from();
        run.sim_mut().tap(ATTACKER);
        run.run_to(from + FROM - 1).unwrap();
        let before = made(&run);
        run.run_to(from + FROM + FOR / 2).unwrap();
        let is_attacker = |addr: SocketAddrV4| addr.ip().octets()[0] == 160;
        let nodes: Vec<_> = (0..NODES).filter_map(|host| run.sim().node(HostId(host))).collect();
        let known = nodes.iter().filter(|node| node.nodes().any(is_attacker)).count();
        run.run_to(from + FROM + FOR).unwrap();
        let after = made(&run);
        let (requests, astray) = (after.0 - before.0, after.1 - before.1);
        run.finish().unwrap();
        let (mut sent, mut received, mut misleading) = (Vec::new(), 0, 0);
        let (mut speaks, mut asked) = (BTreeSet::new(), Vec::new());
        for tapped in run.sim_mut().take_tapped(ATTACKER) {
            match tapped.what {
                What::Datagram { direction: Direction::Out, from: own, to, bytes } => {
                    speaks.insert(own);
                    misleading += usize::from(misleads(&bytes, to));
                    sent.push(tapped.at - from);
                }
                What::Datagram { to, .. } => {
                    asked.push(to);
                    received += 1;
                }
                _ => {}
            }
        }
        let stats = (0..NODES).filter_map(|host| run.sim().node(HostId(host)));
        let stats: Vec<_> = stats.map(Node::stats).collect();
        let drops = run.sim().node(VICTIM).unwrap().stats().drops;
        let strangers_named = stats.iter().map(|stats| stats.drops.closer_nodes).sum();
        let verified = stats.iter().map(|stats| stats.verifications.failed).sum();
        let silent = asked.iter().filter(|addr| !speaks.contains(addr)).count();
        Seen {
            silent,
            sent,
            received,
            known,
            drops,
            strangers_named,
            verified,
            requests,
            astray,
            misleading,
        }
    }

    #[test]
    fn each_does_what_it_is_for_and_is_gone_in_time() {
        let mut wrong = Vec::new();
        for kind in AttackKind::ALL.iter().copied() {
            let seen = see(kind);
            let (first, last) = (seen.sent[0], seen.sent[seen.sent.len() - 1]);
            assert!((FROM..FROM + 20 * SECOND).contains(&first), "{kind:?}: {first}");
            assert!((first..=FROM + FOR).contains(&last), "{kind:?}: {last}");
            let Seen { received, known, drops, strangers_named, verified, .. } = seen;
            let Seen { requests, astray, misleading, silent, .. } = seen;
            let nowhere = astray + silent as u64;
            let liar = known > 10 && received > 50;
            let (shows, count) = match kind {
                AttackKind::Guess => (drops.unsolicited > 1_000, drops.unsolicited),
                AttackKind::Spoof => (drops.wrong_source > 0, drops.wrong_source),
                AttackKind::Grind => (known > 5, known as u64),
                AttackKind::GrindDead => (known > 5 && silent > 20, silent as u64),
                // Its lies are asked after, as far as each goes.
                AttackKind::LieNobody => (liar && astray == 0 && misleading == 0, received as u64),
                AttackKind::LieDead => (liar && astray > 100, astray),
                AttackKind::LieNear => (liar && nowhere > 10, nowhere),
                AttackKind::LieDoors => (known > 10 && (10..100).contains(&astray), astray),
                AttackKind::LieAddress => (liar && misleading > 1_000, misleading as u64),
                AttackKind::LieImpossible => (strangers_named > 100, strangers_named),
                // About 130 of them are the nodes' own; the rest ask whether the victim is there.
                AttackKind::Hints => (requests > 200, requests),
                // Of a silent /24 four a minute are asked.
                AttackKind::FloodIds => (verified > 10, verified),
                AttackKind::FloodDelayedPings => (drops.delayed_pings > 1_000, drops.delayed_pings),
                AttackKind::FloodFindNode | AttackKind::FloodCommands => {
                    (received > 2_900, received as u64)
                }
                AttackKind::FloodMalformed => (drops.malformed > 500, drops.malformed),
                AttackKind::Replay => (drops.unsolicited > 10, drops.unsolicited),
                AttackKind::Slander => (drops.down_hints > 100, drops.down_hints),
            };
            if !shows {
                wrong.push((kind, count));
            }
        }
        assert_eq!(wrong, []);
    }

    #[test]
    fn who_heals_is_left_alone() {
        let attack = Attack { for_us: 3_600 * SECOND, ..AttackKind::FloodIds.into() };
        let (attacks, heal_us) = (vec![attack], Some(60 * SECOND));
        let (nodes, run_us) = (NODES, 30 * SECOND);
        let scenario = Scenario { nodes, run_us, attacks, heal_us, ..Scenario::default() };
        let mut run = Run::new(scenario).unwrap();
        run.sim_mut().tap(HostId(NODES));
        run.finish().unwrap();
        let tapped = run.sim_mut().take_tapped(HostId(NODES));
        assert_eq!(tapped.iter().filter(|tapped| tapped.at > 150 * SECOND).count(), 0);
        assert!(tapped.len() > 2_000);
    }

    #[test]
    fn only_what_is_unused_makes_no_difference() {
        let trace = |attack: Attack, crashed: bool| {
            let crash = Fault { at_us: 0, what: FaultKind::Crash { host: VICTIM.0 } };
            let faults = if crashed { vec![crash] } else { Vec::new() };
            let (attacks, run_us, lookups) = (vec![attack], 40 * SECOND, 6);
            let nodes = NODES;
            let usual = Scenario::default();
            let scenario =
                Scenario { nodes, run_us, lookups, attacks, faults, checks: true, ..usual };
            let mut run = Run::new(scenario).unwrap();
            run.finish().unwrap();
            run.sim().trace_hash()
        };
        for kind in AttackKind::ALL.iter().copied() {
            let plain = Attack { victim: VICTIM.0, at_us: FROM, for_us: FOR, ..kind.into() };
            let usual = trace(plain, false);
            for (field, other) in [
                ("victim", Attack { victim: 5, ..plain }),
                ("rate", Attack { rate: 50, ..plain }),
                ("hosts", Attack { hosts: 3, ..plain }),
                ("stands", Attack { stands: Stands::Beside, ..plain }),
            ] {
                // Whether there are hints from hosts of its own is drawn: not with this seed.
                let unseen = kind == AttackKind::Hints && matches!(field, "hosts" | "stands");
                let unused = kind.unused().contains(&field) || unseen;
                assert_eq!(trace(other, false) == usual, unused, "{kind:?}: {field}");
            }
            // Without its victim, only who needs none does anything.
            let goes_on = trace(plain, true) != trace(Attack { rate: 50, ..plain }, true);
            assert_eq!(goes_on, kind.unused().contains(&"victim"), "{kind:?}");
        }
    }
}
