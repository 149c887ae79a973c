// A runtime for the examples in the docs of `driver`: loopback sockets, and a thread for each driver that polls it every
// millisecond. It needs nothing but `std`; a real runtime wakes its tasks instead (`driver::guide`).

use std::future::{Future, ready};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs, UdpSocket};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use dht_core::driver::{Builder, Dht, Driver, Host, LookupFuture, Runtime, Socket, Spawn, Timer};

pub struct Local;

impl Local {
    /// A node that is bound to loopback.
    pub async fn node() -> Dht {
        let node = Builder::new(Local).host(Ipv4Addr::LOCALHOST).spawn().unwrap();
        node.listening().await.unwrap();
        node
    }
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

impl Host for Local {
    fn now(&self) -> dht_core::Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        dht_core::Instant::ZERO + START.get_or_init(Instant::now).elapsed()
    }

    fn interfaces(&self) -> io::Result<Vec<Ipv4Addr>> {
        Ok(vec![Ipv4Addr::LOCALHOST])
    }

    fn way_out(&self) -> io::Result<Option<Ipv4Addr>> {
        Ok(None)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        // Good enough for an example, and nothing else.
        bytes.fill_with(|| RandomState::new().hash_one(0) as u8);
        Ok(())
    }
}

impl Runtime for Local {
    type Socket = Udp;
    type Timer = Alarm;

    fn bind(&self, addr: SocketAddrV4) -> io::Result<Udp> {
        let socket = UdpSocket::bind(addr)?;
        socket.set_nonblocking(true)?;
        Ok(Udp(socket))
    }

    fn timer(&self) -> Alarm {
        Alarm(None)
    }

    fn lookup(&self, host: &str) -> LookupFuture {
        let found = (host, 0).to_socket_addrs().map(|addrs| {
            let v4 = |addr| if let SocketAddr::V4(addr) = addr { Some(*addr.ip()) } else { None };
            addrs.filter_map(v4).collect()
        });
        Box::pin(ready(found))
    }
}

impl Spawn for Local {
    fn spawn(driver: Driver<Self>) -> io::Result<()> {
        thread::spawn(|| block_on(driver));
        Ok(())
    }
}

pub struct Udp(UdpSocket);

impl Socket for Udp {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn poll_recv_from(
        &mut self,
        _: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        match self.0.recv_from(buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            received => Poll::Ready(received),
        }
    }

    fn poll_send_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn try_send_to(&mut self, data: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.send_to(data, to).map(drop)
    }

    fn ttl(&self) -> io::Result<u32> {
        self.0.ttl()
    }

    fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.set_ttl(ttl)
    }
}

pub struct Alarm(Option<Instant>);

impl Timer for Alarm {
    fn set(&mut self, after: Duration) {
        self.0 = Some(Instant::now() + after);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        match self.0.take_if(|at| *at <= Instant::now()) {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }
}
