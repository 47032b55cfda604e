//! Triangles, squares and circles, drawn from nothing but a seed.
//!
//! All three have the same area at the same size, and stand lighter or darker than their ground by
//! turns: neither how much is inked nor any one pixel tells them apart.
//!
//! As in [`digits`](super::digits()), the bits are the same on every platform.

use super::Dataset;
use super::chance::{Chance, Purpose};
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::room;

const NAMES: [&str; 3] = ["triangle", "square", "circle"];

/// Rows and columns of an image.
const SIDE: usize = 28;

/// How shapes are drawn: grey images of 28x28 pixels, in three classes.
///
/// ```
/// use striate::data::Shapes;
///
/// # fn main() -> striate::error::Result<()> {
/// let train = Shapes::new().draw(300, 1)?;
/// let held_out = Shapes::new().size(8.0, 10.0).turn(12.0).draw(60, 2)?;
/// assert_eq!(train.class_names, ["triangle", "square", "circle"]);
/// assert_eq!((held_out.count, held_out.classes), (60, 3));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shapes {
    size: [f64; 2],
    turn: f64,
    shift: f64,
}

impl Default for Shapes {
    /// Areas of circles of 6 to 9 pixels' radius, turned by up to 10 degrees, up to 1.5 pixels off
    /// the middle.
    fn default() -> Self {
        Self {
            size: [6.0, 9.0],
            turn: 10.0,
            shift: 1.5,
        }
    }
}

impl Shapes {
    /// The default ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// From what size to what size: the radius in pixels of the circle of the same area, 1 to 12.
    pub fn size(mut self, smallest: f64, largest: f64) -> Self {
        self.size = [smallest, largest];
        self
    }

    /// By how many degrees they are turned at most, either way; below 180.
    pub fn turn(mut self, degrees: f64) -> Self {
        self.turn = degrees;
        self
    }

    /// How many pixels they are off the middle at most along each axis.
    pub fn shift(mut self, pixels: f64) -> Self {
        self.shift = pixels;
        self
    }

    /// Draws `count` images, a third of each class in turn. Image `i` depends on `seed` and `i`
    /// alone.
    ///
    /// # Errors
    /// `Data` if a setting is out of its range; `OutOfMemory`.
    pub fn draw(&self, count: usize, seed: u64) -> Result<Dataset> {
        self.check()?;
        let (mut labels, mut images) = room(count)
            .and_then(|labels| Ok((labels, room(count.saturating_mul(SIDE * SIDE))?)))
            .map_err(|e| e.context(format!("shapes: {count} images")))?;
        labels.extend((0..count).map(|index| (index % NAMES.len()) as u32));
        images.resize(count * SIDE * SIDE, 0);
        for (index, image) in images.chunks_exact_mut(SIDE * SIDE).enumerate() {
            let chance = Chance::new(seed, Purpose::Draw, index as u64);
            self.draw_one(index % NAMES.len(), chance, image);
        }
        Dataset::new(images, labels, [1, SIDE, SIDE], NAMES.len())?.with_names(NAMES)
    }

    fn check(&self) -> Result<()> {
        let [smallest, largest] = self.size;
        let wrong = if !(1.0 <= smallest && smallest <= largest && largest <= 12.0) {
            format!("sizes from {smallest} to {largest} are not within 1 to 12")
        } else if !(0.0..180.0).contains(&self.turn) {
            format!("a turn of {} degrees is not within 0 to 180", self.turn)
        } else if !(0.0..=14.0).contains(&self.shift) {
            format!("a shift of {} pixels is not within 0 to 14", self.shift)
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Data, format!("shapes: {wrong}")))
    }

    /// Draws the shape of a class on an image `[SIDE, SIDE]`.
    fn draw_one(&self, class: usize, mut chance: Chance, image: &mut [u8]) {
        let [smallest, largest] = self.size;
        let radius = smallest + (largest - smallest) * chance.unit();
        let [cos, sin] = turned(self.turn * (2.0 * chance.unit() - 1.0));
        let mut place = || 0.5 * SIDE as f64 + self.shift * (2.0 * chance.unit() - 1.0);
        let center = [place(), place()];
        // The ground is grey; the shape differs from it by a third to two thirds of the way.
        let ground = 0.5 + 0.1 * (2.0 * chance.unit() - 1.0);
        let contrast = (0.2 + 0.2 * chance.unit()) * if chance.below(2) == 0 { 1.0 } else { -1.0 };
        for (i, pixel) in image.iter_mut().enumerate() {
            let x = (i % SIDE) as f64 + 0.5 - center[0];
            let y = (i / SIDE) as f64 + 0.5 - center[1];
            let outside = distance(class, [cos * x + sin * y, cos * y - sin * x], radius);
            let cover = (0.5 - outside).clamp(0.0, 1.0);
            let grain = 0.04 * (2.0 * chance.unit() - 1.0);
            *pixel = (255.0 * (ground + contrast * cover + grain) + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
}

/// Cosine and sine of an angle in degrees, below 180 either way, from the tangent of its half.
fn turned(degrees: f64) -> [f64; 2] {
    // tan(x) = x / (1 - x^2 / (3 - x^2 / (5 - ...))), Lambert's continued fraction.
    let x = degrees * std::f64::consts::PI / 360.0;
    let mut fraction = 25.0;
    for odd in [
        23.0, 21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0,
    ] {
        fraction = odd - x * x / fraction;
    }
    let t = x / fraction;
    [(1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t)]
}

/// How many pixels a point is outside of the shape of a class whose area is that of a circle of
/// this radius; less than 0 inside. Beyond corners it is less than the distance.
fn distance(class: usize, [x, y]: [f64; 2], radius: f64) -> f64 {
    let area = std::f64::consts::PI * radius * radius;
    match class {
        0 => {
            // Equilateral: the area is 3 sqrt(3) times the square of the inner circle's radius.
            let root = 3f64.sqrt();
            let inner = (area / (3.0 * root)).sqrt();
            let side = 0.5 * root * x.abs() - 0.5 * y;
            side.max(y) - inner
        }
        1 => x.abs().max(y.abs()) - 0.5 * area.sqrt(),
        _ => (x * x + y * y).sqrt() - radius,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_have_the_right_cosine_and_sine() {
        for degrees in [-179.0, -90.0, -30.0, 0.0, 1e-3, 10.0, 45.0, 120.0, 179.9] {
            let angle = f64::to_radians(degrees);
            let [cos, sin] = turned(degrees);
            assert!((cos - angle.cos()).abs() < 1e-12, "{degrees}: {cos}");
            assert!((sin - angle.sin()).abs() < 1e-12, "{degrees}: {sin}");
        }
    }

    /// Pixels that differ from the ground, which the corners show.
    #[test]
    fn all_shapes_have_the_same_area() {
        let plain = Shapes::new().size(8.0, 8.0).turn(0.0).shift(0.0);
        for class in 0..3 {
            let mut covered = 0.0;
            for i in 0..280 * 280 {
                let at = [0, 1].map(|axis| {
                    let step = if axis == 0 { i % 280 } else { i / 280 };
                    (f64::from(step) + 0.5) / 10.0 - 14.0
                });
                covered += f64::from(u8::from(distance(class, at, 8.0) < 0.0)) / 100.0;
            }
            let area = std::f64::consts::PI * 64.0;
            assert!((covered / area - 1.0).abs() < 0.01, "{class}: {covered}");
        }
        assert_eq!(plain.draw(3, 1).unwrap().labels, [0, 1, 2]);
    }

    #[test]
    fn a_longer_set_begins_with_a_shorter_one() {
        let (few, many) = (Shapes::new().draw(6, 3), Shapes::new().draw(12, 3));
        let (few, many) = (few.unwrap(), many.unwrap());
        assert_eq!(few.images, many.images[..few.images.len()]);
        assert_ne!(few.images, Shapes::new().draw(6, 4).unwrap().images);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let told = |shapes: Shapes| shapes.draw(1, 1).unwrap_err().to_string();
        let sizes = told(Shapes::new().size(9.0, 3.0));
        assert_eq!(sizes, "shapes: sizes from 9 to 3 are not within 1 to 12");
        assert!(told(Shapes::new().turn(180.0)).contains("180 degrees"));
        assert!(told(Shapes::new().shift(f64::NAN)).contains("NaN pixels"));
    }
}
