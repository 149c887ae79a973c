//! The hosts that a scenario names: in its faults and attacks.

use super::{FaultKind, Impossible, Scenario};
use crate::world::HostId;

impl Scenario {
    /// The last host that there will be, crowds that join later included.
    pub fn last_host(&self) -> HostId {
        HostId(u32::try_from(self.all_nodes()).unwrap_or(u32::MAX).saturating_sub(1))
    }

    /// How many nodes there will be.
    pub(super) fn all_nodes(&self) -> u64 {
        let crowds = self.faults.iter().map(|fault| match fault.what {
            FaultKind::FlashCrowd { nodes, .. } => u64::from(nodes),
            _ => 0,
        });
        u64::from(self.nodes) + crowds.sum::<u64>()
    }

    /// Refuses faults and attacks of hosts beyond the last one. In a run their numbers begin anew, so that it can be
    /// made smaller; who writes one means the host that is named.
    ///
    /// # Errors
    /// Which of them names which host.
    pub fn check_named_hosts(&self) -> Result<(), Impossible> {
        let HostId(last) = self.last_host();
        let beyond = |what: &str, at: usize, host: u32| {
            Impossible(format!("{what}[{at}] names host {host}, but the last one is {last}"))
        };
        if let Some(at) = self.attacks.iter().position(|attack| attack.victim > last) {
            return Err(beyond("attacks", at, self.attacks[at].victim));
        }
        for (at, fault) in self.faults.iter().enumerate() {
            let mut what = fault.what.clone();
            if let Some(host) = what.hosts().into_iter().find(|host| **host > last) {
                return Err(beyond("faults", at, *host));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Attack, AttackKind, Fault};
    use crate::world::partition::Side;

    #[test]
    fn hosts_beyond_the_last_one_are_refused() {
        let scenario = |what: &[FaultKind]| Scenario {
            nodes: 10,
            faults: what.iter().map(|what| Fault { at_us: 0, what: what.clone() }).collect(),
            ..Scenario::default()
        };
        let crowd = FaultKind::FlashCrowd { nodes: 5, over_us: 0 };
        let crash = |host| FaultKind::Crash { host };
        assert_eq!(scenario(&[crash(9)]).check_named_hosts(), Ok(()));
        let Impossible(said) = scenario(&[crash(9), crash(10)]).check_named_hosts().unwrap_err();
        assert_eq!(said, "faults[1] names host 10, but the last one is 9");
        assert_eq!(scenario(&[crash(14), crowd.clone()]).check_named_hosts(), Ok(()));
        assert!(scenario(&[crash(15), crowd]).check_named_hosts().is_err());
        let first = Side::Hosts(vec![3, 12]);
        let partition = FaultKind::Partition { first, one_way: false, for_us: 1, flap: None };
        assert!(scenario(&[partition]).check_named_hosts().is_err());
        let attack = |victim| Attack { victim, ..Attack::from(AttackKind::Grind) };
        let attacked = |victim| Scenario { attacks: vec![attack(victim)], ..scenario(&[]) };
        assert_eq!(attacked(9).check_named_hosts(), Ok(()));
        let Impossible(said) = attacked(10).check_named_hosts().unwrap_err();
        assert_eq!(said, "attacks[0] names host 10, but the last one is 9");
    }

    #[test]
    fn random_scenarios_name_hosts_that_there_are() {
        for seed in 0..200 {
            let scenario = Scenario::random(seed, &crate::swarm::SwarmOptions::default());
            assert_eq!(scenario.check_named_hosts(), Ok(()));
        }
    }
}
