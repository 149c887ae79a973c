//! Sorting the twenty entries of a bucket: most of what an answer to FIND_NODE costs.

use super::K;

/// Up to this many, an insertion sort wins.
const SHORT: usize = 6;

/// Sorts `keys`, in which all keys from index `len` on are `u32::MAX`.
///
/// For 20 random keys the standard library uses an insertion sort, with a mispredicted
/// branch per key; it takes several times as long as a sorting
/// network, which has no branches: Batcher's merge exchange (Knuth, The Art of
/// Computer Programming, 5.2.2, algorithm M).
pub(super) fn sort(keys: &mut [u32; K], len: usize) {
    if len <= SHORT {
        return keys.sort_unstable();
    }
    let mut run = 1;
    while run < K {
        let mut gap = run;
        while gap > 0 {
            for start in (gap % run..K - gap).step_by(2 * gap) {
                for i in start..(start + gap).min(K - gap) {
                    if i / (2 * run) == (i + gap) / (2 * run) {
                        let (a, b) = (keys[i], keys[i + gap]);
                        (keys[i], keys[i + gap]) = (a.min(b), a.max(b));
                    }
                }
            }
            gap /= 2;
        }
        run *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorts(mut keys: [u32; K], len: usize) {
        keys[len..].fill(u32::MAX);
        let mut expected = keys;
        expected.sort_unstable();
        sort(&mut keys, len);
        assert_eq!(keys, expected);
    }

    #[test]
    fn sorts_zeros_and_ones_of_every_length() {
        // A network that sorts all sequences of zeros and ones sorts anything.
        for len in 0..=K {
            for step in [1, 7, 641] {
                for bits in (0..1u32 << len).step_by(step).take(4096) {
                    sorts(core::array::from_fn(|i| bits >> i & 1), len);
                }
            }
        }
    }

    quickcheck::quickcheck! {
        fn sorts_anything(keys: alloc::vec::Vec<u32>) -> bool {
            let len = keys.len().min(K);
            sorts(core::array::from_fn(|i| keys.get(i).copied().unwrap_or(0)), len);
            true
        }
    }
}
