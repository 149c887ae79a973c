//! What applications can rely on when their host crashes, returns or is stopped.

use std::time::Duration;

use dht_core::{Event, Id, Query, Request};
use dht_sim::{App, Cx, HostId, Return, Sim, Spec};

const SECOND: u64 = 1_000_000;

/// Sets one timer when it is asked to, and notes what comes.
#[derive(Clone, Default)]
struct Notes {
    timers: Vec<(u64, u64)>,
    returns: Vec<Return>,
    starts: u32,
    ends: u32,
}

impl App for Notes {
    fn on_event(&mut self, _: &mut Cx<'_>, event: &Event) {
        self.starts += u32::from(*event == Event::Listening);
        self.ends += u32::from(matches!(event, Event::Response(_) | Event::Finished(_)));
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, token: u64) {
        self.timers.push((cx.time / SECOND, token));
    }

    fn on_restart(&mut self, how: Return) {
        self.returns.push(how);
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

#[test]
fn the_monotonic_clock_stands_still_while_the_machine_sleeps() {
    let mut sim = one_host();
    let clocks = |sim: &mut Sim| {
        sim.with_app(HOST, |_: &mut Notes, cx| [cx.now.as_micros(), cx.monotonic]).unwrap()
    };
    run(&mut sim, 5);
    let before = clocks(&mut sim);
    sim.stall(HOST, Duration::from_secs(7));
    run(&mut sim, 10);
    let [boot, monotonic] = clocks(&mut sim);
    assert_eq!([boot - before[0], monotonic - before[1]], [10 * SECOND; 2]);
    sim.sleep(HOST, Duration::from_secs(7));
    run(&mut sim, 10);
    let after = clocks(&mut sim);
    assert_eq!([after[0] - boot, after[1] - monotonic], [10 * SECOND, 3 * SECOND]);
}

#[test]
fn a_timer_may_have_any_token() {
    let mut sim = one_host();
    for token in [u64::MAX, u64::MAX - 1, 0] {
        wake_after(&mut sim, 1, token).unwrap();
    }
    run(&mut sim, 5);
    let timers = &sim.app::<Notes>(HOST).unwrap().timers;
    assert_eq!(*timers, [(1, u64::MAX), (1, u64::MAX - 1), (1, 0)]);
}

/// What a test asks for and waits for is no business of the application's.
#[test]
fn an_application_hears_of_the_ends_of_its_own_requests() {
    let mut sim = one_host();
    let nobody = "90.0.0.1:9".parse().unwrap();
    let request = || Request::ping(nobody).retries(0);
    let limit = Duration::from_secs(30);
    let ends = |sim: &Sim| sim.app::<Notes>(HOST).unwrap().ends;
    sim.ask_node(HOST, request(), limit).unwrap().unwrap().unwrap_err();
    sim.walk(HOST, Query::find_node(Id([1; 32])), limit).unwrap().unwrap().1.unwrap();
    let id = sim.with(HOST, |node, now| node.request(now, request())).unwrap().unwrap();
    sim.response(HOST, id, limit).unwrap().unwrap().unwrap_err();
    assert_eq!(ends(&sim), 0);
    sim.with_app(HOST, |_: &mut Notes, cx| cx.node.request(cx.now, request())).unwrap().unwrap();
    run(&mut sim, 30);
    assert_eq!(ends(&sim), 1);
}
