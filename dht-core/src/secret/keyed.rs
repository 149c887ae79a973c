//! BLAKE2b under one key, for many short messages.
//!
//! BLAKE2b takes a key as a first block of its own, so a keyed hash of a short
//! message costs two compressions. Here the first is done once per key. Not a
//! general MAC: messages have a fixed length of 1 to 128 bytes.

use core::fmt;

use blake2::Blake2bVarCore;
use blake2::digest::Output;
use blake2::digest::block_api::{Block, Buffer, UpdateCore, VariableOutputCore};

/// BLAKE2b with `N` bytes of output, its 32-byte key already absorbed.
#[derive(Clone)]
pub(crate) struct Keyed<const N: usize>(Blake2bVarCore);

impl<const N: usize> Keyed<N> {
    /// Absorbs `key`.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        const { assert!(1 <= N && N <= 64, "BLAKE2b makes 1 to 64 bytes") };
        let mut core = Blake2bVarCore::new_with_params(&[], &[], key.len(), N);
        let mut block = Block::<Blake2bVarCore>::default();
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        core.update_blocks(&[block]);
        Self(core)
    }

    /// The keyed hash of `message`.
    pub(crate) fn hash<const M: usize>(&self, message: &[u8; M]) -> [u8; N] {
        // With an empty message the key block would be the last block, and would need the flag of the last block.
        const { assert!(1 <= M && M <= 128, "one block, not empty") };
        let mut full = Output::<Blake2bVarCore>::default();
        let mut buffer = Buffer::<Blake2bVarCore>::new(message);
        self.0.clone().finalize_variable_core(&mut buffer, &mut full);
        let mut out = [0; N];
        for (to, from) in out.iter_mut().zip(full) {
            *to = from;
        }
        out
    }
}

impl<const N: usize> fmt::Debug for Keyed<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use blake2::Blake2bMac;
    use blake2::digest::consts::{U32, U64};
    use blake2::digest::{FixedOutput, KeyInit, Update};
    use quickcheck::quickcheck;

    use super::*;

    fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
        core::array::from_fn(|i| bytes.get(i).copied().unwrap_or(7))
    }

    quickcheck! {
        fn agrees_with_the_plain_mac(key: Vec<u8>, message: Vec<u8>) -> bool {
            let key: [u8; 32] = array(&key);
            let short: [u8; 4] = array(&message);
            let block: [u8; 128] = array(&message);
            let mut plain32 = Blake2bMac::<U32>::new_from_slice(&key).unwrap();
            plain32.update(&short);
            let mut plain64 = Blake2bMac::<U64>::new_from_slice(&key).unwrap();
            plain64.update(&block);
            Keyed::<32>::new(&key).hash(&short)[..] == plain32.finalize_fixed()[..]
                && Keyed::<64>::new(&key).hash(&block)[..] == plain64.finalize_fixed()[..]
        }
    }
}
