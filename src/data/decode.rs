//! Pictures out of the bytes of their files.

use std::fmt::Display;
use std::io::Cursor;
use std::ops::RangeInclusive;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::error::{Error, ErrorKind, Result};
use crate::file::described;

/// The most memory that decoding a picture takes, and its longest edge.
pub(super) const MOST_DECODED: u64 = 1 << 30;
pub(super) const MOST_EDGE: u32 = 1 << 16;

/// The picture in the bytes of a png, jpeg or webp, as it is to be seen.
///
/// # Errors
/// `Data` if they are none, or a part of one.
pub(super) fn decode(bytes: &[u8]) -> Result<DynamicImage> {
    let wrong = |message: String| Error::new(ErrorKind::Data, message);
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| wrong("it cannot be read".to_owned()).with_source(e))?;
    match reader.format() {
        Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP) => {}
        Some(other) => {
            let name = other.extensions_str().first().copied().unwrap_or("other");
            return Err(wrong(format!(
                "no picture that is read: it is a {name}, not a png, jpeg or webp"
            )));
        }
        None => {
            let what = described(bytes).unwrap_or("no png, jpeg or webp");
            return Err(wrong(format!("no picture: it is {what}")));
        }
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_DECODED);
    (limits.max_image_width, limits.max_image_height) = (Some(MOST_EDGE), Some(MOST_EDGE));
    reader.limits(limits);
    let corrupt = |what: &dyn Display| wrong(format!("a picture that is corrupt: {what}"));
    // Decoders make grey of what a jpeg lacks.
    if reader.format() == Some(ImageFormat::Jpeg) && !is_whole_jpeg(bytes) {
        return Err(corrupt(&"it ends early"));
    }
    let mut decoder = reader.into_decoder().map_err(|e| corrupt(&e))?;
    let size = decoder.total_bytes();
    if size > MOST_DECODED {
        return Err(corrupt(&format!(
            "{size} bytes, {MOST_DECODED} at most are read"
        )));
    }
    // Cameras note how they were held.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| corrupt(&e))?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Whether a jpeg has its end: from marker to marker, over what each says is its length, and over
/// the bytes of the scans in between.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    const RESTARTS: RangeInclusive<u8> = 0xd0..=0xd7;
    const BEGIN: u8 = 0xd8;
    const END: u8 = 0xd9;
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let is_marker = |pair: &[u8]| {
            pair[0] == 0xff && ![0x00, 0xff].contains(&pair[1]) && !RESTARTS.contains(&pair[1])
        };
        let Some(found) = rest.windows(2).position(is_marker) else {
            return false;
        };
        at += found + 2;
        match rest[found + 1] {
            END => return true,
            BEGIN => {}
            _ => match rest[found + 2..] {
                [high, low, ..] => at += usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Fit, decode_picture};
    use image::{Rgb, RgbImage};

    #[test]
    fn jpegs_are_whole_and_upright() {
        let mut jpeg = Cursor::new(Vec::new());
        // Red on the left, blue on the right.
        let halves = RgbImage::from_fn(64, 32, |x, _| match x < 32 {
            true => Rgb([255, 0, 0]),
            false => Rgb([0, 0, 255]),
        });
        halves.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        let jpeg = jpeg.into_inner();
        let whole = decode_picture(&jpeg, [3, 32, 64], Fit::Crop).unwrap();
        assert!(whole[0] > 200 && whole[63] < 50, "{:?}", &whole[..64]);
        for end in [jpeg.len() - 2, jpeg.len() * 3 / 4, 300] {
            let error = decode_picture(&jpeg[..end], [3, 32, 64], Fit::Crop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(error.to_string().contains("ends early"), "{error}");
        }
        // Whatever a camera puts behind the end does not count.
        let longer = [&jpeg[..], b"\xff\xda more"].concat();
        let same = decode_picture(&longer, [3, 32, 64], Fit::Crop).unwrap();
        assert_eq!(same, whole);
        // Held so that its right side is up: an entry of orientation 8.
        let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0\0\0\0\0";
        let exif = [&b"Exif\0\0"[..], tiff].concat();
        let length = (exif.len() as u16 + 2).to_be_bytes();
        let turned = [&jpeg[..2], b"\xff\xe1", &length, &exif, &jpeg[2..]].concat();
        let turned = decode_picture(&turned, [3, 64, 32], Fit::Crop).unwrap();
        let (first, last) = (turned[0], turned[63 * 32]);
        assert!(first < 50 && last > 200, "{first} above {last}");
    }
}
