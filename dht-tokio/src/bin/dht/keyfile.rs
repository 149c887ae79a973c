//! Keys that come from a file: the seed of a pair, as 64 hexadecimal digits.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use dht_tokio::Tokio;
use dht_tokio::dht_core::driver::Host;
use dht_tokio::dht_core::hyperdht::KeyPair;

use crate::args::parse_hex;
use crate::failure::{Failure, because};
use crate::format;
use crate::output::Output;

/// The longest file that is looked at, in bytes.
const LEN_MAX: u64 = 1000;

/// The pair in a file; if there is no such file, a new one is made, which only the user can read. Of several processes
/// that make it at once, one does, and the others read it.
pub(crate) fn read_or_make(path: &Path, output: &Output) -> Result<KeyPair, Failure> {
    let failed = |error: io::Error| because(format!("{}: {error}", path.display()));
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => match make(path) {
            Ok(pair) => {
                output.log(format_args!("made a new key, in {}", path.display()));
                return Ok(pair);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => File::open(path),
            Err(error) => Err(error),
        },
        opened => opened,
    };
    let mut text = Vec::new();
    file.and_then(|file| file.take(LEN_MAX).read_to_end(&mut text)).map_err(failed)?;
    let seed = str::from_utf8(&text).ok().and_then(|text| parse_hex(text.trim()));
    let why = || format!("{} is no key: that has 64 hexadecimal digits", path.display());
    Ok(KeyPair::from_seed(seed.ok_or_else(|| because(why()))?))
}

/// Makes a key under another name first, so that nobody reads half of it; it never takes the place of a file.
fn make(path: &Path) -> io::Result<KeyPair> {
    let (mut seed, mut suffix) = ([0; 32], [0; 8]);
    Tokio.fill_random(&mut seed)?;
    Tokio.fill_random(&mut suffix)?;
    let text = format!("{}\n", format::hex(&seed));
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", format::hex(&suffix)));
    let draft = Path::new(&draft);
    write_new(draft, &text)?;
    let linked = fs::hard_link(draft, path);
    let _ = fs::remove_file(draft);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            // Not every file system has hard links.
            write_new(path, &text)?;
        }
        linked => linked?,
    }
    Ok(KeyPair::from_seed(seed))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path)?.write_all(text.as_bytes());
    if written.is_err() {
        // Half a key is none.
        let _ = fs::remove_file(path);
    }
    written
}
