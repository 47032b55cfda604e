//! Values on the host: [`Tensor`] as users pass them, [`Array`] as the reference computes with
//! them.

use crate::error::{Error, ErrorKind, Result};
use crate::shape::{DType, Shape, Type};

/// A typed array on the host, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    ty: Type,
    data: TensorData,
}

#[derive(Debug, Clone, PartialEq)]
enum TensorData {
    F32(Vec<f32>),
    F16(Vec<u16>),
    U32(Vec<u32>),
    U8(Vec<u8>),
}

/// An empty vector that takes `count` elements without asking for more memory.
///
/// # Errors
/// `OutOfMemory`.
pub(crate) fn room<T>(count: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(count).map_err(|error| {
        let size = size_of::<T>();
        let message = format!("{count} elements of {size} bytes do not fit the memory");
        Error::new(ErrorKind::OutOfMemory, message).with_source(error)
    })?;
    Ok(room)
}

/// `count` zeros, in memory that the system hands out zeroed, once it is known to have so much.
fn zeros<T: Clone + Default>(count: usize) -> Result<Vec<T>> {
    drop(std::hint::black_box(room::<T>(count)?));
    Ok(vec![T::default(); count])
}

/// The number that has these bits in half precision (IEEE 754 binary16).
pub(crate) fn from_f16(bits: u16) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => mantissa * f64::exp2(-24.0),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + mantissa) * 2f64.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

impl Tensor {
    fn checked(ty: Type, len: usize, data: TensorData) -> Result<Self> {
        ty.check()?;
        if ty.count() != len {
            return Err(Error::shape(format!(
                "tensor of {ty} needs {} elements, {len} were given",
                ty.count()
            )));
        }
        Ok(Self { ty, data })
    }

    /// An `f32` tensor; `data.len()` must be the product of `shape`.
    pub fn f32(shape: impl Into<Shape>, data: Vec<f32>) -> Result<Self> {
        Self::checked(Type::f32(shape), data.len(), TensorData::F32(data))
    }

    /// A `u32` tensor.
    pub fn u32(shape: impl Into<Shape>, data: Vec<u32>) -> Result<Self> {
        Self::checked(Type::u32(shape), data.len(), TensorData::U32(data))
    }

    /// A `u8` tensor.
    pub fn u8(shape: impl Into<Shape>, data: Vec<u8>) -> Result<Self> {
        Self::checked(Type::u8(shape), data.len(), TensorData::U8(data))
    }

    /// An `f16` tensor from its bits.
    pub fn f16_bits(shape: impl Into<Shape>, data: Vec<u16>) -> Result<Self> {
        Self::checked(
            Type::new(DType::F16, shape),
            data.len(),
            TensorData::F16(data),
        )
    }

    /// An `f32` tensor without axes.
    pub fn scalar(value: f32) -> Self {
        Self {
            ty: Type::f32([]),
            data: TensorData::F32(vec![value]),
        }
    }

    /// All elements zero.
    ///
    /// # Errors
    /// `Shape` for 2^31 elements or more; `OutOfMemory`.
    pub fn zeros(ty: &Type) -> Result<Self> {
        ty.check()?;
        let count = ty.count();
        let data = match ty.dtype {
            DType::F32 => TensorData::F32(zeros(count)?),
            DType::F16 => TensorData::F16(zeros(count)?),
            DType::U32 => TensorData::U32(zeros(count)?),
            DType::U8 => TensorData::U8(zeros(count)?),
        };
        Ok(Self {
            ty: ty.clone(),
            data,
        })
    }

    /// A tensor from little-endian bytes; trailing padding beyond the elements is ignored.
    pub fn from_bytes(ty: &Type, bytes: &[u8]) -> Result<Self> {
        ty.check()?;
        let size = ty.count() * ty.dtype.size();
        let Some(bytes) = bytes.get(..size) else {
            return Err(Error::shape(format!(
                "tensor of {ty} needs {size} bytes, {} were given",
                bytes.len()
            )));
        };
        let data = match ty.dtype {
            DType::F32 => TensorData::F32(bytemuck::pod_collect_to_vec(bytes)),
            DType::F16 => TensorData::F16(bytemuck::pod_collect_to_vec(bytes)),
            DType::U32 => TensorData::U32(bytemuck::pod_collect_to_vec(bytes)),
            DType::U8 => TensorData::U8(bytes.to_vec()),
        };
        Ok(Self {
            ty: ty.clone(),
            data,
        })
    }

    /// Shape and element type.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// Extents.
    pub fn shape(&self) -> &Shape {
        &self.ty.shape
    }

    /// The elements as little-endian bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            TensorData::F32(v) => bytemuck::cast_slice(v),
            TensorData::F16(v) => bytemuck::cast_slice(v),
            TensorData::U32(v) => bytemuck::cast_slice(v),
            TensorData::U8(v) => v,
        }
    }

    fn wrong_dtype(&self, wanted: DType) -> Error {
        Error::shape(format!("tensor holds {}, not {wanted}", self.ty))
    }

    /// The elements of an `f32` tensor.
    pub fn as_f32(&self) -> Result<&[f32]> {
        match &self.data {
            TensorData::F32(v) => Ok(v),
            _ => Err(self.wrong_dtype(DType::F32)),
        }
    }

    /// The elements of a `u32` tensor.
    pub fn as_u32(&self) -> Result<&[u32]> {
        match &self.data {
            TensorData::U32(v) => Ok(v),
            _ => Err(self.wrong_dtype(DType::U32)),
        }
    }

    /// The elements of a `u8` tensor.
    pub fn as_u8(&self) -> Result<&[u8]> {
        match &self.data {
            TensorData::U8(v) => Ok(v),
            _ => Err(self.wrong_dtype(DType::U8)),
        }
    }

    /// The single element of an `f32` tensor.
    pub fn item(&self) -> Result<f32> {
        match self.as_f32()? {
            [one] => Ok(*one),
            _ => Err(Error::shape(format!(
                "item() needs one element, the tensor is {}",
                self.ty
            ))),
        }
    }

    /// The tensor as the reference computes with it: `f64` for floats, exact integers otherwise.
    pub fn to_array(&self) -> Result<Array> {
        let values = match &self.data {
            TensorData::F32(v) => {
                let mut values = room(v.len())?;
                values.extend(v.iter().map(|&x| f64::from(x)));
                Values::Float(values)
            }
            TensorData::U32(v) => Values::U32(v.clone()),
            TensorData::U8(v) => Values::U8(v.clone()),
            TensorData::F16(_) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "the reference does not compute with f16 tensors",
                ));
            }
        };
        Ok(Array {
            ty: self.ty.clone(),
            values,
        })
    }
}

/// A value of the reference: `f64` for float types, exact integers for the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    ty: Type,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    Float(Vec<f64>),
    U32(Vec<u32>),
    U8(Vec<u8>),
}

impl Array {
    /// An array of this type, or of all `count` values in a row if they do not fill it: what takes
    /// arrays compares their types with the graph's.
    fn filled(ty: Type, count: usize, values: Values) -> Self {
        let ty = match ty.count() == count {
            true => ty,
            false => Type::new(ty.dtype, [count]),
        };
        Self { ty, values }
    }

    /// A float array (declared `f32`). Values that do not fill `shape` become an array with one
    /// axis, which the executor refuses by its type.
    pub fn float(shape: impl Into<Shape>, values: Vec<f64>) -> Self {
        Self::filled(Type::f32(shape), values.len(), Values::Float(values))
    }

    /// A `u32` array; as [`Array::float`] if `values` does not fill `shape`.
    pub fn u32(shape: impl Into<Shape>, values: Vec<u32>) -> Self {
        Self::filled(Type::u32(shape), values.len(), Values::U32(values))
    }

    /// A `u8` array; as [`Array::float`] if `values` does not fill `shape`.
    pub fn u8(shape: impl Into<Shape>, values: Vec<u8>) -> Self {
        Self::filled(Type::u8(shape), values.len(), Values::U8(values))
    }

    /// Shape and element type.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// Extents.
    pub fn shape(&self) -> &Shape {
        &self.ty.shape
    }

    /// The elements of a float array; none of an integer array.
    pub fn floats(&self) -> &[f64] {
        match &self.values {
            Values::Float(v) => v,
            _ => &[],
        }
    }

    /// The elements of a `u32` array; none of any other.
    pub fn u32s(&self) -> &[u32] {
        match &self.values {
            Values::U32(v) => v,
            _ => &[],
        }
    }

    /// The elements of a `u8` array; none of any other.
    pub fn u8s(&self) -> &[u8] {
        match &self.values {
            Values::U8(v) => v,
            _ => &[],
        }
    }

    /// The same elements under another shape; the array as it is if they do not fill that.
    pub fn reshaped(&self, shape: impl Into<Shape>) -> Self {
        let ty = Type::new(self.ty.dtype, shape);
        Self {
            ty: match ty.count() == self.ty.count() {
                true => ty,
                false => self.ty.clone(),
            },
            values: self.values.clone(),
        }
    }

    /// Rows `start..end` of axis 0, as far as there are any; a scalar is its own only row.
    pub fn rows(&self, start: usize, end: usize) -> Self {
        let end = end.min(self.ty.shape.rows());
        let start = start.min(end);
        let row = self.ty.row();
        let mut shape = self.ty.shape.to_vec();
        if let Some(rows) = shape.first_mut() {
            *rows = end - start;
        }
        let range = start * row..end * row;
        let (count, ty) = (range.len(), Type::new(self.ty.dtype, shape));
        let values = match &self.values {
            Values::Float(v) => Values::Float(v[range].to_vec()),
            Values::U32(v) => Values::U32(v[range].to_vec()),
            Values::U8(v) => Values::U8(v[range].to_vec()),
        };
        Self::filled(ty, count, values)
    }

    /// `parts` one after the other along axis 0.
    ///
    /// # Errors
    /// `Shape` if there are none, or if they differ in more than their rows.
    pub fn concat(parts: &[Array]) -> Result<Self> {
        let [first, others @ ..] = parts else {
            return Err(Error::shape("concat: no arrays"));
        };
        let mut whole = first.clone();
        let mut rows = first.ty.shape.rows();
        for part in others {
            let alike =
                first.ty.shape.get(1..) == part.ty.shape.get(1..) && !first.ty.shape.is_empty();
            match (&mut whole.values, &part.values) {
                (Values::Float(a), Values::Float(b)) if alike => a.extend_from_slice(b),
                (Values::U32(a), Values::U32(b)) if alike => a.extend_from_slice(b),
                (Values::U8(a), Values::U8(b)) if alike => a.extend_from_slice(b),
                _ => {
                    let (first, part) = (&first.ty, &part.ty);
                    return Err(Error::shape(format!(
                        "concat: arrays of {first} and {part}"
                    )));
                }
            }
            rows = rows.saturating_add(part.ty.shape.rows());
        }
        let mut shape = whole.ty.shape.to_vec();
        if let Some(extent) = shape.first_mut() {
            *extent = rows;
        }
        whole.ty.shape = shape.into();
        Ok(whole)
    }

    /// The elementwise sum of float arrays of one shape; of other arrays the first.
    ///
    /// # Errors
    /// `Shape` if there are none, or if they differ in type.
    pub fn sum(parts: &[Array]) -> Result<Self> {
        let [first, others @ ..] = parts else {
            return Err(Error::shape("sum: no arrays"));
        };
        let mut whole = first.clone();
        for part in others {
            if part.ty != first.ty {
                let (first, part) = (&first.ty, &part.ty);
                return Err(Error::shape(format!("sum: arrays of {first} and {part}")));
            }
            if let Values::Float(total) = &mut whole.values {
                for (t, p) in total.iter_mut().zip(part.floats()) {
                    *t += p;
                }
            }
        }
        Ok(whole)
    }

    /// The array rounded to its declared type, as it is stored.
    pub fn to_tensor(&self) -> Tensor {
        Tensor {
            ty: self.ty.clone(),
            data: match &self.values {
                Values::Float(v) => TensorData::F32(v.iter().map(|&x| x as f32).collect()),
                Values::U32(v) => TensorData::U32(v.clone()),
                Values::U8(v) => TensorData::U8(v.clone()),
            },
        }
    }

    /// Floats rounded to `f32` and widened again: what state keeps between steps.
    pub fn rounded(mut self) -> Self {
        if let Values::Float(v) = &mut self.values {
            for x in v {
                *x = f64::from(*x as f32);
            }
        }
        self
    }
}
