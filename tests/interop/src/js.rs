//! Node.js and the reference packages: are they there, and how is a script of `js/` run.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

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
