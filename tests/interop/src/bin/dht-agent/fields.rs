//! Reading the fields of ops.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use bytes::Bytes;
use dht_core::Id;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// The largest integer that JSON carries between any two languages.
const UINT_MAX: u64 = (1 << 53) - 1;

/// The fields of an op, or of an object in it.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a Map<String, Value>);

/// Reads a value, or says that it is of the wrong type.
pub(crate) type Kind<'a, T> = fn(&'a Value) -> Option<T>;

impl<'a> Fields<'a> {
    /// A field that has to be there.
    pub(crate) fn get<T>(self, name: &str, kind: Kind<'a, T>) -> Result<T, Failure> {
        let value = self.0.get(name).and_then(kind);
        value.ok_or_else(|| Failure::protocol(&format!("{name} is missing or of the wrong type")))
    }

    /// A field that may be left out, or be `null`.
    pub(crate) fn maybe<T>(self, name: &str, kind: Kind<'a, T>) -> Result<Option<T>, Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.get(name, kind).map(Some),
        }
    }

    /// A bool that may be left out.
    pub(crate) fn flag(self, name: &str, default: bool) -> Result<bool, Failure> {
        Ok(self.maybe(name, boolean)?.unwrap_or(default))
    }

    /// The host and port that stand among the fields themselves.
    pub(crate) fn own_address(self) -> Result<SocketAddrV4, Failure> {
        self.address().ok_or_else(|| Failure::protocol("host and port should be an address"))
    }

    fn address(self) -> Option<SocketAddrV4> {
        Some(SocketAddrV4::new(ip(self.0.get("host")?)?, port(self.0.get("port")?)?))
    }
}

pub(crate) fn boolean(value: &Value) -> Option<bool> {
    value.as_bool()
}

pub(crate) fn uint(value: &Value) -> Option<u64> {
    integer(value)?.try_into().ok()
}

pub(crate) fn natural(value: &Value) -> Option<u64> {
    uint(value).filter(|number| *number > 0)
}

/// Whole numbers may be written with a fraction of zero: JSON has one kind of numbers.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    let whole = |float: &f64| float.fract() == 0.0 && float.abs() <= UINT_MAX as f64;
    let number = value.as_i64().or_else(|| value.as_f64().filter(whole).map(|float| float as i64));
    number.filter(|number| number.unsigned_abs() <= UINT_MAX)
}

pub(crate) fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

pub(crate) fn texts(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(text).collect()
}

pub(crate) fn object(value: &Value) -> Option<Fields<'_>> {
    value.as_object().map(Fields)
}

pub(crate) fn hex(value: &Value) -> Option<Bytes> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text(value)?.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    rest.is_empty().then(|| bytes.collect())?
}

pub(crate) fn id(value: &Value) -> Option<Id> {
    token(value).map(Id)
}

pub(crate) fn token(value: &Value) -> Option<[u8; 32]> {
    hex(value)?.as_ref().try_into().ok()
}

pub(crate) fn ip(value: &Value) -> Option<Ipv4Addr> {
    text(value)?.parse().ok()
}

pub(crate) fn port(value: &Value) -> Option<u16> {
    uint(value)?.try_into().ok()
}

/// One port, or a range of them.
pub(crate) fn ports(value: &Value) -> Option<Result<u16, Range<u16>>> {
    match value.as_array() {
        None => port(value).map(Ok),
        Some(range) => match range.as_slice() {
            [start, end] => Some(Err(port(start)?..port(end)?)),
            _ => None,
        },
    }
}

pub(crate) fn address(value: &Value) -> Option<SocketAddrV4> {
    object(value)?.address()
}

pub(crate) fn addresses(value: &Value) -> Option<Vec<SocketAddrV4>> {
    value.as_array()?.iter().map(address).collect()
}

/// Written `ip:port`.
pub(crate) fn written_addresses(value: &Value) -> Option<Vec<SocketAddrV4>> {
    texts(value)?.into_iter().map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_whole_and_in_range() {
        for (value, number) in [
            (json!(0), Some(0)),
            (json!(7.0), Some(7)),
            (json!(1.5), None),
            (json!(-1), None),
            (json!("1"), None),
            (json!(UINT_MAX), Some(UINT_MAX)),
            (json!(UINT_MAX + 1), None),
            (json!(u64::MAX), None),
            (json!(1e300), None),
            (json!(true), None),
        ] {
            assert_eq!(uint(&value), number, "{value}");
        }
    }

    #[test]
    fn hex_is_lower_case_and_even() {
        for (value, bytes) in [
            (json!(""), Some(&[][..])),
            (json!("00ff5a"), Some(&[0, 0xff, 0x5a])),
            (json!("0"), None),
            (json!("0A"), None),
            (json!("+1"), None),
            (json!("é"), None),
            (json!(10), None),
        ] {
            assert_eq!(hex(&value).as_deref(), bytes, "{value}");
        }
    }

    #[test]
    fn addresses_are_dotted_with_a_port() {
        let of = |host, port: Value| json!({ "host": host, "port": port });
        for (value, fits) in [
            (of("127.0.0.1", json!(0)), true),
            (of("127.0.0.1", json!(65_535)), true),
            (of("127.0.0.1", json!(65_536)), false),
            (of("localhost", json!(1)), false),
            (of("::1", json!(1)), false),
            (json!({ "host": "127.0.0.1" }), false),
            (json!("127.0.0.1:1"), false),
        ] {
            assert_eq!(address(&value).is_some(), fits, "{value}");
        }
    }

    #[test]
    fn ports_are_one_or_a_pair() {
        assert_eq!(ports(&json!(7)), Some(Ok(7)));
        assert_eq!(ports(&json!([7, 9])), Some(Err(7..9)));
        for bad in [json!([7]), json!([7, 8, 9]), json!("7"), json!([7, 65_536])] {
            assert_eq!(ports(&bad), None, "{bad}");
        }
    }
}
