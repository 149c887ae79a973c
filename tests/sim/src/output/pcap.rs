//! One node's traffic as a file that Wireshark and tshark open.
//!
//! The datagrams are the real bytes; IPv4 and UDP headers are put before them, with their lengths
//! and checksums. There is no link layer (`LINKTYPE_RAW`), as there are no machines that would have
//! one. The same packets give the same file on every machine.
//!
//! Virtual time 0 is 2000-01-01 00:00:00 UTC ([`EPOCH`]): a date that is obviously not today's.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::net::SocketAddrV4;
use std::time::Duration;

use etherparse::PacketBuilder;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

use crate::world::Micros;

/// Virtual time 0, in seconds of Unix time.
pub const EPOCH: u64 = 946_684_800;

/// The longest payload: what is left of 65,535 bytes after both headers.
pub const PAYLOAD_MAX: usize = 65_507;

/// A capture under way.
///
/// ```
/// use dht_sim::pcap::Capture;
///
/// let mut capture = Capture::new(Vec::new())?;
/// let [from, to] = ["11.0.0.1:2000", "11.0.1.1:2000"].map(|addr| addr.parse().unwrap());
/// capture.packet(1_500_000, from, to, b"ping")?;
/// assert_eq!(capture.finish()?.len(), 24 + 16 + 28 + 4);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Capture<W: Write> {
    to: PcapWriter<BufWriter<W>>,
    /// The packet being built, kept for its memory.
    packet: Vec<u8>,
}

impl<W: Write> Capture<W> {
    /// Begins a capture; there is no need to buffer `to`.
    ///
    /// # Errors
    ///
    /// Errors of `to`, as everywhere here.
    pub fn new(to: W) -> io::Result<Self> {
        let header = PcapHeader {
            datalink: DataLink::RAW,
            ts_resolution: TsResolution::MicroSecond,
            // Not the machine's own: equal runs give equal files.
            endianness: Endianness::Little,
            ..PcapHeader::default()
        };
        let to = PcapWriter::with_header(BufWriter::new(to), header).map_err(into_io)?;
        Ok(Self { to, packet: Vec::new() })
    }

    /// Adds a datagram that left or arrived at `at`. Its addresses are as a tap at that place sees them: behind a NAT the
    /// private ones.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if the payload is longer than [`PAYLOAD_MAX`], or if `at` is
    /// after 2106, when the format's seconds end. Nothing has been written then.
    pub fn packet(
        &mut self,
        at: Micros,
        from: SocketAddrV4,
        to: SocketAddrV4,
        payload: &[u8],
    ) -> io::Result<()> {
        let builder = PacketBuilder::ipv4(from.ip().octets(), to.ip().octets(), TIME_TO_LIVE)
            .udp(from.port(), to.port());
        if payload.len() > PAYLOAD_MAX {
            return Err(io::Error::new(ErrorKind::InvalidInput, "payload is too long for UDP"));
        }
        self.packet.clear();
        let built = builder.write(&mut self.packet, payload);
        built.map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let timestamp = Duration::from_secs(EPOCH).saturating_add(Duration::from_micros(at));
        let len = self.packet.len() as u32; // at most 65,535
        let packet = PcapPacket::new(timestamp, len, &self.packet);
        self.to.write_packet(&packet).map(drop).map_err(into_io)
    }

    /// Writes what is still buffered, and gives back what was written to. Without it the end may be missing without a
    /// word.
    ///
    /// # Errors
    ///
    /// As before.
    pub fn finish(self) -> io::Result<W> {
        let mut to = self.to.into_writer().into_inner().map_err(io::IntoInnerError::into_error)?;
        to.flush()?;
        Ok(to)
    }
}

fn into_io(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::new(ErrorKind::InvalidInput, other),
    }
}

/// What most systems send with.
const TIME_TO_LIVE: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    /// The Internet checksum (RFC 1071) over `bytes`: 0 if theirs is right.
    fn checksum(bytes: &[u8]) -> u16 {
        let words = bytes.chunks(2).map(|pair| {
            u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
        });
        let mut sum: u32 = words.sum();
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn every_byte_is_as_the_formats_say() {
        let (from, to) = (addr("11.0.5.1:2000"), addr("203.0.113.7:49737"));
        // Of odd length, even, empty, longest.
        let payloads = [&b"hello"[..], b"ab", b"", &[0xa5; PAYLOAD_MAX]];
        let times = [0, 1, 12_345_678, 86_400_000_000];
        let mut capture = Capture::new(Vec::new()).unwrap();
        for (at, payload) in times.into_iter().zip(payloads) {
            capture.packet(at, from, to, payload).unwrap();
        }
        let file = capture.finish().unwrap();

        let (header, mut rest) = file.split_at(24);
        let expected = [
            &[0xd4, 0xc3, 0xb2, 0xa1][..], // little-endian, microseconds
            &[2, 0, 4, 0],                 // version 2.4
            &[0; 8],                       // no time zone, no accuracy
            &[0xff, 0xff, 0, 0],           // nothing is cut
            &[101, 0, 0, 0],               // LINKTYPE_RAW
        ];
        assert_eq!(header, expected.concat());
        for (at, payload) in times.into_iter().zip(payloads) {
            let word = |n: usize| u32::from_le_bytes(*rest[4 * n..].first_chunk().unwrap());
            assert_eq!(u64::from(word(0)), 946_684_800 + at / 1_000_000);
            assert_eq!(u64::from(word(1)), at % 1_000_000);
            let len = word(2) as usize;
            assert_eq!((len, word(3) as usize), (28 + payload.len(), len));
            let packet = &rest[16..16 + len];
            rest = &rest[16 + len..];

            let (ip, udp) = packet.split_at(20);
            assert_eq!(ip[0], 0x45);
            assert_eq!(ip[2..4], (len as u16).to_be_bytes());
            assert_eq!(ip[6..8], [0x40, 0], "no fragment");
            assert_eq!(ip[8..10], [64, 17]);
            assert_eq!(ip[12..], [11, 0, 5, 1, 203, 0, 113, 7]);
            assert_eq!(checksum(ip), 0);
            assert_eq!(udp[..4], [0x07, 0xd0, 0xc2, 0x49]);
            assert_eq!(udp[4..6], (8 + payload.len() as u16).to_be_bytes());
            assert_ne!(udp[6..8], [0, 0], "that would mean: none");
            let pseudo = [&ip[12..], &[0, 17], &udp[4..6], udp].concat();
            assert_eq!(checksum(&pseudo), 0);
            assert_eq!(&udp[8..], payload);
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn a_checksum_of_zero_is_written_as_its_other_form() {
        let (from, to) = (addr("11.0.5.1:2000"), addr("11.0.5.2:2000"));
        let mut capture = Capture::new(Vec::new()).unwrap();
        let payloads: Vec<_> = (0..=u16::MAX).map(u16::to_be_bytes).collect();
        payloads.iter().for_each(|payload| capture.packet(0, from, to, payload).unwrap());
        let file = capture.finish().unwrap();
        // One of all payloads has it, and none may have 0.
        let sums: Vec<_> = file[24..].chunks(16 + 30).map(|p| [p[16 + 26], p[16 + 27]]).collect();
        assert_eq!(sums.len(), 65_536);
        assert_eq!(sums.iter().filter(|sum| **sum == [0, 0]).count(), 0);
        assert_eq!(sums.iter().filter(|sum| **sum == [0xff, 0xff]).count(), 1);
    }

    #[test]
    fn what_does_not_fit_is_refused_as_a_whole() {
        let peer = addr("11.0.5.1:2000");
        let mut capture = Capture::new(Vec::new()).unwrap();
        let too_long = capture.packet(0, peer, peer, &[0; PAYLOAD_MAX + 1]).unwrap_err();
        let last = (u64::from(u32::MAX) - EPOCH) * 1_000_000 + 999_999;
        let too_late = capture.packet(last + 1, peer, peer, b"x").unwrap_err();
        let never = capture.packet(u64::MAX, peer, peer, b"x").unwrap_err();
        for error in [too_long, too_late, never] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
        capture.packet(last, peer, peer, b"x").unwrap();
        assert_eq!(capture.finish().unwrap().len(), 24 + 16 + 29);
    }

    #[test]
    fn a_full_disk_is_an_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let peer = addr("11.0.5.1:2000");
        let mut capture = Capture::new(Full).unwrap();
        assert!((0..1_000).any(|_| capture.packet(0, peer, peer, &[0; 100]).is_err()));
        let capture = Capture::new(Full).unwrap();
        assert_eq!(capture.finish().err().map(|e| e.kind()), Some(ErrorKind::StorageFull));
    }
}
