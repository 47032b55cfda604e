//! Pictures in a page: PNG files as `data:` addresses.
//!
//! The writer is an own one because the `image` crate is an optional feature, and a page has to
//! show pictures without it: a PNG file of whole rows needs no more than zlib and a checksum, which
//! `flate2` has.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use crate::error::{Error, ErrorKind, Result};

/// What the bytes of a pixel are: PNG's colour types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Grey = 0,
    Rgb = 2,
    Rgba = 6,
}

impl Colour {
    fn bytes(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// A PNG file of 8 bits per channel; `pixels` are interleaved, row by row from the top.
///
/// # Errors
/// `Shape` if there are more or fewer bytes than pixels, or none.
pub(super) fn png(pixels: &[u8], [height, width]: [usize; 2], colour: Colour) -> Result<Vec<u8>> {
    let row = width.saturating_mul(colour.bytes());
    let extents = [height, width].map(u32::try_from);
    let ([Ok(high), Ok(wide)], true) = (
        extents,
        !pixels.is_empty() && row.saturating_mul(height) == pixels.len(),
    ) else {
        return Err(Error::shape(format!(
            "{} bytes are no picture of {height}x{width} with {} bytes per pixel",
            pixels.len(),
            colour.bytes()
        )));
    };
    let mut rows = ZlibEncoder::new(Vec::new(), Compression::default());
    let packed = pixels.chunks_exact(row).try_for_each(|row| {
        // Filter 0: as it is.
        rows.write_all(&[0])?;
        rows.write_all(row)
    });
    let packed = packed.and_then(|()| rows.finish()).map_err(|e| {
        let message = format!("a picture of {height}x{width} cannot be packed");
        Error::new(ErrorKind::Data, message).with_source(e)
    })?;
    let mut head = [wide.to_be_bytes(), high.to_be_bytes()].concat();
    head.extend([8, colour as u8, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [(b"IHDR", &head), (b"IDAT", &packed), (b"IEND", &Vec::new())] {
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(name);
        file.extend(data);
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(data);
        file.extend(crc.sum().to_be_bytes());
    }
    Ok(file)
}

/// A file as an address that holds it (RFC 2397).
pub(super) fn address(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64(png))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=three.len()].copy_from_slice(three);
        let word = u32::from_be_bytes(word);
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() {
                letter.into()
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::ZlibDecoder;
    use std::io::Read;

    #[test]
    fn letters_are_those_of_the_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn a_file_holds_the_pixels() {
        let pixels: Vec<u8> = (0..2 * 3 * 3).map(|byte| byte * 14).collect();
        let file = png(&pixels, [2, 3], Colour::Rgb).unwrap();
        assert_eq!(
            file[..33],
            *b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x03\0\0\0\x02\x08\x02\0\0\0\x12\x16\xf1\x4d"
        );
        let length = u32::from_be_bytes(file[33..37].try_into().unwrap()) as usize;
        assert_eq!(&file[37..41], b"IDAT");
        let mut rows = Vec::new();
        ZlibDecoder::new(&file[41..41 + length])
            .read_to_end(&mut rows)
            .unwrap();
        let whole = [&[0][..], &pixels[..9], &[0], &pixels[9..]].concat();
        assert_eq!(rows, whole);
        assert!(file.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        assert_eq!(
            png(&pixels, [2, 4], Colour::Rgb).unwrap_err().kind(),
            ErrorKind::Shape
        );
        assert_eq!(
            png(&[], [0, 4], Colour::Grey).unwrap_err().kind(),
            ErrorKind::Shape
        );
    }

    #[cfg(feature = "images")]
    #[test]
    fn another_reader_sees_the_pixels() {
        let pixels: Vec<u8> = (0..5 * 7).map(|byte| byte * 7).collect();
        let file = png(&pixels, [5, 7], Colour::Grey).unwrap();
        let picture = image::load_from_memory(&file).unwrap();
        assert_eq!((picture.width(), picture.height()), (7, 5));
        assert_eq!(picture.into_luma8().into_raw(), pixels);
    }
}
