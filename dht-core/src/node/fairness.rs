//! What queries leave to each other of the window and of the places: those that are led to nodes which do not exist must
//! not keep others waiting, whose nodes answer.

use super::Node;
use crate::api::message::QueryId;
use crate::queries::walk::Walk;
use crate::requests::congestion::Class;

impl Node {
    /// How much of the window a query may fill before it is clear that anybody answers: an equal part of most of it or,
    /// if that is more, of what is left for those that are not led astray.
    pub(super) fn share_of_window(&self) -> usize {
        let (walks, astray) = self.queries.walks();
        let room = self.requests.window_for_walks();
        let most = self.cx.config.max_window as usize / 8 * 7;
        (most / (walks + 1)).max(room / (walks - astray + 1))
    }

    /// Whether there is a place for one more visit. A walk that is astray leaves others, if there are
    /// any, as many as it has.
    pub(super) fn has_place_for(&self, walk: &Walk) -> bool {
        let leaves_some = walk.is_astray() && self.queries.walks().0 > 0;
        let free = self.requests.free(&self.cx.config);
        !(self.is_busy() || leaves_some && walk.in_flight() >= free)
    }

    /// A walk has gone astray, or is not astray any more: its requests that wait go to where they belong now.
    pub(super) fn sort_visits(&mut self, id: QueryId, before: Class) {
        if self.queries.class_of(id).is_none_or(|class| class == before) {
            return;
        }
        if let Some(class) = self.queries.class_of(id) {
            self.requests.reclass(id, class);
        }
    }
}
