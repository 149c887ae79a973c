//! The scripts of dht-rpc's README, run as they are printed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::js;

/// The README's network; its process ends with this.
#[derive(Debug)]
pub struct Network {
    child: Child,
    bootstrap: String,
}

impl Network {
    /// One of so many nodes.
    #[must_use]
    pub fn of(nodes: usize) -> Network {
        let mut child = js::script("readme.mjs")
            .args(["network", "--nodes", &nodes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut bootstrap = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut bootstrap).unwrap();
        Network { child, bootstrap: bootstrap.trim().to_owned() }
    }

    /// Where to join it: `host:port`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `put` or `get`: what it prints, unless it fails.
#[must_use]
pub fn readme(mode: &str, argument: &str, bootstrap: &str) -> Option<String> {
    let run = js::script("readme.mjs")
        .args([mode, argument, "--bootstrap", bootstrap])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let printed = String::from_utf8(run.stdout).unwrap().trim().to_owned();
    run.status.success().then_some(printed)
}
