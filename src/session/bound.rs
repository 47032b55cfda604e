//! What the host binds to a session: its textures, and its buffers in place of the session's.

use super::gpu_form::{GpuForm, Resource};
use super::{Compiled, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::{Gpu, texture_format};
use crate::graph::{Graph, Origin, Texture, Value};
use crate::kernel::{Access, TexelFormat};
use crate::plan::{Buffer, Plan};

/// The most texels along an axis: products of two extents, doubled, stay within 32 bits.
const LARGEST: u32 = 32_767;

/// A run of bytes of one of a session's buffers.
#[derive(Debug, Clone)]
pub struct BufferSlice {
    /// Usable as storage and uniform, and as source and target of copies.
    pub buffer: wgpu::Buffer,
    /// First byte.
    pub offset: u64,
    /// Bytes of the value, up to a multiple of 16.
    pub bytes: u64,
}

/// # What the host binds
impl Session {
    /// Binds a texture of the host's: one that the graph reads
    /// ([`Graph::texture`]) or writes ([`Graph::texture_output`]). Steps that are run or recorded
    /// after it use this one; nothing is copied, and nothing is submitted.
    ///
    /// What is read may have any format that is sampled as floats, filterable or not, with the
    /// usage `TEXTURE_BINDING`. What is written has the format that the output names, with the
    /// usage `STORAGE_BINDING`. Both may have any size, and are 2D with one sample.
    ///
    /// # Errors
    /// `Graph` if `texture` is none of the graph's, if a dispatch would read and write one texture,
    /// or while a step is under way in slices; `Unsupported` where usage, format or dimensions do
    /// not fit, on the CPU reference (which is written texels), and for a texture that is too large
    /// for the device's loops; `DeviceLost`.
    pub fn bind_texture(&mut self, texture: Value, view: &wgpu::TextureView) -> Result<()> {
        let Some(declared) = self.graph.texture_of(texture).cloned() else {
            return Err(Error::graph(format!(
                "bind_texture: {} is not a texture",
                self.graph.describe(texture)
            )));
        };
        let context = |e: Error| e.context(format!("texture \"{}\"", declared.name));
        self.expect_whole("bind_texture").map_err(context)?;
        let form = on_gpu(&mut self.form, "bind_texture").map_err(context)?;
        expect_fit(form, &self.graph, &declared, view).map_err(context)?;
        let resource = Resource::Texture(view.clone());
        let bound = form.bind_late(&self.store, Buffer::Texture(texture), resource);
        bound.map_err(|e| context(advise(e, &declared, view)))
    }

    /// Binds a buffer of the host's for an input that was named to
    /// [`SessionBuilder::host_buffers`](super::SessionBuilder::host_buffers): the elements lie in
    /// it from byte `offset` on, in order, `f32` or `u32` words (bytes for `u8`).
    ///
    /// # Errors
    /// `Graph` if the value is no such input, if its bytes overlap those of another value that is
    /// bound and one of both is written, or while a step is under way in slices; `Shape` if
    /// `offset` is not a multiple of 256 or the buffer ends before the value's bytes, a multiple of
    /// 16; `Unsupported` if the buffer lacks the usage `STORAGE`, or on the CPU reference;
    /// `DeviceLost`.
    pub fn bind_input(&mut self, input: Value, buffer: &wgpu::Buffer, offset: u64) -> Result<()> {
        self.graph.operand("bind_input", input)?;
        if !matches!(self.graph.source(input)?, Origin::Input(_)) {
            return Err(Error::graph(format!(
                "bind_input: {} is not an input",
                self.graph.describe(input)
            )));
        }
        self.bind_buffer("bind_input", input, buffer, offset)
    }

    /// As [`bind_input`](Self::bind_input), for what a step makes. Bytes between the value's end
    /// and the next multiple of 16 may be written too.
    ///
    /// # Errors
    /// As [`bind_input`](Self::bind_input).
    pub fn bind_output(&mut self, value: Value, buffer: &wgpu::Buffer, offset: u64) -> Result<()> {
        self.graph.operand("bind_output", value)?;
        if self.graph.producer(value).is_none() {
            return Err(Error::graph(format!(
                "bind_output: {} is not made by an op",
                self.graph.describe(value)
            )));
        }
        self.bind_buffer("bind_output", value, buffer, offset)
    }

    fn bind_buffer(
        &mut self,
        what: &str,
        value: Value,
        buffer: &wgpu::Buffer,
        offset: u64,
    ) -> Result<()> {
        let described = self.graph.describe(value);
        let context = |e: Error| e.context(format!("{what}: {described}"));
        self.expect_whole(what)?;
        let form = on_gpu(&mut self.form, what)?;
        let at = Buffer::Host(value);
        let mut spans = form.plan.steps.iter().flat_map(|step| &step.bindings);
        let Some((span, _)) = spans.find(|(span, _)| span.buffer == at) else {
            return Err(Error::graph(format!(
                "{what}: {described} was not named to SessionBuilder::host_buffers, or nothing \
                 uses it"
            )));
        };
        let bytes = span.bytes;
        if !buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            return Err(context(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the buffer has the usage {:?}, STORAGE is needed",
                    buffer.usage()
                ),
            )));
        }
        let end = offset.checked_add(bytes);
        if !offset.is_multiple_of(256) || end.is_none_or(|end| end > buffer.size()) {
            return Err(context(Error::shape(format!(
                "{bytes} bytes from byte {offset} on of a buffer of {}; a binding begins at a \
                 multiple of 256 and ends within the buffer",
                buffer.size()
            ))));
        }
        let resource = Resource::Buffer(buffer.clone(), offset);
        let bound = form.bind_late(&self.store, at, resource);
        bound.map_err(|e| match e.kind() {
            ErrorKind::Shader => {
                let message = format!("a buffer of this device is bound: {e}");
                context(Error::new(ErrorKind::Unsupported, message).with_source(e))
            }
            _ => context(e),
        })
    }

    /// The session's own buffer of an input or a fetched value, for passes of the host's: one that
    /// writes the input stands in for [`write`](Self::write), one that reads a fetched value sees
    /// what the last step made. It stays the same for the session's life.
    ///
    /// # Errors
    /// `Graph` if the value is neither, or lies in a state of the store; `Limit` if it takes more
    /// than one binding; `Unsupported` for what the host binds, and on the CPU reference.
    pub fn buffer(&mut self, value: Value) -> Result<BufferSlice> {
        self.graph.operand("buffer", value)?;
        let absent = Error::graph(format!(
            "buffer: {} is neither an input nor fetched, or does not lie in the session",
            self.graph.describe(value)
        ));
        let input = matches!(self.graph.source(value)?, Origin::Input(_));
        let form = on_gpu(&mut self.form, "buffer")?;
        expect_own_place(form, &self.graph, "buffer", value)?;
        let slice = match form.plan.places.get(&value).map(Vec::as_slice) {
            Some([place]) if is_sessions_own(place.span.buffer) => BufferSlice {
                buffer: form.places(&self.store, value)?[0].0.clone(),
                offset: place.span.offset,
                bytes: place.span.bytes,
            },
            Some([_, _, ..]) => {
                let message = format!(
                    "buffer: {} lies in several buffers, as the device binds no more at once",
                    self.graph.describe(value)
                );
                return Err(Error::new(ErrorKind::Limit, message));
            }
            _ => return Err(absent),
        };
        if input {
            self.written.insert(value);
        }
        Ok(slice)
    }

    /// Bytes of writes to inputs, and to states of the store, that go to the device with the next
    /// run or recorded step. 0 says that a frame takes nothing across.
    pub fn waiting_bytes(&self) -> u64 {
        match &self.form {
            Compiled::Gpu(form) => form.waiting_bytes(),
            Compiled::Cpu { .. } => 0,
        }
    }

    /// What a run lacks.
    pub(super) fn not_bound(&self, buffer: Buffer) -> Error {
        match buffer {
            Buffer::Texture(value) => {
                let name = self.graph.texture_of(value).map(|t| t.name.as_str());
                Error::graph(format!(
                    "texture \"{}\" is not bound; Session::bind_texture does it",
                    name.unwrap_or_default()
                ))
            }
            Buffer::Host(value) => Error::graph(format!(
                "the buffer of {} is not bound; Session::bind_input and bind_output do it",
                self.graph.describe(value)
            )),
            other => Error::graph(format!("{other:?} is not bound")),
        }
    }
}

fn on_gpu<'a>(form: &'a mut Compiled, what: &str) -> Result<&'a mut GpuForm> {
    match form {
        Compiled::Gpu(form) => {
            form.gpu.check_lost()?;
            Ok(form)
        }
        Compiled::Cpu { .. } => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{what}: the session runs on the CPU reference, which has no such thing"),
        )),
    }
}

/// Whether a buffer is neither the store's nor that of a constant.
fn is_sessions_own(buffer: Buffer) -> bool {
    !matches!(buffer, Buffer::Chunk(_) | Buffer::Constant(..))
}

/// Fails for a value that the host keeps, in a texture or a buffer.
pub(super) fn expect_own_place(
    form: &GpuForm,
    graph: &Graph,
    what: &str,
    value: Value,
) -> Result<()> {
    if let Some(texture) = graph.texture_of(value) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{what}: \"{}\" is a texture of the host's; Session::bind_texture binds it",
                texture.name
            ),
        ));
    }
    let places = form.plan.places.get(&value).into_iter().flatten();
    match places
        .clone()
        .any(|place| place.span.buffer.is_bound_late())
    {
        false => Ok(()),
        true => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{what}: {} lies in a buffer of the host's",
                graph.describe(value)
            ),
        )),
    }
}

/// Fails with `Limit` where a step binds more textures than the device takes.
pub(super) fn expect_textures(gpu: &Gpu, plan: &Plan) -> Result<()> {
    let limits = gpu.device().limits();
    let most = |test: fn(Access) -> bool| {
        let steps = plan.steps.iter();
        let counts = steps.map(|step| step.bindings.iter().filter(|b| test(b.1)).count());
        counts.max().unwrap_or(0) as u32
    };
    let sampled = most(|access| access == Access::Texture);
    let stored = most(|access| matches!(access, Access::TextureStore(_)));
    for (name, allowed, needed) in [
        (
            "max_sampled_textures_per_shader_stage",
            limits.max_sampled_textures_per_shader_stage,
            sampled,
        ),
        (
            "max_storage_textures_per_shader_stage",
            limits.max_storage_textures_per_shader_stage,
            stored,
        ),
    ] {
        if allowed < needed {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("{name}: the device allows {allowed}, the graph's textures need {needed}"),
            ));
        }
    }
    Ok(())
}

/// Fails where a texture cannot stand for the one that is declared.
fn expect_fit(
    form: &GpuForm,
    graph: &Graph,
    declared: &Texture,
    view: &wgpu::TextureView,
) -> Result<()> {
    let texture = view.texture();
    let unfit = |message: String| Err(Error::new(ErrorKind::Unsupported, message));
    let (usage, why) = match declared.format {
        None => (wgpu::TextureUsages::TEXTURE_BINDING, "it is read"),
        Some(_) => (wgpu::TextureUsages::STORAGE_BINDING, "it is written"),
    };
    if !texture.usage().contains(usage) {
        return unfit(format!(
            "{why}, for which a texture has the usage {usage:?}; this one has {:?}",
            texture.usage()
        ));
    }
    if texture.dimension() != wgpu::TextureDimension::D2 || texture.sample_count() != 1 {
        return unfit(format!(
            "it is {:?} with {} samples, 2D with one sample is needed",
            texture.dimension(),
            texture.sample_count()
        ));
    }
    if texture.height().max(texture.width()) > LARGEST {
        return unfit(format!(
            "it has {} x {} texels, {LARGEST} at most along an axis",
            texture.height(),
            texture.width()
        ));
    }
    expect_format(declared, texture.format())?;
    let size = &graph.ty(declared.value)?.shape;
    let over = |texels: u32, planned: usize| u64::from(texels).div_ceil(planned as u64);
    let most = form.gpu.caps().max_turns;
    let at = Buffer::Texture(declared.value);
    for step in &form.plan.steps {
        // The crate's own loops go over the texels of the texture that is written, if there is one.
        // What they read makes an image, and takes no more turns before it has more texels than
        // that. Those of other crates may go over any texture.
        let stores = |access: Access| matches!(access, Access::TextureStore(_));
        let writes = step.bindings.iter().any(|(_, access)| stores(*access));
        let walked = |access: Access| match step.trusted {
            true => stores(access) == writes,
            false => access.is_texture(),
        };
        let image = |name| match step.trusted && !writes {
            true => {
                let param = step.params.iter().find(|param| param.name == name);
                param.map_or(0, |param| param.bits as usize)
            }
            false => 0,
        };
        let more = over(texture.height(), size[0].max(image("height")))
            * over(texture.width(), size[1].max(image("width")));
        let mut named = step.bindings.iter().filter(|(span, _)| span.buffer == at);
        if let Some(turns) = step.turns_of_texels
            && named.any(|(_, access)| walked(*access))
            && turns.saturating_mul(more) > most
        {
            return unfit(format!(
                "it has {} x {} texels, the graph plans for {} x {}; {} would take up to {} turns \
                 of its loops in one invocation, the device allows {most}",
                texture.height(),
                texture.width(),
                size[0],
                size[1],
                step.op,
                turns.saturating_mul(more)
            ));
        }
    }
    Ok(())
}

/// Fails for a format that cannot stand for the one that is declared, whatever the view's is: that
/// may only be of another curve.
fn expect_format(declared: &Texture, has: wgpu::TextureFormat) -> Result<()> {
    let unfit = |message: String| Err(Error::new(ErrorKind::Unsupported, message));
    match declared.format {
        None if !is_float(has) => unfit(not_float(has)),
        Some(wanted) if texture_format(wanted) != has.remove_srgb_suffix() => {
            unfit(not_stored(wanted, has))
        }
        _ => Ok(()),
    }
}

/// Whether texels of a format are read as floats, in one of its aspects at least: which one a view
/// has is the device's to know.
fn is_float(format: wgpu::TextureFormat) -> bool {
    use wgpu::TextureAspect::{DepthOnly, Plane0};
    use wgpu::TextureSampleType::{Depth, Float};
    let floats = |aspect| matches!(format.sample_type(aspect, None), Some(Float { .. } | Depth));
    [None, Some(DepthOnly), Some(Plane0)]
        .into_iter()
        .any(floats)
}

fn not_float(has: wgpu::TextureFormat) -> String {
    format!(
        "the texture is {has:?}; what is read is sampled as floats, as integer and stencil formats \
         are not"
    )
}

fn not_stored(wanted: TexelFormat, has: wgpu::TextureFormat) -> String {
    format!(
        "{} is written, the texture is {has:?}; sRGB and BGRA formats cannot be stored: write into \
         a texture of {} (with the curve `Srgb` for the former) and draw or copy that, or make a \
         view of that format where the texture's `view_formats` list it",
        wanted.name(),
        TexelFormat::ALL.map(TexelFormat::name).join(", ")
    )
}

/// What the device objected to, with what may help.
fn advise(error: Error, declared: &Texture, view: &wgpu::TextureView) -> Error {
    if error.kind() != ErrorKind::Shader {
        return error;
    }
    let has = view.texture().format();
    let help = match declared.format {
        None => "a 2D view of one layer of a texture of this device is read".into(),
        Some(wanted) if texture_format(wanted) != has => not_stored(wanted, has),
        Some(_) => {
            "a view of one level and one layer of a texture of this device is written".into()
        }
    };
    let message = format!("{help}: {error}");
    Error::new(ErrorKind::Unsupported, message).with_source(error)
}
