//! Files that are replaced as a whole when they are written.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{expect_regular, write_error};
use crate::error::Result;

/// Writes a file: all of its bytes, or nothing.
///
/// A sibling is written and synchronised, then takes the place of the file, with the mode and,
/// where that is allowed, the owner that the file had. On an error the file is as it was, and the
/// sibling is gone. A symbolic link is followed. Siblings that killed programs left behind are
/// removed if they are older than an hour and no process of theirs is there, or, where that cannot
/// be known, older than a day.
///
/// # Errors
/// `Io` if the file cannot be written, or if `path` leads to what is no regular file.
pub fn replace_file(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    replace(path.as_ref(), |file| file.write_all(bytes))
}

fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let fail = |e| write_error(path, e);
    let (target, old) = target(path).map_err(fail)?;
    remove_leftovers(&target);
    let (mut file, sibling) = create_sibling(&target, old.as_ref()).map_err(fail)?;
    let written = write(&mut file)
        .and_then(|()| file.flush())
        .and_then(|()| keep_mode(&file, old.as_ref()))
        .and_then(|()| file.sync_all());
    drop(file);
    let moved = written.and_then(|()| fs::rename(&sibling, &target));
    if let Err(error) = moved {
        // The first error counts; a sibling that stays behind is only litter.
        let _ = fs::remove_file(&sibling);
        return Err(fail(error));
    }
    // The file is the new one already.
    if let Err(error) = sync_folder(&target) {
        log::warn!(
            "{}: written; a loss of power may undo it, its folder is not synchronised: {error}",
            path.display()
        );
    }
    Ok(())
}

/// Checks that [`replace_file`] can replace what is at `path`, as far as that is known before there
/// is something to write: it leads to a regular file or to nothing, and its folder takes files.
///
/// # Errors
/// `Io` as [`replace_file`].
pub fn expect_replaceable(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let fail = |e| write_error(path, e);
    let (target, old) = target(path).map_err(fail)?;
    let (file, sibling) = create_sibling(&target, old.as_ref()).map_err(fail)?;
    drop(file);
    fs::remove_file(sibling).map_err(fail)
}

/// What is to be replaced, behind all symbolic links, and what it is if it is there.
fn target(path: &Path) -> io::Result<(PathBuf, Option<Metadata>)> {
    const MOST_LINKS: usize = 40;
    match fs::metadata(path) {
        Ok(metadata) => {
            expect_regular(&metadata)?;
            return Ok((fs::canonicalize(path)?, Some(metadata)));
        }
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Err(_) => {}
    }
    // Nothing there, or a link to where nothing is yet.
    let mut target = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_symlink() => {
                let link = fs::read_link(&target)?;
                target = folder(&target).join(link);
            }
            _ => return Ok((target, None)),
        }
    }
    let message = "too many symbolic links";
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A new file beside `target`, which nobody else can read if there is an old one.
fn create_sibling(target: &Path, old: Option<&Metadata>) -> io::Result<(File, PathBuf)> {
    let name = target
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if old.is_some() {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = old;
    let mut attempt = 0;
    loop {
        let mut own = std::ffi::OsString::from(".");
        own.push(name);
        own.push(format!(".{}-{attempt}.tmp", std::process::id()));
        let sibling = target.with_file_name(own);
        match options.open(&sibling) {
            Ok(file) => return Ok((file, sibling)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => attempt += 1,
            Err(e) => return Err(e),
        }
    }
}

/// Gives a new file the mode of the old one, and its owner and group if this process may.
fn keep_mode(file: &File, old: Option<&Metadata>) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(old) = old {
        use std::os::unix::fs::{MetadataExt, fchown};
        let new = file.metadata()?;
        let owner = (old.uid() != new.uid()).then_some(old.uid());
        let group = (old.gid() != new.gid()).then_some(old.gid());
        // Only root may give files away. Before the mode, of which it clears bits.
        for (owner, group) in [(None, group), (owner, None)] {
            if owner.or(group).is_some() {
                let _ = fchown(file, owner, group);
            }
        }
        // Some file systems have one mode for all.
        if old.mode() != file.metadata()?.mode() {
            file.set_permissions(old.permissions())?;
        }
    }
    #[cfg(not(unix))]
    let _ = (file, old);
    Ok(())
}

/// Removes the siblings that killed programs left beside `target`. What cannot be removed stays.
fn remove_leftovers(target: &Path) {
    const HOUR: Duration = Duration::from_secs(3600);
    let Some(name) = target.file_name() else {
        return;
    };
    for entry in fs::read_dir(folder(target)).into_iter().flatten().flatten() {
        let sibling = entry.file_name();
        let Some(process) = process_of(sibling.as_encoded_bytes(), name.as_encoded_bytes()) else {
            continue;
        };
        let modified = entry.metadata().ok().filter(Metadata::is_file);
        let Some(modified) = modified.and_then(|metadata| metadata.modified().ok()) else {
            continue;
        };
        let least = match is_gone(process, modified) {
            Some(true) => HOUR,
            Some(false) => continue,
            None => 24 * HOUR,
        };
        // A file from the future has no age.
        if modified.elapsed().is_ok_and(|age| age > least) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The process that made `sibling`, if it is one of the file `name`: `.NAME.PROCESS-ATTEMPT.tmp`.
fn process_of(sibling: &[u8], name: &[u8]) -> Option<u32> {
    let rest = sibling.strip_prefix(b".")?.strip_prefix(name)?;
    let rest = rest.strip_prefix(b".")?.strip_suffix(b".tmp")?;
    let (process, attempt) = std::str::from_utf8(rest).ok()?.split_once('-')?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if number(process) && number(attempt) {
        process.parse().ok()
    } else {
        None
    }
}

/// Whether the process that wrote a file at that time has ended, where the system tells.
fn is_gone(process: u32, written: SystemTime) -> Option<bool> {
    if !cfg!(target_os = "linux") || !Path::new("/proc/self/stat").exists() {
        return None;
    }
    if !Path::new(&format!("/proc/{process}")).exists() {
        return Some(true);
    }
    // A process of that number that began after the file was written is another one.
    const SLACK: Duration = Duration::from_secs(60);
    Some(began(process).is_some_and(|began| written + SLACK < began))
}

/// When a process of Linux began.
fn began(process: u32) -> Option<SystemTime> {
    // Field 22 of proc_pid_stat(5), in hundredths of a second after the system did; the second, in
    // parentheses, may hold any character.
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: u64 = rest.split_whitespace().nth(19)?.parse().ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    let boot = Duration::from_secs(boot.trim().parse().ok()?);
    Some(UNIX_EPOCH + boot + Duration::from_millis(ticks.saturating_mul(10)))
}

/// Makes the new name of `path` last through a loss of power, where the system can.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder(path))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_failed_write_leaves_the_old_file_alone() {
        let name = format!("striate-failed-write-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("model.safetensors");
        replace_file(&path, b"old").unwrap();
        let error = replace(&path, |file| {
            file.write_all(b"half of")?;
            Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the disk is full",
            ))
        })
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        let text = error.to_string();
        assert!(
            text.ends_with("model.safetensors: cannot be written: the disk is full"),
            "{text}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        let missing = folder.join("missing").join("model.safetensors");
        for path in [&missing, &folder, &PathBuf::from("/")] {
            let error = replace_file(path, b"new").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        }
        // What another process is writing is its own.
        let (_, first) = create_sibling(&path, None).unwrap();
        let (_, second) = create_sibling(&path, None).unwrap();
        assert_ne!(first, second);
        replace_file(&path, b"new").unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn siblings_are_told_by_their_names() {
        let process = |sibling: &str| process_of(sibling.as_bytes(), b"net.st");
        assert_eq!(process(".net.st.4711-0.tmp"), Some(4711));
        for other in [
            "net.st.4711-0.tmp",
            ".net.st.4711.tmp",
            ".net.st.x-0.tmp",
            ".net.st.-0.tmp",
            ".net.st.4711-.tmp",
            ".net.st.4711-0-1.tmp",
            ".net.st.4711-0.tmp2",
            ".other.st.4711-0.tmp",
            ".net.st.99999999999-0.tmp",
        ] {
            assert_eq!(process(other), None, "{other}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn processes_are_told_from_later_ones_of_their_number() {
        let own = std::process::id();
        let began = began(own).unwrap();
        let now = SystemTime::now();
        let ago = now.duration_since(began).unwrap_or_default();
        assert!(
            ago < Duration::from_secs(3600),
            "this test began {ago:?} ago"
        );
        assert_eq!(is_gone(own, now), Some(false));
        assert_eq!(is_gone(own, began - Duration::from_secs(7200)), Some(true));
        // Beyond the largest number that Linux gives.
        assert_eq!(is_gone(1 << 23, now), Some(true));
    }
}
