//! A picture that lines, bars and words are drawn on.

use striate::data::Picture;
use striate::prelude::*;

/// The ground.
pub const DARK: [u8; 3] = [24, 26, 34];
/// Of answers that are right.
pub const RIGHT: [u8; 3] = [96, 208, 128];
/// Of others.
pub const WRONG: [u8; 3] = [232, 96, 88];

/// Capital letters as strokes of straight lines, by their corners: x from 0 to 6, y from 0 (top) to
/// 9. Commas stand where the pen is lifted.
const LETTERS: [&str; 26] = [
    "09 30 69,16 56",
    "04 44 53 51 40 00 09 49 58 55 44",
    "62 50 20 02 07 29 59 67",
    "00 30 52 63 66 57 39 09 00",
    "60 00 09 69,04 44",
    "60 00 09,04 44",
    "62 50 20 02 07 29 49 67 65 35",
    "00 09,60 69,04 64",
    "30 39,10 50,19 59",
    "20 60,50 57 39 19 07",
    "00 09,60 05,23 69",
    "00 09 69",
    "09 00 35 60 69",
    "09 00 69 60",
    "20 40 62 67 49 29 07 02 20",
    "09 00 40 61 63 45 05",
    "20 40 62 67 49 29 07 02 20,36 69",
    "09 00 40 61 63 45 05,35 69",
    "61 50 10 01 03 14 54 65 68 59 19 08",
    "00 60,30 39",
    "00 07 29 49 67 60",
    "00 39 60",
    "00 19 33 59 60",
    "00 69,60 09",
    "00 34 60,34 39",
    "00 60 09 69",
];

/// How wide and high letters are, in the units of their corners.
pub const LETTER_SIZE: [f64; 2] = [6.0, 9.0];

/// The strokes of the letter of this number, 0 for A: the corners of each, of [`LETTER_SIZE`].
/// Beyond Z there are none.
pub fn strokes(letter: usize) -> Vec<Vec<[f64; 2]>> {
    let corner = |corner: &str| {
        let mut digits = corner.bytes().map(|digit| f64::from(digit - b'0'));
        [(); 2].map(|()| digits.next().unwrap_or(0.0))
    };
    let stroke = |stroke: &str| stroke.split(' ').map(corner).collect();
    let letter = LETTERS.get(letter).copied().unwrap_or_default();
    let strokes = letter.split(',').filter(|stroke| !stroke.is_empty());
    strokes.map(stroke).collect()
}

/// How far a point lies from the line between two others.
pub fn distance([x, y]: [f64; 2], [from, to]: [[f64; 2]; 2]) -> f64 {
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let along = (x - from[0]) * dx + (y - from[1]) * dy;
    let share = (along / (dx * dx + dy * dy).max(1e-12)).clamp(0.0, 1.0);
    (x - from[0] - share * dx).hypot(y - from[1] - share * dy)
}

/// Pixels to draw on; what would lie beyond the edges is left out.
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Canvas {
    /// All pixels of one colour.
    pub fn new([width, height]: [usize; 2], colour: [u8; 3]) -> Self {
        Self {
            width,
            height,
            pixels: vec![colour; width * height],
        }
    }

    /// Mixes a share of a colour into a pixel.
    fn mix(&mut self, [x, y]: [usize; 2], colour: [u8; 3], share: f64) {
        if x < self.width && y < self.height {
            for (own, other) in self.pixels[y * self.width + x].iter_mut().zip(colour) {
                let [from, to] = [*own, other].map(f64::from);
                *own = (from + (to - from) * share).round() as u8;
            }
        }
    }

    /// A rectangle, from its left upper corner on.
    pub fn fill(&mut self, [left, top]: [usize; 2], size: [usize; 2], colour: [u8; 3]) {
        for y in top..top.saturating_add(size[1]).min(self.height) {
            for x in left..left.saturating_add(size[0]).min(self.width) {
                self.mix([x, y], colour, 1.0);
            }
        }
    }

    /// A picture, with its left upper corner there.
    pub fn put(&mut self, [left, top]: [usize; 2], picture: &Picture) {
        for (row, pixels) in picture.pixels().chunks(picture.width()).enumerate() {
            for (column, &colour) in pixels.iter().enumerate() {
                self.mix([left + column, top + row], colour, 1.0);
            }
        }
    }

    /// A line through these points, so many pixels thick.
    pub fn line(&mut self, points: &[[f64; 2]], thick: f64, colour: [u8; 3]) {
        for ends in points.windows(2) {
            let ends = [ends[0], ends[1]];
            let edges = [self.width, self.height];
            let range = |axis: usize| {
                let [a, b] = ends.map(|end| end[axis]);
                let least = (a.min(b) - thick - 1.0).max(0.0) as usize;
                least..((a.max(b) + thick + 2.0).max(0.0) as usize).min(edges[axis])
            };
            for y in range(1) {
                for x in range(0) {
                    let middle = [x, y].map(|edge| edge as f64 + 0.5);
                    let cover = 0.5 + 0.5 * thick - distance(middle, ends);
                    self.mix([x, y], colour, cover.clamp(0.0, 1.0));
                }
            }
        }
    }

    /// Words in capital letters so many pixels high, whatever their case; what is no letter leaves
    /// room. Each letter takes as much room as it is high.
    pub fn write(&mut self, [left, top]: [f64; 2], height: f64, words: &str, colour: [u8; 3]) {
        let scale = height / LETTER_SIZE[1];
        for (place, letter) in words.bytes().enumerate() {
            let left = left + place as f64 * height;
            let letter = letter.to_ascii_uppercase().wrapping_sub(b'A');
            for stroke in strokes(letter.into()) {
                let points = stroke
                    .iter()
                    .map(|[x, y]| [left + scale * x, top + scale * y]);
                self.line(&points.collect::<Vec<_>>(), 0.14 * height, colour);
            }
        }
    }

    /// What was drawn.
    ///
    /// # Errors
    /// `Shape` if it has no pixels, or if an edge is longer than those of pictures.
    pub fn picture(&self) -> Result<Picture> {
        let planes = (0..3).flat_map(|byte| self.pixels.iter().map(move |pixel| pixel[byte]));
        let planes: Vec<u8> = planes.collect();
        Picture::of_image(&planes, [3, self.height, self.width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_have_strokes_within_their_size() {
        for letter in 0..26 {
            let strokes = strokes(letter);
            assert!(strokes.iter().all(|stroke| stroke.len() > 1), "{letter}");
            let mut corners = strokes.iter().flatten();
            assert!(corners.all(|[x, y]| *x <= LETTER_SIZE[0] && *y <= LETTER_SIZE[1]));
        }
        assert!(strokes(26).is_empty());
    }

    #[test]
    fn lines_end_at_the_edges() {
        let mut canvas = Canvas::new([4, 3], [0; 3]);
        canvas.line(&[[-5.0, 1.5], [9.0, 1.5]], 1.0, [200; 3]);
        canvas.fill([3, 2], [5, 5], [9; 3]);
        canvas.write([0.0, 0.0], 3.0, "?", [1; 3]);
        let picture = canvas.picture().unwrap();
        let shades: Vec<u8> = picture.pixels().iter().map(|pixel| pixel[0]).collect();
        assert_eq!(shades, [0, 0, 0, 0, 200, 200, 200, 200, 0, 0, 0, 9]);
    }
}
