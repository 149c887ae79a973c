//! Ctrl-C, being told to end, and a terminal that is gone.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::Failure;

/// Hears of signals from when it was made. The first one is noted, so that files can be put away;
/// a second Ctrl-C ends the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    set: Arc<AtomicBool>,
    /// By which signal.
    by: Arc<AtomicUsize>,
}

impl Stop {
    pub(crate) fn new() -> io::Result<Self> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, stop.set.clone())?;
            stop.hear(signal)?;
        }
        #[cfg(unix)]
        if !is_ignored(signal_hook::consts::SIGHUP) {
            // Who closes a terminal may send it twice.
            stop.hear(signal_hook::consts::SIGHUP)?;
        }
        Ok(stop)
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::Relaxed)
    }

    /// The failure of what was stopped; `at` says where.
    pub(crate) fn interrupted(&self, at: impl Display) -> Failure {
        // As the shell says of a process that the signal ended.
        let status = 128 + self.by.load(Ordering::Relaxed);
        Failure::Interrupted { at: at.to_string(), status: u8::try_from(status).unwrap_or(130) }
    }

    fn hear(&self, signal: i32) -> io::Result<()> {
        flag::register_usize(signal, self.by.clone(), signal.unsigned_abs() as usize)?;
        flag::register(signal, self.set.clone())?;
        Ok(())
    }
}

/// Whether the signal was ignored before this process began, as by `nohup`. Where the system does not tell, it is
/// taken to be so: to end a run of hours is worse than to leave its temporary files behind.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
}
