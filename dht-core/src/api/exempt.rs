//! Whom the limits per host and per /24 apply to. All of them ask here: quotas, budgets, shares and votes.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::str::FromStr;

use crate::addr::{LOCAL, is_in, is_local};
use crate::api::error::ConfigError;

/// Whom limits per host (an address without its port) and per /24 don't apply to.
///
/// The limits keep who owns a few addresses from counting as many. Where all nodes belong to one owner, or where many
/// share an address, they can be in the way.
///
/// ```
/// use dht_core::{Config, Exempt};
///
/// let mut config = Config::default();
/// config.exempt = "local,203.0.113.0/24".parse()?;
/// assert!(config.exempt.covers([203, 0, 113, 7].into()));
/// assert!(config.exempt.covers([192, 168, 1, 7].into()));
/// assert!("203.0.113.0/33".parse::<Exempt>().is_err());
/// # Ok::<_, dht_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exempt {
    /// Local addresses: loopback, private, link-local and 100.64.0.0/10, that of carriers' NATs.
    #[default]
    Local,
    /// Nobody: the limits apply to local addresses too.
    Nobody,
    /// Everybody in these ranges: the first address of each, and how many of its bits count, at most 32.
    Ranges(Arc<[(Ipv4Addr, u8)]>),
}

impl Exempt {
    /// Everybody: no limits per host or /24 at all.
    #[must_use]
    pub fn everybody() -> Self {
        Self::Ranges(Arc::new([(Ipv4Addr::UNSPECIFIED, 0)]))
    }

    /// Whether the limits don't apply to this host.
    #[must_use]
    pub fn covers(&self, host: Ipv4Addr) -> bool {
        match self {
            Self::Local => is_local(host),
            Self::Nobody => false,
            Self::Ranges(ranges) => is_in(ranges, host),
        }
    }
}

/// `local`, `nobody`, `everybody`, or a list of ranges, `203.0.113.0/24,198.51.100.7,local`, divided by commas.
impl FromStr for Exempt {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "local" => return Ok(Self::Local),
            "nobody" => return Ok(Self::Nobody),
            "everybody" => return Ok(Self::everybody()),
            _ => {}
        }
        let mut ranges = Vec::new();
        for range in text.split(',') {
            if range == "local" {
                ranges.extend(LOCAL);
                continue;
            }
            let (first, bits) = range.split_once('/').unwrap_or((range, "32"));
            match (first.parse(), bits.parse()) {
                (Ok(first), Ok(bits @ 0..=32)) => ranges.push((first, bits)),
                _ => return Err(ConfigError::InvalidRange(range.into())),
            }
        }
        Ok(Self::Ranges(ranges.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(exempt: &str, host: [u8; 4]) -> bool {
        exempt.parse::<Exempt>().unwrap().covers(host.into())
    }

    #[test]
    fn ranges_end_where_they_should() {
        for (host, expected) in [
            ([203, 0, 112, 255], false),
            ([203, 0, 113, 0], true),
            ([203, 0, 113, 255], true),
            ([203, 0, 114, 0], false),
            ([198, 51, 100, 7], true),
            ([198, 51, 100, 8], false),
            ([10, 0, 0, 1], false),
        ] {
            assert_eq!(covers("203.0.113.0/24,198.51.100.7", host), expected, "{host:?}");
            // Whatever stands behind the bits that count.
            assert_eq!(covers("203.0.113.99/24,198.51.100.7/32", host), expected, "{host:?}");
        }
    }

    #[test]
    fn local_ones_are_exempt_by_default_and_by_name() {
        let listed = Exempt::Ranges(LOCAL.into());
        let edges = LOCAL.iter().flat_map(|(first, bits)| {
            let last = first.to_bits() | u32::MAX >> bits;
            [first.to_bits() - 1, first.to_bits(), last, last.wrapping_add(1)]
        });
        for host in edges.map(Ipv4Addr::from_bits) {
            assert_eq!(listed.covers(host), is_local(host), "{host}");
            assert_eq!(Exempt::default().covers(host), is_local(host), "{host}");
            assert_eq!(covers("local,1.1.1.1", host.octets()), is_local(host), "{host}");
            assert!(Exempt::everybody().covers(host) && !Exempt::Nobody.covers(host));
        }
        assert_eq!("everybody".parse(), Ok(Exempt::everybody()));
        assert_eq!("local".parse(), Ok(Exempt::Local));
    }

    #[test]
    fn what_is_no_range_is_refused_and_quoted() {
        for (text, range) in [
            ("", ""),
            ("10.0.0.0/33", "10.0.0.0/33"),
            ("10.0.0.0/8,", ""),
            ("10.0.0/8", "10.0.0/8"),
            ("10.0.0.0/-1", "10.0.0.0/-1"),
            ("local,private", "private"),
            ("nobody,local", "nobody"),
        ] {
            let error = ConfigError::InvalidRange(range.into());
            assert_eq!(text.parse::<Exempt>(), Err(error), "{text}");
        }
    }
}
