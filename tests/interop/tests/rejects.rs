//! Messages cut at every byte, changed at random, or made of noise: our decoder and the
//! reference's accept and reject the same ones, and read the same fields.

use dht_interop::dice::Dice;
use dht_interop::judge::{Judge, vectors};
use dht_interop::reading::{as_strict, read};
use dht_interop::{js, judge};

fn alike(judge: &mut Judge, vector: &judge::Vector, bytes: &[u8]) -> bool {
    let theirs = as_strict(judge.read(vector.from, bytes));
    let ours = read(vector.from, bytes);
    assert_eq!(ours, theirs, "{}: {bytes:02x?}", vector.name);
    !ours.is_null()
}

fn short_vectors() -> Vec<judge::Vector> {
    let all = ["requests", "responses"].into_iter().flat_map(vectors);
    all.filter(|vector| vector.bytes.len() <= 400).collect()
}

#[test]
fn cut_at_every_byte() {
    if !js::available() {
        return;
    }
    let mut judge = Judge::new();
    for vector in short_vectors().iter().step_by(3) {
        for len in 0..=vector.bytes.len() {
            alike(&mut judge, vector, &vector.bytes[..len]);
        }
    }
}

#[test]
fn changed_at_random() {
    if !js::available() {
        return;
    }
    let (mut judge, mut dice, vectors) = (Judge::new(), Dice::new(0x5eed), short_vectors());
    let (mut taken, mut dropped) = (0, 0);
    for _ in 0..6_000 {
        let vector = &vectors[dice.roll(vectors.len())];
        let mut bytes = vector.bytes.clone();
        for _ in 0..=dice.roll(3) {
            // Mostly near the front, where flags, numbers and lengths are.
            let reach = if dice.roll(2) == 0 { 12.min(bytes.len()) } else { bytes.len() };
            let at = dice.roll(reach.max(1));
            match dice.roll(4) {
                0 => bytes.truncate(at.max(2)),
                1 => bytes.insert(at, dice.roll(256) as u8),
                2 if at > 0 => bytes[at] ^= 1 << dice.roll(8),
                _ if at > 0 => bytes[at] = [0xfc, 0xfd, 0xfe, 0xff][dice.roll(4)],
                _ => bytes.push(0),
            }
        }
        if alike(&mut judge, vector, &bytes) {
            taken += 1;
        } else {
            dropped += 1;
        }
    }
    assert!(taken > 500 && dropped > 500, "one-sided: {taken} taken, {dropped} dropped");
}
