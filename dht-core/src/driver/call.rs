//! A call of the user's as futures and streams hold it.

use core::task::{Context, Poll};

use super::calls::{CallId, Want};
use super::error::Error;
use super::shared::Handle;
use super::state::{Look, State};

/// A request or a query of the user's. It keeps the node alive, and is cancelled when it is dropped.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) handle: Handle,
    ticket: u64,
    /// Its result was taken.
    is_over: bool,
}

impl Call {
    /// Begins at once, or waits for a place.
    pub(crate) fn new(handle: Handle, want: Want) -> Self {
        let ticket = handle.act(|state, now| {
            let ticket = state.ticket();
            state.calls.begin(now, &mut state.node, ticket, want);
            ticket
        });
        Self { handle, ticket, is_over: false }
    }

    /// Its id, or why it could not begin; `None` while it waits.
    pub(crate) fn begun(&self) -> Option<Result<CallId, Error>> {
        self.handle.look(|state| state.calls.begun(self.ticket))
    }

    /// Takes something from the core: `take` gives it, if it is there, and whether it is the result. Pending for
    /// ever after the result.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&mut State, CallId) -> Option<(bool, Result<T, Error>)>,
    ) -> Poll<Result<T, Error>> {
        if self.is_over {
            return Poll::Pending;
        }
        let Self { handle, ticket, is_over } = self;
        handle.poll(cx, |state, _| {
            let found = match state.calls.begun(*ticket) {
                None => None,
                Some(Err(error)) => Some((true, Err(state.explain(error)))),
                // Only a core that broke down leaves a call open when it is closed.
                Some(Ok(id)) => take(state, id)
                    .or_else(|| state.node.closed().then_some((true, Err(Error::CLOSED)))),
            };
            let Some((is_result, found)) = found else {
                return Look::Wait(state.calls.slot(*ticket));
            };
            if is_result {
                *is_over = true;
                let waker = state.calls.end(*ticket);
                state.wakes.bury(waker);
            }
            // There is a place for another reply, or for another request.
            state.poke();
            Look::Ready(found)
        })
    }

    pub(crate) fn cancel(&mut self) {
        if !core::mem::replace(&mut self.is_over, true) {
            self.handle.act(|state, now| {
                let waker = state.calls.cancel(now, &mut state.node, self.ticket);
                state.wakes.bury(waker);
            });
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.cancel();
    }
}
