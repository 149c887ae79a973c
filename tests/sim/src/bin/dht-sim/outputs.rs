//! Where results go: looked at before anything is run, and not after an hour.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use dht_sim::atomic_file::AtomicFile;

use crate::failure::{Failure, because};

/// Refuses what can't be written to, what is read as well, and two outputs in one file.
pub(crate) fn check(outputs: &[&Path], inputs: &[&Path]) -> Result<(), Failure> {
    let inputs: BTreeSet<_> =
        inputs.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    let mut seen = BTreeSet::new();
    for path in outputs {
        let name = path.display();
        // A pipe, or `/dev/stdout`: to open it is to use it.
        if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
            continue;
        }
        drop(AtomicFile::create(path)?);
        let file = canonical(path)?;
        if inputs.contains(&file) {
            return Err(because(format!("{name}: this file is read: name another to write")));
        }
        if !seen.insert(file) {
            return Err(because(format!("{name}: two outputs can't go to one file")));
        }
    }
    Ok(())
}

/// The one path of a file that need not be there yet.
fn canonical(path: &Path) -> io::Result<PathBuf> {
    let there = fs::canonicalize(path);
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if there.is_err() => {
            let here = folder.as_os_str().is_empty();
            Ok(fs::canonicalize(if here { Path::new(".") } else { folder })?.join(name))
        }
        _ => there,
    }
}
