#![no_main]

// Memory is part of what it checks.
#[path = "../../dht-core/tests/heap/mod.rs"]
mod heap;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    heap::counted(|| dht_model::two_nodes_measured(data, heap::used));
});
