//! Keys that come from a file: the seed of a pair, as 64 hexadecimal digits.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
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

/// The pair in a file; if there is no such file, a new one is made, which only the user can read.
pub(crate) fn read_or_make(path: &Path, output: &Output) -> Result<KeyPair, Failure> {
    let failed = |error: std::io::Error| because(format!("{}: {error}", path.display()));
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let pair = make(path).map_err(failed)?;
            output.log(format_args!("made a new key, in {}", path.display()));
            return Ok(pair);
        }
        Err(error) => return Err(failed(error)),
    };
    let mut text = Vec::new();
    (&mut file).take(LEN_MAX).read_to_end(&mut text).map_err(failed)?;
    let seed = str::from_utf8(&text).ok().and_then(|text| parse_hex(text.trim()));
    let why = || format!("{} is no key: that has 64 hexadecimal digits", path.display());
    Ok(KeyPair::from_seed(seed.ok_or_else(|| because(why()))?))
}

fn make(path: &Path) -> std::io::Result<KeyPair> {
    let mut seed = [0; 32];
    Tokio.fill_random(&mut seed)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let text = format!("{}\n", format::hex(&seed));
    if let Err(error) = options.open(path)?.write_all(text.as_bytes()) {
        // Half a key is none.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(KeyPair::from_seed(seed))
}
