//! Runs that end before their end: by signals, and because their reader is gone.

use std::io::Read;
use std::process::{self, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_reader_may_leave_at_any_time() {
    let dir = Dir::new("pipe");
    let mut child = dir
        .command(&with(&["--json", "--sample", "100ms"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(0), ""));
}

#[cfg(unix)]
fn signal(name: &str, child: &process::Child) {
    let killed = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_it_in_one_line_and_leaves_nothing_behind() {
    let dir = Dir::new("signal");
    for (name, status) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let mut child = dir
            .command(&[
                "--nodes", "50", "--time", "2d", "--json", "--report", "r.html", "--pcap", "3:p",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It is under way.
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 10]).unwrap();
        assert_eq!(dir.names().len(), 2);
        signal(name, &child);
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.starts_with("interrupted at ") && said.lines().count() == 1, "{said}");
        assert!(said.ends_with(" of 2 d of virtual time\n"), "{said}");
        assert_eq!(dir.names(), [""; 0]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_that_is_gone_is_ignored_if_asked_for() {
    let dir = Dir::new("nohup");
    let mut child = Command::new("nohup")
        .arg(env!("CARGO_BIN_EXE_dht-sim"))
        .args(["--nodes", "25", "--time", "10m", "--json"])
        .current_dir(&dir.0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 10]).unwrap();
    signal("-HUP", &child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_swarm_that_is_stopped_says_what_it_did() {
    let dir = Dir::new("stopped");
    // One seed of these takes minutes.
    let args = ["swarm", "--for", "1h", "--nodes", "1000", "--virtual-time", "30d"];
    let child = dir.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    signal("-TERM", &child);
    let output = child.wait_with_output().unwrap();
    // A second, and some for a machine that has other things to do.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(143));
    assert_eq!(text(&output.stdout), "0 seeds, 0 failed; 0 seeds per hour and thread\n");
    assert_eq!(text(&output.stderr), "interrupted after 0 seeds\n");
    assert_eq!(dir.names(), [""; 0]);
}

#[cfg(unix)]
#[test]
fn shrinking_that_is_stopped_keeps_what_it_has() {
    let dir = Dir::new("shrink-stopped");
    let stall = r#"{"at_us": 0, "fault": "stall", "host": 1, "for_us": 9000000000}"#;
    // Long, and there is something at its end.
    let last = r#"{"at_us": 7200000000, "fault": "rebind_nats"}"#;
    let script = format!(
        r#"{{"version": 1, "nodes": 5, "run_us": 7200000000, "heal_us": 1000000, "faults": [{stall}, {last}]}}"#
    );
    dir.write("s.json", script);
    let mut child = dir
        .command(&["shrink", "s.json", "--for", "1h"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It has failed once.
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 10]).unwrap();
    signal("-INT", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.ends_with("\ninterrupted before it was as small as it gets\n"), "{said}");
    assert_eq!(dir.run(&["replay", "small.json"]).status.code(), Some(1));
}
