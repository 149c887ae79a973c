//! The inputs that a fuzzer starts from: one for each kind of message, and one for each
//! edge. `examples/write_seeds.rs` puts them into the corpus.

/// An input for a target.
#[derive(Debug)]
pub struct Seed {
    /// Name of the target.
    pub target: &'static str,
    /// What it is an example of.
    pub name: &'static str,
    /// The input.
    pub bytes: Vec<u8>,
}

impl Seed {
    /// Its file name in the target's corpus.
    pub fn file(&self) -> String {
        format!("{}.bin", self.name)
    }
}

/// All seeds of all targets.
pub fn all() -> Vec<Seed> {
    let decode = DECODE.iter().map(|row| ("decode", row));
    let roundtrip = ROUNDTRIP.iter().map(|row| ("roundtrip", row));
    let node_ops = NODE_OPS.iter().map(|row| ("node_ops", row));
    let two_nodes = TWO_NODES.iter().map(|row| ("two_nodes", row));
    let hyperdht = HYPERDHT.iter().map(|row| ("hyperdht", row));
    let driver = DRIVER.iter().map(|row| ("driver", row));
    decode
        .chain(roundtrip)
        .chain(node_ops)
        .chain(two_nodes)
        .chain(driver)
        .chain(hyperdht)
        .map(|(target, (name, text))| Seed { target, name, bytes: bytes(text) })
        .collect()
}

/// Datagrams. See [`bytes`] for the notation.
const DECODE: &[(&str, &str)] = &[
    // The commands of the protocol, and one of an application.
    ("request-ping", "03 04 HEAD 00"),
    ("request-ping-with-id", "03 05 HEAD KEY 00"),
    ("request-ping-nat", "03 16 HEAD KEY 01 02 3930"),
    ("request-find-node", "03 0c HEAD 02 KEY"),
    ("request-down-hint", "03 1e HEAD KEY 03 KEY 06 NODE"),
    ("request-delayed-ping", "03 14 HEAD 04 04 e8030000"),
    ("request-user", "03 1b HEAD KEY KEY 10 KEY 03 616263"),
    ("response-empty", "13 00 HEAD"),
    ("response-find-node", "13 07 HEAD KEY KEY 14 NODE*20"),
    ("response-error", "13 0a HEAD KEY 02"),
    ("response-value", "13 13 HEAD KEY KEY 03 616263"),
    ("response-all", "13 1f HEAD KEY KEY 02 NODE*2 01 01 aa"),
    // Odd, but taken.
    ("flags-wide", "03 fd0400 HEAD 02"),
    ("flags-unknown", "03 ff0400000001001f00 HEAD 02"),
    ("bytes-after-the-end", "03 04 HEAD 02 ffff"),
    ("command-wide", "03 04 HEAD fe02000000"),
    ("command-greatest", "03 00 HEAD ffffffffffffff1f00"),
    ("value-empty", "03 10 HEAD 10 00"),
    ("value-length-wide", "13 10 HEAD ff0100000000000000 aa"),
    ("nodes-none", "13 04 HEAD 00"),
    ("nodes-more-than-read", "13 14 HEAD 15 NODE*21 01 aa"),
    ("nodes-count-in-three-bytes", "13 04 HEAD fdff00 NODE*255"),
    ("error-zero", "13 08 HEAD 00"),
    // Dropped.
    ("not-ours", "02 04 HEAD 02"),
    ("one-byte", "03"),
    ("flags-too-large", "03 ff0400000000002000 HEAD 02"),
    ("command-missing", "03 04 HEAD"),
    ("command-too-large", "03 00 HEAD ff0000000000002000"),
    ("target-cut", "03 08 HEAD 02 00*31"),
    ("value-cut", "03 10 HEAD 02 02 aa"),
    ("value-beyond-32-bits", "13 10 HEAD ff0100000001000000 aa"),
    ("value-of-everything", "13 10 HEAD ffffffffffffffffff"),
    ("nodes-cut-where-not-read", "13 04 HEAD 15 NODE*20 00*5"),
    ("nodes-greatest-count", "13 04 HEAD fe00001000 NODE"),
    ("nodes-too-many", "13 04 HEAD fe01001000 NODE"),
];

/// Switches, head, keys, number, count of nodes, nodes, value.
const ROUNDTRIP: &[(&str, &str)] = &[
    ("empty", ""),
    ("request", "20 HEAD KEY 0000000000000000"),
    ("request-all", "3e HEAD KEY 1000000000000000 00 616263"),
    ("request-value-empty", "10 HEAD KEY 1000000000000000 00"),
    ("request-greatest", "00 HEAD KEY ffffffffffff1f00"),
    ("request-refused", "00 HEAD KEY 0000000000002000"),
    ("response", "01 HEAD KEY 0000000000000000"),
    ("response-nodes", "0f HEAD KEY 0000000000000000 14 NODE*20"),
    ("response-too-many", "0b HEAD KEY fd00000000000000 15 NODE*21"),
    ("response-refused", "01 HEAD KEY ffffffffffffffff"),
    ("response-value", "15 HEAD KEY ffff000000000000 00 00*253"),
];

/// Configuration (second, switches, bootstrap, window, bounds, seed), then calls.
const NODE_OPS: &[(&str, &str)] = &[
    ("empty", ""),
    ("bound-asked-bound-again", "00 00 00 00 02 00 BIND 0e022108 0e420a02 SEND BIND SEND"),
    ("joins", "00 0b 03 00 02 01 BIND SEND 06000002 06010002 SEND TICK*9 SEND 06000502*5 TICK*9"),
    ("answers-by-strangers", "00 80 00 00 02 02 BIND SEND 06a00502 06c0c02102 0602c02102*9 TICK*4"),
    ("a-user-is-answered", "00 00 00 00 02 02 BIND 0eb3250c 260040 SEND 0e36250c 260003 SEND"),
    ("names", "00 00 0c 00 02 03 BIND 2800 280f 280a SEND TICK*3 1e400010"),
    ("values-too-large", "00 00 00 00 01 04 BIND 1b0421ff*3 0eb3250c 26007f SEND"),
    ("echoes", "00 80 00 00 02 05 BIND SEND 13000b010203040506 130108 13010411 SEND"),
    ("saved-and-restored", "00 80 00 00 02 06 BIND 2501 14ff04 2506 251e SEND TICK*3 2501"),
    (
        "a-commit",
        "00 80 00 00 02 07 BIND 1e010180 SEND 06000602*9 0601060a02*9 SEND 06000602*9 TICK*9",
    ),
    // What was wrong once.
    ("wake-up-at-any-tick", "00 00 00 00 02 00 BIND 2a*3 2700 2a 2701*3 2a 2701 2a"),
    ("suspended-with-deadlines", "00 00 00 00 02 00 BIND 1b0021ff SEND 2b10 14ff04 2bff BIND TICK"),
    ("retries-255", "00 00 00 00 02 00 BIND 1b8021ff SEND"),
    ("the-end-of-time", "00 00 00 00 02 00 BIND 14ff07 17 1b0021ff SEND 17"),
    ("the-next-in-a-share-is-cancelled", "00 00 00 11 02 00 BIND 1b002100*3 SEND 06000002 2003"),
    (
        "a-query-waits-for-another",
        "00 00 00 00 03 00 BIND 1e 4a 4101 3f HOSTS 1e 4a 4102 3f HOSTS 2201",
    ),
    ("asked-by-nobody", "00 00 00 00 02 00 BIND 0e02e408 SEND 0e02e508 SEND"),
];

/// Configuration (switches, seed), then steps.
const TWO_NODES: &[(&str, &str)] = &[
    ("empty", ""),
    ("they-talk", "00 01 05*3 1503 1502 05 170602 05*3 06*9 05 1900 1901"),
    ("a-liar-answers-what-it-reads", "02 02 0d000302 0d014f02060e16 05 06*9 0d00ff0200010002 05"),
    ("a-stranger-asks", "10 03 05 0a026100080105 0a426101080206 0a826202080307 05 06*9 05"),
    ("what-was-seen-comes-again", "02 04 05 1502 13000301020304 130120 05 130204 06*4 05"),
    ("the-path-is-cut", "03 05 05 1a40 06*9 1503 1aff 06*9 1b0501 1c02 05 06*4"),
];

/// Configuration (two bytes of switches), then steps.
const DRIVER: &[(&str, &str)] = &[
    ("empty", ""),
    ("they-talk", "0502 0000*3 1500 1401 1801 1a16 0000*9 2200"),
    ("items", "0518 0000*3 1b0008 1b0201 1b0105 1b0311 0000*9 22ff 23fe 2400"),
    ("suspended-and-resumed", "0502 0000*2 110000 1500 0000 110a00 0000*4 1500 0000*9"),
    (
        "sockets-that-fail",
        "0502 0000*2 0f00ff 0f01ff 1500 1801 0000*4 0f06 0000*9 0f06 1004 0000*9",
    ),
    ("ports-that-are-taken", "0702 1001 0000 110000 1001 1009 100d 110a00 0000*9 1002 0000*9"),
    (
        "feeds",
        "0502 0000*2 1c02 1c04 1c06 1c00 0b06182010 2500 1d00 1d0107 1e0207 2000 2700 0000*4",
    ),
    ("all-are-dropped", "0502 0000*2 1500 18f1 14f2 14ff 1200 1200 0000*4"),
];

/// Configuration (switches, seed), then steps: a command (with sender, how, where; topic and key, two numbers); from e0 on
/// time, and what else there is.
const HYPERDHT: &[(&str, &str)] = &[
    ("empty", ""),
    (
        "announced",
        "0f01 04000000000103 04010000050203 04020000060401 03000000000000 05000000000103",
    ),
    ("bumped", "0f01 e7ff 0400000000e003 03000000000000 04000000001003 e4 0300000000 0000"),
    (
        "a-peer-itself",
        "0f01 04000000020301 02000000020000 00010000020000 01020000020000 0500000002",
    ),
    (
        "refreshed",
        "0f01 04000000000206 0400000000f200 0400000000f100 e3 03000000000000 0400000000f000",
    ),
    (
        "values",
        "0f01 06000000000105 07000000000000 06000000004105 06000000000105 08000000000105 0900000000",
    ),
    ("over", "0e01 04000000000103*3 e4 03000000000000 e5*3 e6 08000000000105*9 e3 09000000000105"),
    ("forged", "0d01 04000400000103 05000400000103 06000400000105 08000400010105 0400020000 0103"),
    ("changed", "0f01 040030220001 0301 0400100500 0103 0600306600010501 08000800000105"),
    ("too-many-checks", "0001 04000000000103*9 e1 04030000000103*9 e1 06040000000105*9"),
    ("relays", "0f01 00000000000022 00030000000044 01000000000070 0005000000 0166 0a000000000200"),
    ("full", "0001 08000000000164 08020000000264 08030000000364*3 08000000000464 0900000000 0164"),
];

/// Hexadecimal with names for what returns; `X*n` is n times X.
fn bytes(text: &str) -> Vec<u8> {
    text.split_whitespace().flat_map(word).collect()
}

fn word(word: &str) -> Vec<u8> {
    let (word, times) = word.split_once('*').unwrap_or((word, "1"));
    let once = match word {
        // tid, address
        "HEAD" => vec![1, 2, 127, 0, 0, 1, 80, 0],
        "KEY" => (0..32).collect(),
        // Calls of node_ops: bound, sends all, time passes.
        "BIND" => vec![45],
        "SEND" => vec![0],
        "TICK" => vec![23, 0],
        // 63 addresses of two networks.
        "HOSTS" => (0x20..0x5f).collect(),
        "NODE" => vec![10, 0, 0, 9, 0x39, 0x30],
        hex => (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
            .collect(),
    };
    once.repeat(times.parse().expect("a number of times"))
}
