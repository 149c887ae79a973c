//! Round-trip tokens: proof that a requester receives what is sent to its address.
//!
//! A token is BLAKE2b-256 over the four octets of a host, keyed with a secret;
//! the port is left out, since a node may move between its two sockets. There
//! are two secrets: tokens are made with the newer one and accepted under both.
//! Every 7.5 s the older secret goes and a fresh one comes, so a token lives
//! for one to two periods. Mirrors `token` and `_drain` of `lib/io.js`, which
//! derives the new secret from the old one instead, and rotates by a timer that
//! stops while the machine sleeps.

use core::fmt;
use core::net::Ipv4Addr;

use crate::Instant;
use crate::api::token::Token;
use crate::secret::keyed::Keyed;
use crate::secret::rng::Rng;

/// How often a secret is replaced: a token is valid for at least this long, and
/// for less than twice as long.
const ROTATE_MICROS: u64 = 7_500_000;

/// Makes and checks tokens.
#[derive(Clone)]
pub(crate) struct Tokens {
    seed: [u8; 32],
    /// The number of secrets drawn so far.
    drawn: u64,
    newer: Keyed<32>,
    older: Keyed<32>,
    /// When the newer secret was due.
    since: Instant,
}

impl Tokens {
    /// Two fresh secrets; periods count from `now`.
    pub(crate) fn new(rng: &mut Rng, now: Instant) -> Self {
        let seed = rng.fork(b"token");
        Self { older: secret(seed, 0), newer: secret(seed, 1), seed, drawn: 2, since: now }
    }

    /// The token that `host` may show from now on.
    pub(crate) fn make(&mut self, now: Instant, host: Ipv4Addr) -> [u8; 32] {
        self.rotate(now);
        self.newer.hash(&host.octets())
    }

    /// Whether `token` was made for `host` and is still valid.
    ///
    /// How long this takes says nothing about the bytes that were expected.
    pub(crate) fn check(&mut self, now: Instant, host: Ipv4Addr, token: &[u8; 32]) -> bool {
        self.rotate(now);
        let token = Token::from(*token);
        let fits = |secret: &Keyed<32>| token == Token::from(secret.hash(&host.octets()));
        fits(&self.newer) || fits(&self.older)
    }

    fn rotate(&mut self, now: Instant) {
        let elapsed = now.as_micros().saturating_sub(self.since.as_micros());
        let periods = elapsed / ROTATE_MICROS;
        if periods == 0 {
            return;
        }
        let newer = self.draw();
        self.older = if periods == 1 {
            core::mem::replace(&mut self.newer, newer)
        } else {
            // No call came in time to rotate, so the newer secret has had its second period too.
            self.newer = newer;
            self.draw()
        };
        self.since = Instant::from_micros(now.as_micros() - elapsed % ROTATE_MICROS);
    }

    fn draw(&mut self) -> Keyed<32> {
        self.drawn += 1;
        secret(self.seed, self.drawn - 1)
    }
}

/// Shows nothing: secrets would let anyone forge tokens.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

/// The secret `number` that follows from `seed`, two to a block. Secrets are rarely made, so no block is kept.
fn secret(seed: [u8; 32], number: u64) -> Keyed<32> {
    let mut block = [[0; 32]; 2];
    Rng::at(seed, number / 2).fill(block.as_flattened_mut());
    let [even, odd] = &block;
    Keyed::new(if number.is_multiple_of(2) { even } else { odd })
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::secret::rng::Rng;

    const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const START: Instant = Instant::from_micros(123_456);

    fn tokens() -> Tokens {
        let seed = core::array::from_fn(|i| i as u8);
        Tokens::new(&mut Rng::new(seed), START)
    }

    fn after(micros: u64) -> Instant {
        START + Duration::from_micros(micros)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn known_answers() {
        // By Python's hashlib.blake2b, for the second and third secret of the fork "token".
        let mut tokens = tokens();
        for (at, expected) in [
            (0, "d6ab47d768c479ad56201f7f7d409edba3c5b0c2c76cf90d8e48ed2ac570ce90"),
            (7_499_999, "d6ab47d768c479ad56201f7f7d409edba3c5b0c2c76cf90d8e48ed2ac570ce90"),
            (7_500_000, "9ebc9e414687cf2ad1c05c3631dbc6cdcdfbb2cdb74775df9190086f8c75cd72"),
        ] {
            assert_eq!(hex(&tokens.make(after(at), HOST)), expected, "at {at} us");
        }
    }

    #[test]
    fn lives_one_to_two_periods() {
        // (made at, shown at, accepted), in microseconds after the start
        for (made, shown, accepted) in [
            (0, 0, true),
            (0, 7_500_000, true),
            (0, 14_999_999, true),
            (0, 15_000_000, false),
            (0, 22_500_000, false),
            (7_499_999, 7_500_000, true),
            (7_499_999, 14_999_999, true), // one below a whole period of age
            (7_499_999, 15_000_000, false),
            (7_500_000, 22_499_999, true),
            (7_500_000, 22_500_000, false),
            (0, 3_600_000_000, false), // an hour's sleep
            (3_600_000_000, 3_607_499_999, true),
        ] {
            for midway in [None, Some(made + (shown - made) / 2)] {
                let mut tokens = tokens();
                let token = tokens.make(after(made), HOST);
                if let Some(at) = midway {
                    tokens.make(after(at), HOST);
                }
                assert_eq!(
                    tokens.check(after(shown), HOST, &token),
                    accepted,
                    "made {made}, shown {shown}, touched {midway:?}"
                );
            }
        }
    }

    #[test]
    fn only_the_very_bytes_for_the_very_host() {
        let mut tokens = tokens();
        let token = tokens.make(START, HOST);
        for bit in 0..256 {
            let mut wrong = token;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!tokens.check(START, HOST, &wrong), "bit {bit}");
        }
        assert!(!tokens.check(START, Ipv4Addr::new(192, 0, 2, 2), &token));
        assert!(tokens.check(START, HOST, &token));
    }

    #[test]
    fn the_ends_of_time_do_no_harm() {
        let mut tokens = tokens();
        let token = tokens.make(START, HOST);
        assert!(tokens.check(Instant::ZERO, HOST, &token), "a step back changes nothing");
        let last = tokens.make(Instant::MAX, HOST);
        assert!(tokens.check(Instant::MAX, HOST, &last));
        assert!(!tokens.check(Instant::MAX, HOST, &token));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", tokens()), "Tokens { .. }");
    }

    proptest! {
        /// The model: a token is good in the period that it was made in and in the next.
        #[test]
        fn follows_the_model(gaps in prop::collection::vec(0..20_000_000_u64, 1..30)) {
            let mut tokens = tokens();
            let mut made: Vec<(u64, [u8; 32])> = Vec::new();
            let mut at = 0;
            for gap in gaps {
                at += gap;
                for &(then, token) in &made {
                    let good = at / 7_500_000 - then / 7_500_000 <= 1;
                    prop_assert_eq!(tokens.check(after(at), HOST, &token), good);
                    prop_assert!(good || at - then >= 7_500_000);
                    prop_assert!(!good || at - then < 15_000_000);
                }
                made.push((at, tokens.make(after(at), HOST)));
            }
        }
    }
}
