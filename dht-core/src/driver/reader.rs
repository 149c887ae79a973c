//! What all streams of a node's have in common: each is a reader of something that waits in the state.

use alloc::sync::Arc;
use core::task::{Context, Poll};

use super::queue::Mailbox;
use super::shared::Shared;
use super::state::{Look, State};
use crate::Instant;

/// What a stream reads.
pub(crate) trait Source {
    type Entry: 'static;

    /// Where entries wait for reader `number`, which is about to join, or has joined.
    fn mailbox<'s>(&self, state: &'s mut State, number: u64) -> &'s mut Mailbox<Self::Entry>;

    /// The last reader is gone.
    fn clear(&self, state: &mut State, now: Instant, number: u64);
}

/// One reader. It does not keep the node alive.
pub(crate) struct Reader<S: Source> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) source: S,
    number: u64,
}

impl<S: Source> Reader<S> {
    pub(crate) fn new(shared: Arc<Shared>, source: S) -> Self {
        let number = shared.act(|state, _| {
            let number = state.ticket();
            source.mailbox(state, number).readers.slot(number);
            number
        });
        Self { shared, source, number }
    }

    /// The next entry; `None` when the node is over and nothing is left.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<S::Entry>> {
        self.shared.poll(cx, |state, _| {
            let is_over = state.life.ended();
            let mailbox = self.source.mailbox(state, self.number);
            match mailbox.queue.pop() {
                None if !is_over => Look::Wait(mailbox.readers.slot(self.number)),
                entry => Look::Ready(entry),
            }
        })
    }

    /// The next entry, if there is one.
    pub(crate) fn try_next(&self) -> Option<S::Entry> {
        self.mailbox(|mailbox| mailbox.queue.pop())
    }

    pub(crate) fn mailbox<T>(&self, look: impl FnOnce(&mut Mailbox<S::Entry>) -> T) -> T {
        self.shared.drive(|state, _| look(self.source.mailbox(state, self.number)))
    }
}

impl<S: Source> Drop for Reader<S> {
    fn drop(&mut self) {
        let _waker = self.shared.act(|state, now| {
            let readers = &mut self.source.mailbox(state, self.number).readers;
            let waker = readers.leave(self.number);
            if readers.is_empty() {
                self.source.clear(state, now, self.number);
            }
            waker
        });
    }
}

/// Makes a stream of a struct around a [`Reader`]. `$build` turns an entry into an item, if there still is one.
macro_rules! stream {
    ($stream:ident, $item:ty, $doc:literal, $build:expr) => {
        impl $stream {
            #[doc = $doc]
            pub async fn next(&mut self) -> Option<$item> {
                core::future::poll_fn(|cx| self.poll(cx)).await
            }

            fn poll(&self, cx: &mut core::task::Context<'_>) -> core::task::Poll<Option<$item>> {
                while let Some(entry) = core::task::ready!(self.0.poll(cx)) {
                    if let Some(item) = $build(&self.0, entry) {
                        return core::task::Poll::Ready(Some(item));
                    }
                }
                core::task::Poll::Ready(None)
            }
        }

        impl futures_core::Stream for $stream {
            type Item = $item;

            fn poll_next(
                self: core::pin::Pin<&mut Self>,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<Option<$item>> {
                self.poll(cx)
            }
        }

        impl core::fmt::Debug for $stream {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(stringify!($stream))
            }
        }
    };
}

pub(crate) use stream;
