//! Pictures as they stand in a page.

use super::Thumbnail;
use super::png::{Colour, address, png};
use crate::error::Result;

impl Thumbnail {
    /// As an address that holds a PNG file.
    pub(super) fn address(&self) -> Result<String> {
        let [channels, height, width] = self.size;
        let plane = height * width;
        let pixels: Vec<u8> = (0..self.pixels.len())
            .map(|at| self.pixels[at % channels * plane + at / channels])
            .collect();
        let colour = if channels == 1 {
            Colour::Grey
        } else {
            Colour::Rgb
        };
        Ok(address(&png(&pixels, [height, width], colour)?))
    }

    /// As an element of HTML.
    pub(super) fn image(&self, alt: &str) -> Result<String> {
        let [_, height, width] = self.size;
        let alt = super::page::escaped(alt);
        let address = self.address()?;
        Ok(format!(
            "<img alt=\"{alt}\" width=\"{width}\" height=\"{height}\" src=\"{address}\">"
        ))
    }
}
