//! Ed25519 keys and signatures, with the verdicts and the bytes of libsodium.
//!
//! Implementations of Ed25519 agree on the signatures that honest signers make, but not on crafted ones.
//! Two nodes that disagree on one would store and forward different records, so [`PublicKey::verifies`]
//! follows the libsodium that hyperdht 6.34.0 runs on (sodium-native 5.1.0). It accepts a signature (R, S) of
//! a message by A if
//!
//! - S is below the order of the group, so a signature has no second form;
//! - A and R are points in their canonical encoding, and neither is one of the eight of small order;
//! - [S]B = R + [k]A without multiplying by the cofactor, with k = SHA-512(R, A, message) reduced.
//!
//! Mirrors `crypto_sign_verify_detached`, `crypto_sign_detached` and `crypto_sign_seed_keypair`.

use core::convert::Infallible;
use core::fmt;
use core::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use thiserror::Error;

use crate::hex;

/// A public key: who announces, or who signs a record. It holds any 32 bytes; with those that are no key,
/// no signature [verifies](PublicKey::verifies).
///
/// ```
/// use dht_core::hyperdht::KeyPair;
///
/// let pair = KeyPair::from_seed([7; 32]);
/// let signature = pair.sign(b"hello");
/// assert!(pair.public_key().verifies(b"hello", &signature));
/// assert!(!pair.public_key().verifies(b"hullo", &signature));
/// assert_eq!(pair.public_key().to_string().parse(), Ok(pair.public_key()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` is one of `message` by the owner of this key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        // `verify_strict` has all rules but this one. R needs none: it is compared with a canonical encoding.
        is_canonical(&self.0)
            && VerifyingKey::from_bytes(&self.0)
                .is_ok_and(|key| key.verify_strict(message, &signature.0.into()).is_ok())
    }
}

/// Whether the coordinate y in the encoding of a point is below 2^255 - 19. The top bit is not part of it.
fn is_canonical(point: &[u8; 32]) -> bool {
    let [lowest, middle @ .., highest] = point;
    *lowest < 0xed || middle.iter().any(|byte| *byte != 0xff) || highest | 0x80 != 0xff
}

impl From<[u8; 32]> for PublicKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        hex::write(f, &self.0)?;
        f.write_str(")")
    }
}

/// Lower-case hexadecimal.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.0)
    }
}

/// From 64 hexadecimal digits, as [`Display`](fmt::Display) writes them.
impl FromStr for PublicKey {
    type Err = ParsePublicKeyError;

    fn from_str(text: &str) -> Result<Self, ParsePublicKeyError> {
        hex::parse(text).map(Self).ok_or(ParsePublicKeyError)
    }
}

/// A text that is no [`PublicKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a public key has 64 hexadecimal digits")]
pub struct ParsePublicKeyError;

/// A signature: R and S, 32 bytes each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(")?;
        hex::write(f, &self.0)?;
        f.write_str(")")
    }
}

/// A secret key with its public key. The secret is overwritten when this is dropped, and never printed.
#[derive(Clone)]
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// The pair that follows from a seed: the same one for everybody who has the seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// A new pair, whose seed is drawn from any `CryptoRng` of `rand_core` 0.10.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self::from_seed(seed)
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The seed, which is the secret: to be kept like a password.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Signs a message: the same bytes each time.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public_key", &self.public_key()).finish_non_exhaustive()
    }
}

/// What signs: a [`KeyPair`], or for instance a device that does not give its secret away.
pub trait Signer {
    /// Why it may fail to sign.
    type Error: core::error::Error + Send + Sync + 'static;

    /// The key that its signatures are verified with; always the same one.
    fn public_key(&self) -> PublicKey;

    /// Signs a message.
    ///
    /// # Errors
    /// What the device says.
    fn sign(&self, message: &[u8]) -> Result<Signature, Self::Error>;
}

impl Signer for KeyPair {
    type Error = Infallible;

    fn public_key(&self) -> PublicKey {
        self.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, Infallible> {
        Ok(self.sign(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No signature can show this rule: points whose y has a second encoding either have small order, and are refused
    /// for that, or their secret is not known.
    #[test]
    fn encodings_are_canonical_up_to_the_prime() {
        let encoding = |lowest: u8, highest: u8| {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (lowest, highest);
            bytes
        };
        for top in [0x7f, 0xff] {
            assert!(is_canonical(&encoding(0xec, top)));
            assert!(!is_canonical(&encoding(0xed, top)));
            assert!(!is_canonical(&encoding(0xff, top)));
            assert!(is_canonical(&encoding(0xff, top ^ 0x40)));
        }
        let mut lower = encoding(0xff, 0x7f);
        lower[15] = 0xfe;
        assert!(is_canonical(&lower));
    }
}
