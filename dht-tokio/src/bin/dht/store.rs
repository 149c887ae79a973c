//! The values that a node keeps for its network, as in dht-rpc's README: command 0 with a
//! token stores a value under its SHA-256, without one it is a look-up.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use dht_tokio::{Answer, Id, Requests};
use sha2::{Digest, Sha256};

/// The command.
pub(crate) const COMMAND: u64 = 0;
/// The longest value that is kept, in bytes.
pub(crate) const VALUE_MAX: usize = 1000;
/// How many values a node keeps.
pub(crate) const VALUES_MAX: usize = 10_000;
/// The error code for what is neither a look-up nor a value to keep.
const BAD_REQUEST: u64 = 16;

/// The key of a value.
pub(crate) fn key_of(value: &[u8]) -> Id {
    Id(Sha256::digest(value).into())
}

/// Answers requests from a store of at most `max` values, until the node is closed.
pub(crate) async fn serve(mut requests: Requests, max: usize) {
    let mut store = Store::new(max);
    while let Some(request) = requests.next().await {
        // Dropped, it is answered as an unknown command.
        if request.command != COMMAND {
            continue;
        }
        let answer = match request.token {
            Some(_) => store.put(request.value.as_ref()),
            None => store.get(request.target),
        };
        // If there is no place for the answer, they ask again.
        let _ = request.reply(answer);
    }
}

/// Bounded: the value that was not stored again for longest gives way.
#[derive(Debug)]
struct Store {
    values: HashMap<Id, Kept>,
    by_age: BTreeMap<u64, Id>,
    puts: u64,
    max: usize,
}

#[derive(Debug)]
struct Kept {
    value: Bytes,
    age: u64,
}

impl Store {
    fn new(max: usize) -> Self {
        Self { values: HashMap::new(), by_age: BTreeMap::new(), puts: 0, max }
    }

    fn put(&mut self, value: Option<&Bytes>) -> Answer {
        let Some(value) = value.filter(|value| value.len() <= VALUE_MAX) else {
            return Answer::error(BAD_REQUEST);
        };
        let key = key_of(value);
        self.puts += 1;
        self.by_age.insert(self.puts, key);
        let kept = Kept { value: value.clone(), age: self.puts };
        if let Some(before) = self.values.insert(key, kept) {
            self.by_age.remove(&before.age);
        }
        while self.values.len() > self.max {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.values.remove(&oldest);
        }
        Answer::empty()
    }

    fn get(&self, target: Option<Id>) -> Answer {
        match target.map(|key| self.values.get(&key)) {
            Some(Some(kept)) => Answer::value(kept.value.clone()),
            Some(None) => Answer::empty(),
            None => Answer::error(BAD_REQUEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_sha_256() {
        // As sha256sum(1) tells.
        let key = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(key_of(b"hello").to_string(), key);
    }

    #[test]
    fn the_least_recently_stored_gives_way() {
        let value = |n: u32| Bytes::from(n.to_string());
        let holds = |store: &Store, n| {
            let answer = store.get(Some(key_of(&value(n))));
            assert!([Answer::empty(), Answer::value(value(n))].contains(&answer));
            answer != Answer::empty()
        };
        let mut store = Store::new(3);
        // What is put, and what is there then.
        let steps: [(u32, &[u32]); 6] = [
            (1, &[1]),
            (2, &[1, 2]),
            (3, &[1, 2, 3]),
            (1, &[1, 2, 3]),
            (4, &[1, 3, 4]),
            (5, &[1, 4, 5]),
        ];
        for (put, left) in steps {
            assert_eq!(store.put(Some(&value(put))), Answer::empty());
            let there: Vec<u32> = (1..=5).filter(|n| holds(&store, *n)).collect();
            assert_eq!(there, left);
            assert_eq!(store.by_age.len(), store.values.len());
        }
    }

    #[test]
    fn only_values_up_to_the_limit_are_kept() {
        let mut store = Store::new(10);
        let refused = Answer::error(BAD_REQUEST);
        for (len, answer) in
            [(0, Answer::empty()), (VALUE_MAX, Answer::empty()), (VALUE_MAX + 1, refused.clone())]
        {
            assert_eq!(store.put(Some(&Bytes::from(vec![7; len]))), answer, "{len}");
        }
        assert_eq!(store.put(None), refused);
        assert_eq!(store.get(None), refused);
        assert_eq!(store.values.len(), 2);
    }
}
