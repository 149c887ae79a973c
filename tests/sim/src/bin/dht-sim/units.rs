//! Numbers as people write and read them: `500ms`, `5%`, `10k`.

use dht_sim::Micros;
pub(crate) use dht_sim::text::{duration as duration_text, thousands, trimmed};

const UNITS: [(&str, Micros); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// A length of time: `500ms`, `5s`, `1.5h`, `1h30m`, `0`.
pub(crate) fn duration(text: &str) -> Result<Micros, String> {
    if text == "0" {
        return Ok(0);
    }
    not_negative(text)?;
    let unclear = || format!("`{text}` is no length of time: write 500ms, 5s, 60m, 8h or 2d");
    let (mut rest, mut total) = (text, 0u64);
    while !rest.is_empty() {
        let (number, after) = split_number(rest).ok_or_else(unclear)?;
        let end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() && after.is_empty() {
            return Err(format!("`{text}` has no unit: write {number}ms, {number}s or {number}m"));
        }
        let unit = match unit {
            "min" => "m",
            "µs" => "us",
            unit => unit,
        };
        let worth = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(unclear)?.1;
        let micros = number.parse::<f64>().map_err(|_| unclear())? * worth as f64;
        total = total.saturating_add(micros.round() as Micros);
        if total >= CENTURY {
            return Err(format!("`{text}` is more than a century"));
        }
        rest = after;
    }
    if text.is_empty() { Err(unclear()) } else { Ok(total) }
}

/// How often something is printed, in virtual time: not too often to be read.
pub(crate) fn interval(text: &str) -> Result<Micros, String> {
    match duration(text)? {
        us if us < INTERVAL_MIN => Err(format!("`{text}` is too often: 10ms at least")),
        us => Ok(us),
    }
}

/// A part of everything: `5%` or `0.05`.
pub(crate) fn part(text: &str) -> Result<f64, String> {
    not_negative(text)?;
    let unclear = || format!("`{text}` is no part of anything: write 5% or 0.05");
    let (number, percent) = match text.strip_suffix('%') {
        Some(number) => (number.trim_end(), true),
        None => (text, false),
    };
    match split_number(number) {
        Some((_, "")) => {}
        _ => return Err(unclear()),
    }
    // Moved by its digits: a division may end beside the number that was meant.
    let shifted = if percent { format!("{number}e-2") } else { number.to_owned() };
    match shifted.parse::<f64>() {
        Ok(part) if part <= 1.0 => Ok(part),
        Ok(_) if percent => Err(format!("`{text}` is more than everything")),
        Ok(_) => Err(format!("`{text}` is more than everything: did you mean {number}%?")),
        Err(_) => Err(unclear()),
    }
}

/// How many: `10000`, `10,000`, `10k`, `1M`.
pub(crate) fn count(text: &str) -> Result<u32, String> {
    not_negative(text)?;
    let unclear = || format!("`{text}` is no whole number: write 10000, 10k or 1M");
    let (number, worth) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => text.strip_suffix('M').map_or((text, 1.0), |number| (number, 1e6)),
    };
    let digits: String = number.chars().filter(|c| !matches!(c, ',' | '_')).collect();
    match split_number(&digits) {
        Some((_, "")) => {}
        _ => return Err(unclear()),
    }
    let count = digits.parse::<f64>().map_err(|_| unclear())? * worth;
    if count.fract() != 0.0 {
        return Err(unclear());
    }
    if count > f64::from(u32::MAX) {
        return Err(format!("`{text}` is too large"));
    }
    Ok(count as u32)
}

/// How many, from `least` to `most`.
pub(crate) fn count_between<T: TryFrom<u32>>(
    least: u32,
    most: u32,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let count = count(text)?;
        let [from, to] = [least, most].map(|bound| thousands(bound.into()));
        let refused = || format!("`{text}` is not from {from} to {to}");
        let within = Some(count).filter(|count| (least..=most).contains(count));
        within.and_then(|count| T::try_from(count).ok()).ok_or_else(refused)
    }
}

/// What decides everything random, and other whole numbers of any size.
pub(crate) fn whole(text: &str) -> Result<u64, String> {
    not_negative(text)?;
    text.parse().map_err(|_| format!("`{text}` is no whole number from 0 to {}", u64::MAX))
}

/// Parts per million, up to a tenth: `100ppm`, `100`.
pub(crate) fn ppm(text: &str) -> Result<u32, String> {
    match count(text.strip_suffix("ppm").unwrap_or(text))? {
        ppm if ppm > 100_000 => Err(format!("`{text}` is more than a tenth: 100000ppm at most")),
        ppm => Ok(ppm),
    }
}

/// Any number that is not negative.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    not_negative(text)?;
    let parsed = text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
    parsed.ok_or_else(|| format!("`{text}` is no number"))
}

/// Says it of what would otherwise only be no number.
fn not_negative(text: &str) -> Result<(), String> {
    let number = text.strip_prefix('-').unwrap_or_default();
    match number.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        true => Err(format!("`{text}` is negative")),
        false => Ok(()),
    }
}

/// Digits, perhaps with a point among them, and what follows.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end)?;
    let digits = number.starts_with(|c: char| c.is_ascii_digit()) && !number.ends_with('.');
    (digits && number.matches('.').count() <= 1).then_some((number, rest))
}

/// `5 %`, `0.25 %`, `99.93 %`.
pub(crate) fn percent_text(part: f64) -> String {
    // Not `100 %` of what is a little less.
    let percent = (part * 1e6).floor() / 1e4;
    let percent = if (percent - part * 100.0).abs() < 1e-9 { part * 100.0 } else { percent };
    format!("{} %", trimmed(percent, 2.max(4 * usize::from(percent > 99.9))))
}

/// `850 k`, `1.23 M`: three digits.
pub(crate) fn rate_text(number: f64) -> String {
    match number {
        ..1e3 => trimmed(number, 1),
        ..1e5 => format!("{} k", trimmed(number / 1e3, 1)),
        ..1e6 => format!("{:.0} k", number / 1e3),
        _ => format!("{:.2} M", number / 1e6),
    }
}

/// `512 MB`, `1.4 GB`, of 1,000 each.
pub(crate) fn bytes_text(bytes: u64) -> String {
    match bytes as f64 {
        size @ ..1e6 => format!("{:.0} kB", size / 1e3),
        size @ ..1e9 => format!("{:.0} MB", size / 1e6),
        size => format!("{:.1} GB", size / 1e9),
    }
}

const CENTURY: Micros = 100 * 366 * 86_400_000_000;
/// A hundred lines per second of virtual time, thousands of which may pass in one of ours.
const INTERVAL_MIN: Micros = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        let good = [
            ("500ms", 500_000),
            ("5s", 5_000_000),
            ("60m", 3_600_000_000),
            ("60min", 3_600_000_000),
            ("8h", 28_800_000_000),
            ("2d", 172_800_000_000),
            ("250us", 250),
            ("250µs", 250),
            ("1.5s", 1_500_000),
            ("1h30m", 5_400_000_000),
            ("0", 0),
            ("0s", 0),
        ];
        for (text, us) in good {
            assert_eq!(duration(text), Ok(us), "{text}");
        }
        assert_eq!(duration("60"), Err("`60` has no unit: write 60ms, 60s or 60m".to_owned()));
        for long in ["90000d", "30000d30000d", "99999999999999999999d"] {
            assert_eq!(duration(long), Err(format!("`{long}` is more than a century")));
        }
        assert_eq!(duration("-5s"), Err("`-5s` is negative".to_owned()));
        assert_eq!(interval("10ms"), Ok(10_000));
        for often in ["0", "0s", "1us", "9.9ms"] {
            let said = format!("`{often}` is too often: 10ms at least");
            assert_eq!(interval(often), Err(said));
        }
        for bad in ["", "s", "5 s", "5x", "1..5s", ".5s", "5.s", "1e3s", "5s!", "NaNs"] {
            let said = duration(bad).unwrap_err();
            assert!(said.contains("is no length of time"), "{bad}: {said}");
        }
    }

    #[test]
    fn parts() {
        let good = [("5%", 0.05), ("0.05", 0.05), ("7.3 %", 0.073), ("0", 0.0), ("100%", 1.0)];
        for (text, value) in good {
            assert_eq!(part(text), Ok(value), "{text}");
        }
        assert_eq!(part("5"), Err("`5` is more than everything: did you mean 5%?".to_owned()));
        assert_eq!(part("101%"), Err("`101%` is more than everything".to_owned()));
        assert_eq!(part("-5%"), Err("`-5%` is negative".to_owned()));
        for bad in ["", "%", "x", "-", "5%%", "1e-3", "NaN", "inf"] {
            assert!(part(bad).unwrap_err().contains("is no part"), "{bad}");
        }
    }

    #[test]
    fn counts() {
        let good = [("10000", 10_000), ("10,000", 10_000), ("10k", 10_000), ("1.5M", 1_500_000)];
        for (text, value) in good {
            assert_eq!(count(text), Ok(value), "{text}");
        }
        assert_eq!([ppm("100ppm"), ppm("100000")], [Ok(100), Ok(100_000)]);
        ppm("100001ppm").unwrap_err();
        let few = count_between::<u16>(1, 256);
        assert_eq!([few("1"), few("256")], [Ok(1), Ok(256)]);
        for bad in ["0", "257", "100k"] {
            assert_eq!(few(bad), Err(format!("`{bad}` is not from 1 to 256")));
        }
        assert_eq!(whole("18446744073709551615"), Ok(u64::MAX));
        for bad in ["", "x", "1.5", "18446744073709551616"] {
            assert!(whole(bad).unwrap_err().contains("is no whole number from 0 to"), "{bad}");
        }
        for negative in ["-1", "-.5"] {
            let said = format!("`{negative}` is negative");
            assert_eq!(count(negative), Err(said.clone()));
            assert_eq!(ppm(negative), Err(said.clone()));
            assert_eq!(whole(negative), Err(said.clone()));
            assert_eq!(number(negative), Err(said));
        }
        assert_eq!(count("5000000000"), Err("`5000000000` is too large".to_owned()));
        for bad in ["", "1.5", "k", "-", "x", "1e3", "0x10", "NaN"] {
            assert!(count(bad).unwrap_err().contains("is no whole number"), "{bad}");
        }
    }

    #[test]
    fn texts() {
        assert_eq!([0.05, 0.0025, 1.0].map(percent_text), ["5 %", "0.25 %", "100 %"]);
        assert_eq!([0.999_97, 0.993_04].map(percent_text), ["99.997 %", "99.3 %"]);
        assert_eq!([12.0, 1_500.0, 2.5e6].map(rate_text), ["12", "1.5 k", "2.50 M"]);
        assert_eq!(bytes_text(1_400_000_000), "1.4 GB");
    }
}
