//! A node of an adapter's, as something that is seen from outside only.

use std::marker::PhantomData;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use dht_core::driver::*;
use dht_core::*;

use crate::{Adapter, LOCALHOST, Loop, builder};

/// A node on a runtime in a thread of its own.
#[derive(Debug)]
pub struct Spawned<A> {
    dht: Dht,
    thread: Option<JoinHandle<()>>,
    adapter: PhantomData<A>,
}

impl<A: Adapter> Loop for Spawned<A> {
    fn start(port: u16, bootstrap: &[String]) -> Self {
        let bootstrap = bootstrap.to_vec();
        let (tell, told) = mpsc::channel();
        let run = async move {
            let builder = match bootstrap.is_empty() {
                true => Builder::bootstrapper(A::runtime(), port, "127.0.0.1").host(LOCALHOST),
                false => builder::<A>().port(port).any_port(false).bootstrap(bootstrap),
            };
            let dht = builder.spawn().unwrap();
            let mut requests = dht.requests();
            dht.listening().await.unwrap();
            tell.send(dht.clone()).unwrap();
            while let Some(request) = requests.next().await {
                if request.command == 0 {
                    let answer = request.value.clone().map_or(Answer::empty(), Answer::value);
                    // One that is too long is refused: whoever asked hears nothing.
                    request.reply(answer).ok();
                }
            }
            dht.close().await.unwrap();
        };
        let thread = Some(thread::spawn(|| A::block_on(run)));
        Self { dht: told.recv().unwrap(), thread, adapter: PhantomData }
    }
}

impl<A> Drop for Spawned<A> {
    fn drop(&mut self) {
        drop(self.dht.close());
        self.thread.take().map(JoinHandle::join).transpose().unwrap();
    }
}
