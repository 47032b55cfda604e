//! Checkpoints as safetensors files: named tensors behind a JSON header, as PyTorch's
//! `safetensors.torch` reads and writes.
//!
//! Files that are written here hold a CRC-32 of all their bytes in their metadata. It is checked
//! where it is there: what other programs write has none.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
#[cfg(not(target_arch = "wasm32"))]
use std::io::Seek;
use std::io::{self, Read};
#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

use safetensors::{Dtype, View};

use super::convert::{FloatFormat, narrowed, own};
use super::header::{HASH_KEY, Hash, Header, HeaderEntry, no_hash, sign};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{HEAD, SAFETENSORS, described};
#[cfg(not(target_arch = "wasm32"))]
use crate::file::{io_error, open_regular, replace_file};
use crate::shape::{DType, Type};
use crate::tensor::{Tensor, room};

/// The longest header that is read or written, in bytes.
pub const MAX_HEADER: u64 = 8 << 20;

/// The most tensors in one file.
pub const MAX_TENSORS: usize = 10_000;

/// Writes tensors to `path` as [`replace_file`] does: all of them, or nothing.
///
/// # Errors
/// `Checkpoint` as [`encode`]; `Io` if the file cannot be written.
#[cfg(not(target_arch = "wasm32"))]
pub fn save(path: impl AsRef<Path>, tensors: &[(String, Tensor)]) -> Result<()> {
    let path = path.as_ref();
    let bytes = encode(tensors).map_err(|e| e.context(path.display()))?;
    replace_file(path, &bytes)
}

/// Reads all tensors of a file, in the order in which they lie in it. What the header says is held
/// against the file's length first; the file takes at most twice its size in memory.
///
/// # Errors
/// `Io` if the file cannot be read or is no regular one, `Data` as [`decode`].
#[cfg(not(target_arch = "wasm32"))]
pub fn load(path: impl AsRef<Path>) -> Result<Vec<(String, Tensor)>> {
    read_file(path.as_ref(), decoded)
}

/// The bytes of a file that holds these tensors.
///
/// # Errors
/// `Checkpoint` if a name occurs twice or is `__metadata__`, which the format takes for itself, or
/// if the file would exceed [`MAX_TENSORS`] or [`MAX_HEADER`].
pub fn encode(tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    encode_as(tensors, FloatFormat::F32)
}

/// As [`encode`], with tensors of `f32` in another format: each element is rounded to the nearest,
/// ties to even.
///
/// # Errors
/// As [`encode`]; `Checkpoint` if the format does not hold a finite element.
pub(super) fn encode_as(tensors: &[(String, Tensor)], format: FloatFormat) -> Result<Vec<u8>> {
    let wrong = |message: String| Error::new(ErrorKind::Checkpoint, message);
    if tensors.len() > MAX_TENSORS {
        return Err(wrong(format!(
            "{} tensors, {MAX_TENSORS} at most fit a checkpoint",
            tensors.len()
        )));
    }
    let mut names = HashSet::new();
    for (name, _) in tensors {
        if name == "__metadata__" {
            let message = "a checkpoint cannot hold a tensor called \"__metadata__\"";
            return Err(wrong(message.to_owned()));
        }
        if !names.insert(name) {
            return Err(wrong(format!("two tensors are called \"{name}\"")));
        }
    }
    let saved = tensors.iter().map(|(name, tensor)| {
        let saved = SavedTensor::new(tensor, format);
        let saved = saved.map_err(|e| e.context(format!("tensor \"{name}\"")))?;
        Ok((name, saved))
    });
    let views = saved.collect::<Result<Vec<_>>>()?;
    let metadata = [(HASH_KEY.to_owned(), no_hash())];
    let mut bytes = safetensors::serialize(views, Some(metadata.into_iter().collect()))
        .map_err(|e| wrong("the tensors cannot be encoded".to_owned()).with_source(e))?;
    let header = bytes
        .first_chunk::<8>()
        .map_or(0, |b| u64::from_le_bytes(*b));
    if header > MAX_HEADER {
        return Err(wrong(format!(
            "the header takes {header} bytes, {MAX_HEADER} at most fit a checkpoint"
        )));
    }
    sign(&mut bytes, header as usize);
    Ok(bytes)
}

/// The tensors in the bytes of a file, in the order in which they lie in it.
///
/// # Errors
/// `Data` if the bytes are no safetensors file or do not have the hash that they say, hold an
/// element type other than f32, f16, u32 and u8, or exceed [`MAX_TENSORS`] or [`MAX_HEADER`].
pub fn decode(bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    read_bytes(bytes, decoded)
}

pub(super) fn decoded(entry: HeaderEntry, bytes: Vec<u8>) -> Result<(String, Tensor)> {
    let wrong = |message: String| Error::new(ErrorKind::Data, message);
    let name = entry.name;
    let Some(dtype) = own(entry.dtype) else {
        return Err(wrong(format!(
            "tensor \"{name}\" is {:?}; f32, f16, u32 and u8 are read",
            entry.dtype
        )));
    };
    let tensor = Tensor::from_bytes(&Type::new(dtype, entry.shape.into_vec()), &bytes)
        .map_err(|e| wrong(format!("tensor \"{name}\"")).with_source(e))?;
    Ok((name.into(), tensor))
}

/// Goes through the bytes of a file, tensor by tensor.
pub(super) fn read_bytes<T>(
    bytes: &[u8],
    each: impl FnMut(HeaderEntry, Vec<u8>) -> Result<T>,
) -> Result<Vec<T>> {
    let failed = |e| Error::new(ErrorKind::Data, "the bytes end early").with_source(e);
    let head = &bytes[..bytes.len().min(HEAD)];
    read(&mut &bytes[..], head, bytes.len() as u64, failed, each)
}

/// Goes through a file, tensor by tensor.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn read_file<T>(
    path: &Path,
    each: impl FnMut(HeaderEntry, Vec<u8>) -> Result<T>,
) -> Result<Vec<T>> {
    let (mut file, length) = open_regular(path, u64::MAX)?;
    let mut head = Vec::with_capacity(HEAD);
    (&file)
        .take(HEAD as u64)
        .read_to_end(&mut head)
        .and_then(|_| file.rewind())
        .map_err(|e| io_error(path, e))?;
    let failed =
        |e: io::Error| Error::new(ErrorKind::Io, format!("cannot be read: {e}")).with_source(e);
    read(&mut io::BufReader::new(file), &head, length, failed, each)
        .map_err(|e| e.context(path.display()))
}

/// What `each` makes of the tensors of a source of `length` bytes, which begins with `head`.
/// Nothing of it is to be used if this fails: the hash is known at the end.
fn read<T>(
    source: &mut impl Read,
    head: &[u8],
    length: u64,
    failed: impl Fn(io::Error) -> Error + Copy,
    mut each: impl FnMut(HeaderEntry, Vec<u8>) -> Result<T>,
) -> Result<Vec<T>> {
    let wrong = |message: String| Error::new(ErrorKind::Data, message);
    let other = |message: String| match described(head) {
        Some(kind) if kind != SAFETENSORS => wrong(format!("{message}: it is {kind}")),
        _ => wrong(message),
    };
    if length < 8 {
        return Err(other(format!(
            "{length} bytes are too few for a safetensors file"
        )));
    }
    let mut size = [0; 8];
    source.read_exact(&mut size).map_err(failed)?;
    let header = u64::from_le_bytes(size);
    if header > MAX_HEADER {
        return Err(other(format!(
            "the header takes {header} bytes, {MAX_HEADER} at most are read"
        )));
    }
    let Some(data) = (length - 8).checked_sub(header) else {
        return Err(other(format!(
            "the header takes {header} bytes, the file has {length}"
        )));
    };
    let mut json = vec![0; header as usize];
    source.read_exact(&mut json).map_err(failed)?;
    let header = Header::read(&json, data)?;
    let mut hash = Hash::new(&json, header.hash)?;
    drop(json);
    let mut made = room(header.entries.len())?;
    for entry in header.entries {
        let size = usize::try_from(entry.bytes())
            .map_err(|e| wrong(format!("tensor \"{}\" is too large", entry.name)).with_source(e))?;
        let mut bytes = room(size)?;
        bytes.resize(size, 0);
        source.read_exact(&mut bytes).map_err(failed)?;
        hash.update(&bytes);
        made.push(each(entry, bytes)?);
    }
    hash.check()?;
    Ok(made)
}

/// The loaded tensors in the order of `expected`.
///
/// # Errors
/// One `Checkpoint` error that names all that is missing, unexpected, or of another shape or
/// element type.
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
    misfit(missing, unexpected, wrong)?;
    Ok(found)
}

/// One `Checkpoint` error for all that does not fit, if anything does not.
pub(super) fn misfit(
    missing: Vec<String>,
    unexpected: Vec<String>,
    different: Vec<String>,
) -> Result<()> {
    let faults: Vec<String> = [
        ("missing", missing),
        ("unexpected", unexpected),
        ("different", different),
    ]
    .into_iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(what, names)| format!("{what}: {}", listed(&names)))
    .collect();
    match faults.is_empty() {
        true => Ok(()),
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

struct SavedTensor<'a> {
    tensor: &'a Tensor,
    dtype: Dtype,
    bytes: Cow<'a, [u8]>,
}

impl<'a> SavedTensor<'a> {
    fn new(tensor: &'a Tensor, format: FloatFormat) -> Result<Self> {
        let (dtype, bytes) = match (tensor.ty().dtype, format) {
            (DType::F32, FloatFormat::F16) => (Dtype::F16, narrowed(tensor, format)?.into()),
            (DType::F32, FloatFormat::Bf16) => (Dtype::BF16, narrowed(tensor, format)?.into()),
            (DType::F32, _) => (Dtype::F32, tensor.bytes().into()),
            (DType::F16, _) => (Dtype::F16, tensor.bytes().into()),
            (DType::U32, _) => (Dtype::U32, tensor.bytes().into()),
            (DType::U8, _) => (Dtype::U8, tensor.bytes().into()),
        };
        Ok(Self {
            tensor,
            dtype,
            bytes,
        })
    }
}

impl View for SavedTensor<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        (&*self.bytes).into()
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

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
        let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        for round in 0..4000u32 {
            let stream = Stream::new(1, 0, round);
            let mut damaged = bytes.clone();
            for flip in 0..=u64::from(round % 4) {
                // Three rounds of four damage the header.
                let end = if round % 4 == 0 { bytes.len() } else { header };
                let at = stream.word(2 * flip) as usize % end;
                damaged[at] ^= 1 << (stream.word(2 * flip + 1) % 8);
            }
            match decode(&damaged) {
                Ok(_) => assert_eq!(damaged, bytes, "round {round}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Data, "{error}"),
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
        let reserved = [("__metadata__".to_owned(), Tensor::scalar(0.0))];
        assert_eq!(
            encode(&reserved).unwrap_err().to_string(),
            "a checkpoint cannot hold a tensor called \"__metadata__\""
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
            "checkpoint does not fit; missing: \"b\" f32 []; unexpected: \"x\", \"y\"; different: \
             \"c\" is f32 [2, 1], not f32 [1, 2]"
        );
        let many: Vec<String> = (0..12).map(|i| i.to_string()).collect();
        assert_eq!(listed(&many), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
    }
}
