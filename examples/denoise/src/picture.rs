//! Pictures on the host: how alike they look, and as PNG files.

use std::path::Path;

use crate::host::Outcome;

/// Linear radiance of three channels, plane by plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Height and width.
    pub size: [usize; 2],
    /// Elements `[3, height, width]`.
    pub planes: Vec<f32>,
}

impl Picture {
    /// All zeros.
    pub fn black(size: [usize; 2]) -> Self {
        let planes = vec![0.0; 3 * size[0] * size[1]];
        Self { size, planes }
    }

    /// How it is shown: clipped to [0, 1] and encoded as sRGB, `[3, height, width]`.
    fn shown(&self) -> impl Iterator<Item = f32> {
        self.planes.iter().map(|&x| srgb(x))
    }

    /// As [`psnr`], of one picture.
    pub fn psnr(&self, reference: &Picture) -> f64 {
        psnr(&self.planes, &reference.planes)
    }

    /// Writes what is shown of pictures of one height, side by side.
    ///
    /// # Errors
    /// Whatever keeps the file from being written.
    pub fn write(pictures: &[&Picture], path: &Path) -> Outcome<()> {
        let height = pictures.iter().map(|p| p.size[0]).min().unwrap_or(0);
        let width: usize = pictures.iter().map(|p| p.size[1]).sum();
        let mut bytes = vec![0; height * width * 3];
        let mut left = 0;
        for picture in pictures {
            let [rows, columns] = picture.size;
            for (i, value) in picture.shown().enumerate() {
                let (c, y, x) = (i / (rows * columns), i / columns % rows, i % columns);
                if y < height {
                    bytes[(y * width + left + x) * 3 + c] = (value * 255.0 + 0.5) as u8;
                }
            }
            left += columns;
        }
        let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);
        let color = image::ExtendedColorType::Rgb8;
        let saved = image::save_buffer(path, &bytes, width, height, color);
        saved.map_err(|error| format!("{}: {error}", path.display()).into())
    }
}

/// Peak signal-to-noise ratio in dB of what is shown of both: -10 log10 of the mean squared
/// difference. Infinite where they are the same.
pub fn psnr(radiance: &[f32], reference: &[f32]) -> f64 {
    let squares = radiance.iter().zip(reference);
    let squares = squares.map(|(&a, &b)| f64::from(srgb(a) - srgb(b)).powi(2));
    -10.0 * (squares.sum::<f64>() / radiance.len() as f64).log10()
}

/// Linear to encoded, both in [0, 1]; NaN becomes 0.
fn srgb(x: f32) -> f32 {
    let x = if x > 0.0 { x.min(1.0) } else { 0.0 };
    match x {
        _ if x <= 0.003_130_8 => 12.92 * x,
        _ => 1.055 * x.powf(1.0 / 2.4) - 0.055,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_those_of_what_is_shown() {
        let black = Picture::black([2, 3]);
        let mut white = black.clone();
        white.planes.fill(7.0);
        assert!(black.psnr(&white).abs() < 1e-5);
        assert_eq!(white.psnr(&white), f64::INFINITY);
        let mut dark = black.clone();
        dark.planes.fill(0.1 / 12.92 / 100.0);
        assert!((dark.psnr(&black) - 60.0).abs() < 1e-3);
    }
}
