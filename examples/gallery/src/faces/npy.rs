//! Pictures in a file of NumPy's format (version 1.0 to 3.0), as scikit-image keeps its faces.

use std::path::Path;

use striate::prelude::*;

/// Grey pictures, from 0 to 255.
#[derive(Debug)]
pub struct Pictures {
    /// How many.
    pub count: usize,
    /// Rows of each.
    pub height: usize,
    /// Columns of each.
    pub width: usize,
    /// `[count, height, width]`.
    pub bytes: Vec<u8>,
}

/// An array `[count, height, width]` of u8, or of f32 or f64 from 0 to 1.
///
/// # Errors
/// `Io` if the file cannot be read, `Data` if it is another one.
pub fn read(path: &Path) -> Result<Pictures> {
    let bytes = std::fs::read(path).map_err(|e| {
        let message = format!("cannot read {}", path.display());
        Error::new(ErrorKind::Io, message).with_source(e)
    })?;
    parsed(&bytes).map_err(|what| {
        let message = format!("{}: {what}", path.display());
        Error::new(ErrorKind::Data, message)
    })
}

fn parsed(bytes: &[u8]) -> std::result::Result<Pictures, String> {
    let cut = || "the file is cut off".to_owned();
    let body = bytes.strip_prefix(b"\x93NUMPY");
    let body = body.ok_or("this is no array of NumPy's (.npy)")?;
    let (length, start) = match *body {
        [1, _, low, high, ..] => (u16::from_le_bytes([low, high]).into(), 4),
        [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 6),
        _ => return Err("the version is none of 1.0 to 3.0".to_owned()),
    };
    let header = body.get(start..start + length).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| "the header is no text")?;
    let after = |key: &str| {
        let (_, value) = header.split_once(&format!("'{key}':"))?;
        Some(value.trim_start())
    };
    if !after("fortran_order").is_some_and(|value| value.starts_with("False")) {
        return Err("rows do not lie one after the other (C order)".to_owned());
    }
    let shape = after("shape").and_then(|value| value.strip_prefix('(')?.split_once(')'));
    let (shape, _) = shape.ok_or("the header has no shape")?;
    let extents: Vec<usize> = (shape.split(',').map(str::trim))
        .filter(|extent| !extent.is_empty())
        .map(|extent| extent.parse().map_err(|_| format!("({shape}) is no shape")))
        .collect::<std::result::Result<_, _>>()?;
    let [count, height, width] = extents[..] else {
        return Err(format!("the shape ({shape}) is not (count, height, width)"));
    };
    let kind = after("descr").and_then(|value| value.strip_prefix('\'')?.split_once('\''));
    let (kind, _) = kind.ok_or("the header names no single type")?;
    let numbers = &body[start + length..];
    let size = match kind {
        "|u1" => 1,
        "<f4" => 4,
        "<f8" => 8,
        kind => return Err(format!("numbers are {kind}, not |u1, <f4 or <f8")),
    };
    let pixels = count
        .checked_mul(height)
        .and_then(|rows| rows.checked_mul(width));
    if pixels.and_then(|pixels| pixels.checked_mul(size)) != Some(numbers.len()) {
        let bytes = numbers.len();
        return Err(format!(
            "it holds {bytes} bytes of numbers, not those of ({shape})"
        ));
    }
    let grey = |value: f64| match value {
        0.0..=1.0 => Ok((255.0 * value).round() as u8),
        _ => Err(format!("{value} does not lie from 0 to 1")),
    };
    let bytes: Vec<u8> = match size {
        1 => numbers.to_vec(),
        4 => (numbers.as_chunks().0.iter())
            .map(|&number| grey(f32::from_le_bytes(number).into()))
            .collect::<std::result::Result<_, _>>()?,
        _ => (numbers.as_chunks().0.iter())
            .map(|&number| grey(f64::from_le_bytes(number)))
            .collect::<std::result::Result<_, _>>()?,
    };
    Ok(Pictures {
        count,
        height,
        width,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, numbers: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [
            b"\x93NUMPY\x01\x00",
            &length[..],
            header.as_bytes(),
            numbers,
        ]
        .concat()
    }

    #[test]
    fn arrays_are_read_and_others_are_refused() {
        let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1, 2), }\n";
        let numbers = [0.0_f64, 1.0, 0.5, 0.2].map(f64::to_le_bytes).concat();
        let read = parsed(&file(header, &numbers)).unwrap();
        assert_eq!((read.count, read.height, read.width), (2, 1, 2));
        assert_eq!(read.bytes, [0, 255, 128, 51]);

        let refused = |header: &str, numbers: &[u8], why: &str| {
            let error = parsed(&file(header, numbers)).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        refused(header, &numbers[1..], "31 bytes");
        refused(
            &header.replace("(2, 1, 2)", "(4,)"),
            &numbers,
            "(count, height",
        );
        refused(
            &header.replace("(2, 1, 2)", "(2, -1, 2)"),
            &numbers,
            "is no shape",
        );
        refused(&header.replace("<f8", ">f8"), &numbers, "numbers are >f8");
        refused(&header.replace("False", "True"), &numbers, "C order");
        refused("{}", &numbers, "C order");
        for wrong in [f64::NAN, 255.0, -0.1] {
            let numbers = [0.0, 1.0, 0.5, wrong].map(f64::to_le_bytes).concat();
            refused(header, &numbers, "from 0 to 1");
        }
        for end in 0..10 + header.len() {
            assert!(parsed(&file(header, &numbers)[..end]).is_err(), "{end}");
        }
        assert!(parsed(b"PNG").unwrap_err().contains("NumPy"));
    }
}
