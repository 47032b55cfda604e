//! Checkpoints as safetensors files: named tensors behind a JSON header, as PyTorch's `safetensors.torch` reads and writes.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors, View};

use crate::error::{Error, ErrorKind, Result};
use crate::shape::{DType, Type};
use crate::tensor::Tensor;

/// The longest header that is read or written, in bytes.
pub const MAX_HEADER: u64 = 8 << 20;

/// The most tensors in one file.
pub const MAX_TENSORS: usize = 10_000;

/// Writes tensors to `path`: all of them, or nothing.
///
/// A sibling file is written and synchronised, then takes the place of `path`. On an error a file that was at `path`
/// before is still there, whole, and the sibling is gone.
///
/// # Errors
/// `Checkpoint` as [`encode`]; `Io` if the file cannot be written.
pub fn save(path: impl AsRef<Path>, tensors: &[(String, Tensor)]) -> Result<()> {
    let path = path.as_ref();
    let bytes = encode(tensors).map_err(|e| e.context(path.display()))?;
    replace(path, |file| file.write_all(&bytes))
}

/// Reads all tensors of a file, in the order in which they lie in it.
///
/// # Errors
/// `Io` if the file cannot be read, `Data` as [`decode`].
pub fn load(path: impl AsRef<Path>) -> Result<Vec<(String, Tensor)>> {
    let path = path.as_ref();
    let bytes = read(path)?;
    decode(&bytes).map_err(|e| e.context(path.display()))
}

/// The bytes of a file that holds these tensors.
///
/// # Errors
/// `Checkpoint` if a name occurs twice or the file would exceed [`MAX_TENSORS`] or [`MAX_HEADER`].
pub fn encode(tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let wrong = |message: String| Error::new(ErrorKind::Checkpoint, message);
    if tensors.len() > MAX_TENSORS {
        return Err(wrong(format!(
            "{} tensors, {MAX_TENSORS} at most fit a checkpoint",
            tensors.len()
        )));
    }
    let mut names = HashSet::new();
    if let Some((name, _)) = tensors.iter().find(|(name, _)| !names.insert(name)) {
        return Err(wrong(format!("two tensors are called \"{name}\"")));
    }
    let views = tensors.iter().map(|(name, tensor)| (name, Saved(tensor)));
    let bytes = safetensors::serialize(views, None)
        .map_err(|e| wrong("the tensors cannot be encoded".to_owned()).with_source(e))?;
    match header_length(&bytes) {
        Some(header) if header > MAX_HEADER => Err(wrong(format!(
            "the header takes {header} bytes, {MAX_HEADER} at most fit a checkpoint"
        ))),
        _ => Ok(bytes),
    }
}

/// The tensors in the bytes of a file, in the order in which they lie in it.
///
/// # Errors
/// `Data` if the bytes are no safetensors file, hold an element type other than f32, f16, u32 and u8, or exceed
/// [`MAX_TENSORS`] or [`MAX_HEADER`].
pub fn decode(bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    let wrong = |message: String| Error::new(ErrorKind::Data, message);
    check_header(header_length(bytes), bytes.len() as u64)?;
    let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| {
        wrong(format!("not a safetensors file of {} bytes", bytes.len())).with_source(e)
    })?;
    let names = metadata.offset_keys();
    if names.len() > MAX_TENSORS {
        return Err(wrong(format!(
            "{} tensors, {MAX_TENSORS} at most are read",
            names.len()
        )));
    }
    let data = &bytes[8 + header..];
    let mut tensors = Vec::with_capacity(names.len());
    for name in names {
        let found = metadata
            .info(&name)
            .and_then(|info| Some((info, data.get(info.data_offsets.0..info.data_offsets.1)?)));
        let Some((info, data)) = found else {
            return Err(wrong(format!("tensor \"{name}\" lies outside the file")));
        };
        let dtype = match info.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::U32 => DType::U32,
            Dtype::U8 => DType::U8,
            other => {
                return Err(wrong(format!(
                    "tensor \"{name}\" is {other:?}; f32, f16, u32 and u8 are read"
                )));
            }
        };
        let ty = Type::new(dtype, info.shape.clone());
        let tensor = Tensor::from_bytes(&ty, data)
            .map_err(|e| wrong(format!("tensor \"{name}\"")).with_source(e))?;
        tensors.push((name, tensor));
    }
    Ok(tensors)
}

/// The loaded tensors in the order of `expected`.
///
/// # Errors
/// One `Checkpoint` error that names all that is missing, unexpected, or of another shape or element type.
pub fn fit(loaded: Vec<(String, Tensor)>, expected: &[(String, Type)]) -> Result<Vec<Tensor>> {
    let mut loaded: HashMap<String, Tensor> = loaded.into_iter().collect();
    let (mut found, mut missing, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for (name, ty) in expected {
        match loaded.remove(name) {
            Some(tensor) if tensor.ty() == ty => found.push(tensor),
            Some(tensor) => wrong.push(format!("\"{name}\" is {}, not {ty}", tensor.ty())),
            None => missing.push(format!("\"{name}\" {ty}")),
        }
    }
    let mut unexpected: Vec<String> = loaded.keys().map(|name| format!("\"{name}\"")).collect();
    unexpected.sort();
    let faults: Vec<String> = [
        ("missing", missing),
        ("unexpected", unexpected),
        ("different", wrong),
    ]
    .into_iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(what, names)| format!("{what}: {}", listed(&names)))
    .collect();
    match faults.is_empty() {
        true => Ok(found),
        false => Err(Error::new(
            ErrorKind::Checkpoint,
            format!("checkpoint does not fit; {}", faults.join("; ")),
        )),
    }
}

/// The first names, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 10;
    match names.len() {
        0..=SHOWN => names.join(", "),
        more => format!("{} and {} more", names[..SHOWN].join(", "), more - SHOWN),
    }
}

struct Saved<'a>(&'a Tensor);

impl View for Saved<'_> {
    fn dtype(&self) -> Dtype {
        match self.0.ty().dtype {
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::U32 => Dtype::U32,
            DType::U8 => Dtype::U8,
        }
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.0.bytes().into()
    }

    fn data_len(&self) -> usize {
        self.0.bytes().len()
    }
}

/// The header's length, from the first eight bytes of a file.
fn header_length(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*bytes))
}

fn check_header(header: Option<u64>, file: u64) -> Result<()> {
    let message = match header {
        None => format!("{file} bytes are too few for a safetensors file"),
        Some(header) if header > MAX_HEADER => {
            format!("the header takes {header} bytes, {MAX_HEADER} at most are read")
        }
        Some(_) => return Ok(()),
    };
    Err(Error::new(ErrorKind::Data, message))
}

fn io_error(what: &str, path: &Path, error: io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("{}: {what}: {error}", path.display()),
    )
    .with_source(error)
}

/// The bytes of a file, the header's length checked before the rest is read.
fn read(path: &Path) -> Result<Vec<u8>> {
    let fail = |e| io_error("cannot be read", path, e);
    let mut file = File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    (&file).take(8).read_to_end(&mut bytes).map_err(fail)?;
    check_header(header_length(&bytes), bytes.len() as u64)
        .map_err(|e| e.context(path.display()))?;
    file.read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}

/// Writes a sibling of `path` and puts it in the place of `path` once it is safely stored.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let fail = |e| io_error("cannot be written", path, e);
    let (mut file, sibling) = create_sibling(path).map_err(fail)?;
    let written = write(&mut file)
        .and_then(|()| file.flush())
        .and_then(|()| file.sync_all());
    drop(file);
    let moved = written.and_then(|()| fs::rename(&sibling, path));
    if let Err(error) = moved {
        // The first error counts; a sibling that stays behind is only litter.
        let _ = fs::remove_file(&sibling);
        return Err(fail(error));
    }
    sync_folder(path).map_err(fail)
}

/// A new file beside `path`.
fn create_sibling(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let mut attempt = 0;
    loop {
        let mut own = std::ffi::OsString::from(".");
        own.push(name);
        own.push(format!(".{}-{attempt}.tmp", std::process::id()));
        let sibling = path.with_file_name(own);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&sibling)
        {
            Ok(file) => return Ok((file, sibling)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => attempt += 1,
            Err(e) => return Err(e),
        }
    }
}

/// Makes the new name of `path` last through a loss of power, where the system can.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// An empty folder of this test's own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let name = format!("striate-{test}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn file(&self) -> PathBuf {
            self.0.join("model.safetensors")
        }

        fn entries(&self) -> usize {
            fs::read_dir(&self.0).unwrap().count()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn tensors() -> Vec<(String, Tensor)> {
        let floats = (0..150).map(|i| i as f32 / 7.0 - 3.0).collect();
        vec![
            (
                "conv1.weight".to_owned(),
                Tensor::f32([6, 1, 5, 5], floats).unwrap(),
            ),
            ("lr".to_owned(), Tensor::scalar(f32::NEG_INFINITY)),
            (
                "clock".to_owned(),
                Tensor::u32([4], vec![1, u32::MAX, 3, 0]).unwrap(),
            ),
            (
                "half".to_owned(),
                Tensor::f16_bits([3], vec![0x3c00, 0x7e00, 1]).unwrap(),
            ),
            (
                "bytes".to_owned(),
                Tensor::u8([2, 3], vec![0, 1, 2, 253, 254, 255]).unwrap(),
            ),
            ("none".to_owned(), Tensor::f32([0, 7], vec![]).unwrap()),
        ]
    }

    fn sorted(mut tensors: Vec<(String, Tensor)>) -> Vec<(String, Tensor)> {
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        tensors
    }

    #[test]
    fn tensors_come_back_as_they_were() {
        let folder = Folder::new("round-trip");
        let path = folder.file();
        save(&path, &tensors()).unwrap();
        save(&path, &tensors()).unwrap();
        assert_eq!(sorted(load(&path).unwrap()), sorted(tensors()));
        assert_eq!(folder.entries(), 1);
        assert_eq!(decode(&encode(&[]).unwrap()).unwrap(), []);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_alone() {
        let folder = Folder::new("failed-write");
        let path = folder.file();
        save(&path, &tensors()).unwrap();
        let error = replace(&path, |file| {
            file.write_all(b"half of")?;
            Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the disk is full",
            ))
        })
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(
            error
                .to_string()
                .ends_with("model.safetensors: cannot be written: the disk is full")
        );
        assert_eq!(sorted(load(&path).unwrap()), sorted(tensors()));
        assert_eq!(folder.entries(), 1);
        // The target is a folder: the rename fails.
        let taken = folder.0.join("taken");
        fs::create_dir(&taken).unwrap();
        assert_eq!(save(&taken, &tensors()).unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(folder.entries(), 2);
        let nowhere = folder.0.join("no").join("where");
        assert_eq!(save(nowhere, &tensors()).unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(save("/", &tensors()).unwrap_err().kind(), ErrorKind::Io);
    }

    #[test]
    fn siblings_of_others_are_not_touched() {
        let folder = Folder::new("siblings");
        let (_, first) = create_sibling(&folder.file()).unwrap();
        let (_, second) = create_sibling(&folder.file()).unwrap();
        assert_ne!(first, second);
        save(folder.file(), &tensors()).unwrap();
        assert_eq!(folder.entries(), 3);
    }

    #[test]
    fn truncated_files_are_refused() {
        let folder = Folder::new("truncated");
        let bytes = encode(&tensors()).unwrap();
        for sixteenth in 0..16 {
            let end = bytes.len() * sixteenth / 16;
            fs::write(folder.file(), &bytes[..end]).unwrap();
            let error = load(folder.file()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data, "{error}");
            assert!(error.to_string().contains("model.safetensors: "), "{error}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(decode(&longer).unwrap_err().kind(), ErrorKind::Data);
        let missing = load(folder.0.join("other")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Io);
    }

    #[test]
    fn damaged_files_never_panic() {
        let bytes = encode(&tensors()).unwrap();
        let header = 8 + header_length(&bytes).unwrap() as usize;
        for round in 0..4000u32 {
            let stream = Stream::new(1, 0, round);
            let mut damaged = bytes.clone();
            for flip in 0..=u64::from(round % 4) {
                // Three rounds of four damage the header.
                let end = if round % 4 == 0 { bytes.len() } else { header };
                let at = stream.word(2 * flip) as usize % end;
                damaged[at] ^= 1 << (stream.word(2 * flip + 1) % 8);
            }
            if let Err(error) = decode(&damaged) {
                assert_eq!(error.kind(), ErrorKind::Data, "{error}");
            }
        }
    }

    #[test]
    fn limits_carry_the_numbers() {
        let message = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
        assert_eq!(
            message(&[1, 2]),
            "2 bytes are too few for a safetensors file"
        );
        assert_eq!(
            message(&(9u64 << 20).to_le_bytes()),
            "the header takes 9437184 bytes, 8388608 at most are read"
        );
        let with_header = |header: &str, data: usize| {
            let length = (header.len() as u64).to_le_bytes();
            [&length, header.as_bytes(), &vec![0; data]].concat()
        };
        let long = r#"{"steps":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
        assert_eq!(
            message(&with_header(long, 8)),
            "tensor \"steps\" is I64; f32, f16, u32 and u8 are read"
        );
        let huge =
            r#"{"x":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}"#;
        assert!(decode(&with_header(huge, 0)).is_err());
        let huge = huge.replace("[0,4294967296,4294967296]", "[4294967296,4294967296,0]");
        assert!(decode(&with_header(&huge, 0)).is_err());
        let many: Vec<(String, Tensor)> = (0..=MAX_TENSORS)
            .map(|i| (i.to_string(), Tensor::scalar(0.0)))
            .collect();
        assert_eq!(
            encode(&many).unwrap_err().to_string(),
            "10001 tensors, 10000 at most fit a checkpoint"
        );
        let entries: Vec<String> = (0..=MAX_TENSORS)
            .map(|i| format!(r#""{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#))
            .collect();
        let header = format!("{{{}}}", entries.join(","));
        assert_eq!(
            message(&with_header(&header, 0)),
            "10001 tensors, 10000 at most are read"
        );
        let twice = [tensors(), tensors()].concat();
        assert_eq!(
            encode(&twice).unwrap_err().to_string(),
            "two tensors are called \"conv1.weight\""
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let f32_of = |shape: &[usize]| Type::f32(shape.to_vec());
        let expected = [
            ("a".to_owned(), f32_of(&[2])),
            ("b".to_owned(), f32_of(&[])),
            ("c".to_owned(), f32_of(&[1, 2])),
        ];
        let tensor = |shape: &[usize]| Tensor::zeros(&f32_of(shape)).unwrap();
        let named = |names: &[(&str, &[usize])]| -> Vec<(String, Tensor)> {
            let named = names.iter().map(|(n, s)| ((*n).to_owned(), tensor(s)));
            named.collect()
        };
        let good = named(&[("c", &[1, 2]), ("a", &[2]), ("b", &[])]);
        let fitted = fit(good, &expected).unwrap();
        let shapes: Vec<&[usize]> = fitted.iter().map(|t| &t.shape()[..]).collect();
        assert_eq!(shapes, [&[2][..], &[], &[1, 2]]);
        let bad = named(&[("c", &[2, 1]), ("a", &[2]), ("y", &[]), ("x", &[])]);
        let error = fit(bad, &expected).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Checkpoint);
        assert_eq!(
            error.to_string(),
            "checkpoint does not fit; missing: \"b\" f32 []; unexpected: \"x\", \"y\"; different: \"c\" is f32 [2, 1], not f32 [1, 2]"
        );
        let many: Vec<String> = (0..12).map(|i| i.to_string()).collect();
        assert_eq!(listed(&many), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
    }
}
