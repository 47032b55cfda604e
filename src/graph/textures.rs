//! Textures of the host's: what a graph reads from, and what it writes into.

use super::{Graph, Op, Value};
use crate::error::{Error, Result};
use crate::kernel::TexelFormat;
use crate::shape::Type;

/// A texture that the host binds to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texture {
    /// Unique among the inputs and textures of the graph.
    pub name: String,
    /// Its texels, `f32 [height, width, 4]`.
    pub value: Value,
    /// What is written into it; none where it is read.
    pub format: Option<TexelFormat>,
}

/// # Textures
impl Graph {
    /// A texture that the host binds and ops read, for
    /// [`texture_input`](Self::texture_input) and what else reads texels.
    ///
    /// Its texels are `f32 [height, width, 4]`. On a device, `size` (height, width) is the size for
    /// which work is shared out: a texture of any other size can be bound, too. The reference takes
    /// texels of this size, written like an input.
    ///
    /// # Errors
    /// `Graph` if the name is taken; `Shape` if it has no texels or too many.
    pub fn texture(&mut self, name: &str, size: [usize; 2]) -> Result<Value> {
        let [height, width] = size;
        if height == 0 || width == 0 {
            return Err(Error::shape(format!(
                "texture \"{name}\": {height} x {width} texels"
            )));
        }
        let value = self.input(name, Type::f32([height, width, 4]))?;
        self.textures.push(Texture {
            name: name.to_owned(),
            value,
            format: None,
        });
        Ok(value)
    }

    /// Names output 0 of an op that writes a texture: the host binds one under this name, and
    /// every step writes it.
    ///
    /// # Errors
    /// `Graph` if the name is taken, or if `value` is not what such an op makes.
    pub(crate) fn name_texture(&mut self, name: &str, value: Value) -> Result<()> {
        self.expect_free(name)?;
        let format = self
            .producer(value)
            .and_then(|node| self.nodes[node].op.texture_format());
        if format.is_none() {
            return Err(Error::graph(format!(
                "texture \"{name}\": {} is not written into a texture",
                self.describe(value)
            )));
        }
        self.textures.push(Texture {
            name: name.to_owned(),
            value,
            format,
        });
        Ok(())
    }

    /// Fails if an input or a texture has this name.
    ///
    /// # Errors
    /// `Graph`.
    pub(crate) fn expect_free(&self, name: &str) -> Result<()> {
        let what = match self.find_input(name) {
            Some(input) if self.texture_of(input).is_none() => "input",
            None if !self.textures.iter().any(|texture| texture.name == name) => return Ok(()),
            _ => "texture",
        };
        Err(Error::graph(format!("{what} \"{name}\" exists already")))
    }

    /// All textures, in the order in which they were made.
    pub fn textures(&self) -> &[Texture] {
        &self.textures
    }

    /// The texture whose texels `value` is, if it is one.
    pub fn texture_of(&self, value: Value) -> Option<&Texture> {
        self.textures.iter().find(|texture| texture.value == value)
    }

    /// Fails where a texture meets an op that reads a tensor there, or the other way round.
    pub(super) fn check_textures(&self, op: &dyn Op, inputs: &[Value]) -> Result<()> {
        for (at, &input) in inputs.iter().enumerate() {
            let texture = self.texture_of(input);
            let wanted = op.textures().contains(&at);
            match texture {
                Some(texture) if !wanted || texture.format.is_some() => {
                    return Err(Error::graph(format!(
                        "{}: input {at} is the texture \"{}\"; texture_input makes a tensor of \
                         what a host's texture holds",
                        op.name(),
                        texture.name
                    )));
                }
                None if wanted => {
                    return Err(Error::graph(format!(
                        "{}: input {at} is {}, a texture is needed",
                        op.name(),
                        self.describe(input)
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
