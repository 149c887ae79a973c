//! The survey: the address at which the whole table sees us. The first, the latest or the nearest nodes to answer need
//! not be honest: so nodes are drawn from all of the table, each of another /24, and asked until one host leads by
//! enough or all have been asked. When to ask which node, and what follows, is not decided here.
//!
//! With a part `f` of the /24s lying alike, a lie takes the lead of [`LEAD`] with a probability of
//! `1 / (1 + ((1 - f) / f)^LEAD)`: 1 of 4,000 if a third lies, 1 of 130 if two in five do. The bootstrap nodes, which the user
//! has chosen, decide between hosts that each have some witnesses: then even most of the table may lie.

use core::net::{Ipv4Addr, SocketAddrV4};

/// The lead, in /24s, that a host needs over all other hosts.
const LEAD: u16 = 12;
/// With fewer views than this nothing is decided; and the bootstrap nodes decide only if this many other nodes see the
/// same host.
const VIEWS_MIN: u16 = 4;
/// And only if these are at least one in this many of all views.
const WITNESSES: u16 = 8;
/// Ticks until all nodes are asked again, if they contradict one another: a minute at first, then twice as long each
/// time, up to half an hour.
const PAUSE_MIN: u16 = 12;
const PAUSE_MAX: u16 = 360;

/// The host seen in most views, if it has more than all other hosts together; likewise for its port.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    seen: Option<SocketAddrV4>,
    lead: u16,
    port_lead: u16,
    votes: u16,
}

impl Tally {
    /// The vote of Boyer and Moore.
    fn count(&mut self, seen: SocketAddrV4) {
        self.votes = self.votes.saturating_add(1);
        match &mut self.seen {
            Some(most) if self.lead > 0 && most.ip() != seen.ip() => self.lead -= 1,
            Some(most) if self.lead > 0 => {
                self.lead = self.lead.saturating_add(1);
                if most.port() == seen.port() {
                    self.port_lead = self.port_lead.saturating_add(1);
                } else if self.port_lead > 0 {
                    self.port_lead -= 1;
                } else {
                    most.set_port(seen.port());
                    self.port_lead = 1;
                }
            }
            most => (*most, self.lead, self.port_lead) = (Some(seen), 1, 1),
        }
    }

    fn host(&self) -> Option<Ipv4Addr> {
        self.seen.filter(|_| self.lead > 0).map(|seen| *seen.ip())
    }

    /// The address; port 0 unless most see the same.
    fn addr(&self) -> Option<SocketAddrV4> {
        let mut seen = self.seen.filter(|_| self.lead > 0)?;
        if self.port_lead < self.lead.div_ceil(2).max(2) {
            seen.set_port(0);
        }
        Some(seen)
    }
}

/// The outcome of all views together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// More nodes have to be asked.
    Open,
    /// Too few views.
    Few,
    /// The views contradict one another.
    Disputed,
    /// Port 0: each sees another one.
    At(SocketAddrV4),
}

/// The survey under way, and when the next one is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// The order in which /24s are asked, and how far it has come; `None` between surveys.
    pub(crate) order: Option<(u32, Option<u32>)>,
    /// Nodes that were asked and have not answered yet.
    pub(crate) open: u8,
    /// Views of the bootstrap nodes; of all other nodes; and of these, views of the bootstrap nodes' host.
    users: Tally,
    all: Tally,
    backing: Tally,
    /// Ticks until the next survey may begin, and the length of the last such pause.
    pause: u16,
    patience: u16,
    /// The believed address comes from a survey.
    pub(crate) sure: bool,
    /// A peer has seen another address since.
    pub(crate) contradicted: bool,
    /// Where the last survey saw us, if we are sure to be at another address.
    moved: Option<SocketAddrV4>,
    /// A dispute was told to the user.
    pub(crate) told: bool,
}

impl Survey {
    /// A tick has passed. Whether a survey may begin, or go on.
    pub(crate) fn pass(&mut self) -> bool {
        self.pause = self.pause.saturating_sub(1);
        self.open == 0 && self.pause == 0
    }

    /// Begins: the user's nodes are asked first.
    pub(crate) fn begin(&mut self, key: u32) {
        self.order = Some((key, None));
        self.contradicted = false;
        (self.users, self.all, self.backing) = Default::default();
    }

    /// Drops all views: they are of another socket, or another network.
    pub(crate) fn anew(&mut self) {
        let told = self.told;
        *self = Self { told, ..Self::default() };
    }

    /// A node that was asked has answered; `users` if the user has named it.
    pub(crate) fn count(&mut self, seen: SocketAddrV4, users: bool) {
        if users {
            self.users.count(seen);
            return;
        }
        self.all.count(seen);
        if self.users.host() == Some(*seen.ip()) {
            self.backing.count(seen);
        }
    }

    /// The verdict so far; `end`: no node is left to ask.
    pub(crate) fn verdict(&self, end: bool) -> Verdict {
        if end && self.all.votes < VIEWS_MIN {
            return Verdict::Few;
        }
        let (all, backing) = (&self.all, &self.backing);
        let backed = backing.votes >= VIEWS_MIN && backing.votes >= all.votes.div_ceil(WITNESSES);
        let most = all.lead >= LEAD;
        let leads = most || (end && all.lead >= all.votes.div_ceil(2));
        let contradicted = self.users.host().is_some_and(|host| all.host() != Some(host));
        let found = match (contradicted, backed) {
            (false, _) if leads => all.addr(),
            (_, true) if end => backing.addr(),
            // It takes more to be believed against them: all have to be asked.
            (true, false) if end && leads => all.addr(),
            _ => None,
        };
        match found {
            Some(addr) => Verdict::At(addr),
            None if end => Verdict::Disputed,
            None => Verdict::Open,
        }
    }

    /// Whether more than half of all have seen that host.
    pub(crate) fn most_see(&self, addr: SocketAddrV4) -> bool {
        self.all.host() == Some(*addr.ip())
    }

    /// The survey is over. Returns whether a dispute is to be told: after two in a row.
    pub(crate) fn end(&mut self, verdict: Verdict) -> bool {
        self.order = None;
        let again = self.patience > 0;
        self.patience = match verdict {
            Verdict::At(_) => 0,
            _ => (2 * self.patience).clamp(PAUSE_MIN, PAUSE_MAX),
        };
        self.pause = self.patience.max(PAUSE_MIN);
        match verdict {
            Verdict::At(_) => self.told = false,
            Verdict::Disputed if again => return !core::mem::replace(&mut self.told, true),
            _ => {}
        }
        false
    }

    /// A node that is sure of its address is seen at `addr`. Returns whether the last survey saw it there too.
    pub(crate) fn note_move(&mut self, addr: Option<SocketAddrV4>) -> bool {
        let before = core::mem::replace(&mut self.moved, addr);
        // A contradiction is looked into, but not all the time.
        self.pause = if addr.is_some() { PAUSE_MIN } else { PAUSE_MAX };
        self.contradicted = addr.is_some();
        addr.is_some() && before == addr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: u8, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(45, 0, 0, host), port)
    }

    /// Views of the bootstrap nodes, and of other nodes: `a` and `b` are two hosts, `A` is the first one at another
    /// port.
    fn survey(users: &str, others: &str) -> Survey {
        let mut survey = Survey::default();
        survey.begin(7);
        for (all, users) in [(users, true), (others, false)] {
            for (n, seen) in all.bytes().enumerate() {
                let seen = match seen {
                    b'A' => at(1, 1000 + n as u16),
                    host => at(host - b'a' + 1, 7),
                };
                survey.count(seen, users);
            }
        }
        survey
    }

    #[test]
    fn what_the_table_says() {
        let (a, b, varies) = (Verdict::At(at(1, 7)), Verdict::At(at(2, 7)), Verdict::At(at(1, 0)));
        let (open, few, disputed) = (Verdict::Open, Verdict::Few, Verdict::Disputed);
        for (users, others, soon, end) in [
            ("", "", open, few),
            ("", "aaa", open, few),
            ("", "aaaa", open, a),
            // Three of four, as ever.
            ("", "aaab", open, a),
            ("", "aabb", open, disputed),
            ("", "aaaaaaaaaaaa", a, a),
            ("", "aaaaaaaaaaab", open, a),
            ("", "abababaaaaaaaaaaaaaa", a, a),
            ("", "aaaaabbbbaaabb", open, disputed),
            ("", "AAAAAAAAAAAA", varies, varies),
            ("", "aAaaAaaaaAaa", a, a),
            ("", "Aaaaaaaaaaaa", a, a),
            ("a", "aaaaaaaaaaaa", a, a),
            ("", "AAAb", open, varies),
            // The bootstrap nodes decide between hosts with enough witnesses, once all nodes have been asked; or four witnesses
            // among the first few would be an eighth.
            ("a", "bbbbaaaabbbbbbbbbbbb", open, a),
            ("a", "aaaabbbbbbbbbbbbbbbb", open, a),
            ("a", "bbbbbbbbbbbbbbbbaaa", open, b),
            ("a", "aaaabbbbbbb", open, a),
            ("a", "aaabbbb", open, disputed),
            ("aab", "aaaabbbbbbbbbbbbbbbb", open, a),
            ("baa", "aaaabbbbbbbbbbbbbbbb", open, a),
            ("ab", "aaaabbbbbbbbbbbbbbbb", b, b),
            ("b", "aaaaaaaaaaaa", open, a),
            // An eighth of them at least.
            ("a", "aaaabbbbbbbbbbbbbbbbbbbbbbbbbbbb", open, a),
            ("a", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbaaaa", open, b),
        ] {
            let survey = survey(users, others);
            assert_eq!(
                (survey.verdict(false), survey.verdict(true)),
                (soon, end),
                "{users} {others}"
            );
        }
    }

    /// For how many ticks no survey begins or goes on.
    fn pauses(survey: &mut Survey) -> usize {
        (0..).take_while(|_| !survey.pass()).count()
    }

    #[test]
    fn the_next_batch_waits_for_every_answer_and_the_next_survey_for_a_minute() {
        let mut survey = survey("", "aaaa");
        survey.open = 1;
        assert!(!survey.pass());
        survey.open = 0;
        assert!(survey.pass());
        survey.end(Verdict::At(at(1, 7)));
        assert_eq!(pauses(&mut survey), 11);
    }

    #[test]
    fn too_few_views_are_no_dispute() {
        let mut survey = Survey::default();
        assert!(!survey.end(Verdict::Few) && !survey.end(Verdict::Few));
    }

    #[test]
    fn a_survey_begins_without_what_the_last_one_has_found() {
        let mut survey = survey("a", "aaaaaaaaaaaa");
        survey.contradicted = true;
        survey.begin(8);
        assert!(!survey.contradicted && !survey.most_see(at(1, 7)));
        assert_eq!((survey.verdict(false), survey.verdict(true)), (Verdict::Open, Verdict::Few));
    }

    #[test]
    fn on_another_network_everything_begins_anew_at_once() {
        let mut survey = survey("a", "aaaa");
        survey.end(Verdict::Disputed);
        survey.note_move(Some(at(1, 7)));
        (survey.sure, survey.open) = (true, 3);
        survey.anew();
        assert!(!survey.sure && survey.order.is_none() && survey.pass());
        assert!(!survey.note_move(Some(at(1, 7))), "no survey of this network has seen it there");
    }

    #[test]
    fn who_is_contradicted_asks_again_in_a_minute_and_else_in_half_an_hour() {
        let mut survey = Survey::default();
        survey.note_move(Some(at(1, 7)));
        assert!(survey.contradicted);
        assert_eq!(pauses(&mut survey), 11);
        survey.note_move(None);
        assert!(!survey.contradicted);
        assert_eq!(pauses(&mut survey), 359);
    }

    #[test]
    fn what_the_bootstrap_nodes_make_of_it_is_not_what_most_see() {
        let survey = survey("a", "aaaabbbbbbbbb");
        assert_eq!(survey.verdict(true), Verdict::At(at(1, 7)));
        assert!(survey.most_see(at(2, 7)) && !survey.most_see(at(1, 7)));
    }

    #[test]
    fn all_are_asked_again_ever_less_often_and_it_is_told_once() {
        let mut survey = Survey::default();
        let mut waited = [0; 7];
        let mut told = [false; 7];
        for n in 0..7 {
            survey.begin(7);
            told[n] = survey.end(Verdict::Disputed);
            waited[n] = pauses(&mut survey);
        }
        assert_eq!(waited, [11, 23, 47, 95, 191, 359, 359]);
        assert_eq!(told, [false, true, false, false, false, false, false]);
        assert!(!survey.end(Verdict::At(at(1, 7))));
        assert!(!survey.end(Verdict::Disputed) && survey.end(Verdict::Disputed));
        survey.anew();
        survey.end(Verdict::Disputed);
        assert!(!survey.end(Verdict::Disputed), "not until it was decided");
    }

    #[test]
    fn who_is_sure_has_to_be_seen_elsewhere_twice_in_a_row() {
        let mut survey = Survey::default();
        assert!(!survey.note_move(Some(at(1, 7))) && survey.note_move(Some(at(1, 7))));
        assert!(!survey.note_move(Some(at(2, 7))) && !survey.note_move(None));
        assert!(!survey.note_move(Some(at(2, 7))));
    }
}
