//! How a texture is written: what the settings of [`Graph::texture_output`] are made of.

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::kernel::TexelFormat;
use crate::tensor::Tensor;

use super::write::{Painting, WriteTexture, image_shape};
use super::{Curve, Transfer, operands};

/// What is painted of a tensor.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Paint {
    /// An image: one channel as grey, three as red, green and blue, four with alpha.
    #[default]
    Image,
    /// One channel from 0 to 1, by a map of at least two colours (red, green, blue, alpha),
    /// between which it goes evenly.
    Map(Vec<[f32; 4]>),
    /// The colour of the class whose channel is the largest: a colour for each channel. The first
    /// of equal ones counts.
    Classes(Vec<[f32; 4]>),
}

/// How a tensor becomes a texture, for [`Graph::texture_output`].
#[derive(Debug, Clone, PartialEq)]
pub struct TextureOutput {
    format: TexelFormat,
    size: [usize; 2],
    window: Option<Value>,
    sample: usize,
    channel: Option<usize>,
    nearest: bool,
    flips: [bool; 2],
    mean: Vec<f32>,
    std: Vec<f32>,
    transfer: Transfer,
    curve: Curve,
    exposure: Option<Value>,
    paint: Paint,
    over: Option<Value>,
    opacity: f32,
}

impl TextureOutput {
    /// A texture of this format. `size` (height, width) is that for which work is shared out; one
    /// of any other size can be bound, too.
    pub fn new(format: TexelFormat, size: [usize; 2]) -> Self {
        Self {
            format,
            size,
            window: None,
            sample: 0,
            channel: None,
            nearest: false,
            flips: [false; 2],
            mean: Vec::new(),
            std: Vec::new(),
            transfer: Transfer::Linear,
            curve: Curve::Linear,
            exposure: None,
            paint: Paint::Image,
            over: None,
            opacity: 1.0,
        }
    }

    /// What is painted; an image unless said.
    pub fn paint(mut self, paint: Paint) -> Self {
        self.paint = paint;
        self
    }

    /// Which sample of the batch; 0 unless said.
    pub fn sample(mut self, sample: usize) -> Self {
        self.sample = sample;
        self
    }

    /// Shows one channel alone, such as a feature map.
    pub fn channel(mut self, channel: usize) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Takes the nearest element where the texture has another size than the tensor, in place of
    /// what lies between four.
    pub fn nearest(mut self) -> Self {
        self.nearest = true;
        self
    }

    /// Mirrors along columns: left is right.
    pub fn flip_columns(mut self) -> Self {
        self.flips[0] ^= true;
        self
    }

    /// Mirrors along rows: top is bottom.
    pub fn flip_rows(mut self) -> Self {
        self.flips[1] ^= true;
        self
    }

    /// Undoes (number - mean) / std, for each channel that is shown.
    pub fn normalised(mut self, mean: &[f32], std: &[f32]) -> Self {
        (self.mean, self.std) = (mean.to_vec(), std.to_vec());
        self
    }

    /// Undoes a transfer: the numbers are what it made of light.
    pub fn transfer(mut self, transfer: Transfer) -> Self {
        self.transfer = transfer;
        self
    }

    /// Divides the light by an exposure f32 `[1]`, behind the transfer.
    pub fn exposure(mut self, exposure: Value) -> Self {
        self.exposure = Some(exposure);
        self
    }

    /// How the light is shown.
    pub fn curve(mut self, curve: Curve) -> Self {
        self.curve = curve;
        self
    }

    /// Blends over another texture, which lies behind and is stretched to the same size: with
    /// `opacity` (0 to 1) times the alpha of what is painted.
    pub fn over(mut self, texture: Value, opacity: f32) -> Self {
        (self.over, self.opacity) = (Some(texture), opacity);
        self
    }

    /// Writes `size` (height, width) texels alone, from `origin` u32 `[2]` (top, left) on; the
    /// others stay. What lies beyond an edge of the texture is left out.
    ///
    /// An origin u32 `[4]` (top, left, rows, columns) leaves out so many rows and columns of the
    /// window first, too. Of tiles that overlap, that is
    /// [`PictureTile::written`](crate::session::PictureTile::written).
    pub fn window(mut self, size: [usize; 2], origin: Value) -> Self {
        (self.size, self.window) = (size, Some(origin));
        self
    }

    /// Rows of the kernel's table: scales, shifts, colours; for so many channels that are shown.
    fn table(&self, channels: usize) -> Result<Vec<f32>> {
        let fail = |message: String| Err(Error::shape(format!("texture_output: {message}")));
        let (mut scales, mut shifts) = ([1.0; 4], [0.0; 4]);
        for (name, numbers, to) in [
            ("means", &self.mean, &mut shifts),
            ("deviations", &self.std, &mut scales),
        ] {
            let fits = numbers.len() == channels && channels <= 4;
            if !numbers.is_empty() && !fits || numbers.iter().any(|x| !x.is_finite()) {
                return fail(format!("{name} {numbers:?} for {channels} channels"));
            }
            for (to, from) in to.iter_mut().zip(numbers) {
                *to = *from;
            }
        }
        let colours: &[[f32; 4]] = match &self.paint {
            Paint::Image if matches!(channels, 1 | 3 | 4) => &[],
            Paint::Image => return fail(format!("an image of {channels} channels")),
            Paint::Map(colours) if channels == 1 && colours.len() >= 2 => colours,
            Paint::Map(colours) => {
                return fail(format!(
                    "a map of {} colours over {channels} channels; 2 or more are needed, and one \
                     channel",
                    colours.len()
                ));
            }
            Paint::Classes(colours) if colours.len() == channels => colours,
            Paint::Classes(colours) => {
                return fail(format!("{} colours for {channels} classes", colours.len()));
            }
        };
        if colours.iter().flatten().any(|x| !x.is_finite()) || !(0.0..=1.0).contains(&self.opacity)
        {
            return fail(format!(
                "opacity {} or a colour is out of range",
                self.opacity
            ));
        }
        Ok([&[scales, shifts], colours].concat().concat())
    }
}

/// # Tensors as textures
impl Graph {
    /// Writes `y` f32 `[n, channels, height, width]` into a texture of the host's in every step,
    /// stretched over it; returns the texels, for
    /// [`Session::bind_texture`](crate::session::Session::bind_texture). Elements that are NaN or
    /// infinite count as 0.
    ///
    /// The reference makes `f32 [height, width, 4]` of them, not yet rounded to the format; of a
    /// window, the window alone, with 0 for what is left out.
    ///
    /// ```
    /// use striate::kernel::TexelFormat;
    /// use striate::ops::{Curve, TextureOutput};
    /// use striate::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let mut g = Graph::new();
    /// let y = g.input("y", Type::f32([1, 3, 64, 64]))?;
    /// let settings = TextureOutput::new(TexelFormat::Rgba8Unorm, [64, 64]).curve(Curve::Srgb);
    /// let picture = g.texture_output("picture", y, &settings)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Shape` if `y` has no such shape, sample or channel, or if the settings do not fit its
    /// channels; `Graph` if the name is taken, or if what lies behind is not a texture.
    pub fn texture_output(
        &mut self,
        name: &str,
        y: Value,
        settings: &TextureOutput,
    ) -> Result<Value> {
        self.expect_free(name)?;
        let ty = self.operand("texture_output", y)?;
        let all = image_shape(ty)?[1];
        let channels = match settings.channel {
            Some(channel) if channel >= all => {
                return Err(Error::shape(format!(
                    "texture_output: channel {channel} of {ty}"
                )));
            }
            Some(channel) => channel..channel + 1,
            None => 0..all,
        };
        // What lies behind is stretched over the whole texture, whose size a window does not know.
        if settings.window.is_some() && settings.over.is_some() {
            return Err(Error::shape(
                "texture_output: a window over another texture",
            ));
        }
        if settings.paint != Paint::Image {
            let light = settings.transfer != Transfer::Linear || settings.exposure.is_some();
            if light || settings.curve != Curve::Linear {
                return Err(Error::shape(
                    "texture_output: colours of a map and of classes are shown as they are; \
                     transfer, exposure and curve are for images",
                ));
            }
        }
        let table = settings.table(channels.len())?;
        let op = WriteTexture {
            format: settings.format,
            size: settings.size,
            windowed: settings.window.is_some(),
            skips: match settings.window {
                Some(origin) => self.operand("texture_output", origin)?.shape[..] == [4],
                None => false,
            },
            sample: settings.sample,
            channels,
            nearest: settings.nearest,
            flips: settings.flips,
            transfer: settings.transfer,
            exposed: settings.exposure.is_some(),
            curve: settings.curve,
            painting: match settings.paint {
                Paint::Image => Painting::Image,
                Paint::Map(_) => Painting::Map,
                Paint::Classes(_) => Painting::Classes,
            },
            over: settings.over.is_some(),
            opacity: settings.opacity,
        };
        let rows = table.len() / 4;
        let table = self.constant(Tensor::f32([rows, 4], table)?)?;
        let [exposure, origin] = operands(self, settings.exposure, settings.window)?;
        let inputs = [y, table, exposure, origin]
            .into_iter()
            .chain(settings.over);
        let texels = self.apply1(op, &inputs.collect::<Vec<_>>())?;
        self.name_texture(name, texels)?;
        Ok(texels)
    }
}
