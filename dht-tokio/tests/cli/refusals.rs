//! What the command refuses, and in which words.

use std::net::UdpSocket;

use crate::ABSENT;
use crate::support::{Process, Run, dht, dht_fed, free_port, testnet};

pub(crate) fn refused(run: &Run, code: i32, words: &str) {
    assert_eq!((run.code, &*run.stdout), (Some(code), &b""[..]), "{}", run.stderr);
    assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
}

#[test]
fn wrong_usage_is_status_2() {
    let at = ["--bootstrap", "127.0.0.1:1"];
    let short = &ABSENT[1..];
    let long = format!("{ABSENT}0");
    let no_hex = ABSENT.replace('0', "g");
    let cases: [(&[&str], &str); 29] = [
        (&["dance"], "unrecognized subcommand"),
        (&["demo", "--loud"], "unexpected argument"),
        (&["demo", "one", "two"], "unexpected argument"),
        (&["demo", "--nodes", "0"], "not in 2..=5000"),
        (&["demo", "--nodes", "1"], "not in 2..=5000"),
        (&["demo", "--nodes", "5001"], "not in 2..=5000"),
        (&["demo", "--nodes", "many"], "invalid digit"),
        (&["testnet", "--nodes", "-1"], "unexpected argument"),
        (&["testnet", "--port", "0"], "not in 1..=65535"),
        (&["testnet", "--port", "65536"], "not in 1..=65535"),
        (&["bootstrap"], "--port"),
        (&["bootstrap", "--port", "0"], "not in 1..=65535"),
        (&["bootstrap", "--port", "1", "--host", "localhost"], "invalid IPv4 address"),
        (&["node"], "--bootstrap"),
        (&["node", at[0], at[1], "--port", "65536"], "not in 0..=65535"),
        (&["node", at[0], at[1], "--exact-port"], "--exact-port needs a --port"),
        (&["node", at[0], at[1], "--port", "0", "--exact-port"], "--exact-port needs a --port"),
        (&["ping"], "HOST:PORT"),
        (&["ping", "localhost"], "it has no port; give it as host:port"),
        (&["ping", "localhost:0"], "has no port from 1 to 65535"),
        (&["ping", "localhost:65536"], "has no port from 1 to 65535"),
        (&["ping", "::1"], "IPv6 address, which is not supported"),
        (&["ping", "0.0.0.0:5"], "'<HOST:PORT>': 0.0.0.0:5 is no node's address"),
        (&["put", "x"], "--bootstrap"),
        (&["put", "x", "--bootstrap", "nonsense"], "host:port"),
        (&["node", "--bootstrap", "0.0.0.0:4000"], "is at 127.0.0.1:4000"),
        (&["get", short, at[0], at[1]], "64 hexadecimal digits"),
        (&["get", &long, at[0], at[1]], "64 hexadecimal digits"),
        (&["find-node", &no_hex, at[0], at[1]], "64 hexadecimal digits"),
    ];
    for (args, words) in cases {
        refused(&dht(args), 2, words);
    }
    // Without any word it tells what there is.
    let help = dht(&[]);
    assert_eq!(help.code, Some(2));
    assert!(help.stderr.contains("Usage: dht"), "{}", help.stderr);
}

#[test]
fn help_and_version_are_answers() {
    for (args, words) in [("--help", "Usage: dht"), ("--version", env!("CARGO_PKG_VERSION"))] {
        let run = dht(&[args]);
        assert_eq!(run.code, Some(0));
        assert!(run.text().contains(words), "{}", run.text());
    }
}

#[test]
fn a_value_over_the_limit_is_not_even_begun() {
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let long = "x".repeat(1001);
    let words = "at most 1,000 bytes";
    refused(&dht(&["put", &long, "--bootstrap", &at]), 1, words);
    refused(&dht_fed(&["put", "-", "--bootstrap", &at], &[b'x'; 5000]), 1, words);
    refused(&dht(&["demo", &long]), 1, words);

    listener.set_nonblocking(true).unwrap();
    let nothing = listener.recv_from(&mut [0; 2048]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_network_that_is_not_there_is_told_soon() {
    // Bound, so that no other program is there; silent all the same.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let dead = format!("127.0.0.1:{}", free_port());
    let mut asking = Vec::new();
    for bootstrap in [&*silent, &*dead] {
        let commands: [&[&str]; 3] = [&["put", "x"], &["get", ABSENT], &["find-node", ABSENT]];
        for command in commands {
            let args = [&["-q"], command, &["--bootstrap", bootstrap]].concat();
            asking.push((Process::start(&args), format!("nobody answers at {bootstrap}")));
        }
        let ping = Process::start(&["ping", bootstrap]);
        asking.push((ping, format!("no answer from {bootstrap}")));
    }
    for (process, words) in asking {
        refused(&process.end(), 1, &words);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_from_another_address_of_the_machine_is_told() {
    // It answers each datagram, as a response, from an address that was not asked.
    let asked = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = asked.local_addr().unwrap().port();
    let other = UdpSocket::bind(("127.0.0.2", port)).unwrap();
    std::thread::spawn(move || {
        let mut buf = [0; 2048];
        while let Ok((len, from)) = asked.recv_from(&mut buf) {
            // Version and type, no flags, the same transaction id, and where it came from.
            let [b'\x03', _, low, high, ..] = buf[..len] else { continue };
            let std::net::SocketAddr::V4(to) = from else { continue };
            let (ip, port) = (to.ip().octets(), to.port().to_le_bytes());
            let answer = [&[0x13, 0, low, high][..], &ip, &port].concat();
            other.send_to(&answer, from).unwrap();
        }
    });
    let asked = format!("127.0.0.1:{port}");
    let words = format!("no answer from {asked}, but one from 127.0.0.2:{port}: ask there");
    let put = Process::start(&["put", "x", "--bootstrap", &asked]);
    refused(&dht(&["ping", &asked]), 1, &words);
    let words = format!("nobody answers at {asked}, but 127.0.0.2:{port} does: join there");
    refused(&put.end(), 1, &words);
}

#[cfg(target_os = "linux")]
#[test]
fn a_network_that_is_unreachable_is_told_in_the_systems_words() {
    // No program may broadcast without asking the system for it first.
    let all = "255.255.255.255:1";
    refused(&dht(&["ping", all]), 1, &format!("could not ask {all}: Permission denied"));
    let put = dht(&["put", "x", "--bootstrap", all]);
    refused(&put, 1, &format!("nobody could be asked at {all}: Permission denied"));
}

#[test]
fn a_name_without_an_address_is_told() {
    let name = "no-such-name.invalid";
    let node = format!("{name}:1");
    let words = format!("there is no address for {name}");
    refused(&dht(&["ping", &node]), 1, &words);
    refused(&dht(&["put", "x", "--bootstrap", &node]), 1, &words);
    refused(&dht(&["get", ABSENT, "--bootstrap", &node]), 1, &words);
    refused(&dht(&["find-node", &node, "--bootstrap", "127.0.0.1:1"]), 1, &words);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let net = testnet(1);
    let (_, port) = net.address.split_once(':').unwrap();
    for command in ["testnet", "bootstrap"] {
        let run = dht(&["-q", command, "--port", port]);
        refused(&run, 1, &format!("port {port} is taken"));
    }
}

#[test]
fn an_address_that_is_not_of_this_machine_is_told() {
    let net = testnet(1);
    // Reserved for documentation, so no machine has it.
    let args = ["put", "x", "--bootstrap", &net.address, "--host", "192.0.2.1"];
    refused(&dht(&args), 1, "can't listen on 192.0.2.1");
    refused(&dht(&["bootstrap", "--port", "1000", "--host", "0.0.0.0"]), 1, "invalid host");
}

#[cfg(target_os = "linux")]
#[test]
fn too_few_files_for_the_network_are_told() {
    use std::process::Command;

    let command = format!("ulimit -n 200; exec {} -q demo --nodes 100", env!("CARGO_BIN_EXE_dht"));
    let run = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert!(stderr.contains("202 sockets are needed, and only 200 files"), "{stderr}");
}
