//! Numbers and times in words, for people.

use super::Micros;

/// As whole or with two units: `90 s` is `1 m 30 s`.
pub fn duration(us: Micros) -> String {
    match us {
        0 => return "0 s".to_owned(),
        1..1_000 => return format!("{us} µs"),
        1_000..1_000_000 => return format!("{} ms", trimmed(us as f64 / 1e3, 1)),
        1_000_000..60_000_000 => return format!("{} s", trimmed(us as f64 / 1e6, 2)),
        _ => {}
    }
    let seconds = us / 1_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let parts = [(days, "d"), (hours % 24, "h"), (minutes % 60, "m"), (seconds % 60, "s")];
    let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(0);
    let shown = parts.iter().skip(first).take(2).filter(|(n, _)| *n > 0);
    shown.map(|(n, unit)| format!("{n} {unit}")).collect::<Vec<_>>().join(" ")
}

/// `12.345678 s`.
pub fn seconds(us: Micros) -> String {
    format!("{}.{:06} s", us / 1_000_000, us % 1_000_000)
}

/// `1,234,567`.
pub fn thousands(number: u64) -> String {
    match number.to_string() {
        digits if digits.len() <= 3 => digits,
        digits => format!("{},{}", thousands(number / 1_000), &digits[digits.len() - 3..]),
    }
}

/// With at most this many decimals, and no zeros at the end.
pub fn trimmed(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let times = [
            (0, "0 s"),
            (250, "250 µs"),
            (1_500, "1.5 ms"),
            (412_300, "412.3 ms"),
            (1_250_000, "1.25 s"),
            (90_000_000, "1 m 30 s"),
            (3_600_000_000, "1 h"),
            (3_601_000_000, "1 h"),
            (180_000_000_000, "2 d 2 h"),
        ];
        for (us, text) in times {
            assert_eq!(duration(us), text);
        }
        assert_eq!(seconds(12_000_345), "12.000345 s");
        assert_eq!([7, 999, 1_234_567].map(thousands), ["7", "999", "1,234,567"]);
    }
}
