//! Why something was dropped or withheld: a name for each counter of `DropStats` and `WithheldStats`.

use core::fmt;

use crate::api::stats::Stats;

/// Why something was dropped or withheld. Each has its counter, [`Stats::dropped`], where it is documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// [`DropStats::oversize`](crate::DropStats::oversize).
    Oversize,
    /// [`DropStats::malformed`](crate::DropStats::malformed).
    Malformed,
    /// [`DropStats::bad_source`](crate::DropStats::bad_source).
    BadSource,
    /// [`DropStats::unsolicited`](crate::DropStats::unsolicited).
    Unsolicited,
    /// [`DropStats::wrong_source`](crate::DropStats::wrong_source).
    WrongSource,
    /// [`DropStats::bad_token`](crate::DropStats::bad_token).
    BadToken,
    /// [`DropStats::bad_command`](crate::DropStats::bad_command).
    BadCommand,
    /// [`DropStats::delayed_pings`](crate::DropStats::delayed_pings).
    DelayedPings,
    /// [`DropStats::down_hints`](crate::DropStats::down_hints).
    DownHints,
    /// [`DropStats::replies`](crate::DropStats::replies).
    Replies,
    /// [`DropStats::background`](crate::DropStats::background).
    Background,
    /// [`WithheldStats::closer_nodes`](crate::WithheldStats::closer_nodes).
    WithheldCloserNodes,
    /// [`WithheldStats::answers`](crate::WithheldStats::answers).
    WithheldAnswers,
    /// [`WithheldStats::requests`](crate::WithheldStats::requests).
    WithheldRequests,
    /// [`DropStats::not_ours`](crate::DropStats::not_ours).
    NotOurs,
    /// [`DropStats::suspended`](crate::DropStats::suspended).
    Suspended,
    /// [`DropStats::closer_nodes`](crate::DropStats::closer_nodes).
    CloserNodes,
    /// [`DropStats::events`](crate::DropStats::events).
    Events,
}

impl DropReason {
    /// Every reason, in the order of their declaration.
    pub const ALL: [Self; 18] = [
        Self::Oversize,
        Self::Malformed,
        Self::BadSource,
        Self::Unsolicited,
        Self::WrongSource,
        Self::BadToken,
        Self::BadCommand,
        Self::DelayedPings,
        Self::DownHints,
        Self::Replies,
        Self::Background,
        Self::WithheldCloserNodes,
        Self::WithheldAnswers,
        Self::WithheldRequests,
        Self::NotOurs,
        Self::Suspended,
        Self::CloserNodes,
        Self::Events,
    ];

    /// As many of them, from the first, are [told of](crate::Event::ManyDropped) where they are frequent. The others
    /// are frequent without an attack: datagrams of another protocol, a suspended node, a filter of the user's or
    /// the own address among closer nodes, and events that [`Event::Dropped`](crate::Event::Dropped) tells of.
    pub(crate) const TOLD: usize = 14;

    /// Its name, in lower case with hyphens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oversize => "oversize",
            Self::Malformed => "malformed",
            Self::BadSource => "bad-source",
            Self::Unsolicited => "unsolicited",
            Self::WrongSource => "wrong-source",
            Self::BadToken => "bad-token",
            Self::BadCommand => "bad-command",
            Self::DelayedPings => "delayed-pings",
            Self::DownHints => "down-hints",
            Self::Replies => "replies",
            Self::Background => "background",
            Self::WithheldCloserNodes => "withheld-closer-nodes",
            Self::WithheldAnswers => "withheld-answers",
            Self::WithheldRequests => "withheld-requests",
            Self::NotOurs => "not-ours",
            Self::Suspended => "suspended",
            Self::CloserNodes => "closer-nodes",
            Self::Events => "events",
        }
    }
}

/// Its [name](DropReason::name).
impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Stats {
    /// How much was dropped or withheld for this reason.
    #[must_use]
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        match reason {
            DropReason::Oversize => self.drops.oversize,
            DropReason::Malformed => self.drops.malformed,
            DropReason::BadSource => self.drops.bad_source,
            DropReason::Unsolicited => self.drops.unsolicited,
            DropReason::WrongSource => self.drops.wrong_source,
            DropReason::BadToken => self.drops.bad_token,
            DropReason::BadCommand => self.drops.bad_command,
            DropReason::DelayedPings => self.drops.delayed_pings,
            DropReason::DownHints => self.drops.down_hints,
            DropReason::Replies => self.drops.replies,
            DropReason::Background => self.drops.background,
            DropReason::WithheldCloserNodes => self.withheld.closer_nodes,
            DropReason::WithheldAnswers => self.withheld.answers,
            DropReason::WithheldRequests => self.withheld.requests,
            DropReason::NotOurs => self.drops.not_ours,
            DropReason::Suspended => self.drops.suspended,
            DropReason::CloserNodes => self.drops.closer_nodes,
            DropReason::Events => self.drops.events,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::*;
    use crate::{DropStats, WithheldStats};

    /// A new counter does not compile here until it is named.
    #[test]
    fn each_reason_has_the_counter_of_its_name() {
        let drops = DropStats {
            not_ours: 1,
            oversize: 2,
            malformed: 3,
            bad_source: 4,
            suspended: 5,
            unsolicited: 6,
            wrong_source: 7,
            bad_token: 8,
            bad_command: 9,
            delayed_pings: 10,
            down_hints: 11,
            replies: 12,
            closer_nodes: 13,
            background: 14,
            events: 15,
        };
        let withheld = WithheldStats { closer_nodes: 16, answers: 17, requests: 18 };
        let stats = Stats { drops, withheld, ..Stats::default() };
        let shown = std::format!("{drops:?} {withheld:?}");
        let mut counts: Vec<_> = Vec::new();
        for reason in DropReason::ALL {
            let count = stats.dropped(reason);
            let field: String = reason.name().replace("withheld-", "").replace('-', "_");
            assert!(shown.contains(&std::format!(" {field}: {count}")), "{reason}: {count}");
            counts.push(count);
        }
        counts.sort_unstable();
        assert_eq!(counts, (1..=18).collect::<Vec<_>>());
    }
}
