//! An input as a row of choices.

/// Hands out the input from front to back, and zeros once it is used up: every input
/// means something, a longer one more of the same, and one can be written by hand.
#[derive(Debug)]
pub struct Source<'a> {
    rest: &'a [u8],
}

impl<'a> Source<'a> {
    /// All of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.rest.split_at(self.rest.len().min(N));
        self.rest = rest;
        let mut array = [0; N];
        array[..head.len()].copy_from_slice(head);
        array
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// Whether all is used up.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }
}
