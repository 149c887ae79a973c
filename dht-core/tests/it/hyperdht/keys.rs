//! Keys and signatures, against what libsodium says of crafted ones and writes itself.
//! `verdicts.txt` and `signed.txt` are made by `tests/interop/js/signatures.mjs`.

use std::fmt;

use dht_core::hyperdht::{KeyPair, ParsePublicKeyError, PublicKey, Signature, Signer};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The lines of a file of vectors: four columns and a name.
fn rows(file: &str) -> impl Iterator<Item = ([&str; 4], &str)> {
    file.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut columns = line.splitn(5, ' ');
        ([(); 4].map(|()| columns.next().expect("a column")), columns.next().expect("a name"))
    })
}

/// `-` stands for no bytes.
fn bytes(hex: &str) -> Vec<u8> {
    let hex = hex.strip_prefix('-').unwrap_or(hex);
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn array<const N: usize>(hex: &str) -> [u8; N] {
    bytes(hex).try_into().expect("so many bytes")
}

#[test]
fn accepts_and_refuses_what_libsodium_does() {
    let mut accepted = 0;
    let mut refused = 0;
    for ([verdict, key, signature, message], name) in rows(include_str!("verdicts.txt")) {
        let signature = Signature(array(signature));
        let verifies = PublicKey(array(key)).verifies(&bytes(message), &signature);
        match verdict {
            "accepts" => accepted += 1,
            "refuses" => refused += 1,
            other => panic!("{other}"),
        }
        assert_eq!(verifies, verdict == "accepts", "{name}");
    }
    assert!(accepted > 40 && refused > 300, "{accepted} accepted, {refused} refused");
}

#[test]
fn signs_what_libsodium_signs() {
    let mut count = 0;
    for ([seed, key, signature, message], name) in rows(include_str!("signed.txt")) {
        let pair = KeyPair::from_seed(array(seed));
        let signature = Signature(array(signature));
        assert_eq!(pair.public_key(), PublicKey(array(key)), "{name}");
        assert_eq!(pair.sign(&bytes(message)), signature, "{name}");
        assert!(pair.public_key().verifies(&bytes(message), &signature), "{name}");
        count += 1;
    }
    assert_eq!(count, 24);
}

#[test]
fn a_pair_follows_from_what_was_drawn() {
    let drawn = |seed| KeyPair::generate(&mut ChaCha20Rng::seed_from_u64(seed));
    let pair = drawn(1);
    assert_eq!(pair.seed(), drawn(1).seed());
    assert_ne!(pair.public_key(), drawn(2).public_key());
    assert_eq!(KeyPair::from_seed(pair.seed()).public_key(), pair.public_key());
}

#[test]
fn keys_are_read_as_they_are_written() {
    let key = KeyPair::from_seed([7; 32]).public_key();
    let text = key.to_string();
    assert_eq!(text.parse(), Ok(key));
    assert_eq!(text.to_uppercase().parse(), Ok(key));
    for wrong in ["", &text[1..], &format!("{text}0"), &text.replace('a', "g")] {
        assert_eq!(wrong.parse::<PublicKey>(), Err(ParsePublicKeyError), "{wrong}");
    }
    assert_eq!(ParsePublicKeyError.to_string(), "a public key has 64 hexadecimal digits");
    assert_eq!(format!("{key:?}"), format!("PublicKey({text})"));
    assert_eq!(format!("{:?}", Signature([0xab; 64])), format!("Signature({})", "ab".repeat(64)));
}

#[test]
fn no_secret_is_printed() {
    let pair = KeyPair::from_seed([0xc5; 32]);
    let printed = format!("{pair:?} {pair:#?}");
    assert!(printed.contains(&pair.public_key().to_string()), "{printed}");
    assert!(!printed.contains("c5c5") && !printed.contains("197"), "{printed}");
}

/// A device that gives out no secret, and may be locked.
struct Device(Option<KeyPair>, PublicKey);

impl Signer for Device {
    type Error = fmt::Error;

    fn public_key(&self) -> PublicKey {
        self.1
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, Self::Error> {
        Ok(self.0.as_ref().ok_or(fmt::Error)?.sign(message))
    }
}

#[test]
fn a_device_signs_like_a_pair() {
    fn signs<S: Signer>(signer: &S) -> Result<bool, S::Error> {
        Ok(signer.public_key().verifies(b"hello", &signer.sign(b"hello")?))
    }
    let pair = KeyPair::from_seed([1; 32]);
    let key = pair.public_key();
    assert_eq!(signs(&pair), Ok(true));
    assert_eq!(signs(&Device(Some(pair), key)), Ok(true));
    assert_eq!(signs(&Device(None, key)), Err(fmt::Error));
}
