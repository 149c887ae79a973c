//! Writes the seeds into `fuzz/corpus`.

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    for seed in dht_model::seeds::all() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(seed.target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(seed.file()), &seed.bytes)?;
    }
    Ok(())
}
