//! Every input of the fuzz corpus, with no fuzzer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test, in functions that clippy doesn't take for one"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn no_input_of_the_corpus_breaks_its_target() {
    let targets: BTreeMap<_, _> = dht_model::TARGETS.iter().copied().collect();
    assert!(names(&corpus()).iter().eq(targets.keys()), "targets and folders of the corpus differ");
    for (target, run) in targets {
        let folder = corpus().join(target);
        for name in names(&folder) {
            // Captured, and shown beside the panic of an input that breaks something.
            println!("{target}/{name}");
            run(&fs::read(folder.join(name)).unwrap());
        }
    }
}

#[test]
fn the_corpus_holds_the_seeds_as_they_are_written_down() {
    for seed in dht_model::seeds::all() {
        let path = corpus().join(seed.target).join(seed.file());
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(bytes, seed.bytes, "{}", path.display());
    }
}
