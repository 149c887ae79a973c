//! How an answer leaves: the socket and, on a machine with several addresses, the local address. It is packed into
//! as few bytes as possible, since it waits with every answer.

use core::net::Ipv4Addr;

use crate::api::message::Via;

/// A socket and a local address; 0.0.0.0 leaves the choice to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Client([u8; 4]),
    Server([u8; 4]),
    /// The number of a socket that the embedder owns.
    Extra([u8; 2]),
}

const _: () = assert!(size_of::<Way>() == 5);

impl Way {
    /// `at`: the local address, if it is known.
    pub(crate) fn new(via: Via, at: Option<Ipv4Addr>) -> Self {
        let at = at.unwrap_or(Ipv4Addr::UNSPECIFIED).octets();
        match via {
            Via::Client => Self::Client(at),
            Via::Server => Self::Server(at),
            Via::Extra(number) => Self::Extra(number.to_le_bytes()),
        }
    }

    pub(crate) const fn via(self) -> Via {
        match self {
            Self::Client(_) => Via::Client,
            Self::Server(_) => Via::Server,
            Self::Extra(number) => Via::Extra(u16::from_le_bytes(number)),
        }
    }

    /// The local address, if it is known.
    pub(crate) fn source(self) -> Option<Ipv4Addr> {
        match self {
            Self::Client(at) | Self::Server(at) => {
                Some(Ipv4Addr::from(at)).filter(|at| !at.is_unspecified())
            }
            Self::Extra(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_in_comes_out() {
        let at = Ipv4Addr::new(192, 0, 2, 7);
        for via in [Via::Client, Via::Server] {
            assert_eq!((Way::new(via, None).via(), Way::new(via, None).source()), (via, None));
            assert_eq!(
                (Way::new(via, Some(at)).via(), Way::new(via, Some(at)).source()),
                (via, Some(at))
            );
        }
        let extra = Way::new(Via::Extra(0xabcd), Some(at));
        assert_eq!((extra.via(), extra.source()), (Via::Extra(0xabcd), None));
    }
}
