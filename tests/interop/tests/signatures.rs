//! Crafted, changed and honest signatures: our verdicts and those of the libsodium that hyperdht runs on are the same,
//! and so is what is signed.

// Helpers of tests are tests.
#![allow(clippy::expect_used)]

use dht_core::hyperdht::{KeyPair, PublicKey, Signature};
use dht_interop::dice::Dice;
use dht_interop::js::{self, Asked};
use dht_interop::kv::{bytes_of, hex};
use dht_interop::{Value, json};

#[derive(Clone, Debug)]
struct Signed {
    key: [u8; 32],
    signature: [u8; 64],
    message: Vec<u8>,
}

/// The order of the group, as a scalar is written.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

impl Signed {
    fn of(fields: &Value) -> Signed {
        let bytes = |name: &str| bytes_of(fields[name].as_str().expect("hex"));
        Signed {
            key: bytes("key").try_into().expect("a key"),
            signature: bytes("signature").try_into().expect("a signature"),
            message: bytes("message"),
        }
    }

    fn crafted(libsodium: &mut Asked, name: &str) -> Signed {
        Signed::of(&libsodium.ask(&json!({ "craft": name })))
    }

    /// Adds the order to S, which says the same in other bytes.
    fn add_order(&mut self) {
        let mut carry = 0;
        for (byte, order) in self.signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
    }

    fn change(&mut self, dice: &mut Dice, other: &Signed) {
        let at = dice.roll(64);
        match dice.roll(8) {
            0 => self.key[at / 2] ^= 1 << dice.roll(8),
            1 => self.signature[at] ^= 1 << dice.roll(8),
            2 => self.message.push(at as u8),
            3 => self.add_order(),
            4 => self.key = other.key,
            5 => self.signature[..32].copy_from_slice(&other.signature[..32]),
            6 => self.signature[63] |= 0x10 << dice.roll(4),
            // An encoding that may not be canonical.
            _ => {
                let point = if dice.roll(2) == 0 {
                    &mut self.key
                } else {
                    self.signature.first_chunk_mut().expect("R")
                };
                *point = [[0xff; 32], [0; 32]][dice.roll(2)];
                point[0] = point[0].wrapping_sub(19).wrapping_add(dice.roll(21) as u8);
                point[31] = [0x7f, 0xff, 0, 0x80][dice.roll(4)];
            }
        }
    }

    fn verdict(&self, libsodium: &mut Asked) -> bool {
        let question = json!({
            "key": hex(&self.key), "signature": hex(&self.signature), "message": hex(&self.message),
        });
        let theirs = libsodium.ask(&question);
        let ours = PublicKey(self.key).verifies(&self.message, &Signature(self.signature));
        assert_eq!(theirs, ours, "{question}");
        ours
    }
}

#[test]
fn crafted_and_changed_at_random() {
    if !js::available() {
        return;
    }
    let (mut libsodium, mut dice) = (Asked::new("verdicts.mjs"), Dice::new(0x5eed));
    let (mut accepted, mut refused, mut changed) = (0, 0, 0);
    let mut other = Signed::crafted(&mut libsodium, "other");
    for number in 0..2_000 {
        let mut signed = Signed::crafted(&mut libsodium, &format!("crafted {number}"));
        if signed.verdict(&mut libsodium) {
            accepted += 1;
        } else {
            refused += 1;
        }
        let sound = signed.clone();
        for _ in 0..=dice.roll(2) {
            signed.change(&mut dice, &other);
        }
        changed += usize::from(!signed.verdict(&mut libsodium));
        other = sound;
    }
    assert!(accepted > 500 && refused > 1_000, "{accepted} accepted, {refused} refused");
    assert!(changed > 1_800, "{changed} refused once changed");
}

#[test]
fn vectors_are_judged_as_they_say() {
    if !js::available() {
        return;
    }
    let mut libsodium = Asked::new("verdicts.mjs");
    let file = include_str!("../../../dht-core/tests/it/hyperdht/verdicts.txt");
    let mut count = 0;
    for line in file.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.splitn(5, ' ').map(|column| column.trim_start_matches('-'));
        let mut column = || columns.next().expect("a column");
        let (verdict, fields) = (column(), ["key", "signature", "message"]);
        let fields: Value = fields.map(|name| (name, column())).into_iter().collect();
        assert_eq!(Signed::of(&fields).verdict(&mut libsodium), verdict == "accepts", "{line}");
        count += 1;
    }
    assert!(count > 400, "{count}");
}

#[test]
fn both_sign_the_same() {
    if !js::available() {
        return;
    }
    let (mut libsodium, mut dice) = (Asked::new("verdicts.mjs"), Dice::new(0x5eed));
    for _ in 0..1_000 {
        let seed = [(); 32].map(|()| dice.roll(256) as u8);
        let message: Vec<u8> = (0..dice.roll(300)).map(|_| dice.roll(256) as u8).collect();
        let question = json!({ "seed": hex(&seed), "message": hex(&message) });
        let theirs = Signed::of(&libsodium.ask(&question));
        let pair = KeyPair::from_seed(seed);
        assert_eq!(pair.public_key(), PublicKey(theirs.key), "{question}");
        assert_eq!(pair.sign(&message), Signature(theirs.signature), "{question}");
        assert!(theirs.verdict(&mut libsodium));
    }
}
