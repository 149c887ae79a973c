//! Scenarios as files: JSON, with a version, so that a file tells what it was written for.
//!
//! ```json
//! { "version": 1, "seed": 7, "nodes": 1000, "lookups": 100 }
//! ```
//!
//! What is left out is as in [`Scenario::default`]; what is not known is refused, with its line.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use super::Scenario;

/// The version that is written, and the only version that is read.
pub const VERSION: u32 = 1;
/// Longer files are refused, in bytes.
const LENGTH_MAX: u64 = 16 << 20;

/// Why a text is no scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if *line == 0 { String::new() } else { format!("line {line}: ") })]
pub struct ScriptError {
    /// The line, from 1; 0 for the text as a whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// The scenario as text.
pub fn to_text(scenario: &Scenario) -> String {
    // It fails for keys that are no strings, of which there are none.
    serde_json::to_string_pretty(scenario).unwrap_or_default() + "\n"
}

/// The scenario that a text says. Whether it is possible is not looked at.
///
/// # Errors
/// If it is no JSON, of no version or another one, or has something in it that is not known.
pub fn parse(text: &str) -> Result<Scenario, ScriptError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: Option<u32>,
        // With this, only an object will do.
        #[serde(flatten)]
        _rest: IgnoredAny,
    }
    let Versioned { version, .. } =
        serde_json::from_str(text).map_err(|error| explain(text, &error))?;
    let message = match version {
        Some(VERSION) => {
            return serde_json::from_str(text).map_err(|error| explain(text, &error));
        }
        Some(other) => format!("version {other}, but only version {VERSION} is known"),
        None => format!("no version: a scenario begins with \"version\": {VERSION}"),
    };
    Err(ScriptError { line: 0, message })
}

/// The scenario in a file.
///
/// # Errors
/// As [`parse`], and errors of the system; the path is named.
pub fn read(path: &Path) -> io::Result<Scenario> {
    let error = |kind, what: &dyn fmt::Display| {
        let path = path.display();
        io::Error::new(kind, format!("{path}: {what}"))
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|why| error(why.kind(), &why))?;
    let read = file.take(LENGTH_MAX + 1).read_to_string(&mut text);
    // What is cut off may end within a character.
    if text.len() as u64 > LENGTH_MAX {
        return Err(error(io::ErrorKind::InvalidData, &"no scenario is longer than 16 MB"));
    }
    read.map_err(|why| error(why.kind(), &why))?;
    parse(&text).map_err(|ScriptError { line, message }| {
        let at = if line == 0 { " ".to_owned() } else { format!("{line}: ") };
        let path = path.display();
        io::Error::new(io::ErrorKind::InvalidData, format!("{path}:{at}{message}"))
    })
}

fn explain(text: &str, error: &serde_json::Error) -> ScriptError {
    // Half a number at the end is called invalid, not an end.
    let last = text.lines().last().unwrap_or_default();
    let at_end = error.line() >= text.lines().count() && error.column() >= last.len();
    let cut_short = error.is_eof() || (error.is_syntax() && at_end && !is_whole(text));
    let said = plain(error);
    let message = match error.classify() {
        _ if cut_short => "the text ends here, but not the scenario: it was cut short".to_owned(),
        Category::Eof | Category::Syntax => format!("this is no JSON: {said}"),
        Category::Data | Category::Io => said,
    };
    ScriptError { line: error.line(), message }
}

/// What is wrong with JSON, in words of JSON, without the place.
pub fn plain(error: &serde_json::Error) -> String {
    let full = error.to_string();
    let end = full.rfind(" at line ").unwrap_or(full.len());
    let said = full.get(..end).unwrap_or(&full);
    let Some((before, expected)) = said.rsplit_once(", expected ") else { return said.to_owned() };
    let expected = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65,535",
        "u32" => "a whole number from 0 to 4,294,967,295",
        "u64" | "usize" => "a whole number that is not negative",
        "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        _ if expected.starts_with("struct ") || expected.contains("tagged enum ") => "an object",
        other => other,
    };
    format!("{before}, expected {expected}")
}

/// Whether it ends as a scenario does.
fn is_whole(text: &str) -> bool {
    text.trim_end().ends_with('}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Attack, AttackKind, Fault, FaultKind, Stands};
    use crate::world::addresses::Addresses;
    use crate::world::churn::{Churn, Length};
    use crate::world::link::{Latency, Link};
    use crate::world::partition::{Flap, Side};

    fn example() -> Scenario {
        let crash = Fault { at_us: 5, what: FaultKind::Crash { host: 3 } };
        let first = Side::Fraction(0.1);
        let flap = Some(Flap { period_us: 9, open_us: 2 });
        let what = FaultKind::Partition { first, one_way: true, for_us: 77, flap };
        let length = Length::Weibull { scale_us: 3, shape: 0.5 };
        Scenario {
            seed: u64::MAX,
            nodes: 12,
            link: Link {
                latency: Latency::Uniform { min_us: 1, max_us: 2 },
                corrupt: 0.1 + 0.2,
                ..Link::default()
            },
            churn: Some(Churn {
                session: length,
                downtime: length,
                permanent: 1.0 / 3.0,
                return_with_table: 0.0,
            }),
            faults: vec![crash, Fault { at_us: 6, what }],
            heal_us: Some(3),
            addresses: Some(Addresses::default()),
            attacks: vec![Attack { stands: Stands::Beside, ..AttackKind::GrindDead.into() }],
            ..Scenario::default()
        }
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    /// Of what has a version.
    fn wrong(text: &str) -> String {
        error(&text.replacen('{', r#"{"version": 1, "#, 1))
    }

    #[test]
    fn what_is_written_is_read() {
        for scenario in [example(), Scenario::default()] {
            let text = to_text(&scenario);
            assert!(text.starts_with("{\n  \"version\": 1,\n  \"seed\": "), "{text}");
            assert_eq!(parse(&text).unwrap(), scenario);
        }
        assert_eq!(parse(r#"{"version": 1}"#).unwrap(), Scenario::default());
        assert_eq!(parse(r#"{"nodes": 100, "version": 1}"#).unwrap(), Scenario::default());
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let text = to_text(&example());
        let text = text.trim_end();
        for len in (0..text.len()).filter(|len| text.is_char_boundary(*len)) {
            let error = parse(&text[..len]).unwrap_err();
            assert!(error.message.contains("cut short"), "{len}: {error}");
            assert!(error.line <= text.lines().count());
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let said = wrong("{\n \"nodes\": 5,\n \"bogus\": 1\n}");
        assert!(said.starts_with("line 3: unknown field `bogus`, expected one of"), "{said}");
        let said = wrong("{\n \"faults\": [\n {\"at_us\": 1, \"fault\": \"crash\"}]}");
        assert_eq!(said, "line 3: missing field `host`");
        let said = wrong(r#"{"faults": [{"at_us": 1, "fault": "crash", "host": 1, "bogus": 2}]}"#);
        assert!(said.starts_with("line 1: unknown field `bogus`"), "{said}");
        let said = wrong("{\n\"nodes\": -5}");
        assert!(
            said.starts_with(
                "line 2: invalid value: integer `-5`, expected a whole number from 0 to"
            ),
            "{said}"
        );
        for (text, expected) in [
            (r#"{"nodes": 5000000000}"#, "expected a whole number from 0 to 4,294,967,295"),
            (r#"{"run_us": -1}"#, "expected a whole number that is not negative"),
            (r#"{"dead": "x"}"#, "expected a number"),
            (r#"{"link": 5}"#, "expected an object"),
            (r#"{"node": {"thorough": 1}}"#, "expected a boolean"),
        ] {
            assert!(wrong(text).ends_with(expected), "{}", wrong(text));
        }
        let said = error("{\n\"nodes\" 5}");
        assert_eq!(said, "line 2: this is no JSON: expected `:`");
        assert_eq!(error("{} {}"), "line 1: this is no JSON: trailing characters");
        assert!(error("[1]").starts_with("line 1: invalid"), "{}", error("[1]"));
    }

    #[test]
    fn another_version_is_refused_before_anything_else() {
        let said = error(r#"{"version": 2, "unheard of": 1}"#);
        assert_eq!(said, "version 2, but only version 1 is known");
        assert!(error(r#"{"version": 1, "version": 1}"#).contains("duplicate field `version`"));
        assert!(error(r#"{"version": "1"}"#).contains("invalid type"));
        let missing = "no version: a scenario begins with \"version\": 1";
        assert_eq!([error("{}"), error(r#"{"nodes": 5}"#)], [missing; 2]);
    }

    #[test]
    fn the_readme_has_the_usual_addresses() {
        let readme = include_str!("../../README.md");
        let line = readme.lines().find(|line| line.starts_with("{\"networks\"")).unwrap();
        assert_eq!(serde_json::from_str::<Addresses>(line).unwrap(), Addresses::default());
        let said = parse(r#"{"version": 1, "addresses": {}}"#).unwrap();
        assert_eq!(said.addresses, Some(Addresses::default()));
    }

    #[test]
    fn the_readme_has_all_kinds_of_faults() {
        let readme = include_str!("../../README.md");
        let lines = readme.lines().filter(|line| line.starts_with("{\"at_us\""));
        let faults: Vec<Fault> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: std::collections::HashSet<_> =
            faults.iter().map(|fault| std::mem::discriminant(&fault.what)).collect();
        // As many as random scenarios have.
        assert_eq!(kinds.len(), 17);
        let scenario = Scenario { faults, checks: true, ..Scenario::default() };
        assert_eq!(scenario.check(), Ok(()));
    }
}
