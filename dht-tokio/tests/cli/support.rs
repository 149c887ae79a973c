//! Running the command: to its end, or in the background.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing may take longer, whatever else the machine has to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a run went.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// The objects that it printed, one per line, if all went well.
    pub(crate) fn json(&self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs the command to its end.
pub(crate) fn dht(args: &[&str]) -> Run {
    Process::start(args).end()
}

/// Runs the command with something on standard input.
pub(crate) fn dht_fed(args: &[&str], input: &[u8]) -> Run {
    let mut process = Process::start(args);
    // If it does not read all, that is its own business.
    let _ = process.child.stdin.take().unwrap().write_all(input);
    process.end()
}

/// Runs the command, and does not read what it prints.
pub(crate) fn dht_unread(args: &[&str]) -> Run {
    let mut process = Process::start(args);
    drop(process.child.stdout.take());
    process.end()
}

/// A run of the command. Killed if it is still there when this is dropped.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn start(args: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_dht"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child }
    }

    /// Waits until it says this, among other things, on standard error.
    pub(crate) fn says(&mut self, words: &str) {
        wait_for(words, self.child.stderr.as_mut().unwrap());
    }

    /// The same, on standard output.
    #[cfg(unix)]
    pub(crate) fn prints(&mut self, words: &str) {
        wait_for(words, self.child.stdout.as_mut().unwrap());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Run {
        drop(self.child.stdin.take());
        let stdout = self.child.stdout.take().map(read);
        let stderr = read(self.child.stderr.take().unwrap());
        let status = wait(&mut self.child);
        let stdout = stdout.map(|stdout| stdout.join().unwrap()).unwrap_or_default();
        let stderr = String::from_utf8(stderr.join().unwrap()).unwrap();
        Run { code: status.code(), stdout, stderr }
    }

    /// Sends it a signal, and waits for its end.
    #[cfg(unix)]
    pub(crate) fn end_by(self, signal: rustix::process::Signal) -> Run {
        kill(&self.child, signal);
        self.end()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A node or a network in the background.
pub(crate) struct Running {
    process: Process,
    /// What it printed: where it is.
    pub(crate) address: String,
    /// Kept, so that the node has a peer.
    _stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Starts one, and waits until it is ready.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut process = Process::start(&[&["-q"], args].concat());
        let mut stdout = BufReader::new(process.child.stdout.take().unwrap());
        let mut address = String::new();
        stdout.read_line(&mut address).unwrap();
        if address.is_empty() {
            panic!("{args:?} did not start: {}", process.end().stderr);
        }
        Self { process, address: address.trim().to_owned(), _stdout: stdout }
    }

    #[cfg(unix)]
    pub(crate) fn signal(mut self, signal: rustix::process::Signal) -> Option<i32> {
        kill(&self.process.child, signal);
        wait(&mut self.process.child).code()
    }

    #[cfg(unix)]
    pub(crate) fn stop(self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM)
    }

    /// There is no gentle way.
    #[cfg(not(unix))]
    pub(crate) fn stop(self) -> Option<i32> {
        Some(0)
    }
}

/// A network of this many nodes, and a bootstrap node.
pub(crate) fn testnet(nodes: usize) -> Running {
    Running::start(&["testnet", "--nodes", &nodes.to_string()])
}

/// A port that is free, and that the system does not give to sockets bound to any port.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 10_000).unwrap();
    loop {
        let port = 20_000 + own + NEXT.fetch_add(1, Ordering::Relaxed);
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads byte by byte, so that what follows is left to the next one.
fn wait_for(words: &str, from: &mut impl Read) {
    let (mut said, mut byte) = (String::new(), [0]);
    while from.read(&mut byte).unwrap() > 0 {
        said.push(char::from(byte[0]));
        if said.ends_with(words) {
            return;
        }
    }
    panic!("it never says {words}: {said}");
}

fn read(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

#[cfg(unix)]
fn kill(child: &Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "it does not end");
        thread::sleep(Duration::from_millis(5));
    }
}
