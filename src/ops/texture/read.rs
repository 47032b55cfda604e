//! Textures into one tensor: resized, in the channels and the numbers that a network takes.

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, Value};
use crate::kernel::{Caps, Dispatch, Io, Kernel, Lowering, Operand, looped, source};
use crate::ops::expect_type;
use crate::shape::Type;
use crate::tensor::Array;

use super::places::{most_places, places};
use super::{MOST_TEXTURES, TexelResize, Transfer, VARIANTS, WORKGROUP, expect_operands};

// Settings; the builder is in `input`.

/// Textures, a table of channels (see `shaders/texture/read_textures.wgsl`), an exposure and an
/// origin, as one image: what [`Graph::texture_input`] adds.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadTextures {
    pub(super) textures: usize,
    pub(super) size: [usize; 2],
    pub(super) crop: [usize; 2],
    pub(super) resize: TexelResize,
    pub(super) flips: [[bool; 2]; MOST_TEXTURES],
    pub(super) channels: usize,
    /// What makes red, green and blue of the planes of a video.
    pub(super) video: Option<[[f32; 4]; 3]>,
}

// Shape rule.

impl Op for ReadTextures {
    fn name(&self) -> &'static str {
        "texture_input"
    }

    fn infer(&self, inputs: &[&Type]) -> Result<Vec<Type>> {
        let op = "texture_input";
        crate::ops::expect_inputs(op, inputs, self.textures + 3)?;
        let (textures, operands) = inputs.split_at(self.textures);
        for (i, ty) in textures.iter().enumerate() {
            let right = matches!(ty.shape[..], [height, width, 4] if height > 0 && width > 0);
            if !right || ty.dtype != crate::shape::DType::F32 {
                return Err(Error::shape(format!(
                    "{op}: texture {i} is {ty}, f32 [height, width, 4] is needed"
                )));
            }
        }
        let rows = 4 * MOST_TEXTURES;
        expect_type(op, "table", operands[0], &Type::f32([rows, 4]))?;
        expect_operands(op, operands[1], operands[2], 2)?;
        let sizes = [self.size, self.crop];
        let [height, width] = self.size;
        if height == 0 || width == 0 || (self.crop[0] == 0) != (self.crop[1] == 0) {
            return Err(Error::shape(format!(
                "{op}: an image of {height} x {width} of {} x {} texels",
                self.crop[0], self.crop[1]
            )));
        }
        if sizes.iter().flatten().any(|&extent| extent > LARGEST) {
            return Err(Error::shape(format!(
                "{op}: sizes {sizes:?}, {LARGEST} at most along an axis"
            )));
        }
        Ok(vec![Type::f32([1, self.channels, height, width])])
    }

    fn textures(&self) -> std::ops::Range<usize> {
        0..self.textures
    }

    // Reference.

    fn eval(&self, inputs: &[&Array]) -> Vec<Array> {
        let (textures, operands) = inputs.split_at(self.textures);
        let table = operands[0].floats();
        let exposure = operands[1].floats()[0];
        let origin = operands[2].u32s();
        let [height, width] = self.size;
        let mut x = vec![0.0; self.channels * height * width];
        for row in 0..height {
            for column in 0..width {
                let sampled = |t: usize| self.sampled(textures[t], origin, t, row, column);
                let mut texels: Vec<[f64; 4]> = (0..self.textures).map(sampled).collect();
                if let Some(video) = self.video {
                    let planes = [texels[0][0], texels[1][0], texels[1][1], 1.0];
                    let mixed = video.map(|row| {
                        let terms = row.iter().zip(planes);
                        terms.map(|(&share, plane)| f64::from(share) * plane).sum()
                    });
                    texels[0] = [mixed[0], mixed[1], mixed[2], 1.0];
                }
                for (entry, texel) in table.chunks(4).zip(texels.concat()) {
                    if entry[0] >= 0.0 {
                        let channel = entry[0] as usize;
                        let (code, exposed) = (entry[1] as usize % 8, entry[1] >= 8.0);
                        let light = if exposed { texel * exposure } else { texel };
                        let number = TRANSFERS[code].apply(light);
                        x[(channel * height + row) * width + column] = number * entry[2] + entry[3];
                    }
                }
            }
        }
        vec![Array::float([1, self.channels, height, width], x)]
    }

    // Gradient.

    fn vjp(&self, _: &mut Graph, at: &Node, _: &[Value]) -> Result<Vec<Option<Value>>> {
        Ok(vec![None; at.inputs.len()])
    }

    // Lowering.

    fn lower(&self, io: &Io, _: &Caps, out: &mut Lowering) -> Result<()> {
        let [height, width] = self.size;
        let operands = (self.textures..self.textures + 3).map(Operand::Input);
        let outputs = [Operand::Output(0)];
        let buffers: Vec<Operand> = operands.chain(outputs).collect();
        io.in_one_part("texture_input", &buffers)?;
        let mut turns = 0;
        for texture in 0..self.textures {
            let extents = self.extents(&io.inputs[texture], texture);
            let [down, along] =
                [0, 1].map(|axis| most_places(self.resize, self.size[axis], extents[axis]));
            turns += looped(down as usize, looped(along as usize, 0));
        }
        let mut dispatch = Dispatch::new(&READ_TEXTURES, VARIANTS[0]);
        for texture in 0..MOST_TEXTURES {
            let bound = if texture < self.textures { texture } else { 0 };
            dispatch = dispatch.texture(Operand::Input(bound));
        }
        for &operand in &buffers[..3] {
            dispatch = dispatch.read(operand);
        }
        const MATRIX: [[&str; 4]; 3] = [
            ["r0", "r1", "r2", "r3"],
            ["g0", "g1", "g2", "g3"],
            ["b0", "b1", "b2", "b3"],
        ];
        let flips = self.flips.iter().flatten().rev();
        let flips = flips.fold(0, |bits, &flip| 2 * bits + usize::from(flip));
        dispatch = dispatch
            .write(Operand::Output(0))
            .param("count", height * width)
            .param("height", height)
            .param("width", width)
            .param("crop_height", self.crop[0])
            .param("crop_width", self.crop[1])
            .param("textures", self.textures)
            .param("resize", self.resize as usize)
            .param("flips", flips)
            .param("video", usize::from(self.video.is_some()));
        let video = self.video.unwrap_or_default();
        for (name, number) in MATRIX.as_flattened().iter().zip(video.as_flattened()) {
            dispatch = dispatch.param_f32(name, *number);
        }
        out.push(
            dispatch
                .turns(turns)
                .grows(self.resize == TexelResize::Area && self.crop[0] == 0)
                .workgroups((height * width).div_ceil(WORKGROUP)),
        );
        Ok(())
    }
}

impl ReadTextures {
    /// By how much the window of texture `t` is smaller than `crop`: chroma has half the size.
    fn part(&self, t: usize) -> usize {
        match t == 1 && self.video.is_some() {
            true => 2,
            false => 1,
        }
    }

    /// Height and width of what is taken of texture `t`.
    fn extents(&self, texture: &Type, t: usize) -> [usize; 2] {
        match self.crop {
            [0, _] => [texture.shape[0], texture.shape[1]],
            crop => crop.map(|extent| extent.div_ceil(self.part(t))),
        }
    }

    /// Texture `t` at one pixel of the image.
    fn sampled(
        &self,
        texture: &Array,
        origin: &[u32],
        t: usize,
        row: usize,
        column: usize,
    ) -> [f64; 4] {
        let [height, width] = self.extents(texture.ty(), t);
        let [top, left] = match self.crop {
            [0, _] => [0, 0],
            _ => [0, 1].map(|axis| origin[axis] as usize / self.part(t)),
        };
        let [flip_columns, flip_rows] = self.flips[t];
        let flipped =
            |at: usize, extent: usize, flip: bool| if flip { extent - 1 - at } else { at };
        let row = flipped(row, self.size[0], flip_rows);
        let column = flipped(column, self.size[1], flip_columns);
        let (rows, columns) = (texture.shape()[0], texture.shape()[1]);
        let mut sum = [0.0; 4];
        for (i, down) in places(self.resize, row, self.size[0], height) {
            for (j, along) in places(self.resize, column, self.size[1], width) {
                let y = (top.saturating_add(i)).min(rows - 1);
                let x = (left.saturating_add(j)).min(columns - 1);
                let texel = &texture.floats()[(y * columns + x) * 4..][..4];
                for (sum, &component) in sum.iter_mut().zip(texel) {
                    let washed = if component.is_finite() {
                        component
                    } else {
                        0.0
                    };
                    *sum += down * along * washed;
                }
            }
        }
        sum
    }
}

/// The largest extent: products of two, doubled, stay within 32 bits.
pub(super) const LARGEST: usize = 32_767;

/// By their numbers.
const TRANSFERS: [Transfer; 5] = [
    Transfer::Linear,
    Transfer::Clamp,
    Transfer::Signed,
    Transfer::Srgb,
    Transfer::Log,
];

pub(super) static READ_TEXTURES: Kernel = Kernel::new(
    "read_textures",
    &[
        source!("texture/read_textures"),
        source!("texture/transfer"),
    ],
    VARIANTS,
);
