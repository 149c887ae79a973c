//! Writes the seeds into `corpus/`.

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    for seed in dht_fuzz::seeds::all() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(seed.target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(seed.file()), &seed.bytes)?;
    }
    Ok(())
}
