//! Numbers in one, three, five or nine bytes, little-endian: up to 0xfc as they are,
//! larger ones behind a mark that says how wide they are.

use super::cursor::{Reader, Writer};
use super::{DecodeError, EncodeError, VARINT_MAX};

/// Reads a number. A wider form than the number needs is accepted.
pub(crate) fn read(from: &mut Reader<'_>) -> Result<u64, DecodeError> {
    let [first] = *from.array()?;
    Ok(match first {
        U16 => u16::from_le_bytes(*from.array()?).into(),
        U32 => u32::from_le_bytes(*from.array()?).into(),
        U64 => match u64::from_le_bytes(*from.array()?) {
            n @ 0..=VARINT_MAX => n,
            _ => return Err(DecodeError::VarintTooLarge),
        },
        small => small.into(),
    })
}

/// Writes `n` in the shortest form.
pub(super) fn write(to: &mut Writer<'_>, n: u64) -> Result<(), EncodeError> {
    let [a, b, c, d, e, f, g, h] = n.to_le_bytes();
    match len(n) {
        1 => to.put(&[a]),
        3 => to.put(&[U16, a, b]),
        5 => to.put(&[U32, a, b, c, d]),
        _ => to.put(&[U64, a, b, c, d, e, f, g, h]),
    }
}

/// Writes `n` at the end of a buffer that grows.
#[cfg(feature = "hyperdht")]
pub(crate) fn push(to: &mut alloc::vec::Vec<u8>, n: u64) {
    let (mut buf, len) = ([0; 9], len(n));
    let written = Writer::new(&mut buf, len).and_then(|mut to| write(&mut to, n));
    debug_assert!(written.is_ok(), "there is room");
    to.extend_from_slice(buf.get(..len).unwrap_or_default());
}

/// How many bytes [`write()`] takes for `n`.
pub(crate) fn len(n: u64) -> usize {
    match n {
        0..=0xfc => 1,
        0xfd..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Two bytes follow.
const U16: u8 = 0xfd;
/// Four bytes follow.
const U32: u8 = 0xfe;
/// Eight bytes follow.
const U64: u8 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortest_forms() {
        let cases: [(u64, &[u8]); 11] = [
            (0, &[0]),
            (1, &[1]),
            (0xfc, &[0xfc]),
            (0xfd, &[0xfd, 0xfd, 0]),
            (0xff, &[0xfd, 0xff, 0]),
            (0x100, &[0xfd, 0, 1]),
            (0xffff, &[0xfd, 0xff, 0xff]),
            (0x1_0000, &[0xfe, 0, 0, 1, 0]),
            (0xffff_ffff, &[0xfe, 0xff, 0xff, 0xff, 0xff]),
            (0x1_0000_0000, &[0xff, 0, 0, 0, 0, 1, 0, 0, 0]),
            (VARINT_MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0]),
        ];
        for (n, bytes) in cases {
            assert_eq!(len(n), bytes.len(), "{n:#x}");
            let mut buf = [0xa5; 9];
            write(&mut Writer::new(&mut buf, bytes.len()).unwrap(), n).unwrap();
            assert_eq!(buf[..bytes.len()], *bytes, "{n:#x}");
            assert_eq!(read(&mut Reader::new(bytes)), Ok(n), "{n:#x}");
            for cut in 0..bytes.len() {
                let cut = read(&mut Reader::new(&bytes[..cut]));
                assert_eq!(cut, Err(DecodeError::Truncated), "{n:#x}");
            }
        }
    }

    #[test]
    fn other_forms() {
        let cases: [(&[u8], Result<u64, DecodeError>); 8] = [
            (&[0xfd, 0, 0], Ok(0)),
            (&[0xfe, 2, 0, 0, 0], Ok(2)),
            (&[0xff, 2, 0, 0, 0, 0, 0, 0, 0], Ok(2)),
            (&[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0], Ok(0xffff)),
            // What follows belongs to the next field.
            (&[7, 9], Ok(7)),
            // 2^53, 2^53 + 1 (which a float can't tell from the former), 2^64 - 1.
            (&[0xff, 0, 0, 0, 0, 0, 0, 0x20, 0], Err(DecodeError::VarintTooLarge)),
            (&[0xff, 1, 0, 0, 0, 0, 0, 0x20, 0], Err(DecodeError::VarintTooLarge)),
            (&[0xff; 9], Err(DecodeError::VarintTooLarge)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read(&mut Reader::new(bytes)), expected, "{bytes:x?}");
        }
    }
}
