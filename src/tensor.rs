//! Values on the host: [`Tensor`] as users pass them, [`Array`] as the reference computes with them.

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
    pub fn zeros(ty: &Type) -> Self {
        let count = ty.count();
        let data = match ty.dtype {
            DType::F32 => TensorData::F32(vec![0.0; count]),
            DType::F16 => TensorData::F16(vec![0; count]),
            DType::U32 => TensorData::U32(vec![0; count]),
            DType::U8 => TensorData::U8(vec![0; count]),
        };
        Self {
            ty: ty.clone(),
            data,
        }
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
            TensorData::F32(v) => Values::Float(v.iter().map(|&x| f64::from(x)).collect()),
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
    /// A float array (declared `f32`).
    ///
    /// # Panics
    /// If `values` does not fill `shape`: a bug in the op that built it.
    pub fn float(shape: impl Into<Shape>, values: Vec<f64>) -> Self {
        let ty = Type::f32(shape);
        assert_eq!(ty.count(), values.len(), "array of {ty}");
        Self {
            ty,
            values: Values::Float(values),
        }
    }

    /// A `u32` array.
    ///
    /// # Panics
    /// If `values` does not fill `shape`: a bug in the op that built it.
    pub fn u32(shape: impl Into<Shape>, values: Vec<u32>) -> Self {
        let ty = Type::u32(shape);
        assert_eq!(ty.count(), values.len(), "array of {ty}");
        Self {
            ty,
            values: Values::U32(values),
        }
    }

    /// A `u8` array.
    ///
    /// # Panics
    /// If `values` does not fill `shape`: a bug in the op that built it.
    pub fn u8(shape: impl Into<Shape>, values: Vec<u8>) -> Self {
        let ty = Type::u8(shape);
        assert_eq!(ty.count(), values.len(), "array of {ty}");
        Self {
            ty,
            values: Values::U8(values),
        }
    }

    /// Shape and element type.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// Extents.
    pub fn shape(&self) -> &Shape {
        &self.ty.shape
    }

    /// The elements of a float array.
    ///
    /// # Panics
    /// On an integer array: a bug in the shape rule of the op that asks.
    pub fn floats(&self) -> &[f64] {
        match &self.values {
            Values::Float(v) => v,
            _ => panic!("float values asked of an array of {}", self.ty),
        }
    }

    /// The elements of a `u32` array.
    ///
    /// # Panics
    /// On any other array: a bug in the shape rule of the op that asks.
    pub fn u32s(&self) -> &[u32] {
        match &self.values {
            Values::U32(v) => v,
            _ => panic!("u32 values asked of an array of {}", self.ty),
        }
    }

    /// The elements of a `u8` array.
    ///
    /// # Panics
    /// On any other array: a bug in the shape rule of the op that asks.
    pub fn u8s(&self) -> &[u8] {
        match &self.values {
            Values::U8(v) => v,
            _ => panic!("u8 values asked of an array of {}", self.ty),
        }
    }

    /// The same elements under another shape of equal count.
    pub fn reshaped(&self, shape: impl Into<Shape>) -> Self {
        let ty = Type::new(self.ty.dtype, shape);
        assert_eq!(ty.count(), self.ty.count(), "{} as {ty}", self.ty);
        Self {
            ty,
            values: self.values.clone(),
        }
    }

    /// Rows `start..end` of axis 0.
    pub fn rows(&self, start: usize, end: usize) -> Self {
        let row = self.ty.row();
        let mut shape = self.ty.shape.to_vec();
        shape[0] = end - start;
        let range = start * row..end * row;
        Self {
            ty: Type::new(self.ty.dtype, shape),
            values: match &self.values {
                Values::Float(v) => Values::Float(v[range].to_vec()),
                Values::U32(v) => Values::U32(v[range].to_vec()),
                Values::U8(v) => Values::U8(v[range].to_vec()),
            },
        }
    }

    /// `parts` one after the other along axis 0; they must agree in everything else.
    pub fn concat(parts: &[Array]) -> Self {
        let mut whole = parts[0].clone();
        for part in &parts[1..] {
            match (&mut whole.values, &part.values) {
                (Values::Float(a), Values::Float(b)) => a.extend_from_slice(b),
                (Values::U32(a), Values::U32(b)) => a.extend_from_slice(b),
                (Values::U8(a), Values::U8(b)) => a.extend_from_slice(b),
                _ => panic!("concat of {} and {}", whole.ty, part.ty),
            }
        }
        let mut shape = whole.ty.shape.to_vec();
        shape[0] = parts.iter().map(|p| p.ty.shape[0]).sum();
        whole.ty.shape = shape.into();
        whole
    }

    /// The elementwise sum of float arrays of one shape.
    pub fn sum(parts: &[Array]) -> Self {
        let mut whole = parts[0].clone();
        if let Values::Float(total) = &mut whole.values {
            for part in &parts[1..] {
                for (t, p) in total.iter_mut().zip(part.floats()) {
                    *t += p;
                }
            }
        }
        whole
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
