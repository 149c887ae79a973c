//! The address of this machine that a datagram came to, and that an answer leaves from, for a socket that is bound to
//! all addresses. Every Unix tells it in its own way; other systems are not asked.

#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]
mod system {
    use alloc::boxed::Box;
    use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::UdpSocket;
    use std::os::fd::{AsFd, AsRawFd};

    use nix::libc::in_addr;
    use nix::sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrStorage, recvmsg,
        sendmsg, setsockopt, sockopt,
    };

    /// Room for control messages; one takes less.
    const CONTROL_MAX: usize = 128;

    /// The addresses of datagrams for a socket that is bound to all addresses of the machine: tells which of them a
    /// datagram came to, and sends from one of them.
    ///
    /// ```
    /// use std::net::{Ipv4Addr, UdpSocket};
    /// use dht_core::driver::PacketInfo;
    ///
    /// let socket = UdpSocket::bind("0.0.0.0:0")?;
    /// let Some(mut info) = PacketInfo::of(&socket) else { return Ok(()) };
    /// let peer = UdpSocket::bind("127.0.0.1:0")?;
    /// peer.send_to(b"ask", ("127.0.0.1", socket.local_addr()?.port()))?;
    ///
    /// let mut buf = [0; 2049];
    /// let (len, from, at) = info.receive(&socket, &mut buf)?;
    /// assert_eq!((&buf[..len], at), (&b"ask"[..], Some(Ipv4Addr::LOCALHOST)));
    /// info.send(&socket, b"answer", from, Ipv4Addr::LOCALHOST)?;
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[derive(Debug)]
    pub struct PacketInfo {
        control: Box<[u8]>,
    }

    impl PacketInfo {
        /// Switches it on; `None` if the socket is bound to one address, or the system can't tell.
        #[must_use]
        pub fn of(socket: &UdpSocket) -> Option<Self> {
            if !socket.local_addr().ok()?.ip().is_unspecified() {
                return None;
            }
            #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
            setsockopt(socket, sockopt::Ipv4PacketInfo, &true).ok()?;
            #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
            setsockopt(socket, sockopt::Ipv4RecvDstAddr, &true).ok()?;
            Some(Self { control: Box::new([0; CONTROL_MAX]) })
        }

        /// Receives a datagram: its length, its sender, and the address of this machine that it came to.
        ///
        /// # Errors
        /// As the system says.
        pub fn receive(
            &mut self,
            socket: &impl AsFd,
            buf: &mut [u8],
        ) -> io::Result<(usize, SocketAddr, Option<Ipv4Addr>)> {
            let fd = socket.as_fd().as_raw_fd();
            let (control, flags) = (Some(&mut self.control[..]), MsgFlags::empty());
            let mut parts = [IoSliceMut::new(buf)];
            let received = recvmsg::<SockaddrStorage>(fd, &mut parts, control, flags)?;
            let from = received.address.as_ref().and_then(SockaddrStorage::as_sockaddr_in);
            let from = from.ok_or(io::ErrorKind::InvalidData)?;
            // If the control message was cut off, the datagram counts without it.
            let at = received.cmsgs().ok();
            let at = at.and_then(|mut all| all.find_map(|message| local(&message)));
            Ok((received.bytes, SocketAddr::V4(SocketAddrV4::from(*from)), at))
        }

        /// Sends a datagram from an address of this machine; from any, if the machine has it no more.
        ///
        /// # Errors
        /// As the system says.
        pub fn send(
            &self,
            socket: &impl AsFd,
            data: &[u8],
            to: SocketAddr,
            source: Ipv4Addr,
        ) -> io::Result<()> {
            let SocketAddr::V4(to) = to else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let (fd, to) = (socket.as_fd().as_raw_fd(), SockaddrIn::from(to));
            let send = |control: &[ControlMessage<'_>]| {
                sendmsg(fd, &[IoSlice::new(data)], control, MsgFlags::empty(), Some(&to))
                    .map(drop)
                    .map_err(io::Error::from)
            };
            match with_source(source, |message| send(&[message])) {
                // The reason may be the address: systems tell that in different ways.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => send(&[]),
                sent => sent,
            }
        }
    }

    fn address(addr: in_addr) -> Option<Ipv4Addr> {
        let addr = Ipv4Addr::from(addr.s_addr.to_ne_bytes());
        // No datagram can be sent from any other address.
        let is_one = !addr.is_unspecified() && !addr.is_multicast() && !addr.is_broadcast();
        is_one.then_some(addr)
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn local(message: &ControlMessageOwned) -> Option<Ipv4Addr> {
        match message {
            // The first is the address of ours even if the datagram was sent to a group; not all systems tell it.
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                address(info.ipi_spec_dst).or_else(|| address(info.ipi_addr))
            }
            _ => None,
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    fn local(message: &ControlMessageOwned) -> Option<Ipv4Addr> {
        match message {
            ControlMessageOwned::Ipv4RecvDstAddr(addr) => address(*addr),
            _ => None,
        }
    }

    fn with_source<T>(source: Ipv4Addr, send: impl FnOnce(ControlMessage<'_>) -> T) -> T {
        let source = in_addr { s_addr: u32::from_ne_bytes(source.octets()) };
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            let any = in_addr { s_addr: 0 };
            let info =
                nix::libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: any };
            send(ControlMessage::Ipv4PacketInfo(&info))
        }
        #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
        send(ControlMessage::Ipv4SendSrcAddr(&source))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_of_sockets_that_are_bound_to_all_addresses() {
            let bind = |ip| UdpSocket::bind((ip, 0)).unwrap();
            assert!(PacketInfo::of(&bind(Ipv4Addr::LOCALHOST)).is_none());
            assert!(PacketInfo::of(&bind(Ipv4Addr::UNSPECIFIED)).is_some());
        }

        #[test]
        fn a_datagram_counts_without_what_came_along() {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            let mut info = PacketInfo::of(&socket).unwrap();
            info.control = Box::new([0; 1]);
            let port = socket.local_addr().unwrap().port();
            let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            peer.send_to(b"hi", (Ipv4Addr::LOCALHOST, port)).unwrap();
            let mut buf = [0; 8];
            let (len, from, at) = info.receive(&socket, &mut buf).unwrap();
            assert_eq!((&buf[..len], from, at), (&b"hi"[..], peer.local_addr().unwrap(), None));
        }

        #[test]
        fn an_address_that_is_gone_is_no_reason_to_be_silent() {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            let mut info = PacketInfo::of(&socket).unwrap();
            let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let to = peer.local_addr().unwrap();
            // Reserved for documentation, so no machine has it.
            let gone = Ipv4Addr::new(192, 0, 2, 1);
            let mut buf = [0; 8];
            for source in [gone, Ipv4Addr::LOCALHOST] {
                info.send(&socket, b"hi", to, source).unwrap();
                let (len, from) = peer.recv_from(&mut buf).unwrap();
                assert_eq!((&buf[..len], from.ip()), (&b"hi"[..], Ipv4Addr::LOCALHOST.into()));
                peer.send_to(b"back", from).unwrap();
                let (len, from, at) = info.receive(&socket, &mut buf).unwrap();
                assert_eq!((&buf[..len], from), (&b"back"[..], to));
                assert_eq!(at, Some(Ipv4Addr::LOCALHOST));
            }
        }
    }
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
mod system {
    use core::net::{Ipv4Addr, SocketAddr};
    use std::io;
    use std::net::UdpSocket;

    /// Nothing on this system, which chooses the address that answers leave from.
    #[derive(Debug)]
    pub enum PacketInfo {}

    impl PacketInfo {
        /// There is none.
        #[must_use]
        pub const fn of(_: &UdpSocket) -> Option<Self> {
            None
        }

        /// Never called: there is no value of this type.
        ///
        /// # Errors
        /// Never.
        pub fn receive<S>(
            &mut self,
            _: &S,
            _: &mut [u8],
        ) -> io::Result<(usize, SocketAddr, Option<Ipv4Addr>)> {
            match *self {}
        }

        /// Never called: there is no value of this type.
        ///
        /// # Errors
        /// Never.
        pub fn send<S>(&self, _: &S, _: &[u8], _: SocketAddr, _: Ipv4Addr) -> io::Result<()> {
            match *self {}
        }
    }
}

pub use system::PacketInfo;
