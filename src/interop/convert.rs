//! Elements of a file as those of a state: the types that PyTorch writes, to those that states
//! have.

use safetensors::Dtype;

use crate::error::{Error, ErrorKind, Result};
use crate::shape::{DType, Type};
use crate::tensor::{Tensor, from_f16, room};

/// The format in which tensors of `f32` are saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum FloatFormat {
    /// As they are.
    #[default]
    F32,
    /// Half precision (IEEE 754 binary16): 11 significant bits, up to 65,504.
    F16,
    /// The upper half of an `f32`: 8 significant bits, the same range.
    Bf16,
}

/// The elements of an `f32` tensor in 16 bits each, rounded to the nearest, ties to even.
///
/// # Errors
/// `Checkpoint`, with the first finite element that the format does not hold.
pub(super) fn narrowed(tensor: &Tensor, format: FloatFormat) -> Result<Vec<u8>> {
    let (name, narrow): (_, fn(f32) -> Option<u16>) = match format {
        FloatFormat::F16 => ("f16", |x| to_f16(Number::Float(f64::from(x)))),
        _ => ("bf16", to_bf16),
    };
    let elements = tensor.as_f32()?;
    let mut bytes = room(2 * elements.len())?;
    for (index, &x) in elements.iter().enumerate() {
        let Some(bits) = narrow(x) else {
            let message = format!("element {index} is {x}, which {name} does not hold");
            return Err(Error::new(ErrorKind::Checkpoint, message));
        };
        bytes.extend_from_slice(&bits.to_le_bytes());
    }
    Ok(bytes)
}

/// The upper half of the nearest `f32` whose lower half is zero; none beyond the largest.
fn to_bf16(x: f32) -> Option<u16> {
    let bits = x.to_bits();
    if x.is_nan() {
        // Stays one, also if all of its bits are in the lower half.
        return Some((bits >> 16) as u16 | 0x40);
    }
    let even = bits >> 16 & 1;
    let rounded = (bits.wrapping_add(0x7fff + even) >> 16) as u16;
    let infinite = rounded & 0x7fff == 0x7f80;
    (x.is_infinite() || !infinite).then_some(rounded)
}

/// An element, exactly.
#[derive(Clone, Copy)]
enum Number {
    Float(f64),
    Integer(i128),
}

/// The element type of a state that is stored as `dtype`, if there is one.
pub(super) fn own(dtype: Dtype) -> Option<DType> {
    match dtype {
        Dtype::F32 => Some(DType::F32),
        Dtype::F16 => Some(DType::F16),
        Dtype::U32 => Some(DType::U32),
        Dtype::U8 => Some(DType::U8),
        _ => None,
    }
}

/// The elements of a file, `bytes` of `dtype`, as a tensor of type `ty`. Of the same type they stay
/// as they are, to the bit; else each is rounded to the nearest, ties to even.
///
/// # Errors
/// `Checkpoint` if a finite element is beyond what `ty` holds, or no integer where `ty` holds
/// integers, or if elements of `dtype` are not read: complex numbers and floats of less than 16
/// bits.
pub(super) fn convert(dtype: Dtype, bytes: &[u8], ty: &Type) -> Result<Tensor> {
    if own(dtype) == Some(ty.dtype) {
        return Tensor::from_bytes(ty, bytes);
    }
    let read = reader(dtype).ok_or_else(|| {
        let message = format!("elements of {dtype:?} are not read");
        Error::new(ErrorKind::Checkpoint, message)
    })?;
    let shape = ty.shape.clone();
    let elements = bytes.chunks_exact(dtype.bitsize() / 8).map(read);
    match ty.dtype {
        DType::F32 => Tensor::f32(shape, all(elements, ty, to_f32)?),
        DType::F16 => Tensor::f16_bits(shape, all(elements, ty, to_f16)?),
        DType::U32 => Tensor::u32(shape, all(elements, ty, to_integer::<u32>)?),
        DType::U8 => Tensor::u8(shape, all(elements, ty, to_integer::<u8>)?),
    }
}

fn all<T>(
    elements: impl Iterator<Item = Number>,
    ty: &Type,
    to: impl Fn(Number) -> Option<T>,
) -> Result<Vec<T>> {
    let mut made = Vec::with_capacity(elements.size_hint().0);
    for element in elements {
        made.push(to(element).ok_or_else(|| {
            let number = match element {
                Number::Float(x) => x.to_string(),
                Number::Integer(i) => i.to_string(),
            };
            Error::new(
                ErrorKind::Checkpoint,
                format!(
                    "element {} is {number}, which {} does not hold",
                    made.len(),
                    ty.dtype
                ),
            )
        })?);
    }
    Ok(made)
}

/// Reads one element from its bytes.
fn reader(dtype: Dtype) -> Option<fn(&[u8]) -> Number> {
    fn bytes<const N: usize>(b: &[u8]) -> [u8; N] {
        let mut own = [0; N];
        own.copy_from_slice(b);
        own
    }
    use Number::{Float, Integer};
    Some(match dtype {
        Dtype::BOOL => |b| Integer(i128::from(b[0] != 0)),
        Dtype::U8 => |b| Integer(i128::from(b[0])),
        Dtype::I8 => |b| Integer(i128::from(i8::from_le_bytes(bytes(b)))),
        Dtype::I16 => |b| Integer(i128::from(i16::from_le_bytes(bytes(b)))),
        Dtype::U16 => |b| Integer(i128::from(u16::from_le_bytes(bytes(b)))),
        Dtype::I32 => |b| Integer(i128::from(i32::from_le_bytes(bytes(b)))),
        Dtype::U32 => |b| Integer(i128::from(u32::from_le_bytes(bytes(b)))),
        Dtype::I64 => |b| Integer(i128::from(i64::from_le_bytes(bytes(b)))),
        Dtype::U64 => |b| Integer(i128::from(u64::from_le_bytes(bytes(b)))),
        Dtype::F16 => |b| Float(from_f16(u16::from_le_bytes(bytes(b)))),
        // The upper half of an f32.
        Dtype::BF16 => |b| {
            let bits = u32::from(u16::from_le_bytes(bytes(b))) << 16;
            Float(f64::from(f32::from_bits(bits)))
        },
        Dtype::F32 => |b| Float(f64::from(f32::from_le_bytes(bytes(b)))),
        Dtype::F64 => |b| Float(f64::from_le_bytes(bytes(b))),
        _ => return None,
    })
}

fn to_f32(number: Number) -> Option<f32> {
    match number {
        Number::Float(x) => {
            let rounded = x as f32;
            (rounded.is_finite() || !x.is_finite()).then_some(rounded)
        }
        Number::Integer(i) => Some(i as f32),
    }
}

/// The bits of the nearest half float.
fn to_f16(number: Number) -> Option<u16> {
    const INFINITE: u16 = 0x7c00;
    let x = match number {
        Number::Float(x) => x,
        // Beyond 2^53 this is not exact, and far beyond the largest half float.
        Number::Integer(i) => i as f64,
    };
    let sign = if x.is_sign_negative() { 0x8000 } else { 0 };
    let size = x.abs();
    let bits = if x.is_nan() {
        INFINITE | 0x200
    } else if size.is_infinite() {
        INFINITE
    } else if size < f64::exp2(-14.0) {
        // Multiples of 2^-24; 1024 of them are the least normal number, whose bits are 1024.
        (size * f64::exp2(24.0)).round_ties_even() as u16
    } else {
        // size is m * 2^exponent, 1 <= m < 2; a mantissa that is rounded up to 2 carries over.
        let exponent = (size.to_bits() >> 52) as i32 - 1023;
        let mantissa = (size * 2f64.powi(10 - exponent)).round_ties_even() as i32 - 1024;
        let bits = ((exponent + 15) << 10) + mantissa;
        u16::try_from(bits).ok().filter(|&bits| bits < INFINITE)?
    };
    Some(sign | bits)
}

fn to_integer<T: TryFrom<i128>>(number: Number) -> Option<T> {
    let integer = match number {
        Number::Integer(i) => i,
        // Neither a NaN nor an infinity has a fraction of zero.
        Number::Float(x) if x.fract() == 0.0 => x as i128,
        Number::Float(_) => return None,
    };
    T::try_from(integer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(dtype: Dtype, bytes: &[u8], to: DType) -> Result<Tensor> {
        let count = bytes.len() / (dtype.bitsize() / 8);
        convert(dtype, bytes, &Type::new(to, [count]))
    }

    fn doubles(values: &[f64]) -> Vec<u8> {
        values.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    #[test]
    fn every_half_float_comes_back() {
        for bits in 0..=u16::MAX {
            let x = from_f16(bits);
            let back = to_f16(Number::Float(x)).unwrap();
            if x.is_nan() {
                assert!(from_f16(back).is_nan());
            } else {
                assert_eq!(back, bits, "{x}");
            }
        }
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest() {
        // Between neighbours of f32 at 1: half way to the even one, and beyond it.
        let step = f64::from(f32::EPSILON);
        let values = [1.0 + step / 2.0, 1.0 + step * 1.5, 1.0 + step * 0.51, -0.0];
        let made = converted(Dtype::F64, &doubles(&values), DType::F32).unwrap();
        let bits: Vec<u32> = made.as_f32().unwrap().iter().map(|x| x.to_bits()).collect();
        assert_eq!(bits, [0x3f80_0000, 0x3f80_0002, 0x3f80_0001, 0x8000_0000]);
        // The same for f16, at 1, below the least normal number, and at the largest.
        let values = [
            1.0 + f64::exp2(-11.0),
            1.0 + f64::exp2(-11.0) + f64::exp2(-40.0),
            f64::exp2(-25.0),
            f64::exp2(-25.0) * 1.001,
            f64::exp2(-14.0) * 0.99999,
            65519.0,
            f64::NEG_INFINITY,
        ];
        let made = converted(Dtype::F64, &doubles(&values), DType::F16).unwrap();
        let want = [0x3c00, 0x3c01, 0, 1, 0x400, 0x7bff, 0xfc00u16];
        assert_eq!(made, Tensor::f16_bits([7], want.to_vec()).unwrap());
        let bf16 = converted(Dtype::BF16, &[0x80, 0x3f, 0x49, 0x40], DType::F32).unwrap();
        assert_eq!(bf16.as_f32().unwrap(), [1.0, 3.140625]);
        let large = (16_777_217i64.to_le_bytes(), (-3i64).to_le_bytes());
        let made = converted(Dtype::I64, &[large.0, large.1].concat(), DType::F32).unwrap();
        assert_eq!(made.as_f32().unwrap(), [16_777_216.0, -3.0]);
    }

    #[test]
    fn floats_are_narrowed_to_the_nearest() {
        // Every upper half stays as it is.
        for bits in 0..=u16::MAX {
            let x = f32::from_bits(u32::from(bits) << 16);
            let back = to_bf16(x).unwrap();
            let same = f32::from_bits(u32::from(back) << 16);
            assert!(back == bits || (x.is_nan() && same.is_nan()), "{bits:x}");
        }
        // Half way to the even neighbour, a little more, a little less.
        for (bits, wanted) in [
            (0x3f80_8000, 0x3f80),
            (0x3f81_8000, 0x3f82),
            (0x3f80_8001, 0x3f81),
            (0x3f80_7fff, 0x3f80),
            (0xff7f_7fff, 0xff7f),
            (0x7f80_0000, 0x7f80),
            (0x0000_8001, 0x0001),
            (0x7f80_0001, 0x7fc0),
        ] {
            let made = to_bf16(f32::from_bits(bits)).unwrap();
            assert_eq!(made, wanted, "{bits:x}");
        }
        assert_eq!(to_bf16(f32::MAX), None);
        let tensor = |x: f32| Tensor::f32([2], vec![0.0, x]).unwrap();
        for (x, format, words) in [
            (1e5, FloatFormat::F16, "element 1 is 100000, which f16 does"),
            (f32::MAX, FloatFormat::Bf16, "which bf16 does not hold"),
        ] {
            let error = narrowed(&tensor(x), format).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Checkpoint);
            assert!(error.to_string().contains(words), "{error}");
        }
        let made = narrowed(&tensor(-1.5), FloatFormat::F16).unwrap();
        assert_eq!(made, [0, 0, 0, 0xbe]);
    }

    #[test]
    fn what_does_not_fit_is_an_error_with_its_number() {
        let message = |result: Result<Tensor>| {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Checkpoint);
            error.to_string()
        };
        let i64s =
            |values: &[i64]| -> Vec<u8> { values.iter().flat_map(|x| x.to_le_bytes()).collect() };
        let made = converted(Dtype::I64, &i64s(&[0, 4_294_967_295]), DType::U32).unwrap();
        assert_eq!(made.as_u32().unwrap(), [0, u32::MAX]);
        assert_eq!(
            message(converted(Dtype::I64, &i64s(&[7, 1 << 32]), DType::U32)),
            "element 1 is 4294967296, which u32 does not hold"
        );
        assert_eq!(
            message(converted(Dtype::I32, &(-1i32).to_le_bytes(), DType::U32)),
            "element 0 is -1, which u32 does not hold"
        );
        for (x, to) in [
            (1e39, DType::F32),
            (65520.0, DType::F16),
            (0.5, DType::U32),
            (f64::NAN, DType::U8),
            (f64::INFINITY, DType::U32),
            (256.0, DType::U8),
        ] {
            message(converted(Dtype::F64, &doubles(&[x]), to));
        }
        let infinite = doubles(&[f64::INFINITY, f64::NAN]);
        let made = converted(Dtype::F64, &infinite, DType::F32).unwrap();
        assert_eq!(made.as_f32().unwrap()[0], f32::INFINITY);
        assert!(made.as_f32().unwrap()[1].is_nan());
        assert_eq!(
            message(converted(Dtype::F8_E4M3, &[0], DType::F32)),
            "elements of F8_E4M3 are not read"
        );
    }
}
