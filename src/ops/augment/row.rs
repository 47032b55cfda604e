//! A row of parameters: what is done to one image, in words of 32 bits.

/// Words of a row, without those of a field of displacements.
pub const HEAD: usize = 24;

/// 1 as a factor with 20 bits behind the point.
pub const ONE: i32 = 1 << 20;

/// The words of a row after the six of the matrix.
///
/// Numbers and defaults are the same in `shaders/augment/row.wgsl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Bit 0: linear between pixels. Bits 1 and 2: the border.
    Flags = 6,
    /// The byte outside of the image.
    Fill = 7,
    Sharpness = 8,
    /// 0 none, 1 autocontrast, 2 equalize.
    Levels = 9,
    Contrast = 10,
    Saturation = 11,
    Brightness = 12,
    /// The bits of a byte that stay.
    Mask = 13,
    /// Bytes from this one on are inverted.
    Threshold = 14,
    /// Factor of noise, with 16 bits behind the point.
    Noise = 15,
    KeyLow = 16,
    KeyHigh = 17,
    BoxX = 18,
    BoxY = 19,
    BoxWidth = 20,
    BoxHeight = 21,
    /// Share of the image when it is mixed, of 65536.
    Share = 22,
}

/// The row that changes nothing.
pub(super) const NEUTRAL: [u32; HEAD] = {
    let mut words = [0; HEAD];
    words[0] = 1 << 16;
    words[4] = 1 << 16;
    words[Word::Sharpness as usize] = ONE as u32;
    words[Word::Contrast as usize] = ONE as u32;
    words[Word::Saturation as usize] = ONE as u32;
    words[Word::Brightness as usize] = ONE as u32;
    words[Word::Mask as usize] = 255;
    words[Word::Threshold as usize] = 256;
    words[Word::Share as usize] = 1 << 16;
    words
};

/// What lies outside of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Border {
    /// The fill byte.
    #[default]
    Fill,
    /// The image mirrored at its outermost pixels, which are not repeated (PyTorch's `reflect`).
    Reflect,
    /// The nearest pixel of the image.
    Edge,
}

/// What makes the levels of an image's channels new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Levels {
    /// They stay.
    #[default]
    Keep,
    /// The smallest becomes 0, the largest 255 (torchvision's `autocontrast`).
    Autocontrast,
    /// All levels become about equally frequent (torchvision's `equalize`).
    Equalize,
}

/// What is done to one image, in the order of the fields; the default changes nothing.
///
/// Each step is torchvision's function of that name on bytes, to one level; of two pixels that are
/// equally near, geometry may take the other one.
///
/// Factors are clamped to -7 to 8, beyond which a byte times a factor leaves 32 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AugmentRow {
    /// Factor of sharpness: 0 blurs by a 3x3, 1 leaves as it is. Clamped to -7 to 8.
    pub sharpness: f64,
    /// New levels of each channel, by the whole image as it came: before sharpness and geometry.
    pub levels: Levels,
    /// Where output pixel (x, y) lies in the image: (m0 x + m1 y + m2, m3 x + m4 y + m5), pixels
    /// being whole numbers. Rounded to 16 bits behind the point. Coordinates are to lie within
    /// 32767 of 0, so that the longer side times the largest factor is at most that: they wrap
    /// beyond.
    pub matrix: [f64; 6],
    /// Whether pixels between those of the image are interpolated; else the nearest is taken.
    pub bilinear: bool,
    /// What lies outside of the image.
    pub border: Border,
    /// The byte there.
    pub fill: u8,
    /// Factor on the distance from the mean grey of the whole image as it came. Clamped to -7 to 8.
    pub contrast: f64,
    /// Factor on the distance from a pixel's own grey, of images with three channels. Clamped to
    /// -7 to 8.
    pub saturation: f64,
    /// Factor on each byte. Clamped to -7 to 8.
    pub brightness: f64,
    /// Leading bits of a byte that stay, 0 to 8.
    pub posterize: u32,
    /// Bytes from this one on are inverted; 256 inverts none.
    pub solarize: u32,
    /// Standard deviation of noise, in levels. A draw is the sum of four random bytes, which is
    /// nearly normal and ends at 3.45 deviations.
    pub noise: f64,
    /// x, y, width and height of what is erased: pixels there become 0, after scale and shift.
    pub erase: [i32; 4],
    /// Share of the image where it is mixed with another; the box `erase` is what the other one
    /// gives whole.
    pub share: f64,
}

impl Default for AugmentRow {
    fn default() -> Self {
        Self {
            sharpness: 1.0,
            levels: Levels::Keep,
            matrix: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            bilinear: false,
            border: Border::Fill,
            fill: 0,
            contrast: 1.0,
            saturation: 1.0,
            brightness: 1.0,
            posterize: 8,
            solarize: 256,
            noise: 0.0,
            erase: [0; 4],
            share: 1.0,
        }
    }
}

/// Deviation of the sum of four random bytes.
const SUM_DEVIATION: f64 = 147.801_218;

impl AugmentRow {
    /// Whether it does no more than pick pixels and erase: nothing is computed of bytes.
    pub(super) fn only_picks(&self) -> bool {
        let same = Self {
            matrix: self.matrix,
            border: self.border,
            fill: self.fill,
            erase: self.erase,
            share: self.share,
            ..Self::default()
        };
        *self == same
    }

    /// As words of the rows of `augment`. Numbers beyond what words hold are clamped.
    pub fn words(&self) -> [u32; HEAD] {
        let fixed = |x: f64, bits: i32| (x * f64::from(1 << bits)).round() as i32 as u32;
        // 255 * 8 * 2^20, and 255 * 7 * 2^20 below 0 with what is blended in, fit 32 bits.
        let factor = |x: f64| fixed(x.clamp(-7.0, 8.0), 20);
        let mut words = NEUTRAL;
        for (word, value) in words.iter_mut().zip(self.matrix) {
            *word = fixed(value, 16);
        }
        let border = match self.border {
            Border::Fill => 0,
            Border::Reflect => 1,
            Border::Edge => 2,
        };
        let levels = match self.levels {
            Levels::Keep => 0,
            Levels::Autocontrast => 1,
            Levels::Equalize => 2,
        };
        let mut set = |word: Word, value: u32| words[word as usize] = value;
        set(Word::Flags, u32::from(self.bilinear) | border << 1);
        set(Word::Fill, self.fill.into());
        set(Word::Sharpness, factor(self.sharpness));
        set(Word::Levels, levels);
        set(Word::Contrast, factor(self.contrast));
        set(Word::Saturation, factor(self.saturation));
        set(Word::Brightness, factor(self.brightness));
        set(Word::Mask, 0xff00 >> self.posterize.min(8) & 0xff);
        set(Word::Threshold, self.solarize);
        set(Word::Noise, fixed(self.noise / SUM_DEVIATION, 16));
        let [x, y, width, height] = self.erase;
        set(Word::BoxX, x as u32);
        set(Word::BoxY, y as u32);
        set(Word::BoxWidth, width.max(0) as u32);
        set(Word::BoxHeight, height.max(0) as u32);
        set(Word::Share, fixed(self.share.clamp(0.0, 1.0), 16));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_changes_nothing() {
        assert_eq!(AugmentRow::default().words(), NEUTRAL);
    }

    /// Geometry and erasing pick; all else computes.
    #[test]
    fn what_computes_does_not_only_pick() {
        let picking = AugmentRow {
            matrix: [-1.0, 0.0, 27.0, 0.0, 1.0, 2.0],
            border: Border::Reflect,
            fill: 7,
            erase: [1, 2, 3, 4],
            ..AugmentRow::default()
        };
        assert!(picking.only_picks());
        let computing: [fn(&mut AugmentRow); 9] = [
            |row| row.sharpness = 0.0,
            |row| row.levels = Levels::Equalize,
            |row| row.bilinear = true,
            |row| row.contrast = 0.5,
            |row| row.saturation = 0.5,
            |row| row.brightness = 0.5,
            |row| row.posterize = 4,
            |row| row.solarize = 128,
            |row| row.noise = 2.0,
        ];
        for (i, change) in computing.iter().enumerate() {
            let mut row = picking;
            change(&mut row);
            assert!(!row.only_picks(), "{i}");
        }
    }

    /// A factor of 20 makes a byte of 255 no negative number.
    #[test]
    fn factors_are_clamped() {
        let words = |factor: f64| {
            let row = AugmentRow {
                sharpness: factor,
                contrast: factor,
                saturation: factor,
                brightness: factor,
                ..AugmentRow::default()
            };
            let words = row.words();
            [
                Word::Sharpness,
                Word::Contrast,
                Word::Saturation,
                Word::Brightness,
            ]
            .map(|at| words[at as usize] as i32)
        };
        assert_eq!(words(20.0), [8 * ONE; 4]);
        assert_eq!(words(-20.0), [-7 * ONE; 4]);
        assert_eq!(words(7.5), [15 * ONE / 2; 4]);
        for factor in [words(20.0)[0], words(-20.0)[0]] {
            for [byte, other] in [[0, 255], [255, 0], [255, 255]] {
                let sum = i64::from(factor) * byte + i64::from(ONE - factor) * other;
                assert!(i32::try_from(sum).is_ok(), "{factor} {byte} {other}");
            }
        }
    }

    #[test]
    fn bits_are_kept_from_above() {
        let mask = |posterize| {
            let row = AugmentRow {
                posterize,
                ..AugmentRow::default()
            };
            row.words()[Word::Mask as usize]
        };
        assert_eq!([0, 1, 4, 8].map(mask), [0, 0x80, 0xf0, 0xff]);
    }
}
