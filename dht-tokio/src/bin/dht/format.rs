//! Numbers, ids and values as people like to read them.

use std::str;
use std::time::Duration;

use dht_tokio::Id;
use dht_tokio::dht_core::Distance;

/// Three digits or so, in the unit that suits: "0.42 ms", "4.2 ms", "42 ms", "4.2 s".
pub(crate) fn time(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    match millis {
        ..0.995 => format!("{millis:.2} ms"),
        ..9.95 => format!("{millis:.1} ms"),
        ..999.5 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1000.0),
    }
}

/// Milliseconds, to the microsecond, for JSON.
pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// "1 node", "1,234 nodes".
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

/// "1,234".
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "34 KiB".
pub(crate) fn memory(bytes: u64) -> String {
    format!("{} KiB", thousands(usize::try_from(bytes.div_ceil(1024)).unwrap_or(usize::MAX)))
}

/// How an id begins.
pub(crate) fn id(id: &Id) -> String {
    prefix(id.prefix())
}

/// How a distance begins.
pub(crate) fn distance(distance: &Distance) -> String {
    prefix(distance.prefix())
}

fn prefix(prefix: u64) -> String {
    format!("{:08x}…", prefix >> 32)
}

/// A value in quotes, if it is a short text of one line; else its length.
pub(crate) fn value(value: &[u8]) -> String {
    match str::from_utf8(value) {
        Ok(text) if text.chars().count() <= 60 && !text.contains(char::is_control) => {
            format!("\"{text}\"")
        }
        _ => count(value.len(), "byte"),
    }
}

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_suits() {
        let cases = [
            (0, "0.00 ms"),
            (420, "0.42 ms"),
            (994, "0.99 ms"),
            (996, "1.0 ms"),
            (4_200, "4.2 ms"),
            (9_960, "10 ms"),
            (42_000, "42 ms"),
            (999_000, "999 ms"),
            (999_600, "1.0 s"),
            (61_000_000, "61.0 s"),
        ];
        for (micros, text) in cases {
            assert_eq!(time(Duration::from_micros(micros)), text, "{micros}");
        }
        assert_eq!(millis(Duration::from_nanos(1_234_567)), 1.235);
    }

    #[test]
    fn numbers_are_readable() {
        let cases = [
            (0, "0 nodes"),
            (1, "1 node"),
            (2, "2 nodes"),
            (999, "999 nodes"),
            (1_000, "1,000 nodes"),
            (1_234_567, "1,234,567 nodes"),
        ];
        for (number, text) in cases {
            assert_eq!(count(number, "node"), text);
        }
        assert_eq!(memory(0), "0 KiB");
        assert_eq!(memory(1), "1 KiB");
        assert_eq!(memory(2048 * 1024), "2,048 KiB");
    }

    #[test]
    fn ids_and_distances_show_how_they_begin() {
        let mut bytes = [0; 32];
        bytes[..5].copy_from_slice(&[0x00, 0x01, 0xab, 0xcd, 0xef]);
        assert_eq!(id(&Id(bytes)), "0001abcd…");
        assert_eq!(distance(&Id(bytes).distance(&Id([0xff; 32]))), "fffe5432…");
        assert_eq!(hex(&bytes[..5]), "0001abcdef");
    }

    #[test]
    fn values_that_would_disturb_a_terminal_are_counted() {
        let long = "x".repeat(61);
        let cases: [(&[u8], &str); 7] = [
            (b"hello", "\"hello\""),
            (b"", "\"\""),
            ("grüß".as_bytes(), "\"grüß\""),
            (b"\x1b[2J", "4 bytes"),
            (b"a\nb", "3 bytes"),
            (b"\xff", "1 byte"),
            (long.as_bytes(), "61 bytes"),
        ];
        for (bytes, text) in cases {
            assert_eq!(value(bytes), text);
        }
    }
}
