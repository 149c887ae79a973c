//! The page of limits, `dht-core/src/limits.md`, against the code: each default is the value of the constant or of
//! the field, and no limit is missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dht_core::Config;

/// Constants whose names look like limits: steps of a calculation, pauses, numbers of the format, initial capacities.
const NO_LIMITS: &[(&str, &str)] = &[
    ("driver/memory_bound.rs", "NAME_MAX"),
    ("hyperdht/service.rs", "RECORD_MAX"),
    ("hyperdht/store.rs", "NODE_MAX"),
    ("driver/names.rs", "LOOKUP_MAX"),
    ("driver/packet_info.rs", "CONTROL_MAX"),
    ("driver/pause.rs", "NEWS_MAX"),
    ("driver/pause.rs", "PAUSE_MAX"),
    ("driver/pause.rs", "STREAK_MAX"),
    ("driver/retry.rs", "WAIT_MAX"),
    ("members/schedule.rs", "REFRESH_MAX"),
    ("queries/told.rs", "QUIET_MAX"),
    ("queries/walk/mod.rs", "CREDIT_MAX"),
    ("reach/mod.rs", "NEWS_MAX"),
    ("requests/inflight/mod.rs", "AT_ONCE_MAX"),
    ("requests/pace.rs", "TRIED_MAX"),
    ("sources/given.rs", "WAIT_MAX"),
    ("upkeep/bootstrap.rs", "RETRY_MAX"),
    ("upkeep/clock.rs", "SKIPPED_MAX"),
    ("upkeep/health.rs", "SILENT_MAX"),
    ("wire/closer_nodes.rs", "COUNT_MAX"),
    ("wire/closer_nodes.rs", "READ_MAX"),
    ("wire/mod.rs", "VARINT_MAX"),
];

/// Constants that are the default or the maximum of a field, whose row names them.
const SAME: &[(&str, &str)] = &[
    ("api/config.rs", "SEEN_MAX"),
    ("api/config.rs", "MAILBOX_MAX"),
    ("table/mod.rs", "PLACES_MAX"),
];

/// The constants of the crate, by file and name, with the text of their values.
struct Code(BTreeMap<(String, String), String>);

impl Code {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let (mut constants, mut folders) = (BTreeMap::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path: PathBuf = entry.unwrap().path();
                if path.file_stem().is_some_and(|stem| stem == "tests") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("\nmod tests {").next().unwrap();
                let file = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                for line in code.lines().filter(|line| !line.starts_with(' ')) {
                    let Some((_, rest)) = line.split_once("const ") else { continue };
                    let Some((name, value)) = rest.split_once(" = ") else { continue };
                    let name = name.split(':').next().unwrap().to_owned();
                    constants.insert((file.clone(), name), value.trim_end_matches(';').to_owned());
                }
            }
        }
        Self(constants)
    }

    /// The value of a sum of products, in milliseconds if it is a time.
    fn value(&self, file: &str, text: &str) -> u64 {
        if let Some((left, right)) = text.rsplit_once(" - ") {
            return self.value(file, left) - self.value(file, right);
        }
        let time = |of: &str| text.strip_prefix("Duration::from_")?.strip_prefix(of);
        for (unit, micros) in [("secs", 1_000_000), ("millis", 1_000), ("micros", 1)] {
            if let Some(inner) = time(unit) {
                return self.value(file, inner.trim_matches(['(', ')'])) * micros / 1_000;
            }
        }
        let factor = |factor: &str| {
            factor.replace('_', "").parse().unwrap_or_else(|_| self.constant(file, factor))
        };
        text.split(" * ").map(factor).product()
    }

    fn constant(&self, file: &str, name: &str) -> u64 {
        let here = self.0.get_key_value(&(file.to_owned(), name.to_owned()));
        let found = here.or_else(|| self.0.iter().find(|((_, other), _)| other == name));
        let ((file, _), text) = found.unwrap_or_else(|| panic!("no {name} in {file}"));
        let value = self.value(file, text);
        if name.ends_with("_MICROS") { value / 1_000 } else { value }
    }
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/limits.md");
    let page = fs::read_to_string(path).unwrap();
    if cfg!(feature = "hyperdht") {
        return page;
    }
    page.split("\n# hyperdht\n").next().unwrap().to_owned()
}

/// The rows of the page: the names in the first column, and the default.
fn rows(page: &str) -> Vec<(Vec<&str>, &str)> {
    let lines = page.lines().filter(|line| line.starts_with("| `"));
    lines
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 6, "{line}");
            (cells[1].split('`').skip(1).step_by(2).collect(), cells[2])
        })
        .collect()
}

/// The number in a cell, and, if its unit is one of time, the unit in milliseconds.
fn number(cell: &str) -> (u64, Option<u64>) {
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    let number = number.replace(',', "").trim_end_matches(':').parse();
    let millis = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "min" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    (number.unwrap_or_else(|_| panic!("no number: {cell}")), millis)
}

/// The fields of the default configuration that are numbers; times in milliseconds.
fn fields() -> BTreeMap<String, u64> {
    let text = format!("{:#?}", Config::default());
    #[cfg(feature = "hyperdht")]
    let text = format!("{text}{:#?}", dht_core::hyperdht::ServiceConfig::default());
    let text = text.replace("Some(\n        ", "").replace(",\n    )", "");
    let value = |line: &str| {
        let (name, value) = line.trim().trim_end_matches(',').split_once(": ")?;
        let value = match value.strip_suffix('s') {
            Some(seconds) => seconds.parse::<u64>().ok()? * 1_000,
            None => value.parse().ok()?,
        };
        Some((name.to_owned(), value))
    };
    text.lines().filter_map(value).collect()
}

#[test]
fn the_page_of_limits_has_the_numbers_of_the_code() {
    let (code, fields) = (Code::read(), fields());
    let page = page();
    for (names, cell) in rows(&page) {
        let (shown, millis) = number(cell);
        let (actual, unit) = match names[..] {
            [.., name, file] if file.ends_with(".rs") => {
                let text = code.0.get(&(file.into(), name.into()));
                let text = text.unwrap_or_else(|| panic!("no {name} in {file}"));
                // A unit of the marks is 50 ms.
                let of_marks = text.contains("SECOND") && millis.is_some();
                (code.constant(file, name), if of_marks { 50 } else { 1 })
            }
            [field] => (fields[field], 1),
            _ => panic!("{names:?}"),
        };
        assert_eq!(shown * millis.unwrap_or(1), actual * unit, "{names:?}: {cell}");
    }
}

#[test]
fn the_page_of_limits_lacks_none() {
    let page = page();
    let rows: Vec<_> = rows(&page).into_iter().map(|(names, _)| names).collect();
    for field in fields().keys() {
        assert!(rows.iter().any(|names| names[..] == [field]), "no row for the field {field}");
    }
    let is_limit = |(file, name): &&(String, String)| {
        name.ends_with("_MAX") && (cfg!(feature = "hyperdht") || !file.contains("hyperdht/"))
    };
    for (file, name) in Code::read().0.keys().filter(is_limit) {
        let other = NO_LIMITS.iter().chain(SAME).any(|no| *no == (file, name));
        let row = rows.iter().any(|names| names.ends_with(&[name, file]));
        assert!(row != other, "{name} in {file}: a row, or a place in the list above");
    }
}
