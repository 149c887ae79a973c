//! Random numbers from one seed.
//!
//! The core has no source of entropy: 32 bytes are drawn once, when a node is
//! made, and expanded here, so the same seed and inputs give the same bytes on
//! every machine. Block `i` of the stream is BLAKE2b-512, keyed with the seed,
//! over `i` as eight little-endian bytes; numbers are read from the stream
//! little-endian, without padding between them.
//!
//! Unpredictable without the seed, so fit for transaction ids and token secrets. A
//! reader of the process's memory can also compute past output.

use core::fmt;

use blake2::{Blake2b256, Digest};

use crate::secret::keyed::Keyed;

/// A deterministic generator; see the module for the construction.
///
/// A clone continues with the same output as the original.
#[derive(Clone)]
pub(crate) struct Rng {
    /// As it is: absorbing it anew for each block costs little, and keeping that done takes
    /// as much memory again.
    seed: [u8; 32],
    next_block: u64,
    block: [u8; BLOCK],
    used: u8,
}

impl Rng {
    /// A generator for `seed`, which should come from a secure source.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self::at(seed, 0)
    }

    /// A generator that begins `block` blocks of 64 bytes later.
    pub(crate) fn at(seed: [u8; 32], block: u64) -> Self {
        Self { seed, next_block: block, block: [0; BLOCK], used: BLOCK as u8 }
    }

    /// The seed of an independent generator: made of the next 32 bytes of this one and `label`.
    ///
    /// Two forks are independent of each other even under one label.
    pub(crate) fn fork(&mut self, label: &[u8]) -> [u8; 32] {
        let seed = Keyed::<32>::new(&self.take());
        let label: [u8; 32] = Blake2b256::digest(label).into();
        seed.hash(&label)
    }

    /// Fills `out` with the next bytes of the stream.
    pub(crate) fn fill(&mut self, out: &mut [u8]) {
        let mut filled = 0;
        while filled < out.len() {
            let mut used = usize::from(self.used);
            if used == BLOCK {
                self.block = Keyed::new(&self.seed).hash(&self.next_block.to_le_bytes());
                self.next_block = self.next_block.wrapping_add(1);
                used = 0;
            }
            let n = (out.len() - filled).min(BLOCK - used);
            out[filled..filled + n].copy_from_slice(&self.block[used..used + n]);
            filled += n;
            self.used = (used + n) as u8;
        }
    }

    /// The next two bytes as a number.
    pub(crate) fn next_u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    /// The next four bytes as a number.
    pub(crate) fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    /// The next eight bytes as a number.
    pub(crate) fn next_u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    /// A number in `0..n`, each equally likely; 0 if `n` is 0.
    ///
    /// Draws four bytes, more in the rare case that they would favour some
    /// numbers (Lemire, "Fast random integer generation in an interval", 2019).
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        if n == 0 {
            return 0;
        }
        // Of the 2^32 draws, the first `2^32 mod n` low halves are one too many.
        let surplus = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(n);
            if product as u32 >= surplus {
                return (product >> 32) as u32;
            }
        }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// Shows nothing: state and output are secret.
impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rng").finish_non_exhaustive()
    }
}

/// Bytes per hash.
const BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;
    use alloc::vec::Vec;

    use quickcheck::quickcheck;

    use super::*;

    /// 0, 1, .. 31.
    fn rng() -> Rng {
        Rng::new(core::array::from_fn(|i| i as u8))
    }

    // The constants below were computed with Python's hashlib.blake2b.
    #[test]
    fn numbers_are_read_little_endian_and_unpadded() {
        let mut rng = rng();
        assert_eq!(rng.next_u16(), 0x1292);
        assert_eq!(rng.next_u32(), 0x6515_97bc);
        assert_eq!(rng.next_u64(), 0x3216_afb1_9028_f656);
        rng.fill(&mut [0; 45]);
        // From byte 59 on: five bytes of the first block, three of the second.
        assert_eq!(rng.next_u64(), 0x0fa9_b825_5daf_a684);
    }

    #[test]
    fn forks_are_independent_of_each_other_and_of_the_rest() {
        let mut rng = rng();
        let forks = [b"a", b"a", b"b"].map(|label| Rng::new(rng.fork(label)).next_u64());
        let expected = [0x650b_dd61_f37c_a896, 0x9282_95d9_4e85_9f4f, 0x0b71_372c_b3d7_acab];
        assert_eq!(forks, expected);
        assert_eq!(rng.next_u64(), 0x8b41_4757_c951_d8a0);
    }

    #[test]
    fn below_is_the_same_everywhere() {
        let mut rng = rng();
        let late = [0; 12].map(|_| rng.below(3 << 30))[9..].to_vec();
        assert_eq!(late, [342_376_133, 2_657_533_954, 1_667_464_489]);
        // Twelve numbers took fifteen draws, so these come from byte 60 on.
        assert_eq!([2, 10, 1_000].map(|n| rng.below(n)), [0, 1, 772]);
    }

    #[test]
    fn below_is_uniform_where_a_remainder_is_not() {
        // With n = 3/4 of 2^32, `x % n` falls below n / 3 half of the time, and `x * n >> 32`
        // is a multiple of three half of the time, instead of a third each.
        const N: u32 = 3 << 30;
        const DRAWS: usize = 6_000;
        let mut rng = rng();
        let drawn: Vec<u32> = (0..DRAWS).map(|_| rng.below(N)).collect();
        let near_a_third = |hits: usize| (DRAWS * 30 / 100..DRAWS * 37 / 100).contains(&hits);
        assert!(near_a_third(drawn.iter().filter(|&&x| x < 1 << 30).count()));
        assert!(near_a_third(drawn.iter().filter(|&&x| x % 3 == 0).count()));
        assert!(drawn.iter().all(|&x| x < N));
    }

    #[test]
    fn below_covers_small_ranges() {
        let mut rng = rng();
        assert_eq!(rng.below(0), 0);
        for n in 1..=20 {
            let mut seen = vec![0; n as usize];
            (0..n * 100).for_each(|_| seen[rng.below(n) as usize] += 1);
            assert!(seen.iter().all(|&hits| (50..200).contains(&hits)), "{seen:?}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", rng()), "Rng { .. }");
    }

    quickcheck! {
        fn cuts_do_not_change_the_stream(cuts: Vec<u8>) -> bool {
            let total = cuts.iter().map(|&n| usize::from(n)).sum();
            let mut whole = vec![0; total];
            rng().fill(&mut whole);
            let (mut cut, mut pieces) = (rng(), Vec::new());
            for n in cuts {
                let mut piece = vec![0; usize::from(n)];
                cut.fill(&mut piece);
                pieces.extend(piece);
            }
            pieces == whole
        }

        fn a_later_block_is_where_it_would_be(block: u8) -> bool {
            let mut whole = rng();
            whole.fill(&mut vec![0; usize::from(block) * BLOCK]);
            Rng::at(rng().seed, block.into()).next_u64() == whole.next_u64()
        }

        fn a_clone_goes_on_alike(skip: u8) -> bool {
            let mut original = rng();
            original.fill(&mut vec![0; usize::from(skip)]);
            let mut clone = original.clone();
            (0..20).all(|_| original.next_u64() == clone.next_u64())
        }

        fn seeds_matter(a: u8, b: u8) -> bool {
            (Rng::new([a; 32]).next_u64() == Rng::new([b; 32]).next_u64()) == (a == b)
        }
    }
}
