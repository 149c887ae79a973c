//! Attackers of a run as plain data: what each does, to whom, from when to when, and how much of it.
//! Who they are is in [`attack`](crate::attack).

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, VariantArray};

use crate::world::{Micros, SECOND, check, churn::LENGTH_MAX_US};

/// An attacker. When its time is over, or when all heals, it is gone.
///
/// ```
/// use dht_sim::Scenario;
/// use dht_sim::scenario::{Attack, AttackKind};
///
/// let flood = Attack { victim: 7, rate: 1_000, ..AttackKind::FloodIds.into() };
/// let scenario = Scenario { attacks: vec![flood], ..Scenario::default() };
/// assert_eq!(scenario.check(), Ok(()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// What it does.
    #[serde(rename = "attack")]
    pub kind: AttackKind,
    /// When it begins, from the beginning of the third phase.
    #[serde(default)]
    pub at_us: Micros,
    /// For how long.
    #[serde(default = "minute")]
    pub for_us: Micros,
    /// To which node; numbers begin anew after the last one. Some kinds have no use for this or the fields
    /// below: see [`AttackKind::unused`].
    #[serde(default)]
    pub victim: u32,
    /// How many datagrams it sends a second of itself, answers aside.
    #[serde(default = "hundred")]
    pub rate: u32,
    /// How many hosts it has.
    #[serde(default = "one")]
    pub hosts: u32,
    /// Where these are.
    #[serde(default)]
    pub stands: Stands,
}

/// Where the hosts of an attacker are.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, EnumString, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "kebab-case")]
pub enum Stands {
    /// Each in a /24 of its own.
    #[default]
    Apart,
    /// All in one /24, without other hosts.
    Together,
    /// In the /24 of the victim, as far as there is room; as `Together` if the victim is behind a NAT or
    /// firewall.
    Beside,
}

fn minute() -> Micros {
    60 * SECOND
}

fn hundred() -> u32 {
    100
}

fn one() -> u32 {
    1
}

/// What attackers can do.
///
/// As text they are written as on a command line: `flood-ids`.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "kebab-case")]
pub enum AttackKind {
    /// Answers the victim in the names of nodes that it knows, under guessed transaction ids.
    Guess,
    /// Sees all that the victim asks, and answers from addresses that were not asked.
    Spoof,
    /// Has nodes at the ports of its hosts that are nearest to the victim's id, which name each other.
    Grind,
    /// The same, but these also name ports of their hosts without a node, the nearest to the target of the request.
    GrindDead,
    /// Has nodes that name none.
    LieNobody,
    /// Has nodes that name addresses without a node.
    LieDead,
    /// The same, but of very many such addresses the nearest to the target of the request.
    LieNear,
    /// Has nodes that name many addresses of one host, which does not exist.
    LieDoors,
    /// Has nodes that name addresses which no node can have.
    LieImpossible,
    /// Has nodes that tell each asker another address for its own.
    LieAddress,
    /// Says that the victim is down to all who know it, and answers in its name, without an id.
    Hints,
    /// Sends requests with true ids, whose owners never answer.
    FloodIds,
    /// Asks for answers after a while.
    FloodDelayedPings,
    /// Asks for closer nodes.
    FloodFindNode,
    /// Sends requests for the application.
    FloodCommands,
    /// Sends what no node sends.
    FloodMalformed,
    /// Sends again, later, what the victim was sent or has sent, under the addresses that it came from; and
    /// uses tokens of its own, later too.
    Replay,
    /// Says to the victim that all whom it knows are down.
    Slander,
}

impl AttackKind {
    /// All of them.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The fields of an [`Attack`] that make no difference to it. (Who [stands beside](Stands::Beside) a victim has
    /// one, whatever the kind.)
    pub fn unused(self) -> &'static [&'static str] {
        match self {
            Self::Spoof => &["rate", "hosts", "stands"],
            Self::Replay => &["rate", "hosts"],
            Self::Guess | Self::FloodMalformed => &["hosts", "stands"],
            Self::LieNobody
            | Self::LieDead
            | Self::LieNear
            | Self::LieDoors
            | Self::LieImpossible
            | Self::LieAddress => &["victim"],
            _ => &[],
        }
    }
}

/// One on a single victim, for a minute, with 100 datagrams a second from one host.
impl From<AttackKind> for Attack {
    fn from(kind: AttackKind) -> Self {
        let (for_us, rate, hosts) = (minute(), hundred(), one());
        Self { kind, at_us: 0, for_us, victim: 0, rate, hosts, stands: Stands::Apart }
    }
}

/// As many as have addresses: see `run::attackers`.
pub(crate) const ATTACKS_MAX: usize = 256;
/// Hosts of one attacker.
const HOSTS_MAX: u32 = 128;
const RATE_MAX: u32 = 100_000;

impl Attack {
    pub(super) fn find_fault(&self, run_us: Micros) -> Result<(), String> {
        if self.at_us > run_us {
            return Err(format!("at_us is {}, after the end of the run at {run_us}", self.at_us));
        }
        check::duration("for_us", self.for_us, 1, LENGTH_MAX_US)?;
        check::within("rate", self.rate, 1, RATE_MAX)?;
        check::within("hosts", self.hosts, 1, HOSTS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn what_is_left_out_is_usual_and_what_is_unknown_refused() {
        for kind in AttackKind::ALL.iter().copied() {
            let text = serde_json::to_string(&Attack::from(kind)).unwrap();
            assert_eq!(serde_json::from_str::<Attack>(&text).unwrap(), Attack::from(kind));
        }
        let short: Attack = serde_json::from_str(r#"{"attack": "lie_dead"}"#).unwrap();
        assert_eq!(short, Attack::from(AttackKind::LieDead));
        for bad in [r#"{"attack": "lie"}"#, r#"{"attack": "grind", "port": 1}"#, "{}"] {
            assert!(serde_json::from_str::<Attack>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn impossible_ones_are_refused() {
        let plain = Attack::from(AttackKind::Grind);
        let says = |attack: Attack| {
            let attacks = vec![plain, attack];
            Scenario { run_us: 5, attacks, ..Scenario::default() }.check().unwrap_err().0
        };
        for (attack, field) in [
            (Attack { at_us: 6, ..plain }, "at_us"),
            (Attack { for_us: 0, ..plain }, "for_us"),
            (Attack { rate: 0, ..plain }, "rate"),
            (Attack { rate: RATE_MAX + 1, ..plain }, "rate"),
            (Attack { hosts: 0, ..plain }, "hosts"),
            (Attack { hosts: HOSTS_MAX + 1, ..plain }, "hosts"),
        ] {
            let said = says(attack);
            assert!(said.starts_with(&format!("attacks[1]: {field}")), "{said}");
        }
        let attacks = vec![plain; ATTACKS_MAX + 1];
        let crowd = Scenario { attacks, ..Scenario::default() };
        assert_eq!(crowd.check().unwrap_err().0, "attacks must be at most 256");
        let instant =
            Scenario { run_us: 0, lookups: 0, attacks: vec![plain], ..Scenario::default() };
        assert!(instant.check().is_err());
        let most = Attack { at_us: 5, hosts: HOSTS_MAX, rate: RATE_MAX, ..plain };
        let scenario = Scenario { run_us: 5, attacks: vec![most], ..Scenario::default() };
        assert_eq!(scenario.check(), Ok(()));
    }
}
