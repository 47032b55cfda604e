//! How textures are read: what the settings of [`Graph::texture_input`] are made of.

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::shape::DType;
use crate::tensor::Tensor;

use super::read::ReadTextures;
use super::{MOST_TEXTURES, Transfer, VideoRange, operands};

/// How texels become pixels of another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TexelResize {
    /// The texel that holds the middle of the pixel.
    Nearest,
    /// Between the four texels around the middle of the pixel, as PyTorch's `bilinear` without
    /// `align_corners` and without antialiasing.
    #[default]
    Bilinear,
    /// The mean of all texels under the pixel, by the area that it covers of each, as OpenCV's
    /// `INTER_AREA`.
    Area,
}

/// How one texture is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Texels {
    /// Components (0 red, 1 green, 2 blue, 3 alpha) in the order of the channels that they become.
    components: Vec<usize>,
    transfer: Transfer,
    exposed: bool,
    mean: Vec<f32>,
    std: Vec<f32>,
    flips: [bool; 2],
}

impl Texels {
    /// These components (0 red, 1 green, 2 blue, 3 alpha), each once, as channels in this order.
    pub fn new(components: &[usize]) -> Self {
        Self {
            components: components.to_vec(),
            transfer: Transfer::Linear,
            exposed: false,
            mean: Vec::new(),
            std: Vec::new(),
            flips: [false; 2],
        }
    }

    /// Red, green and blue.
    pub fn rgb() -> Self {
        Self::new(&[0, 1, 2])
    }

    /// Blue, green and red, for networks that were trained so.
    pub fn bgr() -> Self {
        Self::new(&[2, 1, 0])
    }

    /// The red component alone: masks, depth, grey.
    pub fn red() -> Self {
        Self::new(&[0])
    }

    /// Albedo: red, green and blue, cut to [0, 1].
    pub fn albedo() -> Self {
        Self::rgb().transfer(Transfer::Clamp)
    }

    /// Normals that are stored as n / 2 + 1/2.
    pub fn normal() -> Self {
        Self::rgb().transfer(Transfer::Signed)
    }

    /// What becomes of each component.
    pub fn transfer(mut self, transfer: Transfer) -> Self {
        self.transfer = transfer;
        self
    }

    /// Multiplies the components by the exposure ([`TextureInput::exposure`]) before the transfer.
    pub fn exposed(mut self) -> Self {
        self.exposed = true;
        self
    }

    /// Gives (number - mean) / std behind the transfer, for each component in the order of the
    /// channels.
    pub fn normalise(mut self, mean: &[f32], std: &[f32]) -> Self {
        (self.mean, self.std) = (mean.to_vec(), std.to_vec());
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
}

/// How textures become a tensor, for [`Graph::texture_input`].
#[derive(Debug, Clone, PartialEq)]
pub struct TextureInput {
    size: [usize; 2],
    resize: TexelResize,
    crop: [usize; 2],
    reads: Vec<Texels>,
    video: Option<(VideoRange, [f64; 2])>,
    exposure: Option<Value>,
    origin: Option<Value>,
}

impl TextureInput {
    /// An image of `size` (height, width); [`read`](Self::read) says of which textures.
    pub fn new(size: [usize; 2]) -> Self {
        Self {
            size,
            resize: TexelResize::default(),
            crop: [0, 0],
            reads: Vec::new(),
            video: None,
            exposure: None,
            origin: None,
        }
    }

    /// How the next texture is read. Its channels follow those of the textures before.
    pub fn read(mut self, texels: Texels) -> Self {
        self.reads.push(texels);
        self
    }

    /// How texels become pixels; bilinear unless said.
    pub fn resize(mut self, resize: TexelResize) -> Self {
        self.resize = resize;
        self
    }

    /// Takes a window of `size` (height, width) texels, from `origin` u32 `[2]` (top, left) on, of
    /// every texture in its own texels, of the chroma of a [`video`](Self::video) half of that: let
    /// it begin at even texels. Beyond an edge, texels are those at the edge.
    pub fn crop(mut self, size: [usize; 2], origin: Value) -> Self {
        (self.crop, self.origin) = (size, Some(origin));
        self
    }

    /// Multiplies the light of textures that are [`exposed`](Texels::exposed) by `exposure`, f32
    /// `[1]`: given by the host, or measured ([`Graph::auto_exposure`]).
    pub fn exposure(mut self, exposure: Value) -> Self {
        self.exposure = Some(exposure);
        self
    }

    /// Makes one picture of the first two textures, the planes of a video (NV12): luma in red
    /// (`r8unorm`), blue and red chroma in red and green (`rg8unorm`), of half the size. The first
    /// [`Texels`] reads red, green and blue of it; there is none for the chroma plane. `red` and
    /// `blue` are the shares of these colours in luma: 0.299 and 0.114 by BT.601, 0.2126 and 0.0722
    /// by BT.709, 0.2627 and 0.0593 by BT.2020.
    pub fn video(mut self, range: VideoRange, red: f64, blue: f64) -> Self {
        self.video = Some((range, [red, blue]));
        self
    }

    /// Rows of the kernel's table: what becomes of each component of each texture.
    fn table(&self) -> Result<Vec<f32>> {
        let fail = |message: String| Err(Error::shape(format!("texture_input: {message}")));
        let mut table = [[-1.0, 0.0, 1.0, 0.0]; 4 * MOST_TEXTURES].to_vec();
        let (mut channel, mut texture) = (0, 0);
        for texels in &self.reads {
            let count = texels.components.len();
            for (name, numbers) in [("means", &texels.mean), ("deviations", &texels.std)] {
                if !numbers.is_empty() && numbers.len() != count {
                    return fail(format!("{} {name} for {count} components", numbers.len()));
                }
            }
            for (i, &component) in texels.components.iter().enumerate() {
                let (mean, std) = (texels.mean.get(i), texels.std.get(i));
                let (mean, std) = (*mean.unwrap_or(&0.0), *std.unwrap_or(&1.0));
                let right = (mean / std).is_finite() && std.is_normal() && std > 0.0;
                if !right {
                    return fail(format!("mean {mean} and deviation {std}"));
                }
                let row = 4 * texture + component.min(3);
                if component > 3 || table[row][0] >= 0.0 {
                    let all = &texels.components;
                    return fail(format!(
                        "components {all:?}; each of 0 to 3 can be one channel"
                    ));
                }
                let code = texels.transfer.code(texels.exposed);
                table[row] = [channel as f32, code as f32, 1.0 / std, -mean / std];
                channel += 1;
            }
            // The plane of chroma belongs to the first.
            texture += if texture == 0 && self.video.is_some() {
                2
            } else {
                1
            };
        }
        Ok(table.concat())
    }

    fn flips(&self) -> [[bool; 2]; MOST_TEXTURES] {
        let mut flips: Vec<[bool; 2]> = self.reads.iter().map(|texels| texels.flips).collect();
        if self.video.is_some() && !flips.is_empty() {
            flips.insert(1, flips[0]);
        }
        std::array::from_fn(|i| flips.get(i).copied().unwrap_or_default())
    }
}

/// # Textures as tensors
impl Graph {
    /// The textures as one image `[1, channels, height, width]`: resized, each as `settings` reads
    /// it. Texels that are NaN or infinite count as 0. Images of a batch are joined by
    /// [`concat`](Self::concat).
    ///
    /// ```
    /// use striate::ops::{Texels, TextureInput, Transfer};
    /// use striate::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// // Colour in HDR, albedo and normals of a renderer, as nine channels.
    /// let mut g = Graph::new();
    /// let size = [1080, 1920];
    /// let colour = g.texture("colour", size)?;
    /// let albedo = g.texture("albedo", size)?;
    /// let normal = g.texture("normal", size)?;
    /// let exposure = g.auto_exposure(colour)?;
    /// let settings = TextureInput::new([540, 960])
    ///     .read(Texels::rgb().exposed().transfer(Transfer::Log))
    ///     .read(Texels::albedo())
    ///     .read(Texels::normal())
    ///     .exposure(exposure);
    /// let x = g.texture_input(&[colour, albedo, normal], &settings)?;
    /// assert_eq!(g.ty(x)?, &Type::f32([1, 9, 540, 960]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Shape` if `settings` does not read each texture once, names a component twice or one that
    /// is none, or if a size is 0; `Graph` if a value is not a texture.
    pub fn texture_input(&mut self, textures: &[Value], settings: &TextureInput) -> Result<Value> {
        let planes = usize::from(settings.video.is_some());
        let reads = settings.reads.len() + planes;
        if textures.len() != reads || settings.reads.is_empty() || reads > MOST_TEXTURES {
            return Err(Error::shape(format!(
                "texture_input: {} textures, the settings read {reads}; 1 to {MOST_TEXTURES} can \
                 be read, each once",
                textures.len()
            )));
        }
        if let Some((_, shares)) = settings.video
            && !(shares.iter().all(|&share| share > 0.0) && shares[0] + shares[1] < 1.0)
        {
            return Err(Error::shape(format!(
                "texture_input: red and blue are {shares:?} of luma; both are above 0, together \
                 below 1"
            )));
        }
        let exposed = settings.reads.iter().any(|texels| texels.exposed);
        if exposed != settings.exposure.is_some() {
            return Err(Error::shape(
                "texture_input: an exposure is for textures that are exposed, and these need one",
            ));
        }
        if settings.origin.is_some() && settings.crop.contains(&0) {
            return Err(Error::shape(format!(
                "texture_input: a window of {} x {} texels",
                settings.crop[0], settings.crop[1]
            )));
        }
        let table = settings.table()?;
        let counts = settings.reads.iter().map(|texels| texels.components.len());
        let op = ReadTextures {
            textures: reads,
            size: settings.size,
            crop: settings.crop,
            resize: settings.resize,
            flips: settings.flips(),
            channels: counts.sum(),
            video: settings.video.map(|(range, [red, blue])| {
                range.matrix(red, blue).map(|row| row.map(|x| x as f32))
            }),
        };
        let rows = table.len() / 4;
        let table = self.constant(Tensor::f32([rows, 4], table)?)?;
        let [exposure, origin] = operands(self, settings.exposure, settings.origin)?;
        let inputs = [textures, &[table, exposure, origin]].concat();
        self.apply1(op, &inputs)
    }

    /// The exposure f32 `[1]` with which the light of a texture averages 0.18: 0.18 / exp(mean of
    /// ln(luminance)), over luminance above 1e-8 of means over 64 x 64 areas: more along an axis of
    /// over 8,192 texels, and no more than there are texels (E. Reinhard et al., "Photographic tone
    /// reproduction for digital images", 2002; areas keep single bright texels from counting).
    /// Luminance is that of BT.709. 1 where all is dark.
    ///
    /// # Errors
    /// `Graph` if the value is not a texture.
    pub fn auto_exposure(&mut self, texture: Value) -> Result<Value> {
        const KEY: f32 = 0.18;
        const DARK: f32 = 1e-8;
        let ty = self.operand("auto_exposure", texture)?;
        if self.texture_of(texture).is_none() {
            return Err(Error::graph(format!(
                "auto_exposure: {} is not a texture",
                self.describe(texture)
            )));
        }
        let shape = &ty.shape;
        // No area has more than some 128 x 128 texels, which one invocation walks over.
        let areas = |texels: usize| texels.min(texels.div_ceil(128).max(64));
        let size = [areas(shape[0]), areas(shape[1])];
        let settings = TextureInput::new(size)
            .read(Texels::rgb())
            .resize(TexelResize::Area);
        let areas = self.texture_input(&[texture], &settings)?;
        let shares = self.constant(Tensor::f32([1, 3, 1, 1], vec![0.2126, 0.7152, 0.0722])?)?;
        let parts = self.mul(areas, shares)?;
        let luminance = self.sum(parts, &[1], true)?;
        // Dark areas count nothing: their logarithm is set to 0 and they are left out of the mean.
        let dark = self.constant(Tensor::scalar(DARK))?;
        let lit = self.gt(luminance, dark)?;
        let one = self.constant(Tensor::scalar(1.0))?;
        let kept = self.select(lit, luminance, one)?;
        let logs = self.log(kept)?;
        let all: Vec<usize> = (0..4).collect();
        let total = self.sum(logs, &all, false)?;
        let ones = self.cast(lit, DType::F32)?;
        let count = self.sum(ones, &all, false)?;
        let some = self.maximum(count, one)?;
        let mean = self.div(total, some)?;
        let key = self.constant(Tensor::scalar(KEY))?;
        let level = self.exp(mean)?;
        let exposure = self.div(key, level)?;
        let any = self.gt(count, dark)?;
        let exposure = self.select(any, exposure, one)?;
        self.reshape(exposure, [1])
    }
}
