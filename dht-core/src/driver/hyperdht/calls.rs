//! The calls of hyperdht's users.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use bytes::Bytes;

use super::replies::Replies;
use crate::driver::dht::Dht;
use crate::driver::error::Error;
use crate::driver::query::{QueryStream, all};
use crate::driver::request::RequestFuture;
use crate::error_code::INVALID_TOKEN;
use crate::hyperdht::asking::{self, Announcing};
use crate::hyperdht::{Mutable, PeerRecord, Peers, PublicKey, Signature, Signer, hash};
use crate::wire::VARINT_MAX;
use crate::{Commit, Id, QueryError, Reply, Request, RequestError, SendError};

/// A mutable value that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Counts the versions of the value.
    pub seq: u64,
    /// The value itself.
    pub value: Bytes,
    /// Of both, by the key.
    pub signature: Signature,
}

/// # hyperdht (feature `hyperdht`)
impl Dht {
    /// Looks for who has announced a topic.
    pub fn lookup(&self, topic: Id) -> Replies<Peers> {
        Replies::new(self.query(asking::lookup(topic)), asking::peers)
    }

    /// Looks for where a peer has announced itself.
    #[doc(alias = "findPeer")]
    pub fn find_peer(&self, public_key: &PublicKey) -> Replies<PeerRecord> {
        let key = *public_key;
        Replies::new(self.query(asking::find_peer(&key)), move |reply| asking::peer(reply, &key))
    }

    /// Announces a topic: to the nodes closest to it, once. They forget it after 20 minutes or so.
    ///
    /// # Errors
    /// If no node has taken it, or the signer fails.
    pub async fn announce<S: Signer>(&self, what: &Announcing<'_, S>) -> Result<Commit, Error> {
        let mut query = self.query(asking::lookup(what.topic));
        self.commit(&mut query, |reply| signed(what.announce(reply))).await
    }

    /// Takes an announcement back from all nodes on the way to the topic that may have it, and returns how many have confirmed that. Who tells
    /// of 20 peers may have more than it tells of.
    ///
    /// # Errors
    /// If the query fails, or the signer.
    pub async fn unannounce<S: Signer>(&self, topic: Id, signer: &S) -> Result<u32, Error> {
        let mut query = self.query(asking::lookup(topic));
        self.clear(&mut query, &Announcing::new(topic, signer)).await
    }

    /// As [`announce`](Self::announce), and before that takes back what was announced before, which may be at other nodes.
    ///
    /// # Errors
    /// As [`announce`](Self::announce).
    #[doc(alias = "clear")]
    pub async fn announce_anew<S: Signer>(
        &self,
        what: &Announcing<'_, S>,
    ) -> Result<Commit, Error> {
        let mut query = self.query(asking::lookup(what.topic));
        self.clear(&mut query, what).await?;
        self.commit(&mut query, |reply| signed(what.announce(reply))).await
    }

    /// Stores a value under its [`hash()`], at the nodes closest to that, once. They keep it for 48 hours after it was last stored
    /// or asked for.
    ///
    /// # Errors
    /// If no node has taken it; if the value is too large, before anything is sent, with the limit.
    #[doc(alias = "immutablePut")]
    pub async fn immutable_put(&self, value: impl Into<Bytes>) -> Result<(Id, Commit), Error> {
        let value = Bytes::copy_from_slice(&value.into());
        let target = hash(&value);
        self.check_size(&asking::put_immutable(NOBODY, NO_TOKEN, value.clone()), 0)?;
        let mut query = self.query(asking::immutable_get(target));
        let put = |reply: &Reply| asking::immutable_put(reply, value.clone()).map(Ok);
        Ok((target, self.commit(&mut query, put).await?))
    }

    /// Fetches the value with this [`hash()`]; `None` if there is none.
    ///
    /// # Errors
    /// If the query fails and nothing was found before.
    #[doc(alias = "immutableGet")]
    pub async fn immutable_get(&self, target: Id) -> Result<Option<Bytes>, Error> {
        let read = move |reply: &Reply| asking::immutable(reply, target);
        let mut found = Replies::new(self.query(asking::immutable_get(target)), read);
        match found.next().await {
            Some((_, value)) => Ok(Some(value)),
            None => found.finished().await.map(|_| None),
        }
    }

    /// Stores version `seq` of a value under the hash of the signer's key, as [`immutable_put`](Self::immutable_put)
    /// does.
    ///
    /// # Errors
    /// If no node has taken it: error code 16 if each has another value of that version, 17 if each has a later
    /// version. If the value is too large or the version above 2^53 - 1, before anything is sent. If the signer fails.
    #[doc(alias = "mutablePut")]
    pub async fn mutable_put<S: Signer>(
        &self,
        signer: &S,
        seq: u64,
        value: impl Into<Bytes>,
    ) -> Result<Commit, Error> {
        let value = Bytes::copy_from_slice(&value.into());
        if seq > VARINT_MAX {
            return Err(SendError::OutOfRange.into());
        }
        let public_key = signer.public_key();
        let signed = Mutable::sign(signer, seq, &value).map_err(signer_failed)?;
        self.put_signed(&public_key, &signed).await
    }

    /// Stores a value that was [found](Self::mutable_get) once more, as it is, which takes no signer. Nodes keep it for 48 hours
    /// after it was last stored or asked for; but nodes leave, and take it with them, so store it again about every hour.
    ///
    /// # Errors
    /// As [`mutable_put`](Self::mutable_put), except that no signer can fail. A signature that is not the key's no node takes.
    #[doc(alias = "refresh")]
    pub async fn mutable_refresh(
        &self,
        public_key: &PublicKey,
        stored: &Stored,
    ) -> Result<Commit, Error> {
        let Stored { seq, value, signature } = stored;
        if *seq > VARINT_MAX {
            return Err(SendError::OutOfRange.into());
        }
        let signed = Mutable { seq: *seq, value, signature: *signature };
        self.put_signed(public_key, &signed).await
    }

    /// Fetches what a key has signed, of version `seq` or later: of all replies the latest version. `None` if there is
    /// none.
    ///
    /// # Errors
    /// If the query fails and nothing was found before.
    #[doc(alias = "mutableGet")]
    pub async fn mutable_get(
        &self,
        public_key: &PublicKey,
        seq: u64,
    ) -> Result<Option<Stored>, Error> {
        let (mut found, mut latest) = (self.mutables(public_key, seq), None::<Stored>);
        while let Some((_, stored)) = found.next().await {
            if latest.as_ref().is_none_or(|latest| latest.seq < stored.seq) {
                latest = Some(stored);
            }
        }
        match latest {
            Some(latest) => Ok(Some(latest)),
            None => found.finished().await.map(|_| None),
        }
    }

    /// The same, as the replies come: the first may do.
    pub fn mutables(&self, public_key: &PublicKey, seq: u64) -> Replies<Stored> {
        let key = *public_key;
        Replies::new(self.query(asking::mutable_get(public_key, seq)), move |reply| {
            let Mutable { seq, value, signature } = asking::mutable(reply, &key, seq)?;
            let value = reply.value.as_ref()?.slice_ref(value);
            Some(Stored { seq, value, signature })
        })
    }

    async fn put_signed(
        &self,
        public_key: &PublicKey,
        signed: &Mutable<'_>,
    ) -> Result<Commit, Error> {
        let around = signed.encode_put(public_key).len() - signed.value.len();
        self.check_size(&asking::put_mutable(NOBODY, NO_TOKEN, public_key, signed), around)?;
        let mut query = self.query(asking::mutable_get(public_key, 0));
        let put = |reply: &Reply| asking::mutable_put(reply, public_key, signed).map(Ok);
        self.commit(&mut query, put).await
    }

    /// Takes an announcement back wherever a query comes by, as long as there is something to read.
    async fn clear<S: Signer>(
        &self,
        query: &mut QueryStream,
        what: &Announcing<'_, S>,
    ) -> Result<u32, Error> {
        let public_key = what.signer.public_key();
        self.forget_own(&what.topic, &public_key);
        let mut asked: Vec<RequestFuture> = Vec::new();
        while let Some(reply) = query.next().await {
            let peers = asking::peers(&reply).map(|all| all.peers).unwrap_or_default();
            let may_have_it =
                peers.len() >= 20 || peers.iter().any(|it| it.public_key == public_key);
            let may_have_it = may_have_it && asked.len() < WITHDRAWALS_MAX;
            if let Some(request) = may_have_it.then(|| signed(what.unannounce(&reply))).flatten() {
                asked.push(self.request(request?));
            }
        }
        query.finished().await?;
        let answers = all(asked.into_iter()).await;
        let forgot = |answer: &&Result<Reply, Error>| answer.as_ref().is_ok_and(|it| it.error == 0);
        Ok(answers.iter().filter(forgot).count() as u32)
    }

    /// Waits for the end of a query, and sends each of the closest nodes a request that is made for it. Returns how that
    /// went.
    pub(in crate::driver) async fn commit(
        &self,
        query: &mut QueryStream,
        request: impl Fn(&Reply) -> Option<Result<Request, Error>>,
    ) -> Result<Commit, Error> {
        let begin = |reply: Reply| {
            let first = request(&reply).transpose();
            async {
                let Some(first) = first? else { return Ok::<_, Error>(None) };
                let answer = self.request(first).await;
                // The walk may have taken longer than a token lives; the refusal brings another.
                let anew = answer.as_ref().ok().filter(|reply| reply.error == INVALID_TOKEN);
                Ok(Some(match anew.and_then(&request) {
                    Some(again) => self.request(again?).await,
                    None => answer,
                }))
            }
        };
        let (mut commit, mut failure) = (Commit::default(), None);
        for end in query.commit_with(begin).await? {
            match end {
                Ok(None) => commit.without_token += 1,
                Ok(Some(Ok(reply))) if reply.error == 0 => commit.succeeded += 1,
                Ok(Some(Ok(reply))) => {
                    commit.refused += 1;
                    commit.refusal = Some(reply.error);
                }
                Ok(Some(Err(Error::Request(RequestError::Timeout)))) => commit.timed_out += 1,
                // The signer's, or the node's.
                Ok(Some(Err(error))) | Err(error) => failure = Some(error),
            }
        }
        match failure {
            _ if commit.succeeded > 0 => Ok(commit),
            Some(error) => Err(error),
            None => Err(QueryError::Commit(commit).into()),
        }
    }

    /// Refuses what no node could be sent. `around`: bytes of the request's value that are not the user's.
    fn check_size(&self, request: &Request, around: usize) -> Result<(), Error> {
        let checked = self.shared().look(|state| state.node.check_size(request));
        Ok(checked.map_err(|error| match error {
            SendError::TooLarge { limit } => {
                SendError::TooLarge { limit: limit.saturating_sub(around) }
            }
            error => error,
        })?)
    }
}

/// From how many nodes an announcement is taken back on one way to its topic. Who says that it has it makes the signer work.
const WITHDRAWALS_MAX: usize = 60;

/// Stand-ins for what does not change a request's length.
const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
const NO_TOKEN: [u8; 32] = [0; 32];

/// A request that has to be signed first.
pub(super) fn signed<E: core::error::Error + Send + Sync + 'static>(
    request: Option<Result<Request, E>>,
) -> Option<Result<Request, Error>> {
    request.map(|request| request.map_err(signer_failed))
}

pub(super) fn signer_failed(error: impl core::error::Error + Send + Sync + 'static) -> Error {
    Error::Signer(Arc::new(error))
}
