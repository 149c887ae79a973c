//! False hints: live nodes are said to be down.

use std::collections::VecDeque;
use std::net::SocketAddrV4;

use smart_default::SmartDefault;

use super::pace::{Pacer, TURN};
use super::puppet::{down_hint, pong, response_bytes};
use super::{Pace, Sources};
use crate::sim::{Actor, ActorCx};
use crate::world::{Micros, check};

/// What a [`HintAbuser`] does.
#[derive(SmartDefault, Clone, Debug, PartialEq, Eq)]
pub struct HintAbuserConfig {
    /// The nodes that are to be forgotten.
    pub about: Vec<SocketAddrV4>,
    /// The nodes that are to forget them.
    pub victims: Vec<SocketAddrV4>,
    /// Where the hints come from. Limits per host are of no use against forged sources.
    #[default(Sources::Anywhere)]
    pub sources: Sources,
    /// How fast it sends hints.
    pub pace: Pace,
    /// How many forged answers go with each hint, for the question that it may have caused: from the exact address,
    /// without an id, as from a host that is no node any more.
    #[default(1)]
    pub answers: u32,
}

impl HintAbuserConfig {
    /// Refuses what makes no attack, naming the field.
    pub fn check(&self) -> Result<(), String> {
        self.pace.check()?;
        self.sources.check()?;
        check::that(!self.about.is_empty(), "about", "not be empty")?;
        check::that(!self.victims.is_empty(), "victims", "not be empty")
    }
}

/// Tells victims that live nodes are down, and answers in their names when they are asked.
///
/// Rule 5 of `HARDENING.md`: a hint is checked, not believed, and hints have a budget; only
/// silence after all tries evicts, or two verified answers without id. It shows in
/// [`DropStats::down_hints`](dht_core::DropStats::down_hints).
#[derive(Clone, Debug, Default)]
pub struct HintAbuser {
    config: HintAbuserConfig,
    pacer: Pacer,
    hints: u64,
    /// The next answers: in the name of which node, and to which.
    waiting: VecDeque<(SocketAddrV4, SocketAddrV4)>,
}

/// Time from the hint to the answers, in microseconds: before a true answer can be there.
const MOMENT: Micros = 1_000;
/// The timer for them.
const ANSWERS: u64 = 1;

const _: () = assert!(ANSWERS != TURN);

impl HintAbuser {
    /// A hint abuser with this configuration.
    ///
    /// # Errors
    /// As [`HintAbuserConfig::check`].
    pub fn new(config: HintAbuserConfig) -> Result<Self, String> {
        config.check()?;
        Ok(Self { pacer: Pacer::new(config.pace), config, ..Self::default() })
    }

    /// Hints that it has sent.
    pub fn hints(&self) -> u64 {
        self.hints
    }

    fn hint(&mut self, cx: &mut ActorCx<'_>) {
        let HintAbuserConfig { about, victims, sources, .. } = &self.config;
        let about = about[cx.rng.below(about.len() as u64) as usize];
        let victim = victims[cx.rng.below(victims.len() as u64) as usize];
        let source = sources.draw(cx.rng);
        let hint = down_hint(about, cx.rng.next() as u16, victim);
        self.hints += 1;
        cx.send(source, victim, hint);
        if self.config.answers > 0 {
            self.waiting.push_back((about, victim));
            cx.wake_after(MOMENT, ANSWERS);
        }
    }

    fn answer(&mut self, cx: &mut ActorCx<'_>) {
        let Some((about, victim)) = self.waiting.pop_front() else { return };
        // No guess twice: the first and an odd step.
        let (first, step) = (cx.rng.next() as u16, cx.rng.next() as u16 | 1);
        for n in 0..self.config.answers {
            let tid = first.wrapping_add(step.wrapping_mul(n as u16));
            cx.send(about, victim, response_bytes(&pong(tid, victim), &[]));
        }
    }
}

impl Actor for HintAbuser {
    fn on_start(&mut self, cx: &mut ActorCx<'_>) {
        self.pacer.start(cx);
    }

    fn on_timer(&mut self, cx: &mut ActorCx<'_>, token: u64) {
        match token {
            TURN => (0..self.pacer.turn(cx)).for_each(|_| self.hint(cx)),
            _ => self.answer(cx),
        }
    }
}
