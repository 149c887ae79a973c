//! Attackers as code: what a stranger can do to a network, a file for each.
//!
//! Each is an [`Actor`](crate::Actor) made of a plain configuration. Attackers are
//! off the path: they see only datagrams to addresses of their own, but send with any source address. An
//! attacker that [`Sim::overhear`](crate::Sim::overhear) puts in the path of a host sees more; it can't hold
//! datagrams back. Its random numbers come from the stream of its host, so an attack on a fork of a settled
//! network is the same each time.
//!
//! | attacker | tries to | is stopped by |
//! |---|---|---|
//! | [`Spoofer`] | have forged answers believed | unpredictable ids of requests, exact sources |
//! | [`Grinder`] | be all that is found near a key | limits per host and network |
//! | [`Liar`] | leave victims without anyone to ask, or make them believe a false address | bounds on what is believed |
//! | [`HintAbuser`] | have live nodes forgotten | hints are checked, not believed |
//! | [`Flooder`] | fill tables and queues, or flood a third host | verification, bounds, budgets |
//! | [`Replayer`] | use again what was said before | tokens of one host that age, one answer per request |
//!
//! A [`Scenario`](crate::Scenario) has them as [`Attack`](crate::scenario::Attack)s: their victims and what they
//! know of the network follow from it when they begin.
//!
//! What an attack achieved is for the caller to see, from outside: in the victims' tables, counters and lookups.
//! What they spend on it is [counted](crate::Sim::spent).

mod bystander;
mod flooder;
mod grinder;
mod hints;
mod liar;
mod pace;
mod puppet;
mod replayer;
mod sources;
mod spoofer;

pub use crate::sim::Spent;
pub use bystander::Bystander;
pub use flooder::{Flood, Flooder, FlooderConfig};
pub use grinder::{Grinder, GrinderConfig};
pub use hints::{HintAbuser, HintAbuserConfig};
pub use liar::{Liar, LiarConfig, Names, Sees};
pub use pace::Pace;
pub use puppet::{Puppet, addresses, closest_addresses};
pub(crate) use puppet::{down_hint, ping, request_bytes, response_bytes};
pub use replayer::{Replayer, ReplayerConfig};
pub use sources::Sources;
pub use spoofer::{Spoofer, SpooferConfig};

/// The value in all that attackers forge: a lookup that finds it in an answer has been deceived.
pub const MARK: &[u8] = b"forged";

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use dht_core::Id;

    use super::*;

    fn refuses(result: Result<(), String>, field: &str) {
        let error = result.unwrap_err();
        assert!(error.starts_with(field), "{error}");
    }

    const ADDR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(66, 0, 0, 1), 4_000);
    const ENDLESS: Pace = Pace { after_us: 0, every_us: 0, burst: 1, total: 1 };

    #[test]
    fn configurations_are_checked() {
        let some = vec![ADDR];

        let spoofer =
            SpooferConfig { victims: some.clone(), asked: some.clone(), ..Default::default() };
        assert_eq!(spoofer.check(), Ok(()));
        refuses(SpooferConfig { victims: Vec::new(), ..spoofer.clone() }.check(), "victims");
        refuses(SpooferConfig { asked: Vec::new(), ..spoofer.clone() }.check(), "asked");
        refuses(SpooferConfig { dwell_us: 0, ..spoofer.clone() }.check(), "dwell_us");
        assert!(Spoofer::new(SpooferConfig { pace: ENDLESS, ..spoofer }).is_err());

        let near = Some(Id::of(ADDR));
        let ips = vec![*ADDR.ip()];
        let grinder = GrinderConfig { ips, near, targets: some.clone(), ..Default::default() };
        assert_eq!(grinder.check(), Ok(()));
        refuses(GrinderConfig { ips: Vec::new(), ..grinder.clone() }.check(), "ips");
        refuses(GrinderConfig { nodes: 5_000, ..grinder.clone() }.check(), "nodes");
        refuses(GrinderConfig { known_max: 0, ..grinder.clone() }.check(), "known_max");
        refuses(GrinderConfig { first_port: 0, ..grinder.clone() }.check(), "first_port");
        assert!(Grinder::new(GrinderConfig { pace: ENDLESS, ..grinder }).is_err());

        for names in [
            Names::Nobody,
            Names::Dead(230),
            Names::Doors(*ADDR.ip(), 3),
            Names::Impossible,
            Names::Near { sources: Sources::Host(*ADDR.ip()), of: 50, count: 20 },
            Names::These(some.clone()),
        ] {
            for sees in [Sees::Truth, Sees::This(ADDR), Sees::Anything] {
                let names = names.clone();
                let liar = LiarConfig { addrs: some.clone(), names, sees, ..Default::default() };
                assert_eq!(liar.check(), Ok(()));
                refuses(LiarConfig { addrs: Vec::new(), ..liar.clone() }.check(), "addrs");
                assert!(Liar::new(LiarConfig { pace: Pace::default(), ..liar }).is_err());
            }
        }

        let hints =
            HintAbuserConfig { about: some.clone(), victims: some.clone(), ..Default::default() };
        assert_eq!(hints.check(), Ok(()));
        refuses(HintAbuserConfig { about: Vec::new(), ..hints.clone() }.check(), "about");
        let nowhere = Sources::These(Vec::new());
        assert!(HintAbuser::new(HintAbuserConfig { sources: nowhere.clone(), ..hints }).is_err());

        for flood in [
            Flood::Ids,
            Flood::DelayedPings(9_000),
            Flood::FindNode,
            Flood::Command(7),
            Flood::Malformed,
        ] {
            for sources in [
                Sources::These(some.clone()),
                Sources::Host(*ADDR.ip()),
                Sources::Network(*ADDR.ip()),
                Sources::Anywhere,
            ] {
                let targets = some.clone();
                let flooder = FlooderConfig { flood, targets, sources, ..Default::default() };
                assert_eq!(flooder.check(), Ok(()));
                refuses(FlooderConfig { targets: Vec::new(), ..flooder }.check(), "targets");
            }
        }
        let flood = Flood::Command(1 << 53);
        let flooder = FlooderConfig { flood, targets: some.clone(), ..Default::default() };
        refuses(flooder.check(), "flood.command");
        assert!(Flooder::new(FlooderConfig { sources: nowhere, ..flooder }).is_err());

        let replayer = ReplayerConfig { ask: some.clone(), sources: some, ..Default::default() };
        assert_eq!(replayer.check(), Ok(()));
        refuses(ReplayerConfig { delays_us: Vec::new(), ..replayer.clone() }.check(), "delays_us");
        assert!(Replayer::new(ReplayerConfig { records: 0, ..replayer }).is_err());
    }
}
