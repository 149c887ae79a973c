//! What is true, though no node can know it: which nodes are there, and so which are the closest to a target.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use dht_core::Id;

/// The `count` entries closest to `target`, the closest first.
pub(crate) fn closest<V: Copy>(all: &BTreeMap<Id, V>, target: &Id, count: usize) -> Vec<(Id, V)> {
    let mut found = Vec::new();
    // Ids that share exactly the same number of leading bits with the target stand together, and are nearer than all
    // ids that share fewer. Start at the neighbours of the target in that order.
    let below = all.range(..=*target).next_back().map(|(id, _)| id);
    let above = all.range(*target..).next().map(|(id, _)| id);
    let shared = |id: &Id| id.distance(target).shared_bits();
    let Some(deepest) = below.into_iter().chain(above).map(shared).max() else {
        return found;
    };
    for bits in (0..=deepest).rev() {
        if found.len() >= count {
            break;
        }
        let (first, last) = sharing(target, bits);
        let from = found.len();
        found.extend(all.range(first..=last).map(|(id, value)| (*id, *value)));
        found[from..].sort_unstable_by_key(|(id, _)| id.distance(target));
    }
    found.truncate(count);
    found
}

/// The first `count` of these, the nearest first, that are within the quotas of a network with that number of hosts: 2 of one
/// host and 3 of one /24, or more where hosts are few.
pub(crate) fn within_quotas<T>(
    nearest: Vec<T>,
    ip: impl Fn(&T) -> Ipv4Addr,
    (hosts_in_all, count): (usize, usize),
) -> Vec<T> {
    let groups = hosts_in_all.max(1);
    let fair = 1 + 20 / groups + (160 / groups).isqrt();
    let (per_host, per_prefix) = (fair.max(2), fair.max(3));
    let (mut hosts, mut prefixes) = (BTreeMap::<u32, usize>::new(), BTreeMap::<u32, usize>::new());
    let mut is_within = |node: &T| {
        let ip = ip(node).to_bits();
        let (host, prefix) = (hosts.entry(ip).or_default(), prefixes.entry(ip >> 8).or_default());
        let within = *host < per_host && *prefix < per_prefix;
        (*host, *prefix) = (*host + usize::from(within), *prefix + usize::from(within));
        within
    };
    nearest.into_iter().filter(|node| is_within(node)).take(count).collect()
}

/// The first and the last id that share exactly `bits` leading bits with `id`.
fn sharing(id: &Id, bits: u32) -> (Id, Id) {
    let (mut first, mut last) = (*id, *id);
    if bits < 256 {
        let (byte, mask) = ((bits / 8) as usize, 0x80u8 >> (bits % 8));
        first.0[byte] = (first.0[byte] ^ mask) & !(mask - 1);
        last.0[byte] = (last.0[byte] ^ mask) | (mask - 1);
        first.0[byte + 1..].fill(0);
        last.0[byte + 1..].fill(0xff);
    }
    (first, last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u32, bytes: usize) -> Id {
        // Few different leading bytes, so that long prefixes are shared.
        let mut id = [7; 32];
        id[..bytes].copy_from_slice(&n.to_be_bytes()[..bytes]);
        id[31] = n as u8;
        Id(id)
    }

    proptest! {
        #[test]
        fn finds_what_sorting_finds(
            ids in prop::collection::vec((any::<u32>(), 0..5usize), 0..200),
            target in (any::<u32>(), 0..5usize),
            count in 0..30usize,
        ) {
            let target = id(target.0, target.1);
            let mut truth = BTreeMap::new();
            for ((n, bytes), host) in ids.into_iter().zip(0..) {
                truth.insert(id(n, bytes), host);
            }
            let mut all: Vec<_> = truth.iter().map(|(id, host)| (*id, *host)).collect();
            all.sort_by_key(|(id, _)| id.distance(&target));
            all.truncate(count);
            prop_assert_eq!(closest(&truth, &target, count), all);
        }
    }
}
