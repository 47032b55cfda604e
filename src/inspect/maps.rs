//! What views give: maps, heat maps, and shares of pixels in a score.

use crate::data::{Palette, Picture};
use crate::error::{Error, ErrorKind, Result};

/// How much of a picture is heat where it is hottest, if one is laid over the other.
const HEAT: f32 = 0.8;
/// The share of the numbers of a heat map beyond which colours do not change: a few large ones
/// would hide the others (Smilkov et al. 2017, section 3.1).
const SHOWN: f64 = 0.99;
/// Space between tiles, in pixels.
const MARGIN: usize = 2;
/// The shortest side that a tile is enlarged to, of a few and of many.
const TILE: usize = 96;
const SMALL_TILE: usize = 48;
/// Up to how many tiles are few.
const FEW: usize = 64;
/// The most tiles along an edge of a grid of filters.
const MOST_TILES: usize = 32;

fn expect_numbers(values: &[f32], count: usize) -> Result<()> {
    if values.len() != count {
        return Err(Error::shape(format!(
            "{} numbers for a map of {count}",
            values.len()
        )));
    }
    match values.iter().filter(|x| !x.is_finite()).count() {
        0 => Ok(()),
        wrong => Err(Error::new(
            ErrorKind::NotFinite,
            format!("{wrong} of {count} numbers of a map are NaN or infinite"),
        )),
    }
}

/// The largest magnitude of some numbers; 1 if all are 0, so that they may be divided by it.
fn largest(values: &[f32]) -> f32 {
    match values.iter().fold(0.0, |most: f32, x| most.max(x.abs())) {
        0.0 => 1.0,
        most => most,
    }
}

/// Maps of numbers `[count, channels, height, width]`: those of a layer, with one channel each, or
/// the filters of a convolution, with as many as it reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Maps {
    values: Vec<f32>,
    size: [usize; 4],
}

impl Maps {
    /// Of numbers `[count, channels, height, width]`.
    ///
    /// # Errors
    /// `Shape` if there are more or fewer; `NotFinite`.
    pub fn new(values: Vec<f32>, size: [usize; 4]) -> Result<Self> {
        expect_numbers(&values, size.iter().product())?;
        Ok(Self { values, size })
    }

    /// The numbers, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// `[count, channels, height, width]`.
    pub fn size(&self) -> [usize; 4] {
        self.size
    }

    /// Tiles in a grid.
    ///
    /// - Maps of one channel are tiles in a grid that is about square. Where no number is negative,
    ///   they go from the palette's first colour at 0 to its last; else grey is 0, and blue and red
    ///   are negative and positive. Each map has its own largest magnitude as the end.
    /// - Maps of three channels are tiles in colour, grey where they are 0.
    /// - Of others each row of the grid is a map, each column one of its channels, the first 32 of
    ///   both.
    ///
    /// # Errors
    /// `Shape` if there are no numbers; `OutOfMemory`.
    pub fn picture(&self, palette: Palette) -> Result<Picture> {
        let [count, channels, height, width] = self.size;
        let (plane, map) = (height * width, channels * height * width);
        if map * count == 0 {
            return Err(Error::shape(format!(
                "maps of {:?} have no numbers",
                self.size
            )));
        }
        let side = if count * channels > FEW {
            SMALL_TILE
        } else {
            TILE
        };
        let most = (side * side).div_ceil(height.max(width));
        let times = side.div_ceil(height.min(width)).clamp(1, most);
        let signed = self.values.iter().any(|&x| x < 0.0);
        let tile = |values: &[f32]| {
            let most = largest(values);
            let drawn = match signed {
                true => {
                    Picture::of_values(values, [height, width], [-most, most], Palette::Coolwarm)
                }
                false => Picture::of_values(values, [height, width], [0.0, most], palette),
            };
            drawn?.enlarged(times)
        };
        let (tiles, columns): (Vec<_>, usize) = match channels {
            1 => {
                let columns = (count as f64).sqrt().ceil() as usize;
                (self.values.chunks_exact(map).map(tile).collect(), columns)
            }
            3 => {
                let coloured = |values: &[f32]| {
                    let most = largest(values);
                    let bytes = values
                        .iter()
                        .map(|x| (127.5 + 127.5 * x / most).round() as u8);
                    let bytes: Vec<u8> = bytes.collect();
                    Picture::of_image(&bytes, [3, height, width])?.enlarged(times)
                };
                let columns = (count as f64).sqrt().ceil() as usize;
                (
                    self.values.chunks_exact(map).map(coloured).collect(),
                    columns,
                )
            }
            _ => {
                let maps = self.values.chunks_exact(map).take(MOST_TILES);
                let tiles = maps.flat_map(|map| map.chunks_exact(plane).take(MOST_TILES));
                (tiles.map(tile).collect(), channels.min(MOST_TILES))
            }
        };
        let tiles = tiles.into_iter().collect::<Result<Vec<_>>>()?;
        Picture::grid(&tiles, columns, MARGIN)
    }

    /// Writes [`picture`](Self::picture), in viridis, as a PNG file.
    ///
    /// # Errors
    /// As [`picture`](Self::picture); `Io`.
    #[cfg(feature = "images")]
    pub fn write_png(&self, path: impl AsRef<std::path::Path>) -> Result<()> {
        self.picture(Palette::Viridis)?.write_png(path)
    }
}

/// A number for each pixel of a picture, `[height, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    values: Vec<f32>,
    size: [usize; 2],
}

impl HeatMap {
    /// Of numbers `[height, width]`.
    ///
    /// # Errors
    /// `Shape` if there are more or fewer; `NotFinite`.
    pub fn new(values: Vec<f32>, size: [usize; 2]) -> Result<Self> {
        expect_numbers(&values, size.iter().product())?;
        Ok(Self { values, size })
    }

    /// The numbers, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// `[height, width]`.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// The map in colours, a pixel for each number. Where no number is negative, it goes from the
    /// palette's first colour at 0 to its last; else grey is 0, and blue and red are negative and
    /// positive. Beyond the 99th percentile of the magnitudes colours do not change.
    ///
    /// # Errors
    /// `Shape` if there are no numbers; `OutOfMemory`.
    pub fn picture(&self, palette: Palette) -> Result<Picture> {
        let most = self.shown();
        match self.values.iter().any(|&x| x < 0.0) {
            true => Picture::of_values(&self.values, self.size, [-most, most], Palette::Coolwarm),
            false => Picture::of_values(&self.values, self.size, [0.0, most], palette),
        }
    }

    /// The magnitude that is drawn in the last colour.
    fn shown(&self) -> f32 {
        let mut magnitudes: Vec<f32> = self.values.iter().map(|x| x.abs()).collect();
        magnitudes.sort_unstable_by(f32::total_cmp);
        let at = (SHOWN * magnitudes.len() as f64) as usize;
        match magnitudes.get(at.min(magnitudes.len().saturating_sub(1))) {
            Some(&most) if most > 0.0 => most,
            _ => largest(&self.values),
        }
    }

    /// The map over a picture `[channels, height, width]` of its size, which is drawn in grey: the
    /// hotter a pixel, the more of it is heat.
    ///
    /// # Errors
    /// `Shape` if the picture is of another size.
    pub fn over(&self, pixels: &[u8], size: [usize; 3], palette: Palette) -> Result<Picture> {
        let picture = Picture::of_image(pixels, size)?;
        let grey = picture.pixels().iter().map(|&[red, green, blue]| {
            // Rec. 709.
            0.2126 * f32::from(red) + 0.7152 * f32::from(green) + 0.0722 * f32::from(blue)
        });
        let grey: Vec<f32> = grey.collect();
        let grey = Picture::of_values(&grey, [size[1], size[2]], [0.0, 255.0], Palette::Grey)?;
        let most = self.shown();
        let shares = self.values.iter().map(|x| HEAT * (x.abs() / most).min(1.0));
        grey.blended(&self.picture(palette)?, &shares.collect::<Vec<_>>())
    }

    /// Writes [`picture`](Self::picture), in viridis, as a PNG file.
    ///
    /// # Errors
    /// As [`picture`](Self::picture); `Io`.
    #[cfg(feature = "images")]
    pub fn write_png(&self, path: impl AsRef<std::path::Path>) -> Result<()> {
        self.picture(Palette::Viridis)?.write_png(path)
    }

    /// Spearman's rank correlation with another map of its size, from -1 to 1: how alike the order
    /// of their pixels is. Equal numbers share their rank. It is 0 if all numbers of one map are
    /// equal.
    ///
    /// # Errors
    /// `Shape` if the other is of another size.
    pub fn rank_correlation(&self, other: &HeatMap) -> Result<f64> {
        if self.size != other.size {
            return Err(Error::shape(format!(
                "rank_correlation: maps of {:?} and {:?}",
                self.size, other.size
            )));
        }
        let [own, theirs] = [self, other].map(|map| ranks(&map.values));
        // Ranks of n numbers add up to n (n + 1) / 2, shared or not.
        let mean = (own.len() as f64 + 1.0) / 2.0;
        let product = |a: &[f64], b: &[f64]| {
            let terms = a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean));
            terms.sum::<f64>()
        };
        let spread = (product(&own, &own) * product(&theirs, &theirs)).sqrt();
        Ok(match spread > 0.0 {
            true => product(&own, &theirs) / spread,
            false => 0.0,
        })
    }
}

/// The rank of each number from 1 on; equal ones have the mean of theirs.
fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    // Not by bits: 0 and -0 are equal.
    for run in order.chunk_by(|&a, &b| values[a] == values[b]) {
        for &at in run {
            ranks[at] = before as f64 + (run.len() as f64 + 1.0) / 2.0;
        }
        before += run.len();
    }
    ranks
}

/// A number for each element of a picture `[channels, height, width]`: a gradient of a class's
/// score, or a share in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    values: Vec<f32>,
    size: [usize; 3],
    score: f32,
    baseline: Option<f32>,
}

impl Attribution {
    pub(super) fn new(values: Vec<f64>, size: [usize; 3], score: f32) -> Result<Self> {
        let values: Vec<f32> = values.into_iter().map(|x| x as f32).collect();
        expect_numbers(&values, size.iter().product())?;
        Ok(Self {
            values,
            size,
            score,
            baseline: None,
        })
    }

    /// With the score of the baseline.
    pub(super) fn compared_with(mut self, score: f32) -> Self {
        self.baseline = Some(score);
        self
    }

    /// The numbers, plane by plane.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// `[channels, height, width]`.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// The class's score of the picture.
    pub fn score(&self) -> f32 {
        self.score
    }

    /// By how much the picture's score is above that of the baseline, where there is one.
    pub fn difference(&self) -> Option<f32> {
        self.baseline.map(|baseline| self.score - baseline)
    }

    /// The sum of all numbers.
    pub fn sum(&self) -> f64 {
        self.values.iter().map(|&x| f64::from(x)).sum()
    }

    /// For each pixel the largest magnitude of its channels: Simonyan's map.
    pub fn magnitude(&self) -> HeatMap {
        self.folded(|most, x| most.max(x.abs()))
    }

    /// For each pixel the sum over its channels, of either sign.
    pub fn signed(&self) -> HeatMap {
        self.folded(|sum, x| sum + x)
    }

    fn folded(&self, fold: impl Fn(f32, f32) -> f32) -> HeatMap {
        let [_, height, width] = self.size;
        let mut values = vec![0.0; height * width];
        for plane in self.values.chunks_exact((height * width).max(1)) {
            for (value, &x) in values.iter_mut().zip(plane) {
                *value = fold(*value, x);
            }
        }
        HeatMap {
            values,
            size: [height, width],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_shared() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(ranks(&[0.0, -0.0]), [1.5, 1.5]);
        let map = |values: &[f32]| HeatMap::new(values.to_vec(), [1, values.len()]).unwrap();
        let rising = map(&[1.0, 2.0, 3.0, 4.0]);
        let of = |values: &[f32]| rising.rank_correlation(&map(values)).unwrap();
        assert_eq!(of(&[0.0, 0.1, 7.0, 9.0]), 1.0);
        assert_eq!(of(&[4.0, 3.0, 2.0, -9.0]), -1.0);
        assert_eq!(of(&[5.0; 4]), 0.0);
        // As scipy.stats.spearmanr.
        assert!((of(&[2.0, 1.0, 2.0, 9.0]) - 0.632_455_532).abs() < 1e-9);
        assert!(rising.rank_correlation(&map(&[1.0])).is_err());
    }

    #[test]
    fn maps_are_drawn_by_their_signs() {
        let positive = HeatMap::new(vec![0.0, 1.0], [1, 2]).unwrap();
        let drawn = positive.picture(Palette::Grey).unwrap();
        assert_eq!(drawn.pixels(), [[0; 3], [255; 3]]);
        let signed = HeatMap::new(vec![-2.0, 0.0, 1.0], [1, 3]).unwrap();
        let drawn = signed.picture(Palette::Grey).unwrap();
        let expected = [0.0, 0.5, 0.75].map(|x| Palette::Coolwarm.colour(x));
        assert_eq!(drawn.pixels(), expected);
        // All zeros are drawn as zeros.
        let none = HeatMap::new(vec![0.0; 2], [1, 2]).unwrap();
        assert_eq!(none.picture(Palette::Grey).unwrap().pixels(), [[0; 3]; 2]);
        // One number of 1000 does not hide the others.
        let mut values = vec![1.0; 1000];
        values[7] = 1e6;
        let spike = HeatMap::new(values, [1, 1000]).unwrap();
        assert_eq!(spike.picture(Palette::Grey).unwrap().pixels()[0], [255; 3]);
        let error = HeatMap::new(vec![f32::NAN, 1.0], [1, 2]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFinite);
        let over = positive.over(&[0, 255], [1, 1, 2], Palette::Viridis);
        let over = over.unwrap();
        // Where there is no heat the picture is as it was.
        assert_eq!(over.pixels()[0], [0; 3]);
        let hot = Palette::Viridis.colour(1.0).map(f32::from);
        let mixed = hot.map(|x| (255.0 + (x - 255.0) * HEAT).round() as u8);
        assert_eq!(over.pixels()[1], mixed);
        assert!(positive.over(&[0; 3], [1, 1, 3], Palette::Viridis).is_err());
    }

    #[test]
    fn tiles_are_colours_grids_and_rows() {
        let maps = |size: [usize; 4]| {
            let count = size.iter().product::<usize>();
            let values = (0..count).map(|at| at as f32 - 1.0).collect();
            Maps::new(values, size).unwrap().picture(Palette::Viridis)
        };
        let edges = |size| {
            let picture = maps(size).unwrap();
            [picture.width(), picture.height()]
        };
        let of = |tiles: usize, pixels: usize| tiles * (pixels + MARGIN) + MARGIN;
        assert_eq!(edges([5, 1, 6, 6]), [of(3, 96), of(2, 96)]);
        assert_eq!(edges([5, 3, 6, 6]), [of(3, 96), of(2, 96)]);
        assert_eq!(edges([40, 4, 5, 5]), [of(4, 50), of(32, 50)]);
        assert_eq!(edges([1, 1, 1, 100]), [of(1, 9300), of(1, 93)]);
        assert!(maps([0, 1, 2, 2]).is_err());
    }

    #[test]
    fn attributions_become_heat() {
        let values = vec![1.0, -2.0, -3.0, 1.0];
        let attribution = Attribution::new(values, [2, 1, 2], 4.0).unwrap();
        assert_eq!(attribution.magnitude().values(), [3.0, 2.0]);
        assert_eq!(attribution.signed().values(), [-2.0, -1.0]);
        assert_eq!((attribution.sum(), attribution.difference()), (-3.0, None));
        assert_eq!(attribution.compared_with(3.0).difference(), Some(1.0));
    }
}
