//! What the reader that people will use makes of our captures. Skipped, loudly, where there is no
//! tshark; with `REQUIRE_TSHARK` set that is a failure.
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::Command;
use std::{env, fs, process};

use dht_sim::pcap::{Capture, PAYLOAD_MAX};

#[test]
fn tshark_reads_a_capture() {
    match Command::new("tshark").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            assert!(env::var_os("REQUIRE_TSHARK").is_none(), "tshark is missing");
            // Not by `eprintln`: what that prints is only shown if a test fails.
            let _ = writeln!(io::stderr(), "SKIPPED: no tshark to read a capture with");
            return;
        }
        version => assert!(version.unwrap().status.success()),
    }
    let (node, peer) = ("11.0.5.1:2000".parse().unwrap(), "203.0.113.7:49737".parse().unwrap());
    let mut capture = Capture::new(Vec::new()).unwrap();
    capture.packet(0, node, peer, b"\x03\x04hello").unwrap();
    capture.packet(12_345_678, peer, node, b"").unwrap();
    capture.packet(12_345_679, node, peer, &[0xa5; 1201]).unwrap();
    capture.packet(3_600_000_000, peer, node, &[0; PAYLOAD_MAX]).unwrap();

    let path = env::temp_dir().join(format!("dht-sim-{}.pcap", process::id()));
    fs::write(&path, capture.finish().unwrap()).unwrap();
    let text = tshark(&path);
    fs::remove_file(&path).unwrap();

    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 4, "{text}");
    let bytes = ["030468656c6c6f".to_owned(), String::new(), "a5".repeat(1201)];
    for (line, bytes) in lines.iter().zip(&bytes) {
        assert_eq!(line[7], *bytes);
    }
    let [there, back] = [
        ["11.0.5.1", "2000", "203.0.113.7", "49737"],
        ["203.0.113.7", "49737", "11.0.5.1", "2000"],
    ];
    let times = ["946684800.000000", "946684812.345678", "946684812.345679", "946688400.000000"];
    for ((line, ends), time) in lines.iter().zip([there, back, there, back]).zip(times) {
        assert!(line[0].starts_with(time), "{} is not {time}", line[0]);
        assert_eq!(line[1..5], ends);
        // 1: it was checked, and is right.
        assert_eq!(line[5..7], ["1", "1"], "checksums of IP and UDP");
        assert_eq!(line[8], "", "tshark complains");
    }
}

fn tshark(path: &Path) -> String {
    let fields = [
        "frame.time_epoch",
        "ip.src",
        "udp.srcport",
        "ip.dst",
        "udp.dstport",
        "ip.checksum.status",
        "udp.checksum.status",
        "udp.payload",
        "_ws.expert.message",
    ];
    let out = Command::new("tshark")
        .args(["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"])
        .args(["-T", "fields"])
        .args(fields.iter().flat_map(|field| ["-e", field]))
        .arg("-r")
        .arg(path)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}
