//! What options can say, beside numbers.

use std::path::PathBuf;

use dht_sim::churn::Length;
use dht_sim::{HostId, Sim};

use crate::units;

/// Whether something is so.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("`{text}` is neither on nor off")),
    }
}

/// Whether and how long nodes stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Churning {
    /// For ever.
    Off,
    /// For so long.
    For(Length),
}

/// A host by its number, or by its address.
pub(crate) fn host(text: &str) -> Result<HostId, String> {
    let known = units::count(text).ok().map(HostId);
    let known = known.or_else(|| text.parse().ok().and_then(Sim::host_at));
    known.ok_or_else(|| format!("`{text}` is no host: write 17, or its address, 11.0.17.1"))
}

/// A host, and where to write what it does.
pub(crate) fn host_and_file(text: &str) -> Result<(HostId, PathBuf), String> {
    match text.split_once(':') {
        Some((node, file)) if !file.is_empty() => Ok((host(node)?, file.into())),
        _ => Err("write HOST:FILE, such as 17:17.pcap".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_numbers_and_addresses() {
        for text in ["17", "11.0.17.1"] {
            assert_eq!(host(text), Ok(HostId(17)));
        }
        assert_eq!(host_and_file("3:a:b.pcap"), Ok((HostId(3), "a:b.pcap".into())));
        for bad in ["", "x", "11.0.17.2", "-1"] {
            host(bad).unwrap_err();
        }
        for bad in ["3", "3:", ":x", "x:y"] {
            host_and_file(bad).unwrap_err();
        }
    }
}
