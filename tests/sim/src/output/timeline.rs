//! What one node sent, received and went through, as lines to read from top to bottom.
//!
//! Requests and their answers are brought together: behind a request stands when it was answered,
//! or that it never was. That is what people look for first, and nothing that a list of packets
//! shows.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddrV4;

use dht_core::wire::{self, Message};

use super::describe::describe;
use crate::world::{Micros, text};

/// What sort of thing a line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// The node sent a datagram.
    Sent,
    /// The node received a datagram.
    Received,
    /// Anything else: what the node found out, or what was done to it.
    Event,
}

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// When.
    at: Micros,
    /// What sort of thing.
    sort: Sort,
    /// The other end of a datagram.
    peer: Option<SocketAddrV4>,
    /// What happened.
    text: String,
    /// Of a datagram that is a message.
    exchange: Option<Exchange>,
}

/// What connects a request with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exchange {
    key: Key,
    answer: bool,
}

/// Who is asked by whom, and with which tid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    peer: SocketAddrV4,
    /// Whether the node asks, rather than its peer.
    asks: bool,
    tid: u16,
}

/// The last entries of a node, as many as there is room for.
///
/// ```
/// use dht_sim::timeline::Timeline;
///
/// let mut timeline = Timeline::new(1_000);
/// timeline.event(1_500_000, "has bootstrapped");
/// assert_eq!(timeline.lines(0), ["+1.500000 s  • has bootstrapped"]);
/// ```
#[derive(Clone, Debug)]
pub struct Timeline {
    entries: VecDeque<Entry>,
    capacity: usize,
    /// How many earlier ones had to go.
    left_out: u64,
}

impl Timeline {
    /// An empty one with room for `capacity` entries, at least one. At that bound the oldest go:
    /// what matters is what led to the end.
    pub fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity: capacity.max(1), left_out: 0 }
    }

    /// Adds a datagram to or from `peer`. Entries are added in the order of time.
    pub fn datagram(&mut self, at: Micros, sort: Sort, peer: SocketAddrV4, data: &[u8]) {
        let exchange = wire::decode(data).ok().map(|message| {
            let (tid, answer) = match message {
                Message::Request(request) => (request.tid, false),
                Message::Response(response) => (response.tid, true),
            };
            // Who sends a request asks, who receives an answer did.
            let asks = (sort == Sort::Received) == answer;
            Exchange { key: Key { peer, asks, tid }, answer }
        });
        self.push(Entry { at, sort, peer: Some(peer), text: describe(data), exchange });
    }

    /// Adds something else.
    pub fn event(&mut self, at: Micros, text: impl Into<String>) {
        let text = text.into();
        self.push(Entry { at, sort: Sort::Event, peer: None, text, exchange: None });
    }

    /// As lines, with times relative to `origin`: the node's start, or the moment of a fault.
    pub fn lines(&self, origin: Micros) -> Vec<String> {
        let outcomes = self.outcomes();
        let peers = self.entries.iter().filter_map(|entry| entry.peer);
        let peer_width = peers.map(|peer| peer.to_string().len()).max().unwrap_or(0);
        let times: Vec<_> = self.entries.iter().map(|entry| relative(entry.at, origin)).collect();
        let time_width = times.iter().map(String::len).max().unwrap_or(0);
        let mut lines = Vec::with_capacity(self.entries.len() + 1);
        if self.left_out > 0 {
            lines.push(format!("… {} earlier entries left out", self.left_out));
        }
        for ((entry, time), outcome) in self.entries.iter().zip(times).zip(outcomes) {
            let mut line = format!("{time:>time_width$}  {} ", entry.sort.sign());
            // Writing to a string can't fail.
            let _ = match entry.peer {
                Some(peer) => write!(line, "{:<peer_width$}  {}", peer.to_string(), entry.text),
                None => line.write_str(&entry.text),
            };
            if let Some(outcome) = outcome {
                let _ = write!(line, " ({outcome})");
            }
            // A line is one line, also if an event has several.
            lines.push(line.replace(char::is_control, " "));
        }
        lines
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
            self.left_out += 1;
        }
        self.entries.push_back(entry);
    }

    /// For each entry how it went on, or what it belongs to.
    fn outcomes(&self) -> Vec<Option<String>> {
        let mut outcomes = vec![None; self.entries.len()];
        // From the end, so that what comes later is known. The next message of each exchange.
        let mut later: BTreeMap<Key, (Micros, bool)> = BTreeMap::new();
        for (entry, outcome) in self.entries.iter().zip(&mut outcomes).rev() {
            let Some(Exchange { key, answer }) = entry.exchange else { continue };
            let next = later.insert(key, (entry.at, answer));
            if answer {
                continue;
            }
            *outcome = Some(match next {
                Some((at, true)) => format!("answered {} later", text::duration(at - entry.at)),
                // The tid is the same: another try, or a duplicate from the network.
                Some((at, false)) => format!("again {} later", text::duration(at - entry.at)),
                None => "never answered".to_owned(),
            });
        }
        outcomes
    }
}

impl Sort {
    const fn sign(self) -> char {
        match self {
            Self::Sent => '→',
            Self::Received => '←',
            Self::Event => '•',
        }
    }
}

/// `+12.345678 s`.
fn relative(at: Micros, origin: Micros) -> String {
    let sign = if at < origin { '-' } else { '+' };
    format!("{sign}{}", text::seconds(at.abs_diff(origin)))
}

#[cfg(test)]
mod tests {
    use dht_core::wire::{Request, Response};

    use super::*;

    const NEAR: &str = "11.0.5.1:2000";
    const FAR: &str = "203.0.113.117:49737";

    fn peer(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    fn ping(tid: u16) -> Vec<u8> {
        let request = Request {
            tid,
            to: peer(NEAR),
            id: None,
            token: None,
            internal: true,
            command: 0,
            target: None,
            value: None,
        };
        let mut buf = vec![0; request.encoded_len()];
        request.encode(&mut buf).unwrap();
        buf
    }

    fn pong(tid: u16) -> Vec<u8> {
        let response = Response {
            tid,
            to: peer(NEAR),
            id: None,
            token: None,
            closer_nodes: None,
            error: 0,
            value: None,
        };
        let mut buf = vec![0; response.encoded_len()];
        response.encode(&mut buf).unwrap();
        buf
    }

    #[test]
    fn it_reads_like_a_story() {
        let mut timeline = Timeline::new(100);
        timeline.event(9_999_999, "starts\nagain");
        timeline.datagram(10_000_000, Sort::Sent, peer(NEAR), &ping(1));
        timeline.datagram(10_000_100, Sort::Sent, peer(FAR), &ping(2));
        timeline.datagram(10_012_999, Sort::Received, peer(NEAR), &pong(1));
        timeline.datagram(11_000_100, Sort::Sent, peer(FAR), &ping(2));
        timeline.datagram(12_260_100, Sort::Received, peer(FAR), &pong(2));
        timeline.datagram(12_260_100, Sort::Received, peer(NEAR), &ping(1));
        timeline.datagram(12_260_400, Sort::Sent, peer(NEAR), &pong(1));
        timeline.datagram(22_260_400, Sort::Received, peer(NEAR), b"GET / HTTP/1.1");
        let expected = "
 -0.000001 s  • starts again
 +0.000000 s  → 11.0.5.1:2000        PING tid 1, no id (answered 13 ms later)
 +0.000100 s  → 203.0.113.117:49737  PING tid 2, no id (again 1 s later)
 +0.012999 s  ← 11.0.5.1:2000        answer tid 1, no id
 +1.000100 s  → 203.0.113.117:49737  PING tid 2, no id (answered 1.26 s later)
 +2.260100 s  ← 203.0.113.117:49737  answer tid 2, no id
 +2.260100 s  ← 11.0.5.1:2000        PING tid 1, no id (answered 300 µs later)
 +2.260400 s  → 11.0.5.1:2000        answer tid 1, no id
+12.260400 s  ← 11.0.5.1:2000        not ours: 14 bytes";
        assert_eq!(format!("\n{}", timeline.lines(10_000_000).join("\n")), expected);
    }

    #[test]
    fn only_the_right_answer_counts() {
        let wrong = [
            (Sort::Received, FAR, pong(7)),  // from another peer
            (Sort::Received, NEAR, pong(8)), // to another request
            (Sort::Sent, NEAR, pong(7)),     // the node's own, to something else
            (Sort::Received, NEAR, ping(7)), // a request
        ];
        for (sort, from, data) in wrong {
            let mut timeline = Timeline::new(10);
            timeline.datagram(0, Sort::Sent, peer(NEAR), &ping(7));
            timeline.datagram(10, sort, peer(from), &data);
            let lines = timeline.lines(0);
            assert!(lines[0].ends_with("(never answered)"), "{lines:?}");
            timeline.datagram(20, Sort::Received, peer(NEAR), &pong(7));
            // The tid comes up again, and this time there is no answer.
            timeline.datagram(30, Sort::Sent, peer(NEAR), &ping(7));
            let lines = timeline.lines(0);
            assert!(lines[0].ends_with("(answered 20 µs later)"), "{lines:?}");
            assert!(lines[3].ends_with("(never answered)"), "{lines:?}");
        }
    }

    #[test]
    fn the_node_s_own_answers_count_too() {
        let mut timeline = Timeline::new(10);
        timeline.datagram(5, Sort::Received, peer(NEAR), &ping(7));
        timeline.datagram(8, Sort::Sent, peer(NEAR), &pong(7));
        assert!(timeline.lines(0)[0].ends_with("(answered 3 µs later)"));
    }

    #[test]
    fn at_its_bound_the_oldest_go() {
        let mut timeline = Timeline::new(3);
        (0..3).for_each(|at| timeline.event(at, at.to_string()));
        assert_eq!((timeline.entries.len(), timeline.left_out), (3, 0));
        assert_eq!(timeline.lines(0).len(), 3);
        (3..5).for_each(|at| timeline.event(at, at.to_string()));
        assert_eq!((timeline.entries.len(), timeline.left_out), (3, 2));
        let lines = timeline.lines(4);
        assert_eq!(lines[0], "… 2 earlier entries left out");
        assert_eq!(lines[1], "-0.000002 s  • 2");
        assert_eq!(Timeline::new(0).capacity, 1);
    }
}
