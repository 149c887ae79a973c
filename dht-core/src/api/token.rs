//! The round-trip token, as users hold it. Making and checking tokens is the node's business.

use core::fmt;
use core::hint::black_box;

/// Proof that its bearer can receive at an address: a node sends it with an answer, and accepts it in later
/// requests from the same host for 7.5 to 15 s.
///
/// `Debug` shows no byte of it, and comparing two tokens takes the same time wherever they differ.
///
/// ```
/// use dht_core::Token;
///
/// let token = Token::from([7; 32]);
/// assert_eq!(token.as_bytes(), &[7; 32]);
/// assert_eq!(format!("{token:?}"), "Token(..)");
/// assert_ne!(token, Token::from([8; 32]));
/// ```
#[derive(Clone, Copy)]
pub struct Token([u8; 32]);

impl Token {
    /// The bytes, as they are sent. Compare tokens, not these: slices are compared up to the first difference.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Token {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// In constant time.
impl PartialEq for Token {
    #[inline(never)]
    fn eq(&self, other: &Self) -> bool {
        let differs = self.0.iter().zip(&other.0).fold(0, |all, (a, b)| all | (a ^ b));
        black_box(differs) == 0
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_equal_if_every_bit_is() {
        let token = Token::from(core::array::from_fn(|i| i as u8));
        assert_eq!(token, token);
        for bit in 0..256 {
            let mut bytes = *token.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(token, Token::from(bytes), "bit {bit}");
        }
    }
}
