//! Pictures too large for one step, as tiles that overlap.

use crate::error::{Error, ErrorKind, Result};
use crate::tensor::Tensor;

/// Where tiles of one size lie on a picture, so that one session makes all of it.
///
/// Each tile reads `overlap` more pixels on every side than it is right about:
///
/// ```text
/// picture  |-------------------------------------------------|
/// tile 0   |=================~~~|
/// tile 1             |~~~==============~~~|
/// tile 2                          |~~~=======================|
///
///          =  kept     ~  not kept: what lies beyond the tile would be missed
/// ```
///
/// Tiles are written in order. One leaves out its first rows and columns, and its last ones are
/// written over by those that follow. Where `overlap` reaches as far as one output sees
/// (its receptive field: one pixel for each 3 x 3 convolution, twice as far behind each halving),
/// nothing tells the tiles from one step over the whole picture but rounding.
///
/// What is read and what is written have one scale: pixels of the tile are pixels of the picture.
///
/// ```
/// use striate::session::PictureTiles;
///
/// # fn main() -> striate::error::Result<()> {
/// // A network that halves its input three times wants origins at multiples of 8.
/// let tiles = PictureTiles::new([1080, 1920], [512, 512], 32, 8)?;
/// assert_eq!(tiles.tile(), [512, 512]);
/// assert_eq!(tiles.iter().count(), 3 * 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureTiles {
    tile: [usize; 2],
    overlap: usize,
    /// Between first rows, and between first columns.
    steps: [usize; 2],
    /// The last first row and column.
    last: [usize; 2],
}

/// One of [`PictureTiles`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureTile {
    /// First row and column.
    pub origin: [usize; 2],
    /// Rows and columns that are left out first.
    pub skipped: [usize; 2],
}

impl PictureTile {
    /// The origin u32 `[2]` of [`TextureInput::crop`](crate::ops::TextureInput::crop).
    ///
    /// # Errors
    /// `Shape` for a picture with more pixels along an axis than u32 counts.
    pub fn read(&self) -> Result<Tensor> {
        Tensor::u32([2], words(&self.origin)?)
    }

    /// The origin u32 `[4]` of [`TextureOutput::window`](crate::ops::TextureOutput::window).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn written(&self) -> Result<Tensor> {
        Tensor::u32([4], words(&[self.origin, self.skipped].concat())?)
    }
}

fn words(numbers: &[usize]) -> Result<Vec<u32>> {
    let word = |&number: &usize| u32::try_from(number);
    let words = numbers
        .iter()
        .map(word)
        .collect::<std::result::Result<_, _>>();
    words.map_err(|e| Error::shape(format!("tiles: {numbers:?}")).with_source(e))
}

/// No side and no overlap is longer, so that sums of them can be counted.
const LONGEST: usize = u32::MAX as usize / 4;

impl PictureTiles {
    /// Tiles of the size `tile` (height, width) over a picture of the size `picture`. Sizes of
    /// tiles and distances between them are multiples of `multiple`: tiles are made larger to fit
    /// that, but no larger than the picture with its sides rounded up. Beyond the edge of a
    /// texture, texels are those at the edge.
    ///
    /// # Errors
    /// `Shape` if a size or `multiple` is 0 or more than a quarter of what u32 counts, or if a tile
    /// that is smaller than the picture has nothing between its overlaps.
    pub fn new(
        picture: [usize; 2],
        tile: [usize; 2],
        overlap: usize,
        multiple: usize,
    ) -> Result<Self> {
        let sizes = [picture, tile].concat();
        if sizes
            .iter()
            .chain([&multiple])
            .any(|size| !(1..=LONGEST).contains(size))
            || overlap > LONGEST
        {
            return Err(Error::shape(format!(
                "tiles: a picture {picture:?} in tiles {tile:?} at multiples of {multiple} with an \
                 overlap of {overlap}; sizes are 1 to {LONGEST}"
            )));
        }
        let mut made = Self {
            tile,
            overlap,
            steps: [1; 2],
            last: [0; 2],
        };
        for axis in 0..2 {
            let whole = picture[axis].next_multiple_of(multiple);
            let extent = tile[axis].next_multiple_of(multiple).min(whole);
            let step = extent.saturating_sub(2 * overlap) / multiple * multiple;
            if extent < whole && step == 0 {
                return Err(Error::shape(format!(
                    "tiles: {extent} pixels with an overlap of {overlap} on both sides keep \
                     nothing at multiples of {multiple}"
                )));
            }
            (made.tile[axis], made.steps[axis]) = (extent, step.max(1));
            made.last[axis] = whole - extent;
        }
        Ok(made)
    }

    /// The first tiles with which `build` succeeds, and what it built: it is asked for the whole
    /// picture, then for about half of its longer side, and so on, as long as it returns `Limit`,
    /// `OutOfMemory` or `Shape`: from a session that exceeds the device's limits or
    /// [`PlanOptions::memory_cap`](crate::plan::PlanOptions::memory_cap), or a graph whose values
    /// have more elements than u32 counts.
    ///
    /// # Errors
    /// As [`new`](Self::new) for the whole picture; what `build` returns for the smallest tiles
    /// that keep something, and at once if it is of another kind.
    pub fn fitting<T>(
        picture: [usize; 2],
        overlap: usize,
        multiple: usize,
        mut build: impl FnMut([usize; 2]) -> Result<T>,
    ) -> Result<(Self, T)> {
        let mut tiles = Self::new(picture, picture, overlap, multiple)?;
        loop {
            let error = match build(tiles.tile) {
                Ok(built) => return Ok((tiles, built)),
                Err(error) => error,
            };
            let kinds = [ErrorKind::Limit, ErrorKind::OutOfMemory, ErrorKind::Shape];
            if !kinds.contains(&error.kind()) {
                return Err(error);
            }
            // Halves of what is kept, the longer side first.
            let halved = |axis: usize| {
                let mut tile = tiles.tile;
                let kept = tile[axis].saturating_sub(2 * overlap);
                tile[axis] = kept.div_ceil(2) + 2 * overlap;
                let smaller = Self::new(picture, tile, overlap, multiple).ok()?;
                (smaller.tile[axis] < tiles.tile[axis]).then_some(smaller)
            };
            let longer = usize::from(tiles.tile[1] > tiles.tile[0]);
            tiles = match halved(longer).or_else(|| halved(1 - longer)) {
                Some(smaller) => smaller,
                None => return Err(error),
            };
        }
    }

    /// Height and width of a tile.
    pub fn tile(&self) -> [usize; 2] {
        self.tile
    }

    /// Whether one tile is the whole picture.
    pub fn is_whole(&self) -> bool {
        self.last == [0; 2]
    }

    /// The tiles, in the order in which they are to be written.
    pub fn iter(&self) -> impl Iterator<Item = PictureTile> + '_ {
        let skipped = |origin: usize| if origin == 0 { 0 } else { self.overlap };
        self.origins(0).flat_map(move |top| {
            self.origins(1).map(move |left| PictureTile {
                origin: [top, left],
                skipped: [skipped(top), skipped(left)],
            })
        })
    }

    /// First pixels along an axis; the last tile ends with the picture.
    fn origins(&self, axis: usize) -> impl Iterator<Item = usize> + '_ {
        let last = self.last[axis];
        (0..last).step_by(self.steps[axis]).chain([last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::shape::Type;

    /// Whose pixel is on the picture in the end: along one axis, tile by tile.
    fn kept(tiles: &PictureTiles, axis: usize, extent: usize) -> Vec<Option<usize>> {
        let mut owner = vec![None; extent];
        for origin in tiles.origins(axis) {
            let skipped = if origin == 0 { 0 } else { tiles.overlap };
            let end = (origin + tiles.tile[axis]).min(extent);
            for pixel in &mut owner[(origin + skipped).min(end)..end] {
                *pixel = Some(origin);
            }
        }
        owner
    }

    #[test]
    fn every_pixel_is_kept_from_a_tile_that_sees_around_it() {
        for (extent, tile, overlap, multiple) in [
            (1, 1, 0, 1),
            (10, 4, 1, 1),
            (11, 4, 1, 1),
            (100, 33, 7, 8),
            (97, 32, 8, 16),
            (64, 64, 20, 8),
            (64, 200, 20, 8),
            (1080, 512, 32, 8),
            (7, 3, 0, 2),
        ] {
            let tiles =
                PictureTiles::new([extent, extent], [tile, tile], overlap, multiple).unwrap();
            let [height, width] = tiles.tile();
            assert!(height % multiple == 0 && height == width);
            let whole = extent.next_multiple_of(multiple);
            for (at, owner) in kept(&tiles, 0, extent).into_iter().enumerate() {
                let origin = owner.unwrap();
                assert_eq!(origin % multiple, 0);
                // The edges of the picture are edges of the tile; elsewhere it reaches further.
                assert!(at >= origin && (origin == 0 || at - origin >= overlap));
                let end = origin + height;
                assert!(
                    end == whole || end - at > overlap,
                    "{extent} {tile}: {at} of {origin}"
                );
            }
        }
    }

    #[test]
    fn the_largest_tiles_that_fit_are_taken() {
        let limit = |most: usize| {
            move |[height, width]: [usize; 2]| match height * width <= most {
                true => Ok(height * width),
                false => Err(Error::new(ErrorKind::Limit, "too large")),
            }
        };
        let (tiles, pixels) = PictureTiles::fitting([100, 200], 8, 4, limit(100 * 200)).unwrap();
        assert!(tiles.is_whole() && pixels == 20_000 && tiles.iter().count() == 1);
        let (tiles, pixels) = PictureTiles::fitting([100, 200], 8, 4, limit(12_000)).unwrap();
        assert_eq!((tiles.tile(), pixels), ([100, 108], 10_800));
        let (tiles, _) = PictureTiles::fitting([100, 200], 8, 4, limit(1_000)).unwrap();
        assert!(!tiles.is_whole() && tiles.tile()[0] * tiles.tile()[1] <= 1_000);
        let none = PictureTiles::fitting([100, 200], 8, 4, limit(100)).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::Limit);
        let other = |_: [usize; 2]| -> Result<()> { Err(Error::graph("no")) };
        let error = PictureTiles::fitting([100, 200], 8, 4, other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Graph);
    }

    /// A value of 2^31 elements is refused by its type, where the graph is made.
    #[test]
    fn graphs_too_large_for_u32_are_cut() {
        let mut tried = Vec::new();
        let build = |size: [usize; 2]| {
            tried.push(size);
            let mut g = Graph::new();
            g.input("x", Type::f32([1, 32, size[0], size[1]]))
        };
        let (tiles, _) = PictureTiles::fitting([8192, 8192], 16, 8, build).unwrap();
        assert_eq!(tried, [[8192, 8192], [4112, 8192]]);
        assert_eq!(tiles.iter().count(), 2);
    }

    #[test]
    fn tiles_that_keep_nothing_are_refused() {
        for (picture, tile, overlap, multiple) in [
            ([0, 4], [4, 4], 0, 1),
            ([4, 4], [0, 4], 0, 1),
            ([4, 4], [4, 4], 0, 0),
            ([100, 100], [16, 16], 8, 1),
            ([100, 100], [24, 24], 16, 16),
            ([100, 100], [24, 24], usize::MAX, 1),
            ([usize::MAX, 1], [1, 1], 0, 1),
            ([1, 1], [1, 1], 0, usize::MAX),
        ] {
            let error = PictureTiles::new(picture, tile, overlap, multiple).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape);
        }
    }
}
