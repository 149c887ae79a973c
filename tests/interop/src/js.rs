//! Node.js and the reference packages: are they there, and how is a script of `js/` run.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

const SKIPPED: &str =
    "\n*** SKIPPED: Node.js is missing, so nothing was tested against JavaScript ***\n\n";

/// Whether the JavaScript side can run, with its packages installed as the lock file says.
///
/// Without Node.js the tests of this crate are skipped, and say so; on a build server (`CI` is
/// set) that is a failure instead. So is an installation that fails, anywhere.
#[must_use]
pub fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        if node_runs() {
            install();
            return true;
        }
        assert!(
            env::var_os("CI").is_none(),
            "Node.js is missing: interoperability can not be tested"
        );
        // Past the test runner, which keeps what passing tests print.
        let _ = io::stderr().write_all(SKIPPED.as_bytes());
        false
    })
}

/// A command that runs a script of `js/`.
#[must_use]
pub fn script(name: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(folder().join(name));
    command
}

/// A script that answers each line of JSON with one. Its process ends with this.
#[derive(Debug)]
pub struct Asked {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Asked {
    /// Starts a script of `js/`.
    #[must_use]
    pub fn new(name: &str) -> Asked {
        let piped = script(name).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = piped.expect("a script");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Asked { child, input, output }
    }

    /// The number of its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// What it answers.
    pub fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.input, "{question}").expect("a script that listens");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("an answer");
        serde_json::from_str(&answer).expect("JSON")
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the scripts are.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("js")
}

fn node_runs() -> bool {
    let run =
        Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// Installs the packages unless those of this lock file are there. Test binaries run side by
/// side, so this is done under a lock.
fn install() {
    let lock = File::create(env::temp_dir().join("dht-interop-install.lock")).expect("a lock file");
    lock.lock().expect("the lock");

    let wanted = fs::read(folder().join("package-lock.json")).expect("package-lock.json");
    let stamp = folder().join("node_modules/.installed-from");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return;
    }
    let run = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(folder())
        .stdout(Stdio::null())
        .status();
    assert!(run.is_ok_and(|status| status.success()), "`npm ci` failed");
    fs::write(stamp, wanted).expect("a note of what is installed");
}
