//! Numbers drawn as pictures: palettes, tiles side by side, one picture over another.

use crate::error::{Error, Result};
use crate::tensor::room;

/// The longest edge of a picture.
const MOST_EDGE: usize = 1 << 16;

/// What a number that is none is drawn in.
const MAGENTA: [u8; 3] = [255, 0, 255];

/// The colours that stand for numbers from 0 to 1.
///
/// Each but grey is a list of 17 colours, evenly spaced along matplotlib's map of the same name
/// (`_cm_listed.py` and `_cm.py`, CC0); between them colours are interpolated, which is within 8 of
/// 255 of the whole map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Palette {
    /// From black to white.
    Grey,
    /// From dark blue over green to yellow, perceptually uniform (Smith and van der Walt 2015).
    #[default]
    Viridis,
    /// From black over red to light yellow, perceptually uniform (Smith and van der Walt 2015).
    Inferno,
    /// From blue over light grey to red, for numbers of either sign around 1/2 (Moreland 2009,
    /// "Diverging color maps for scientific visualization").
    Coolwarm,
}

const GREY: [u32; 2] = [0x000000, 0xffffff];
const VIRIDIS: [u32; 17] = [
    0x440154, 0x48186a, 0x472d7b, 0x424086, 0x3b528b, 0x33638d, 0x2c728e, 0x26818e, 0x21908c,
    0x1f9f88, 0x28ae80, 0x3ebc74, 0x5dc963, 0x82d34c, 0xabdc32, 0xd5e21a, 0xfde725,
];
const INFERNO: [u32; 17] = [
    0x000004, 0x0b0724, 0x210c4a, 0x3c0965, 0x57106d, 0x70196e, 0x89226a, 0xa32b61, 0xbb3755,
    0xd14644, 0xe35932, 0xf1711e, 0xf98d0a, 0xfcab0f, 0xf9ca32, 0xf2e865, 0xfcffa4,
];
const COOLWARM: [u32; 17] = [
    0x3b4cc0, 0x4d68d7, 0x6282ea, 0x779af7, 0x8db0fe, 0xa3c2fe, 0xb8d0f9, 0xccd9ee, 0xdddddd,
    0xecd3c5, 0xf4c4ad, 0xf7b194, 0xf49a7b, 0xec7f63, 0xde604d, 0xcb3e38, 0xb40426,
];

impl Palette {
    /// The colour of a number from 0 to 1: red, green and blue. Numbers beyond have that of the
    /// nearer end; NaN is magenta, which no palette has.
    pub fn colour(self, number: f32) -> [u8; 3] {
        if number.is_nan() {
            return MAGENTA;
        }
        let colours: &[u32] = match self {
            Palette::Grey => &GREY,
            Palette::Viridis => &VIRIDIS,
            Palette::Inferno => &INFERNO,
            Palette::Coolwarm => &COOLWARM,
        };
        let place = number.clamp(0.0, 1.0) * (colours.len() - 1) as f32;
        let left = (place as usize).min(colours.len() - 2);
        let part = |colour: u32, byte: u32| (colour >> (16 - 8 * byte) & 0xff) as f32;
        std::array::from_fn(|byte| {
            let [from, to] = [left, left + 1].map(|at| part(colours[at], byte as u32));
            (from + (to - from) * (place - left as f32)).round() as u8
        })
    }
}

/// A picture in red, green and blue.
///
/// ```
/// use striate::data::{Palette, Picture};
///
/// # fn main() -> striate::error::Result<()> {
/// // Two maps of 2x2 numbers side by side, each number a square of 8x8 pixels.
/// let maps = [[0.0, 0.1, 0.2, 0.3], [0.9, 0.8, 0.7, 0.6]];
/// let tiles: Vec<Picture> = maps
///     .iter()
///     .map(|map| Picture::of_values(map, [2, 2], [0.0, 1.0], Palette::Viridis)?.enlarged(8))
///     .collect::<Result<_, _>>()?;
/// let picture = Picture::grid(&tiles, 2, 4)?;
/// // Margins of 4 pixels lie around the tiles and between them.
/// assert_eq!((picture.width(), picture.height()), (2 * 16 + 3 * 4, 16 + 2 * 4));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// All pixels of one colour.
    ///
    /// # Errors
    /// `Shape` if an edge is 0 or longer than 65,536; `OutOfMemory`.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Result<Self> {
        let edges = 1..=MOST_EDGE;
        if !edges.contains(&width) || !edges.contains(&height) {
            return Err(Error::shape(format!(
                "a picture of {width}x{height}: each edge has 1 to {MOST_EDGE} pixels"
            )));
        }
        let mut pixels = room(width * height)?;
        pixels.resize(width * height, colour);
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// Of the pixels of an image `[channels, height, width]`, of 1 or 3 channels.
    ///
    /// # Errors
    /// `Shape` if there are other channels, or more or fewer pixels; as [`filled`](Self::filled).
    pub fn of_image(pixels: &[u8], [channels, height, width]: [usize; 3]) -> Result<Self> {
        let plane = height.saturating_mul(width);
        if !matches!(channels, 1 | 3) || channels.saturating_mul(plane) != pixels.len() {
            return Err(Error::shape(format!(
                "{} pixels are no grey or coloured picture of {channels}x{height}x{width}",
                pixels.len()
            )));
        }
        let mut picture = Self::filled(width, height, [0; 3])?;
        for (at, pixel) in picture.pixels.iter_mut().enumerate() {
            *pixel = std::array::from_fn(|byte| pixels[byte % channels * plane + at]);
        }
        Ok(picture)
    }

    /// Of numbers `[height, width]`, one pixel each: the first end of the range has the palette's
    /// first colour, the second end its last. If the ends are equal, smaller numbers have the
    /// first colour and the others the last.
    ///
    /// # Errors
    /// `Shape` if there are more or fewer numbers; as [`filled`](Self::filled).
    pub fn of_values(
        values: &[f32],
        [height, width]: [usize; 2],
        [low, high]: [f32; 2],
        palette: Palette,
    ) -> Result<Self> {
        if height.saturating_mul(width) != values.len() {
            return Err(Error::shape(format!(
                "{} numbers are no picture of {height}x{width}",
                values.len()
            )));
        }
        let mut picture = Self::filled(width, height, [0; 3])?;
        for (pixel, &value) in picture.pixels.iter_mut().zip(values) {
            let number = match low == high {
                true if value.is_nan() => value,
                true => f32::from(u8::from(value >= high)),
                false => (value - low) / (high - low),
            };
            *pixel = palette.colour(number);
        }
        Ok(picture)
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Red, green and blue of each pixel, row by row from the top left.
    pub fn pixels(&self) -> &[[u8; 3]] {
        &self.pixels
    }

    /// The pixels as an image `[3, height, width]`.
    pub fn to_image(&self) -> Vec<u8> {
        let planes = (0..3).flat_map(|byte| self.pixels.iter().map(move |pixel| pixel[byte]));
        planes.collect()
    }

    /// Every pixel as a square of `times` x `times`.
    ///
    /// # Errors
    /// As [`filled`](Self::filled).
    pub fn enlarged(&self, times: usize) -> Result<Self> {
        let edge = |extent: usize| extent.saturating_mul(times);
        let mut picture = Self::filled(edge(self.width), edge(self.height), [0; 3])?;
        for (row, pixels) in picture
            .pixels
            .chunks_exact_mut(edge(self.width))
            .enumerate()
        {
            let from = &self.pixels[row / times * self.width..];
            for (column, pixel) in pixels.iter_mut().enumerate() {
                *pixel = from[column / times];
            }
        }
        Ok(picture)
    }

    /// The picture with another one, of its size, over it: a share from 0 to 1 for each pixel,
    /// where 0 leaves it as it is and 1 shows the other alone.
    ///
    /// # Errors
    /// `Shape` if the other is of another size, if there are more or fewer shares than pixels, or
    /// if one is not from 0 to 1.
    pub fn blended(&self, over: &Picture, shares: &[f32]) -> Result<Self> {
        let size = |picture: &Picture| format!("{}x{}", picture.height, picture.width);
        let wrong = shares.iter().find(|share| !(0.0..=1.0).contains(*share));
        if size(self) != size(over) || shares.len() != self.pixels.len() || wrong.is_some() {
            return Err(Error::shape(format!(
                "blended: {} shares of a picture of {} over one of {}; {}",
                shares.len(),
                size(over),
                size(self),
                wrong.map_or("one for each pixel is needed".to_owned(), |share| {
                    format!("{share} is not from 0 to 1")
                })
            )));
        }
        let mut picture = self.clone();
        let others = over.pixels.iter().zip(shares);
        for (pixel, (other, share)) in picture.pixels.iter_mut().zip(others) {
            for (own, &other) in pixel.iter_mut().zip(other) {
                let [from, to] = [*own, other].map(f32::from);
                *own = (from + (to - from) * share).round() as u8;
            }
        }
        Ok(picture)
    }

    /// Pictures of one size in rows of `columns`, on dark grey, with so many pixels around each.
    ///
    /// # Errors
    /// `Shape` if there are none, if they differ in size, or if there are no columns; as
    /// [`filled`](Self::filled).
    pub fn grid(tiles: &[Picture], columns: usize, margin: usize) -> Result<Self> {
        let Some(first) = tiles.first().filter(|_| columns > 0) else {
            return Err(Error::shape(format!(
                "grid: {} pictures in {columns} columns",
                tiles.len()
            )));
        };
        let size = (first.width, first.height);
        if let Some(other) = tiles.iter().find(|tile| (tile.width, tile.height) != size) {
            return Err(Error::shape(format!(
                "grid: pictures of {}x{} and {}x{}",
                first.height, first.width, other.height, other.width
            )));
        }
        let columns = columns.min(tiles.len());
        let rows = tiles.len().div_ceil(columns);
        let edge = |count: usize, extent: usize| {
            let each = extent.saturating_add(margin);
            count.saturating_mul(each).saturating_add(margin)
        };
        let (width, height) = (edge(columns, first.width), edge(rows, first.height));
        let mut picture = Self::filled(width, height, [40; 3])?;
        for (number, tile) in tiles.iter().enumerate() {
            let left = margin + number % columns * (first.width + margin);
            let top = margin + number / columns * (first.height + margin);
            for (row, pixels) in tile.pixels.chunks_exact(tile.width).enumerate() {
                let start = (top + row) * width + left;
                picture.pixels[start..][..tile.width].copy_from_slice(pixels);
            }
        }
        Ok(picture)
    }

    /// Writes it as a PNG file.
    ///
    /// # Errors
    /// `Io` if the file cannot be written.
    #[cfg(feature = "images")]
    pub fn write_png(&self, path: impl AsRef<std::path::Path>) -> Result<()> {
        super::write_picture(path, &self.to_image(), [3, self.height, self.width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn palettes_reach_from_end_to_end() {
        for (palette, first, middle, last) in [
            (Palette::Grey, [0; 3], [128; 3], [255; 3]),
            (
                Palette::Viridis,
                [68, 1, 84],
                [33, 144, 140],
                [253, 231, 37],
            ),
            (Palette::Inferno, [0, 0, 4], [187, 55, 85], [252, 255, 164]),
            (Palette::Coolwarm, [59, 76, 192], [221; 3], [180, 4, 38]),
        ] {
            assert_eq!(palette.colour(-1.0), first);
            assert_eq!(palette.colour(0.0), first);
            assert_eq!(palette.colour(0.5), middle);
            assert_eq!(palette.colour(1.0), last);
            assert_eq!(palette.colour(f32::INFINITY), last);
            assert_eq!(palette.colour(f32::NAN), MAGENTA);
        }
        // Lightness rises all along: that of sRGB, weighted as Rec. 709 has it.
        for palette in [Palette::Grey, Palette::Viridis, Palette::Inferno] {
            let lightness = (0..=64).map(|step| {
                let colour = palette.colour(step as f32 / 64.0);
                let weights = [0.2126, 0.7152, 0.0722];
                let terms = colour.iter().zip(weights);
                terms
                    .map(|(&part, weight)| weight * (f64::from(part) / 255.0).powf(2.2))
                    .sum()
            });
            let lightness: Vec<f64> = lightness.collect();
            assert!(
                lightness.is_sorted_by(|a, b| a < b),
                "{palette:?} {lightness:?}"
            );
        }
    }

    #[test]
    fn numbers_become_pixels() {
        let values = [-2.0, 0.0, 2.0, 1.0, f32::NAN, 9.0];
        let picture = Picture::of_values(&values, [2, 3], [-2.0, 2.0], Palette::Grey).unwrap();
        let expected = [[0; 3], [128; 3], [255; 3], [191; 3], MAGENTA, [255; 3]];
        assert_eq!(picture.pixels(), expected);
        let flat = Picture::of_values(&[1.0, 0.5], [1, 2], [1.0, 1.0], Palette::Grey).unwrap();
        assert_eq!(flat.pixels(), [[255; 3], [0; 3]]);
        let error = Picture::of_values(&values, [2, 2], [0.0, 1.0], Palette::Grey).unwrap_err();
        assert_eq!(error.to_string(), "6 numbers are no picture of 2x2");
    }

    #[test]
    fn images_come_and_go() {
        let pixels: Vec<u8> = (0..12).collect();
        let picture = Picture::of_image(&pixels, [3, 2, 2]).unwrap();
        assert_eq!(picture.pixels()[1], [1, 5, 9]);
        assert_eq!(picture.to_image(), pixels);
        let grey = Picture::of_image(&pixels, [1, 3, 4]).unwrap();
        assert_eq!(grey.pixels()[7], [7; 3]);
        for size in [[2, 2, 3], [3, 2, 3], [1, 0, 12], [1, usize::MAX, 2]] {
            let error = Picture::of_image(&pixels, size).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape, "{size:?}");
        }
    }

    #[test]
    fn tiles_stand_in_rows() {
        let tile = |shade: u8| Picture::filled(2, 1, [shade; 3]).unwrap();
        let tiles = [tile(1), tile(2), tile(3)];
        let picture = Picture::grid(&tiles, 2, 1).unwrap();
        assert_eq!((picture.width(), picture.height()), (7, 5));
        let shades: Vec<u8> = picture.pixels().iter().map(|pixel| pixel[0]).collect();
        assert_eq!(shades[7..14], [40, 1, 1, 40, 2, 2, 40]);
        assert_eq!(shades[21..28], [40, 3, 3, 40, 40, 40, 40]);
        // Fewer pictures than columns take no more room than they need.
        assert_eq!(Picture::grid(&tiles, 9, 0).unwrap().width(), 6);
        let large = tile(1).enlarged(3).unwrap();
        assert_eq!((large.width(), large.height()), (6, 3));
        for wrong in [
            Picture::grid(&[], 2, 1),
            Picture::grid(&tiles, 0, 1),
            Picture::grid(&[tile(1), large.clone()], 2, 1),
            Picture::grid(&tiles, 1, usize::MAX),
            large.enlarged(0),
            large.enlarged(usize::MAX),
        ] {
            assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Shape);
        }
    }

    #[test]
    fn one_picture_lies_over_another() {
        let [black, white] = [0, 255].map(|shade| Picture::filled(1, 1, [shade; 3]).unwrap());
        let pixel = |share| black.blended(&white, &[share]).unwrap().pixels()[0][0];
        assert_eq!([0.0, 0.2, 1.0].map(pixel), [0, 51, 255]);
        for (over, shares, words) in [
            (white.clone(), &[1.5][..], "1.5 is not from 0 to 1"),
            (white.clone(), &[f32::NAN], "NaN is not from 0 to 1"),
            (white.clone(), &[0.5, 0.5], "2 shares of a picture of 1x1"),
            (white.enlarged(2).unwrap(), &[0.5], "of 2x2 over one of 1x1"),
        ] {
            let error = black.blended(&over, shares).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
