//! What applications can rely on when their host crashes, returns or is stopped.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use dht_core::Event;
use dht_sim::{App, Cx, HostId, Return, Sim, Spec};

const SECOND: u64 = 1_000_000;

/// Sets one timer when it is asked to, and notes what comes.
#[derive(Clone, Default)]
struct Notes {
    timers: Vec<(u64, u64)>,
    returns: Vec<Return>,
    starts: u32,
}

impl App for Notes {
    fn on_event(&mut self, _: &mut Cx<'_>, event: &Event) {
        self.starts += u32::from(*event == Event::Listening);
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, token: u64) {
        self.timers.push((cx.time / SECOND, token));
    }

    fn on_restart(&mut self, how: Return) {
        self.returns.push(how);
    }

    fn fork(&self) -> Box<dyn App> {
        Box::new(self.clone())
    }
}

const HOST: HostId = HostId(0);

fn one_host() -> Sim {
    let mut sim = Sim::new(7);
    let spec = Spec::bootstrapper(sim.next_address()).unwrap();
    sim.add(spec.app(Notes::default())).unwrap();
    sim
}

fn wake_after(sim: &mut Sim, seconds: u64, token: u64) -> Option<()> {
    sim.with_app(HOST, |_: &mut Notes, cx| cx.wake_after(seconds * SECOND, token))
}

fn run(sim: &mut Sim, seconds: u64) {
    sim.run_for(Duration::from_secs(seconds)).unwrap();
}

#[test]
fn timers_end_with_the_process_that_has_set_them() {
    let mut sim = one_host();
    wake_after(&mut sim, 10, 1).unwrap();
    run(&mut sim, 3);
    sim.crash(HOST);
    assert_eq!(wake_after(&mut sim, 1, 2), None, "it is down");
    sim.restart(HOST, Return::WithTable).unwrap();
    wake_after(&mut sim, 20, 3).unwrap();
    run(&mut sim, 60);
    let notes: &Notes = sim.app(HOST).unwrap();
    assert_eq!(notes.timers, [(23, 3)]);
    assert_eq!((notes.starts, &notes.returns[..]), (2, &[Return::WithTable][..]));
}

#[test]
fn timers_of_a_stopped_process_run_out_when_it_goes_on() {
    let mut sim = one_host();
    wake_after(&mut sim, 1, 1).unwrap();
    wake_after(&mut sim, 2, 2).unwrap();
    wake_after(&mut sim, 20, 3).unwrap();
    sim.stall(HOST, Duration::from_secs(10));
    run(&mut sim, 30);
    assert_eq!(sim.app::<Notes>(HOST).unwrap().timers, [(10, 1), (10, 2), (20, 3)]);
}

#[test]
fn a_stop_that_a_crash_has_ended_does_not_end_the_next_one() {
    let mut sim = one_host();
    sim.stall(HOST, Duration::from_secs(10));
    run(&mut sim, 5);
    sim.crash(HOST);
    sim.restart(HOST, Return::Fresh).unwrap();
    wake_after(&mut sim, 1, 1).unwrap();
    sim.stall(HOST, Duration::from_secs(20));
    run(&mut sim, 60);
    assert_eq!(sim.app::<Notes>(HOST).unwrap().timers, [(25, 1)]);
}
