//! Files that are there as a whole or not at all.
//!
//! A run that takes an hour and fails must neither leave half a report behind nor have destroyed the last one.
//! So the text goes to a temporary file beside it, which takes the name at the end. If the process is killed,
//! that temporary file stays; it is hidden, and its name begins with the name of the file.
//!
//! A path like `/dev/stdout` or a named pipe is written to directly: it must not be replaced by a file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

/// A file under way. Dropped without [`commit`](Self::commit) it leaves nothing behind.
///
/// ```
/// use std::io::Write;
/// use dht_sim::atomic_file::AtomicFile;
///
/// let path = std::env::temp_dir().join(format!("dht-sim-{}.txt", std::process::id()));
/// let mut file = AtomicFile::create(&path)?;
/// file.write_all(b"all or nothing")?;
/// assert!(!path.exists());
/// file.commit()?;
/// assert!(path.exists());
/// # std::fs::remove_file(path)?;
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct AtomicFile {
    to: BufWriter<File>,
    /// The file that takes the name at the end; `None` for a path that is no file.
    temporary: Option<TempPath>,
    path: PathBuf,
}

impl AtomicFile {
    /// Begins a file. A link is followed: the file that it leads to is replaced.
    ///
    /// # Errors
    ///
    /// Errors of the system, with the path before them, as from all functions here.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        Self::open(&path).map_err(|error| explain(&path, &error))
    }

    /// Ends the file: from now on it is there, in place of an older one.
    ///
    /// # Errors
    ///
    /// If not all could be written, or the file can't take its name.
    pub fn commit(self) -> io::Result<()> {
        let Self { to, temporary, path } = self;
        let end = || {
            let file = to.into_inner().map_err(io::IntoInnerError::into_error)?;
            let Some(temporary) = temporary else { return Ok(()) };
            // Otherwise after a power failure the name might be there and the content not.
            file.sync_all()?;
            drop(file);
            temporary.persist(&path).map_err(|error| error.error)
        };
        end().map_err(|error| explain(&path, &error))
    }

    fn open(path: &Path) -> io::Result<Self> {
        let there = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(io::Error::new(ErrorKind::IsADirectory, "is a directory"));
            }
            Ok(metadata) if !metadata.is_file() => {
                let to = BufWriter::new(File::options().write(true).open(path)?);
                return Ok(Self { to, temporary: None, path: path.to_owned() });
            }
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let path = if there.is_some() { fs::canonicalize(path)? } else { path.to_owned() };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(ErrorKind::InvalidInput, "is no name of a file"));
        };
        let mut hidden = OsString::from(".");
        hidden.push(name);
        let mut builder = tempfile::Builder::new();
        // In the same folder: no other is sure to be on the same file system.
        let file = builder
            .prefix(&hidden)
            .suffix(".tmp")
            .make_in(folder, |path| File::create_new(path))?;
        if let Some(there) = there {
            fs::set_permissions(file.path(), there.permissions())?;
        }
        let (file, temporary) = file.into_parts();
        Ok(Self { to: BufWriter::new(file), temporary: Some(temporary), path })
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes).map_err(|error| explain(&self.path, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush().map_err(|error| explain(&self.path, &error))
    }
}

/// Writes the file at `path`, as a whole or, if that fails, not at all.
///
/// # Errors
///
/// Errors of the system, with the path before them.
pub fn write(path: impl Into<PathBuf>, content: impl AsRef<[u8]>) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(content.as_ref())?;
    file.commit()
}

/// The same error, naming the path, unless it does already.
fn explain(path: &Path, error: &io::Error) -> io::Error {
    let (prefix, text) = (format!("{}: ", path.display()), error.to_string());
    let prefix = if text.starts_with(&prefix) { "" } else { &prefix };
    io::Error::new(error.kind(), format!("{prefix}{text}"))
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    /// A directory of a test's own, empty at first.
    struct Dir(PathBuf);

    impl Dir {
        fn new(test: &str) -> Self {
            let dir = env::temp_dir().join(format!("dht-sim-atomic-{}-{test}", process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
            let mut names: Vec<_> =
                entries.map(|entry| name(entry).into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_appears_at_the_end() {
        let dir = Dir::new("end");
        let path = dir.0.join("report.html");
        fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(dir.names().len(), 2, "the temporary file is beside it");
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(dir.names(), ["report.html"]);
    }

    #[test]
    fn a_failure_leaves_what_was_there() {
        let dir = Dir::new("failure");
        let path = dir.0.join("trace.pcap");
        let give_up = || {
            let mut file = AtomicFile::create(&path).unwrap();
            file.write_all(&[7; 100_000]).unwrap();
        };
        give_up();
        assert_eq!(dir.names(), [""; 0], "nothing was there");
        fs::write(&path, "old").unwrap();
        give_up();
        assert_eq!(dir.names(), ["trace.pcap"]);
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn errors_name_the_path_once() {
        let dir = Dir::new("errors");
        let missing = dir.0.join("no").join("such.html");
        let error = write(&missing, "").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with(&format!("{}: ", missing.display())), "{error}");
        let error = AtomicFile::create(&dir.0).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: is a directory", dir.0.display()));
        for nameless in ["", "..", "/"] {
            AtomicFile::create(nameless).unwrap_err();
        }
        let again = explain(&missing, &explain(&missing, &io::Error::other("why")));
        assert_eq!(again.to_string(), format!("{}: why", missing.display()));
    }

    #[test]
    fn two_at_once_don_t_disturb_each_other() {
        let dir = Dir::new("two");
        let path = dir.0.join("a");
        let [mut first, mut second] = [(); 2].map(|()| AtomicFile::create(&path).unwrap());
        first.write_all(b"first").unwrap();
        second.write_all(b"second").unwrap();
        first.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        second.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(dir.names(), ["a"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let dir = Dir::new("links");
        let [path, link] = ["file", "link"].map(|name| dir.0.join(name));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        symlink("file", &link).unwrap();
        write(&link, "new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_are_written_to() {
        use std::os::unix::fs::FileTypeExt;

        write("/dev/null", "gone").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        // Always full: it fails at the end, when the buffer is written.
        let error = write("/dev/full", "x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("/dev/full: "), "{error}");
        // And in the midst of it, if there is more.
        let error = write("/dev/full", [0; 100_000]).unwrap_err();
        assert!(error.to_string().starts_with("/dev/full: "), "{error}");
        assert_eq!(error.to_string().matches("/dev/full").count(), 1, "{error}");
    }
}
