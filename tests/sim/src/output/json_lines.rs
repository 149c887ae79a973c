//! Records as JSON lines: one object per line, each with its `kind` first, for scripts and `jq`.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

/// Writes records.
///
/// ```
/// use dht_sim::json_lines::JsonLines;
///
/// let mut lines = JsonLines::new(Vec::new());
/// lines.record("sample", &std::collections::BTreeMap::from([("up", 7)]))?;
/// assert_eq!(lines.into_inner(), b"{\"kind\":\"sample\",\"up\":7}\n");
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct JsonLines<W> {
    to: W,
    /// The line being built: it is written as a whole or not at all, as far as that is up to us.
    line: Vec<u8>,
    /// Why nothing can be written any more.
    failed: Option<ErrorKind>,
}

impl<W: Write> JsonLines<W> {
    /// A writer to `to`.
    pub const fn new(to: W) -> Self {
        Self { to, line: Vec::new(), failed: None }
    }

    /// Writes one record and flushes, so that a reader sees it now.
    ///
    /// `record` must be a struct or a map, without a field `kind` of its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidData`] if `record` is no object; nothing has been written then. Else errors of the writer. Among
    /// them is [`ErrorKind::BrokenPipe`]: the reader has seen enough, and the caller may end the run quietly. After an
    /// error of the writer there may be half a line, so nothing more is written, and further records get the same error.
    pub fn record(&mut self, kind: &str, record: &impl Serialize) -> io::Result<()> {
        if let Some(failed) = self.failed {
            return Err(failed.into());
        }
        self.line.clear();
        serde_json::to_writer(&mut self.line, &Line { kind, record })
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        self.line.push(b'\n');
        let written = self.to.write_all(&self.line).and_then(|()| self.to.flush());
        self.failed = written.as_ref().err().map(io::Error::kind);
        written
    }

    /// What has been written to.
    pub fn into_inner(self) -> W {
        self.to
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'a str,
    #[serde(flatten)]
    record: &'a T,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Serialize)]
    struct Lookup {
        at: u64,
        hops: u32,
        recall: f64,
        note: &'static str,
    }

    const LOOKUP: Lookup = Lookup { at: u64::MAX, hops: 3, recall: 0.5, note: "two\nlines \"" };

    #[test]
    fn one_object_per_line() {
        let mut out = JsonLines::new(Vec::new());
        out.record("lookup", &LOOKUP).unwrap();
        out.record("end", &json!({ "ok": true })).unwrap();
        out.record("nothing", &json!({})).unwrap();
        // JSON has no number for it.
        out.record("odd", &Lookup { recall: f64::NAN, ..LOOKUP }).unwrap();
        let text = String::from_utf8(out.into_inner()).unwrap();
        assert!(text.ends_with('\n'));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            r#"{"kind":"lookup","at":18446744073709551615,"hops":3,"recall":0.5,"note":"two\nlines \""}"#
        );
        assert_eq!(lines[1..3], [r#"{"kind":"end","ok":true}"#, r#"{"kind":"nothing"}"#]);
        let odd: Value = serde_json::from_str(lines[3]).unwrap();
        assert_eq!((&odd["recall"], lines.len()), (&Value::Null, 4));
    }

    #[test]
    fn what_is_no_object_leaves_no_trace() {
        let mut out = JsonLines::new(Vec::new());
        for record in [json!(3), json!([1]), json!("text")] {
            let error = out.record("wrong", &record).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
        out.record("right", &json!({})).unwrap();
        assert_eq!(out.into_inner(), b"{\"kind\":\"right\"}\n");
    }

    /// Takes this many bytes, then its reader is gone. Counts flushes.
    struct Pipe {
        left: usize,
        flushed: u32,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.left);
            self.left -= taken;
            if taken == 0 { Err(ErrorKind::BrokenPipe.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            self.flushed += 1;
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_an_error() {
        let line = br#"{"kind":"a"}"#.len() + 1;
        let mut out = JsonLines::new(Pipe { left: 2 * line + 5, flushed: 0 });
        for _ in 0..2 {
            out.record("a", &json!({})).unwrap();
        }
        let broken = |out: &mut JsonLines<Pipe>| out.record("a", &json!({})).unwrap_err().kind();
        assert_eq!(broken(&mut out), ErrorKind::BrokenPipe);
        // Even if there is room again: there is half a line.
        out.to.left = 1_000;
        assert_eq!(broken(&mut out), ErrorKind::BrokenPipe);
        let pipe = out.into_inner();
        assert_eq!((pipe.left, pipe.flushed), (1_000, 2));
    }
}
