//! A trace of which nodes were up when, as text: one change per line,
//!
//! ```text
//! # time in seconds, node, what it does
//! 0        17  up
//! 12.25    17  down
//! ```
//!
//! Empty lines and what follows a `#` are skipped. Times may have six digits after the point, and
//! must not go back. A node that first goes down was up from the start.

use std::collections::BTreeMap;

use crate::world::{Micros, SECOND, partition::HOSTS_MAX};

/// More changes are refused: they would take 160 MB.
pub const CHANGES_MAX: usize = 10_000_000;

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When, in microseconds.
    pub at_us: Micros,
    /// Which node, by the trace's own number.
    pub node: u32,
    /// Whether it comes; otherwise it goes.
    pub up: bool,
}

/// Why a trace is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TraceError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}

/// Reads a trace; the changes are in order of time.
pub fn parse(text: &str) -> Result<Vec<Change>, TraceError> {
    parse_up_to(CHANGES_MAX, text)
}

fn parse_up_to(max: usize, text: &str) -> Result<Vec<Change>, TraceError> {
    let mut changes: Vec<Change> = Vec::new();
    // Of each node, whether it is up, and since which line.
    let mut nodes: BTreeMap<u32, (bool, usize)> = BTreeMap::new();
    for (line, text) in (1..).zip(text.lines()) {
        let refuse = |problem: String| TraceError { line, problem };
        let Some(change) = parse_line(text).map_err(refuse)? else { continue };
        if changes.len() >= max {
            return Err(refuse(format!("more than {max} changes")));
        }
        if changes.last().is_some_and(|last| change.at_us < last.at_us) {
            return Err(refuse("the time is before that of the line above".to_owned()));
        }
        match nodes.insert(change.node, (change.up, line)) {
            Some((up, since)) if up == change.up => {
                return Err(refuse(format!("the node is already so since line {since}")));
            }
            _ => changes.push(change),
        }
    }
    Ok(changes)
}

fn parse_line(line: &str) -> Result<Option<Change>, String> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_whitespace();
    let (time, node, change) = match (words.next(), words.next(), words.next(), words.next()) {
        (None, ..) => return Ok(None),
        (Some(time), Some(node), Some(change), None) => (time, node, change),
        _ => return Err("expected a time in seconds, a node, and up or down".to_owned()),
    };
    let wrong_time = "the time is no number of seconds with up to six decimals";
    let at_us = parse_seconds(time).ok_or(wrong_time)?;
    let node = digits(node).and_then(|node| u32::try_from(node).ok());
    let node = node.filter(|node| *node < HOSTS_MAX);
    let node = node.ok_or_else(|| format!("the node is no number below {HOSTS_MAX}"))?;
    let up = match change {
        "up" => true,
        "down" => false,
        _ => return Err("expected up or down".to_owned()),
    };
    Ok(Some(Change { at_us, node, up }))
}

/// Microseconds, exactly: through a float the last digit might be another one.
fn parse_seconds(word: &str) -> Option<Micros> {
    let (seconds, decimals) = word.split_once('.').unwrap_or((word, "0"));
    let places = u32::try_from(decimals.len()).ok().filter(|places| *places <= 6)?;
    let rest = digits(decimals)? * 10_u64.pow(6 - places);
    digits(seconds)?.checked_mul(SECOND)?.checked_add(rest)
}

/// Only digits, at least one: what `parse` would take, without a sign.
fn digits(word: &str) -> Option<u64> {
    let all = word.bytes().all(|byte| byte.is_ascii_digit());
    if all { word.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::fmt;

    use super::*;

    impl fmt::Display for Change {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let (seconds, rest) = (self.at_us / SECOND, self.at_us % SECOND);
            let change = if self.up { "up" } else { "down" };
            write!(f, "{seconds}.{rest:06} {} {change}", self.node)
        }
    }

    #[test]
    fn a_trace_is_read() {
        let text = "# comment\n\n 0 17 up # in words\n0\t3\tdown\r\n12.25 17 down\n12.250001 17 up";
        let changes = parse(text).unwrap();
        let expected =
            [(0, 17, true), (0, 3, false), (12_250_000, 17, false), (12_250_001, 17, true)];
        let expected = expected.map(|(at_us, node, up)| Change { at_us, node, up });
        assert_eq!(changes, expected);
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    const TIME: &str = "the time is no number of seconds with up to six decimals";
    const NODE: &str = "the node is no number below 16777216";

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (line, problem) in [
            ("1 2", "expected a time in seconds, a node, and up or down"),
            ("1 2 up down", "expected a time in seconds, a node, and up or down"),
            ("-1 2 up", TIME),
            ("1e3 2 up", TIME),
            ("NaN 2 up", TIME),
            ("1.0000000 2 up", TIME),
            ("1. 2 up", TIME),
            (".5 2 up", TIME),
            ("18446744073710 2 up", TIME),
            ("1 +2 up", NODE),
            ("1 16777216 up", NODE),
            ("1 4294967296 up", NODE),
            ("1 2 UP", "expected up or down"),
            ("0.9 2 up", "the time is before that of the line above"),
            ("1 1 up", "the node is already so since line 2"),
        ] {
            let error = parse(&format!("# trace\n1 1 up\n\n{line}\n")).unwrap_err();
            assert_eq!(error.to_string(), format!("line 4: {problem}"), "{line}");
        }
    }

    #[test]
    fn there_is_a_bound() {
        let text = "0 1 up\n0 2 up\n# nothing\n0 3 up\n";
        assert_eq!(parse_up_to(3, text).map(|changes| changes.len()), Ok(3));
        let problem = "more than 2 changes".to_owned();
        assert_eq!(parse_up_to(2, text), Err(TraceError { line: 4, problem }));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            waits in prop::collection::vec((any::<u32>(), 0..9_u32), 0..50),
        ) {
            let (mut at_us, mut up) = (0, [false; 9]);
            let changes: Vec<_> = waits
                .into_iter()
                .map(|(wait, node)| {
                    at_us += Micros::from(wait);
                    up[node as usize] = !up[node as usize];
                    Change { at_us, node, up: up[node as usize] }
                })
                .collect();
            let text: String = changes.iter().map(|change| format!("{change}\n")).collect();
            prop_assert_eq!(parse(&text), Ok(changes));
        }

        #[test]
        fn no_text_does_harm(text in "([0-9.]{0,25} ?[0-9a-z#]{0,5} ?(up|down)?\n?){0,5}|.*") {
            let _ = parse(&text);
        }
    }
}
