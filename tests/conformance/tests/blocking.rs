//! What the loop of the example `blocking` shows, from outside.

#![allow(clippy::unwrap_used)] // Outside of test functions, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use dht_conformance::{Loop, conforms};
use dht_core::Config;

#[path = "../../../dht-core/examples/blocking.rs"]
#[allow(dead_code, reason = "its main function")]
mod blocking;

struct Blocking {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Loop for Blocking {
    fn start(port: u16, bootstrap: &[String]) -> Self {
        let mut config = Config::default();
        if bootstrap.is_empty() {
            config = Config::bootstrapper(port, "127.0.0.1").unwrap();
        }
        config.bootstrap.extend(bootstrap.iter().map(|node| node.parse().unwrap()));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let go_on = move || !stopped.load(Ordering::Relaxed);
        let thread = thread::spawn(move || blocking::run(config, port, go_on).unwrap());
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join).transpose().unwrap();
    }
}

conforms!(loop: Blocking);
