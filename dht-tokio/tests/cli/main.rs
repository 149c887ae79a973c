//! The `dht` command, run as users run it.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod hyperdht;
mod javascript;
mod refusals;
mod support;
#[cfg(unix)]
mod watching;

use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{Running, dht, dht_fed, dht_unread, hex, testnet};

const ABSENT: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn the_demo_stores_and_finds_the_value() {
    let run = dht(&["demo", "hello world", "--nodes", "30"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let text = run.text();
    for expected in
        ["31 nodes joined", &key("hello world"), "got \"hello world\"", "Look up 100 more"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // The nodes that hold it, a line for each.
    assert_eq!(
        text.lines().filter(|line| line.starts_with("   127.0.0.1:") && line.contains('…')).count(),
        20
    );
    // Neither bars nor colours where no terminal is.
    assert!(!(text + &run.stderr).contains('\x1b'));
}

#[test]
fn the_demo_tells_its_figures_as_json() {
    let lines = dht(&["demo", "--json", "--nodes", "30"]).json();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["formed", "stored", "found", "looked-up"]);
    let [formed, stored, found, looked_up] = &lines[..] else { unreachable!() };
    assert_eq!(formed["nodes"], 31);
    assert_eq!(stored["key"], key("hello world"));
    assert_eq!(stored["nodes"], 20);
    assert_eq!(stored["at"].as_array().unwrap().len(), 20);
    assert_eq!(found["value"], "hello world");
    assert_ne!(found["by"], stored["by"]);
    // The network is static and whole, and lookups are exact.
    assert!(looked_up["recall"].as_f64().unwrap() > 0.95, "{looked_up}");
}

#[test]
fn the_demo_works_with_hardly_anybody() {
    for nodes in ["2", "3"] {
        let run = dht(&["demo", "-q", "--nodes", nodes]);
        assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{nodes}");
    }
}

#[test]
fn what_is_put_can_be_got() {
    let net = testnet(20);
    // A value, and what sha256sum(1) would say of it.
    for value in ["hello", "", "grüße", "two\nlines\n"] {
        let put = dht(&["put", value, "--bootstrap", &net.address]);
        assert_eq!(put.code, Some(0), "{}", put.stderr);
        assert_eq!(put.text(), key(value) + "\n");
        assert!(put.stderr.contains("stored with 20 nodes"), "{}", put.stderr);
        assert!(put.stderr.contains("(after joining)"), "{}", put.stderr);

        let get = dht(&["get", &key(value), "--bootstrap", &net.address]);
        assert_eq!((get.code, &*get.stdout), (Some(0), value.as_bytes()), "{}", get.stderr);
    }
}

#[test]
fn put_and_get_speak_json() {
    let net = testnet(5);
    let put = dht(&["put", "hello", "--json", "--bootstrap", &net.address]).json();
    assert_eq!(put.len(), 1);
    assert_eq!(put[0]["event"], "stored");
    assert_eq!(put[0]["key"], key("hello"));
    assert_eq!(put[0]["nodes"], 6);

    let get = dht(&["--json", "get", &key("hello"), "--bootstrap", &net.address]).json();
    assert_eq!(get.len(), 1);
    assert_eq!(get[0]["event"], "found");
    assert_eq!(get[0]["value"], "hello");
    assert_eq!(get[0]["hex"], "68656c6c6f");
}

#[test]
fn any_bytes_go_in_by_standard_input_and_come_out_as_they_are() {
    let net = testnet(3);
    let value: Vec<u8> = (0..=255).collect();
    let put = dht_fed(&["put", "-", "--bootstrap", &net.address], &value);
    let key = hex(&Sha256::digest(&value));
    assert_eq!(put.text(), format!("{key}\n"), "{}", put.stderr);
    assert_eq!(dht(&["get", &key, "--bootstrap", &net.address]).stdout, value);

    // Of which JSON can tell in hex alone.
    let get = dht(&["get", &key, "--json", "--bootstrap", &net.address]).json();
    assert_eq!((&get[0]["value"], &get[0]["hex"]), (&Value::Null, &hex(&value).into()));
}

#[test]
fn a_value_of_1000_bytes_is_the_longest() {
    let net = testnet(3);
    let longest = "x".repeat(1000);
    let put = dht(&["put", &longest, "--bootstrap", &net.address]);
    assert_eq!(put.code, Some(0), "{}", put.stderr);
    let get = dht(&["get", &key(&longest), "--bootstrap", &net.address]);
    assert_eq!(get.stdout, longest.as_bytes());
}

#[test]
fn what_nobody_has_put_is_not_found() {
    let net = testnet(3);
    let json = format!("{{\"event\":\"not-found\",\"key\":\"{ABSENT}\"}}\n");
    for (option, stdout) in [(&[][..], ""), (&["--json"], &json)] {
        let run = dht(&[&["get", ABSENT, "--bootstrap", &net.address], option].concat());
        assert_eq!((run.code, &*run.text()), (Some(1), stdout));
        assert!(run.stderr.contains("nobody has a value"), "{}", run.stderr);
    }
}

#[test]
fn ping_tells_who_answers() {
    let net = testnet(1);
    let run = dht(&["ping", &net.address]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.text().starts_with(&format!("{} answered within ", net.address)), "{}", run.text());

    let localhost = net.address.replace("127.0.0.1", "localhost");
    let json = dht(&["ping", &localhost, "--json"]).json();
    assert_eq!(json[0]["event"], "pong");
    assert_eq!(json[0]["from"], net.address);
    assert_eq!(json[0]["id"].as_str().unwrap().len(), 64);
}

#[test]
fn find_node_lists_the_closest_first() {
    let net = testnet(25);
    let id = dht(&["ping", &net.address, "--json"]).json()[0]["id"].as_str().unwrap().to_owned();

    // An address stands for its id, and no node is closer to an id than its owner.
    for target in [&*id, &*net.address] {
        let run = dht(&["find-node", target, "--bootstrap", &net.address]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let text = run.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 20);
        assert_eq!(lines[0], format!("{id}  {}", net.address));
        let first_bytes = lines.iter().map(|line| {
            u8::from_str_radix(&line[..2], 16).unwrap() ^ u8::from_str_radix(&id[..2], 16).unwrap()
        });
        assert!(first_bytes.is_sorted());
    }
    let json = dht(&["find-node", &id, "--json", "--bootstrap", &net.address]).json();
    assert_eq!(json.len(), 20);
    assert_eq!((&json[0]["event"], &json[0]["shared_bits"]), (&"node".into(), &256.into()));
}

#[test]
fn a_bootstrap_node_and_a_node_are_a_network() {
    let port = support::free_port().to_string();
    let first = Running::start(&["bootstrap", "--port", &port]);
    assert_eq!(first.address, format!("127.0.0.1:{port}"));
    let second = Running::start(&["node", "--bootstrap", &first.address]);

    let put = dht(&["put", "both", "--json", "--bootstrap", &second.address]).json();
    assert_eq!(put[0]["nodes"], 2);
    for node in [&first, &second] {
        let get = dht(&["get", &key("both"), "--bootstrap", &node.address]);
        assert_eq!(get.text(), "both", "{}", get.stderr);
    }

    let json = Running::start(&["node", "--json", "--bootstrap", &first.address]).address;
    let line: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&line["event"], &line["persistence"]), (&"ready".into(), &"reachable".into()));

    // Alone again, the first one still has it.
    assert_eq!(second.stop(), Some(0));
    let get = dht(&["get", &key("both"), "--bootstrap", &first.address]);
    assert_eq!(get.text(), "both", "{}", get.stderr);
}

#[test]
fn a_node_waits_for_a_network_that_comes_late() {
    let port = support::free_port().to_string();
    let address = format!("127.0.0.1:{port}");
    let mut node = support::Process::start(&["node", "--bootstrap", &address]);
    node.says(&format!("nobody answers at {address}; trying again"));
    let first = Running::start(&["bootstrap", "--port", &port]);
    assert_eq!(first.address, address);
    node.says("joined as ");
    // Both know each other.
    let put = dht(&["put", "late", "--json", "--bootstrap", &first.address]).json();
    assert_eq!(put[0]["nodes"], 2);
}

#[test]
fn one_bootstrap_node_of_several_is_enough() {
    let net = testnet(3);
    let dead = format!("127.0.0.1:{}", support::free_port());
    let args = [
        "put",
        "x",
        "--bootstrap",
        &dead,
        "--bootstrap",
        &net.address,
        "--bootstrap",
        "nosuch.invalid:1",
    ];
    let put = dht(&args);
    assert_eq!(put.code, Some(0), "{}", put.stderr);
}

#[test]
fn a_port_that_is_taken_is_passed_over_unless_it_must_be_that_one() {
    let net = testnet(1);
    let (_, port) = net.address.split_once(':').unwrap();
    let common = ["node", "--bootstrap", &net.address, "--host", "127.0.0.1", "--port", port];
    let node = Running::start(&common);
    assert_ne!(node.address, net.address);

    let run = dht(&[&common[..], &["--exact-port"]].concat());
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains(&format!("port {port} is taken")), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn signals_end_what_runs() {
    use rustix::process::Signal;

    let port = support::free_port().to_string();
    let net = testnet(1);
    let commands: [&[&str]; 3] = [
        &["testnet", "--nodes", "3"],
        &["bootstrap", "--port", &port],
        &["node", "--bootstrap", &net.address],
    ];
    for args in commands {
        for signal in [Signal::INT, Signal::TERM] {
            let running = Running::start(args);
            assert_eq!(running.signal(signal), Some(0), "{args:?} {signal:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_node_that_still_waits_for_its_network() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent_addr = silent.local_addr().unwrap().to_string();
    let node = support::Process::start(&["node", "--bootstrap", &silent_addr]);
    silent.recv_from(&mut [0; 2048]).unwrap();
    let run = node.end_by(rustix::process::Signal::INT);
    assert_eq!((run.code, &*run.stdout), (Some(1), &b""[..]));
    assert!(run.stderr.contains("interrupted"), "{}", run.stderr);
}

#[test]
fn a_public_address_that_is_not_of_this_machine_is_told() {
    let port = support::free_port().to_string();
    // Reserved for documentation, so no machine has it.
    let args = ["bootstrap", "--port", &port, "--host", "192.0.2.1"];
    let mut node = support::Process::start(&args);
    node.says("no interface of this machine has the address 192.0.2.1");
    node.says("running");
}

#[cfg(unix)]
#[test]
fn a_signal_interrupts_a_question() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent_addr = silent.local_addr().unwrap().to_string();
    let asking = support::Process::start(&["ping", &silent_addr]);
    // Once it asks, it listens to signals.
    silent.recv_from(&mut [0; 2048]).unwrap();
    let run = asking.end_by(rustix::process::Signal::INT);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("interrupted"), "{}", run.stderr);
}

#[test]
fn it_does_not_mind_if_nobody_reads_on() {
    assert_eq!(dht_unread(&["demo", "--nodes", "3"]).code, Some(0));
}

#[test]
fn a_value_that_does_not_fit_its_key_is_nothing() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _in_runtime = runtime.enter();
    let port = support::free_port();
    let liar =
        dht_tokio::bootstrapper(port, "127.0.0.1").host([127, 0, 0, 1].into()).spawn().unwrap();
    let mut requests = liar.requests();
    runtime.spawn(async move {
        while let Some(request) = requests.next().await {
            let _ = request.reply_value("a lie");
        }
    });
    let bootstrap = format!("127.0.0.1:{port}");
    let get = dht(&["get", &key("the truth"), "--bootstrap", &bootstrap]);
    assert_eq!((get.code, &*get.stdout), (Some(1), &b""[..]));
    // It is the hash that makes the difference.
    assert_eq!(dht(&["get", &key("a lie"), "--bootstrap", &bootstrap]).text(), "a lie");
}

fn key(value: &str) -> String {
    hex(&Sha256::digest(value))
}
