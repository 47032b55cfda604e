//! Reads the tensor archives of Open Image Denoise (`.tza`), version 2. All numbers are
//! little-endian.
//!
//! | At | Bytes | What |
//! |---|---|---|
//! | 0 | 2, 1, 1 | 0x41D7, major and minor version |
//! | 4 | 8 | where the table begins |
//! | table | 4 | number of tensors, and for each: |
//! | | 2 and so many | its name |
//! | | 1, 4 each | number of axes, extents |
//! | | 1 each | letters of the axes, such as `oihw` |
//! | | 1 | element type: `f` for f32, `h` for f16 |
//! | | 8 | where its elements begin |

use std::path::Path;

use half::f16;
use striate::prelude::*;

const MAGIC: u16 = 0x41D7;
const MAJOR: u8 = 2;

/// The tensors of a file by name, as `f32`, in the order of its table.
///
/// # Errors
/// `Io` if it cannot be read, `Data` as [`decode`].
pub fn load(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let read = std::fs::read(path).map_err(|e| Error::new(ErrorKind::Io, e.to_string()));
    read.and_then(|bytes| decode(&bytes))
        .map_err(|error| error.context(path.display()))
}

/// As [`load`], from the bytes of a file.
///
/// # Errors
/// `Data` if they are no such archive, or end too early, or hold other elements than floats.
pub fn decode(bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    let mut at = Reader { bytes, place: 0 };
    let magic = u16::from_le_bytes(at.array("header")?);
    let [major, minor] = at.array("header")?;
    if magic != MAGIC {
        let message = format!("begins with 0x{magic:04X}, a tensor archive with 0x{MAGIC:04X}");
        return Err(Error::new(ErrorKind::Data, message));
    }
    if major != MAJOR {
        let message = format!("version {major}.{minor} of tensor archives; {MAJOR} is read");
        return Err(Error::new(ErrorKind::Data, message));
    }
    at.place = at.offset("header")?;
    let count = u32::from_le_bytes(at.array("table")?);
    (0..count).map(|_| tensor(&mut at)).collect()
}

/// The next row of the table, and the tensor that it is of.
fn tensor(at: &mut Reader) -> Result<(String, Tensor)> {
    let length = u16::from_le_bytes(at.array("table")?);
    let name = String::from_utf8_lossy(at.take(length.into(), "table")?).into_owned();
    let what = format!("tensor \"{name}\"");
    let [axes] = at.array(&what)?;
    let mut shape = Vec::new();
    for _ in 0..axes {
        shape.push(u32::from_le_bytes(at.array(&what)?) as usize);
    }
    let layout = String::from_utf8_lossy(at.take(axes.into(), &what)?).into_owned();
    let [element] = at.array(&what)?;
    let place = at.offset(&what)?;
    if !["oihw", "x"].contains(&layout.as_str()) {
        let message = format!("{what} is laid out as {layout:?}; oihw and x are read");
        return Err(Error::new(ErrorKind::Data, message));
    }
    let (size, decode): (usize, fn(&[u8]) -> f32) = match element {
        b'f' => (4, |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        b'h' => (2, |b| f16::from_le_bytes([b[0], b[1]]).to_f32()),
        other => {
            let other = char::from(other);
            let message = format!("{what} has elements of type {other:?}; f and h are read");
            return Err(Error::new(ErrorKind::Data, message));
        }
    };
    let count = shape
        .iter()
        .try_fold(size, |n, &extent| n.checked_mul(extent));
    let mut data = Reader { place, ..*at };
    let elements = data.take(count.unwrap_or(usize::MAX), &what)?;
    let elements = elements.chunks_exact(size).map(decode).collect();
    Ok((name, Tensor::f32(shape, elements)?))
}

/// A place in a file.
#[derive(Clone, Copy)]
struct Reader<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl<'a> Reader<'a> {
    /// The next bytes; `what` they belong to is told if they are not there.
    fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8]> {
        let end = self.place.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.place..end));
        let taken = taken.ok_or_else(|| {
            let (place, length) = (self.place, self.bytes.len());
            let message = format!("{what}: {count} bytes from {place} on, the file has {length}");
            Error::new(ErrorKind::Data, message)
        })?;
        self.place += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    /// A place in the file; one that no memory has becomes one that the file does not have.
    fn offset(&mut self, what: &str) -> Result<usize> {
        let offset = u64::from_le_bytes(self.array(what)?);
        Ok(usize::try_from(offset).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The archive of tensors, in half or single precision.
    pub fn encode(tensors: &[(String, Tensor)]) -> Vec<u8> {
        let data: usize = tensors.iter().map(|(_, t)| t.bytes().len()).sum();
        let mut bytes = vec![0xD7, 0x41, 2, 0];
        bytes.extend((12 + data as u64).to_le_bytes());
        for (_, tensor) in tensors {
            bytes.extend(tensor.bytes());
        }
        bytes.extend((tensors.len() as u32).to_le_bytes());
        let mut place = 12;
        for (name, tensor) in tensors {
            let shape = tensor.shape();
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend(name.bytes());
            bytes.push(shape.len() as u8);
            bytes.extend(shape.iter().flat_map(|&n| (n as u32).to_le_bytes()));
            let half = tensor.ty().dtype == DType::F16;
            bytes.extend(if shape.len() == 4 { "oihw" } else { "x" }.bytes());
            bytes.push(if half { b'h' } else { b'f' });
            bytes.extend((place as u64).to_le_bytes());
            place += tensor.bytes().len();
        }
        bytes
    }

    /// An archive of a weight `[1, 2, 1, 1]` in f16 and a bias `[1]` in f32.
    fn archive() -> Vec<u8> {
        let weight = Tensor::f16_bits([1, 2, 1, 1], vec![0x3C00, 0xC100]).unwrap();
        let bias = Tensor::f32([1], vec![0.25]).unwrap();
        encode(&[("a.weight".to_owned(), weight), ("a.bias".to_owned(), bias)])
    }

    #[test]
    fn both_types_are_read() {
        let weight = Tensor::f32([1, 2, 1, 1], vec![1.0, -2.5]).unwrap();
        let bias = Tensor::f32([1], vec![0.25]).unwrap();
        let wanted = [("a.weight".to_owned(), weight), ("a.bias".to_owned(), bias)];
        assert_eq!(decode(&archive()).unwrap(), wanted);
    }

    #[test]
    fn whatever_is_wrong_is_told() {
        let whole = archive();
        for length in 0..whole.len() {
            let error = decode(&whole[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data, "{length}: {error}");
        }
        let changed = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            decode(&bytes).unwrap_err().to_string()
        };
        assert!(changed(0, 0).contains("0x4100"));
        assert!(changed(2, 3).contains("version 3.0"));
        let layout = whole.windows(4).position(|four| four == b"oihw").unwrap();
        assert!(changed(layout, b'O').contains("laid out as \"Oihw\""));
        assert!(changed(layout + 4, b'B').contains("elements of type 'B'"));
        assert!(changed(11, 0x7f).contains("the file has"));
    }
}
