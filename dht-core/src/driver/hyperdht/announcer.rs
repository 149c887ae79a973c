//! Runs an [announcer](crate::hyperdht::Announcer) on the driver, and is its owner's handle.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::{Future, poll_fn};
use core::net::SocketAddrV4;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_core::Stream;

use super::background::Pause;
use super::calls::signer_failed;
use crate::driver::dht::Dht;
use crate::driver::error::Error;
use crate::driver::feed::Events;
use crate::driver::guard::guard;
use crate::driver::query::QueryStream;
use crate::driver::request::RequestFuture;
use crate::hyperdht::{self, AnnounceError, Signer, Slot, Want};
use crate::{Event, Id, Instant, SendError};

/// Keeps an announcement alive, made by [`Dht::announcer`]: a [`hyperdht::Announcer`] that the driver runs.
///
/// When this is dropped or [closed](Self::close), all nodes are told to forget it. Until they know, the node lives on, as with a handle. No node
/// is told any more once the node itself is closed, and nothing is taken back while it is suspended: close the announcer first.
///
/// The signer runs on the driver's task: a slow signer holds up the node, and a panic of the signer ends this. While nothing happens to
/// an announcer it costs nothing when the driver is woken.
#[must_use = "dropping it takes the announcement back"]
pub struct Announcer(Arc<Told>);

/// What the job and its owner tell each other.
#[derive(Default)]
struct Told(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    /// The owner wants it to end.
    ends: bool,
    /// The owner wants a new announcement.
    refreshes: bool,
    /// How the latest announcement went; `None` before the first.
    latest: Option<Result<(), Error>>,
    kept_by: Vec<SocketAddrV4>,
    is_over: bool,
    job: Option<Waker>,
    /// Of the tasks that wait for the job.
    waiting: Vec<Waker>,
}

impl Told {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the notes, and wakes whom that concerns, without the lock.
    fn note(&self, note: impl FnOnce(&mut Notes)) {
        let mut notes = self.notes();
        note(&mut notes);
        let (job, waiting) = (notes.job.take(), core::mem::take(&mut notes.waiting));
        drop(notes);
        for waker in waiting.into_iter().chain(job) {
            guard(|| waker.wake());
        }
    }
}

impl Dht {
    /// Announces a topic, and keeps that alive. A peer that announces itself, under the [`hash()`](hyperdht::hash()) of its key, is kept by the
    /// three closest nodes, which relay handshakes to it; another topic by all of the closest.
    pub fn announcer<S>(&self, topic: Id, signer: S, relay_addresses: &[SocketAddrV4]) -> Announcer
    where
        S: Signer + Send + Sync + 'static,
    {
        let told = Arc::new(Told::default());
        let machine = hyperdht::Announcer::new(topic, signer, relay_addresses);
        let told_by_job = Ending(Arc::clone(&told));
        self.run(Box::pin(Job::new(self.clone(), machine, told_by_job)));
        Announcer(told)
    }
}

impl Announcer {
    /// How the latest announcement went; waits for the first, which is not made while the node is suspended.
    ///
    /// # Errors
    /// If no node has taken it, the signer has failed, or the node is closed. Until the node is closed, it is tried again, after 3 s at
    /// first and 192 s at most.
    pub async fn announced(&self) -> Result<(), Error> {
        self.wait(|notes| notes.latest.clone()).await
    }

    /// The nodes that have it.
    #[must_use]
    pub fn kept_by(&self) -> Vec<SocketAddrV4> {
        self.0.notes().kept_by.clone()
    }

    /// Announces anew now.
    pub fn refresh(&self) {
        self.0.note(|notes| notes.refreshes = true);
    }

    /// Takes the announcement back, and waits until all nodes know or are given up.
    pub async fn close(self) {
        self.0.note(|notes| notes.ends = true);
        self.wait(|notes| notes.is_over.then_some(())).await;
    }

    async fn wait<T>(&self, find: impl Fn(&Notes) -> Option<T>) -> T {
        poll_fn(|cx| {
            let mut notes = self.0.notes();
            let found = find(&notes);
            let is_known = notes.waiting.iter().any(|waker| waker.will_wake(cx.waker()));
            if found.is_none() && !is_known {
                notes.waiting.push(cx.waker().clone());
            }
            drop(notes);
            found.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.0.note(|notes| notes.ends = true);
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer").field("kept_by", &self.kept_by()).finish_non_exhaustive()
    }
}

struct Job<S: Signer> {
    dht: Dht,
    machine: hyperdht::Announcer<S>,
    events: Events,
    query: Option<QueryStream>,
    requests: Vec<(Slot, RequestFuture)>,
    /// Until when it waits, if nothing happens.
    pause: Option<(Instant, Pause)>,
    told: Ending,
}

impl<S: Signer> Job<S> {
    fn new(dht: Dht, mut machine: hyperdht::Announcer<S>, told: Ending) -> Self {
        let events = dht.events();
        if dht.shared().look(|state| state.node.suspended()) {
            machine.handle_event(&Event::Suspended);
        }
        Self { dht, machine, events, query: None, requests: Vec::new(), pause: None, told }
    }

    /// Tells the machine what has happened. Results come before events: a suspension ends what is under way.
    fn hear(&mut self, cx: &mut Context<'_>) {
        let now = self.dht.shared().now();
        let ended = self.query.as_mut().map(|query| pin!(query.finished()).poll(cx));
        if let Some(Poll::Ready(outcome)) = ended {
            self.query = None;
            self.machine.handle_outcome(now, outcome.map_err(|error| told_to_machine(&error)));
        }
        let machine = &mut self.machine;
        self.requests.retain_mut(|(slot, request)| match Pin::new(request).poll(cx) {
            Poll::Pending => true,
            Poll::Ready(response) => {
                machine.handle_response(
                    now,
                    *slot,
                    response.map_err(|error| told_to_machine(&error)),
                );
                false
            }
        });
        while let Poll::Ready(event) = pin!(&mut self.events).poll_next(cx) {
            machine.handle_event(&event.unwrap_or(Event::Closed));
            if event.is_none() {
                break;
            }
        }
        if self.dht.closed() {
            machine.handle_event(&Event::Closed);
        }
        let mut notes = self.told.0.notes();
        let (ends, refreshes) = (notes.ends, core::mem::take(&mut notes.refreshes));
        let before = notes.job.replace(cx.waker().clone());
        drop(notes);
        drop(before);
        if refreshes {
            machine.refresh();
        }
        if ends {
            machine.stop();
        }
    }

    /// Begins what the machine wants, and tells the owner how it goes. Whether anything has begun.
    fn act(&mut self) -> bool {
        let mut any = false;
        while let Some(want) = self.machine.poll(self.dht.shared().now()) {
            any = true;
            match want {
                Want::Query(query) => self.query = Some(self.dht.query(query)),
                Want::Request(slot, request) => {
                    self.requests.push((slot, self.dht.request(request)));
                }
            }
        }
        if let Some(result) = self.machine.take_result() {
            self.told.0.note(|notes| {
                notes.kept_by = self.machine.kept_by().to_vec();
                notes.latest = Some(result.map_err(Error::from));
            });
            // That has taken the waker from the notes.
            any = true;
        }
        any
    }

    /// Whether the time for which the machine waits has come.
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        let until = self.machine.poll_timeout();
        if self.pause.as_ref().map(|(until, _)| *until) != until {
            self.pause = until.map(|until| (until, self.dht.pause(until)));
        }
        let pause = self.pause.as_mut();
        pause.is_some_and(|(_, pause)| Pin::new(pause).poll(cx).is_ready())
    }
}

impl<S: Signer> Future for Job<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            this.hear(cx);
            let begun = this.act();
            if this.machine.is_over() {
                return Poll::Ready(());
            }
            if !begun && !this.wait(cx) {
                return Poll::Pending;
            }
        }
    }
}

// Nothing in it is pinned: the signer is only called.
impl<S: Signer> Unpin for Job<S> {}

/// An error of a handle's as the machine knows it. What else there is ends the node.
fn told_to_machine<E>(error: &Error) -> AnnounceError<E> {
    match error {
        Error::Send(error) => AnnounceError::Send(*error),
        Error::Request(error) => AnnounceError::Request(*error),
        Error::Query(error) => AnnounceError::Query(*error),
        _ => AnnounceError::Send(SendError::Closed),
    }
}

impl<E: core::error::Error + Send + Sync + 'static> From<AnnounceError<E>> for Error {
    fn from(error: AnnounceError<E>) -> Self {
        match error {
            AnnounceError::Send(error) => error.into(),
            AnnounceError::Request(error) => error.into(),
            AnnounceError::Query(error) => error.into(),
            AnnounceError::Signer(error) => signer_failed(error),
        }
    }
}

/// Tells the end of a job, however it ends.
struct Ending(Arc<Told>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.note(|notes| {
            notes.is_over = true;
            notes.latest = Some(Err(Error::CLOSED));
        });
    }
}
