//! A dispatch as plain data: which kernel runs, on what, with which params.

use std::borrow::Cow;

use super::{Kernel, Overrides};

/// A value as an op sees it while it lowers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// Input number i of the node.
    Input(usize),
    /// Output number i of the node.
    Output(usize),
    /// A buffer that lives only while the node runs, from
    /// [`Lowering::scratch`](super::Lowering::scratch).
    Scratch(usize),
}

/// How a kernel uses a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
    /// `var<uniform>`: step scalars.
    Uniform,
    /// `texture_2d<f32>`, read by `textureLoad`.
    Texture,
    /// `texture_storage_2d<FORMAT, write>`.
    TextureStore(TexelFormat),
}

impl Access {
    /// Whether what is bound is a texture.
    pub fn is_texture(self) -> bool {
        matches!(self, Self::Texture | Self::TextureStore(_))
    }
}

/// Format of the texels that a kernel stores: those that core WebGPU lets every device write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TexelFormat {
    /// `rgba8unorm`: four channels from 0 to 1 in steps of 1/255.
    Rgba8Unorm,
    /// `rgba16float`: four channels of half precision.
    Rgba16Float,
    /// `r32float`: one channel.
    R32Float,
    /// `rgba32float`: four channels.
    Rgba32Float,
}

impl TexelFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Rgba8Unorm,
        Self::Rgba16Float,
        Self::R32Float,
        Self::Rgba32Float,
    ];

    /// WebGPU's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rgba8Unorm => "rgba8unorm",
            Self::Rgba16Float => "rgba16float",
            Self::R32Float => "r32float",
            Self::Rgba32Float => "rgba32float",
        }
    }

    /// Channels that are kept; the others read as 0, alpha as 1.
    pub fn channels(self) -> usize {
        match self {
            Self::R32Float => 1,
            _ => 4,
        }
    }
}

/// A buffer range bound to a dispatch: one part of an operand, or a run of operands that lie side
/// by side in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Where the range starts.
    pub operand: Operand,
    /// Which part of the operand.
    pub part: usize,
    /// The operand with which the range ends, if it spans several (see
    /// [`Io::location`](super::Io::location)).
    pub through: Option<Operand>,
    /// First byte, in the part, of the [`WINDOW`](super::WINDOW) bytes that are bound instead of
    /// the part; they may reach past its end.
    pub window: Option<u64>,
    /// How the kernel uses it.
    pub access: Access,
}

/// A named field of the uniform block, after `grid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Field name in the WGSL `Params` struct.
    pub name: &'static str,
    /// Bits of the `u32` or `f32`.
    pub bits: u32,
    /// Whether the field is an `f32`.
    pub float: bool,
}

/// One compute dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// What runs.
    pub kernel: Cow<'static, Kernel>,
    /// Override constants, one of `kernel.variants`.
    pub overrides: Overrides,
    /// Further override constants, one of `kernel.epilogues`.
    pub epilogue: Overrides,
    /// Bindings in order of their WGSL numbers.
    pub bindings: Vec<Binding>,
    /// Fields of the uniform block in order.
    pub params: Vec<Param>,
    /// Number of workgroups; the plan folds it into the device's limits.
    pub workgroups: u64,
    /// The most turns of its loops that one invocation takes in all, see [`Dispatch::turns`].
    pub turns: Option<u64>,
    /// Whether those turns grow with the texels of a texture that is bound.
    pub grows: bool,
    /// Why this kernel and these overrides, for people to read, where there was a choice.
    pub reason: Cow<'static, str>,
}

impl Dispatch {
    /// A dispatch of a kernel of this crate.
    pub fn new(kernel: &'static Kernel, overrides: Overrides) -> Self {
        Self::of(Cow::Borrowed(kernel), overrides)
    }

    /// A dispatch of any kernel.
    pub fn of(kernel: Cow<'static, Kernel>, overrides: Overrides) -> Self {
        Self {
            kernel,
            overrides,
            epilogue: &[],
            bindings: Vec::new(),
            params: Vec::new(),
            workgroups: 0,
            turns: None,
            grows: false,
            reason: Cow::Borrowed(""),
        }
    }

    /// Chooses what follows, one of `kernel.epilogues`.
    pub fn epilogue(mut self, epilogue: Overrides) -> Self {
        self.epilogue = epilogue;
        self
    }

    /// Binds an operand.
    pub fn bind(mut self, operand: Operand, access: Access) -> Self {
        self.bindings.push(Binding {
            operand,
            part: 0,
            through: None,
            window: None,
            access,
        });
        self
    }

    /// Binds an operand for reading.
    pub fn read(self, operand: Operand) -> Self {
        self.bind(operand, Access::Read)
    }

    /// Binds an operand for reading and writing.
    pub fn write(self, operand: Operand) -> Self {
        self.bind(operand, Access::ReadWrite)
    }

    /// Binds a small operand as a uniform.
    pub fn uniform(self, operand: Operand) -> Self {
        self.bind(operand, Access::Uniform)
    }

    /// Binds for reading what the last binding binds, all of its part: in a place that a kernel has
    /// and does not read.
    pub(crate) fn read_again(mut self) -> Self {
        if let Some(last) = self.bindings.last().cloned() {
            self.bindings.push(Binding {
                window: None,
                access: Access::Read,
                ..last
            });
        }
        self
    }

    /// Binds a texture for reading.
    pub fn texture(self, operand: Operand) -> Self {
        self.bind(operand, Access::Texture)
    }

    /// Binds a texture for writing.
    pub fn texture_store(self, operand: Operand, format: TexelFormat) -> Self {
        self.bind(operand, Access::TextureStore(format))
    }

    /// Makes the last binding refer to part `part` of its operand.
    pub fn part(mut self, part: usize) -> Self {
        if let Some(last) = self.bindings.last_mut() {
            last.part = part;
        }
        self
    }

    /// Extends the last binding to the end of `operand`, which lies after it in the same store
    /// chunk.
    pub fn through(mut self, operand: Operand) -> Self {
        if let Some(last) = self.bindings.last_mut() {
            last.through = Some(operand);
        }
        self
    }

    /// Makes the last binding show [`WINDOW`](super::WINDOW) bytes from byte `at` of its part on, a
    /// multiple of 256, on devices with [`Caps::windows`](super::Caps::windows). What it shows past
    /// the end of the part is arbitrary.
    pub fn window(mut self, at: u64) -> Self {
        if let Some(last) = self.bindings.last_mut() {
            last.window = Some(at);
        }
        self
    }

    /// Appends a `u32` field. Extents, strides and dilations stay below 2^31 by
    /// [`Type::check`](crate::shape::Type::check) and the rules of windows; offsets may wrap.
    pub fn param(mut self, name: &'static str, value: usize) -> Self {
        self.params.push(Param {
            name,
            bits: value as u32,
            float: false,
        });
        self
    }

    /// Appends an `f32` field.
    pub fn param_f32(mut self, name: &'static str, value: f32) -> Self {
        self.params.push(Param {
            name,
            bits: value.to_bits(),
            float: true,
        });
        self
    }

    /// States the most turns of its loops that one invocation takes in all, counted by
    /// [`looped`](super::looped): nested loops multiplied out, successive loops and the two sides
    /// of a branch added, one more each time a loop is entered. A plan refuses more than
    /// [`Caps::max_turns`](super::Caps::max_turns). A dispatch of this crate's kernels states it
    /// wherever a bound of a loop is not constant.
    pub fn turns(mut self, turns: u64) -> Self {
        self.turns = Some(turns);
        self
    }

    /// Says that the turns are for textures of the size that the graph declares, and grow with
    /// their texels.
    pub fn grows(mut self, grows: bool) -> Self {
        self.grows = grows;
        self
    }

    /// Says why this kernel and these overrides were chosen.
    pub fn because(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Sets the number of workgroups.
    pub fn workgroups(mut self, count: usize) -> Self {
        self.workgroups = count as u64;
        self
    }
}
