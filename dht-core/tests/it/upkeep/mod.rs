//! What a node does without being asked: bootstrap, ticks, sleep, new sockets, the stages of its life.

mod bootstrap;
mod late;
mod names;
mod rebound;
mod sleep;
mod stages;
mod ticks;
mod unusable;
