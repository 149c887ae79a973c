//! Network namespaces of Linux, each a machine with interfaces, addresses and packet filter of its own. No namespace
//! is connected to anything but namespaces of the same [`Lab`], so nothing that is sent there leaves this machine.
//!
//! What is connected to what, and which of them is a NAT, is told in [`internet`](crate::internet).

use std::cell::RefCell;
use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// How the names of all namespaces begin; the id of the process follows.
const PREFIX: &str = "dht-interop-";

/// Namespaces that are removed with it.
#[derive(Debug)]
pub struct Lab {
    name: String,
    spaces: RefCell<Vec<Space>>,
}

/// One namespace.
#[derive(Debug, Clone)]
pub struct Space {
    name: String,
}

impl Lab {
    /// An empty one; `None` if this machine can't have any, which is said loudly.
    ///
    /// # Panics
    /// If `CI` is set and only a program is missing.
    #[must_use]
    pub fn new() -> Option<Lab> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", process::id());
        let lab = Lab { name, spaces: RefCell::default() };
        match lab.obstacle() {
            None => Some(lab),
            Some((what, installable)) => {
                assert!(!installable || env::var_os("CI").is_none(), "real NATs: {what}");
                // Past the test runner, which keeps what passing tests print.
                let line = format!("\nSKIPPED: real NATs: {what}\n\n");
                let _ = io::stderr().write_all(line.as_bytes());
                None
            }
        }
    }

    /// What is missing here, and whether installing a package would do.
    fn obstacle(&self) -> Option<(String, bool)> {
        if !cfg!(target_os = "linux") {
            return Some(("not Linux".to_owned(), false));
        }
        for program in ["ip", "nft"] {
            let found = Command::new(program).arg("-V").stdout(Stdio::null()).status();
            if found.is_err() {
                return Some((format!("`{program}` is missing"), true));
            }
        }
        remove_orphans();
        let probe = Space { name: format!("{}-probe", self.name) };
        let refused = attempt(&mut ip(&["netns", "add", &probe.name]), "")
            .and_then(|()| attempt(&mut probe.command("nft", &["-f", "-"]), NAT_PROBE))
            .err()
            .map(|error| (format!("network namespaces or their NAT are refused: {error}"), false));
        probe.remove();
        refused
    }

    /// Another namespace, with its loopback interface up.
    #[must_use]
    pub fn space(&self, name: &str) -> Space {
        let space = Space { name: format!("{}-{name}", self.name) };
        run(&mut ip(&["netns", "add", &space.name]), "");
        self.spaces.borrow_mut().push(space.clone());
        space.ip("link set lo up");
        space
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.spaces.borrow().iter().for_each(Space::remove);
    }
}

impl Space {
    /// Runs `ip` with these arguments, divided by spaces, in the namespace.
    pub fn ip(&self, arguments: &str) {
        let mut command = ip(&["-n", &self.name]);
        run(command.args(arguments.split_whitespace()), "");
    }

    /// Does several of these one right after the other.
    pub fn ip_batch(&self, lines: &str) {
        run(&mut ip(&["-n", &self.name, "-batch", "-"]), lines);
    }

    /// Connects it with another one: `here` and `there` are the names of the two interfaces, which are up.
    pub fn connect(&self, here: &str, other: &Space, there: &str) {
        self.ip(&format!("link add {here} type veth peer name {there} netns {}", other.name));
        self.ip(&format!("link set {here} up"));
        other.ip(&format!("link set {there} up"));
    }

    /// Replaces the rules of the packet filter.
    pub fn filter(&self, rules: &str) {
        run(&mut self.command("nft", &["-f", "-"]), &format!("flush ruleset\n{rules}"));
    }

    /// Lets it pass on datagrams of others.
    pub fn forward(&self) {
        run(&mut self.command("tee", &["/proc/sys/net/ipv4/ip_forward"]), "1");
    }

    /// The same command, to be run in the namespace.
    #[must_use]
    pub fn within(&self, command: &Command) -> Command {
        let mut within = self.command(command.get_program(), &[]);
        within.args(command.get_args());
        within
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
        let mut command = ip(&["netns", "exec", &self.name]);
        command.arg(program).args(arguments);
        command
    }

    fn remove(&self) {
        // It may not be there, and when something has failed already there is no more to say.
        let _ = attempt(&mut ip(&["netns", "delete", &self.name]), "");
    }
}

/// Removes what a process that was killed has left.
fn remove_orphans() {
    let listed = ip(&["netns", "list"]).output().map(|output| output.stdout).unwrap_or_default();
    for line in String::from_utf8_lossy(&listed).lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            Space { name: name.to_owned() }.remove();
        }
    }
}

/// Rules that a kernel without NAT refuses.
const NAT_PROBE: &str = "table ip probe {
  chain out {
    type nat hook postrouting priority 100
    masquerade random,fully-random
  }
  chain pass {
    type filter hook forward priority 0
    ct state established accept
  }
}";

fn ip(arguments: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(arguments);
    command
}

#[track_caller]
fn run(command: &mut Command, input: &str) {
    if let Err(error) = attempt(command, input) {
        panic!("{command:?}: {error}\n{input}");
    }
}

/// Runs a command to its end. Its error is what it has said.
fn attempt(command: &mut Command, input: &str) -> Result<(), String> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input says by its status what it makes of that.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
