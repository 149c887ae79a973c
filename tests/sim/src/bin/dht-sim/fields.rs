//! A scenario as a table, in words for people.

use dht_sim::Scenario;
use dht_sim::text_table::TextTable;
use serde_json::Value;

use crate::units::{duration_text, thousands};

/// Longer lists are only counted.
const ITEMS: usize = 12;

/// What of a scenario is not as usual, field by field, and what everybody asks for.
pub(crate) fn table(scenario: &Scenario) -> TextTable {
    let mut table = TextTable::new(["field", "value"]);
    let [mut fields, mut usual] = [Vec::new(), Vec::new()];
    flatten("", &to_value(scenario), &mut fields);
    flatten("", &to_value(&Scenario::default()), &mut usual);
    for (name, text) in fields.into_iter().filter(|(name, _)| name != "version") {
        let basic =
            text != "0.0" && !name.contains('.') && text.starts_with(|c: char| c.is_ascii_digit());
        if basic || !usual.contains(&(name.clone(), text.clone())) {
            table.row([name, text]);
        }
    }
    table
}

fn to_value(scenario: &Scenario) -> Value {
    serde_json::to_value(scenario).unwrap_or_default()
}

/// All that is in `value`, with the way to it: `link.latency.constant.delay`, `40 ms`.
fn flatten(name: &str, value: &Value, to: &mut Vec<(String, String)>) {
    let inside = |key: &str| match name {
        "" => key.to_owned(),
        name => format!("{name}.{key}"),
    };
    let shown = |to: &mut Vec<_>, text: String| {
        to.push((name.trim_end_matches("_us").replace('_', " "), text));
    };
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| flatten(&inside(key), value, to));
        }
        Value::Array(items) if items.len() <= ITEMS => {
            (1..)
                .zip(items)
                .for_each(|(n, item): (u32, _)| flatten(&format!("{name} {n}"), item, to));
        }
        Value::Array(items) => shown(to, format!("{} of them", thousands(items.len() as u64))),
        Value::Number(number) => match number.as_u64() {
            Some(us) if name.ends_with("_us") => shown(to, duration_text(us)),
            Some(number) if !name.ends_with("seed") => shown(to, thousands(number)),
            _ => shown(to, number.to_string()),
        },
        Value::Bool(yes) => shown(to, if *yes { "yes" } else { "no" }.to_owned()),
        Value::String(text) => shown(to, text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use dht_sim::link::{Latency, Link, Loss};

    use super::*;

    #[test]
    fn what_is_not_as_usual_is_said() {
        let link = Link {
            latency: Latency::Uniform { min_us: 20_000, max_us: 1_500_000 },
            loss: Loss::Independent(0.05),
            ..Link::default()
        };
        let scenario = Scenario { nodes: 10_000, link, checks: true, ..Scenario::default() };
        let rows = table(&scenario).rows;
        let has = |name: &str, value: &str| rows.contains(&vec![name.to_owned(), value.to_owned()]);
        assert!(has("nodes", "10,000") && has("run", "10 m") && has("checks", "yes"), "{rows:?}");
        assert!(has("link.latency.uniform.max", "1.5 s"), "{rows:?}");
        assert!(has("link.loss.independent", "0.05"), "{rows:?}");
        assert!(!rows.iter().any(|row| row[0].contains("mtu") || row[0] == "dead"), "{rows:?}");
    }
}
