//! The header of a safetensors file: which tensors lie where in it, and the hash of it all.
//!
//! The crate `safetensors` collects a header in maps before it counts. This reads one entry after
//! the other and keeps no more of them than [`MAX_TENSORS`], so that no header takes much more
//! memory than its own length.

use std::collections::HashSet;
use std::fmt;

use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::safetensors::MAX_TENSORS;
use crate::error::{Error, ErrorKind, Result};

/// The most axes of a tensor. Each takes more memory than text in the header: with many of them, a
/// header would take far more than its own length.
const MAX_AXES: usize = 8;

/// The metadata's key for the hash.
pub(super) const HASH_KEY: &str = "striate";

/// What stands before the eight digits of the hash.
const HASH_NAME: &str = "crc32 ";

/// The digits while the hash is computed.
const NO_DIGITS: &str = "00000000";

/// The metadata's value before the hash is known.
pub(super) fn no_hash() -> String {
    format!("{HASH_NAME}{NO_DIGITS}")
}

/// The tensors of a file, in the order in which they lie in it.
#[derive(Default)]
pub(super) struct Header {
    pub entries: Vec<HeaderEntry>,
    /// What the metadata say of the hash.
    pub hash: Option<String>,
    /// How many tensors there are, also where they are too many to be kept.
    count: usize,
}

/// A tensor's place.
pub(super) struct HeaderEntry {
    pub name: Box<str>,
    pub dtype: Dtype,
    pub shape: Box<[usize]>,
    /// First byte and end, counted from the end of the header.
    pub range: (u64, u64),
}

impl Header {
    /// Reads the JSON of a header, behind which `data` bytes follow.
    ///
    /// # Errors
    /// `Data` if it is no header, has more than [`MAX_TENSORS`] tensors or two of one name, or if
    /// the tensors do not fill the data one after the other.
    pub fn read(json: &[u8], data: u64) -> Result<Self> {
        let wrong = |message: String| Error::new(ErrorKind::Data, message);
        let file = 8 + json.len() as u64 + data;
        let mut reader = serde_json::Deserializer::from_slice(json);
        let entries = Entries {
            // Each has a map of its own.
            most: json.iter().filter(|&&byte| byte == b'{').count(),
        };
        let header = reader.deserialize_map(entries).and_then(|header| {
            reader.end()?;
            Ok(header)
        });
        let mut header = header
            .map_err(|e| wrong(format!("not a safetensors file of {file} bytes")).with_source(e))?;
        if header.count > MAX_TENSORS {
            return Err(wrong(format!(
                "{} tensors, {MAX_TENSORS} at most are read",
                header.count
            )));
        }
        let mut names = HashSet::with_capacity(header.entries.len());
        let twice = header.entries.iter().find(|e| !names.insert(&e.name));
        if let Some(entry) = twice {
            return Err(wrong(format!("two tensors are called \"{}\"", entry.name)));
        }
        drop(names);
        // In place: a stable sort takes as much memory again.
        let place = |entry: &HeaderEntry| entry.range;
        if !header.entries.is_sorted_by_key(place) {
            let by_place =
                |a: &HeaderEntry, b: &HeaderEntry| (a.range, &a.name).cmp(&(b.range, &b.name));
            header.entries.sort_unstable_by(by_place);
        }
        let mut end = 0;
        for entry in &header.entries {
            entry.check(end)?;
            end = entry.range.1;
        }
        if end != data {
            return Err(wrong(format!(
                "the header describes {} bytes, the file has {file}",
                (8 + json.len() as u64).saturating_add(end)
            )));
        }
        Ok(header)
    }
}

impl HeaderEntry {
    /// Fails unless the tensor begins at `start` and takes the bytes that its type says.
    fn check(&self, start: u64) -> Result<()> {
        let mut extents = self.shape.iter();
        let elements =
            extents.try_fold(1u64, |product, &extent| product.checked_mul(extent as u64));
        let bits = elements.and_then(|count| count.checked_mul(self.dtype.bitsize() as u64));
        let (from, to) = self.range;
        let fits = from == start
            && from <= to
            && bits.is_some_and(|bits| bits % 8 == 0 && bits / 8 == to - from);
        if fits {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Data,
            format!(
                "tensor \"{}\" is {:?} {:?} and lies in bytes {from} to {to}, \
                 the one before it ends at {start}",
                self.name, self.dtype, self.shape
            ),
        ))
    }

    /// Bytes of the tensor.
    pub fn bytes(&self) -> u64 {
        self.range.1 - self.range.0
    }
}

/// Reads a header of no more than `most` entries.
struct Entries {
    most: usize,
}

impl<'de> Visitor<'de> for Entries {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header {
            entries: Vec::with_capacity(self.most.min(MAX_TENSORS)),
            ..Header::default()
        };
        let mut metadata = false;
        while let Some(name) = map.next_key::<Box<str>>()? {
            if &*name == "__metadata__" {
                if std::mem::replace(&mut metadata, true) {
                    return Err(A::Error::custom("two entries of metadata"));
                }
                header.hash = map.next_value::<Metadata>()?.0;
                continue;
            }
            header.count += 1;
            if header.count > MAX_TENSORS {
                header.entries = Vec::new();
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let info: Info = map.next_value()?;
            header.entries.push(HeaderEntry {
                name,
                dtype: info.dtype,
                shape: info.shape.0,
                range: info.data_offsets,
            });
        }
        Ok(header)
    }
}

/// What a header says of a tensor.
#[derive(Deserialize)]
struct Info {
    dtype: Dtype,
    shape: FewExtents,
    data_offsets: (u64, u64),
}

struct FewExtents(Box<[usize]>);

impl<'de> Deserialize<'de> for FewExtents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AxisList;

        impl<'de> Visitor<'de> for AxisList {
            type Value = FewExtents;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("extents")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<FewExtents, A::Error> {
                let mut extents = Vec::new();
                while let Some(extent) = seq.next_element()? {
                    if extents.len() == MAX_AXES {
                        return Err(A::Error::custom(format!("more than {MAX_AXES} axes")));
                    }
                    extents.push(extent);
                }
                Ok(FewExtents(extents.into()))
            }
        }

        deserializer.deserialize_seq(AxisList)
    }
}

/// The hash, if the metadata have one.
struct Metadata(Option<String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MetadataMap;

        impl<'de> Visitor<'de> for MetadataMap {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings, or null")
            }

            fn visit_unit<E>(self) -> Result<Metadata, E> {
                Ok(Metadata(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut hash = None;
                while let Some(own) = map.next_key::<IsHashKey>()? {
                    let Short(value) = map.next_value()?;
                    if own.0 {
                        if hash.replace(value).is_some() {
                            return Err(A::Error::custom("two hashes"));
                        }
                    } else if digits(&value).is_some() {
                        // Its key is damaged: a file of another program would go unchecked.
                        return Err(A::Error::custom("a hash under a key that is not its own"));
                    }
                }
                Ok(Metadata(hash))
            }
        }

        deserializer.deserialize_any(MetadataMap)
    }
}

/// Whether a key is [`HASH_KEY`].
struct IsHashKey(bool);

impl<'de> Deserialize<'de> for IsHashKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Short(key) = Short::deserialize(deserializer)?;
        Ok(IsHashKey(key == HASH_KEY))
    }
}

/// A string, of which no more than its beginning is kept.
struct Short(String);

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Short;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Short, E> {
                Ok(Short(text.chars().take(32).collect()))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// The digits in the metadata's value.
fn digits(value: &str) -> Option<&str> {
    let digits = value.strip_prefix(HASH_NAME)?;
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    (digits.len() == NO_DIGITS.len() && digits.bytes().all(digit)).then_some(digits)
}

/// Where the digits lie in a header.
fn place(json: &[u8]) -> Option<usize> {
    // Quotes within a name or a value are written \", so that this is a key and the start of its
    // value.
    let mark = format!("\"{HASH_KEY}\":\"{HASH_NAME}");
    let found = json.windows(mark.len()).position(|w| w == mark.as_bytes());
    found.map(|at| at + mark.len())
}

/// The CRC-32 of a whole file in which the digits of the hash are zeros.
///
/// It finds every change of one, two or three bits in files of some kilobytes, of one run of up to
/// 32 bits in any file, and all others but one in 2^32.
pub(super) struct Hash {
    hasher: crc32fast::Hasher,
    /// What the file says.
    said: Option<String>,
}

impl Hash {
    /// Begins with the eight bytes of the header's length and the header.
    ///
    /// # Errors
    /// `Data` if the metadata's hash is not one of this library's.
    pub fn new(json: &[u8], said: Option<String>) -> Result<Self> {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&(json.len() as u64).to_le_bytes());
        let Some(value) = said else {
            // Nothing to compare with.
            return Ok(Self { hasher, said: None });
        };
        let (Some(digits), Some(at)) = (digits(&value), place(json)) else {
            return Err(Error::new(
                ErrorKind::Data,
                format!(
                    "the metadata's \"{HASH_KEY}\" is {value:?}, not a hash as this version writes \
                     it: the file is damaged, or another program wrote its metadata again"
                ),
            ));
        };
        hasher.update(&json[..at]);
        hasher.update(NO_DIGITS.as_bytes());
        hasher.update(&json[at + NO_DIGITS.len()..]);
        let said = Some(digits.to_owned());
        Ok(Self { hasher, said })
    }

    /// Goes on with data.
    pub fn update(&mut self, data: &[u8]) {
        if self.said.is_some() {
            self.hasher.update(data);
        }
    }

    /// Fails with `Data` if the file says another hash than it has.
    pub fn check(self) -> Result<()> {
        let found = format!("{:08x}", self.hasher.finalize());
        match self.said {
            Some(said) if said != found => Err(Error::new(
                ErrorKind::Data,
                format!("the file is damaged: its CRC-32 is {found}, it was written as {said}"),
            )),
            _ => Ok(()),
        }
    }
}

/// Puts the hash into the bytes of a whole file whose header takes `header` bytes.
pub(super) fn sign(file: &mut [u8], header: usize) {
    if let Some(at) = place(&file[8..8 + header]) {
        let digits = format!("{:08x}", crc32fast::hash(file));
        file[8 + at..8 + at + digits.len()].copy_from_slice(digits.as_bytes());
    }
}
