//! The ops, one file per family: parameters and builder, shape rule, reference, gradient, lowering,
//! in this order.

use std::any::{Any, TypeId};
use std::cmp::Ordering;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::Op;
use crate::kernel::Kernel;
use crate::lowering;
use crate::shape::{DType, Type};
use crate::tensor::Array;

mod augment;
mod axes;
mod conv;
mod detect;
mod dim;
mod elementwise;
mod filler;
mod loss;
mod matmul;
mod movement;
mod norm;
mod optim;
mod pool;
mod random;
mod reduce;
mod resize;
mod texture;

pub use augment::mask::AugmentMask;
pub use augment::mix::{MixImages, MixLabels};
pub use augment::pixels::AugmentPixels;
pub use augment::row::{AugmentRow, Border, Levels};
pub use augment::rows::{AugmentChoice, AugmentRows, AugmentStage, Elastic};
pub use augment::tables::AugmentTables;
pub use conv::{
    Conv, Conv1d, Conv2d, Conv3d, ConvForward, ConvGradInput, ConvGradWeight, ConvTranspose,
    ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, ConvTransposeWalk, ConvWalk,
};
pub use detect::nms::Nms;
pub use dim::Dim;
pub use elementwise::Fill;
pub use elementwise::binary::{Binary, BinaryFunction, BinaryGrad};
pub use elementwise::cast::Cast;
pub use elementwise::compare::{Compare, Comparison, Select};
pub use elementwise::unary::{Saved, Unary, UnaryGrad};
pub use elementwise::unary_function::UnaryFunction;
pub(crate) use filler::refuse_filler;
pub use loss::accuracy::CountCorrect;
pub use loss::composed::TripletMargin;
pub use loss::confusion::ConfusionMatrix;
pub use loss::cross_entropy::{CrossEntropy, CrossEntropyGrad, CrossEntropyLoss};
pub use loss::pointwise::{LossFunction, PointwiseLoss, PointwiseLossGrad, Reduction};
pub use loss::softmax::{Softmax, SoftmaxGrad};
pub use matmul::MatMul;
pub use movement::gather::{GatherLabels, GatherRows};
pub use movement::index::{Gather, ScatterAdd};
pub use movement::join::{Concat, SplitAxis};
pub use movement::pad::{Pad, PadGrad};
pub use movement::slice::{AxisRange, Slice, SliceGrad};
pub use movement::{Expand, Permute, Reshape};
pub use norm::local_response_norm::{LocalResponseNorm, LocalResponseNormGrad};
pub use norm::{
    Moments, NormStatistics, Normalize, NormalizeGrad, Over, RunningStatistic, StatisticPairs,
};
pub use optim::blend::{Blend, Blending, Ema, Warmup};
pub use optim::clip::ClipGradNorm;
pub use optim::rule::{AdagradRule, AdamRule, RmsPropRule, Rule, SgdRule};
pub use optim::schedule::Lookup;
pub use optim::update::{Update, Updated, Updating};
pub use pool::*;
pub use random::batches::{Batches, ShuffledBatch};
pub use random::{Advance, Dropout};
pub use reduce::along::{Along, AlongGrad};
pub use reduce::cumsum::CumSum;
pub use reduce::moments::{MeanDifference, Norm, Var};
pub use reduce::prod::Prod;
pub use reduce::topk::TopK;
pub use reduce::{Extreme, Ratio, Spread, Sum, Ties};
pub use resize::sample::{
    GridSample, GridSampleGradGrid, GridSampleGradInput, SampleMode, SamplePadding,
};
pub use resize::{Interpolate, InterpolateGrad, InterpolateMode};
pub use texture::{
    Curve, Paint, ReadTextures, TexelResize, Texels, TextureInput, TextureOutput, Transfer,
    VideoRange, WriteTexture,
};

/// Whether `op` is one of this crate's. What these emit for types that their rules accept runs
/// without run-time checks (`gpu/trusted.rs`); an op that is not listed here runs with all of them.
pub(crate) fn is_own(op: &dyn Op) -> bool {
    fn of<T: Op>() -> TypeId {
        TypeId::of::<T>()
    }
    let own = [
        of::<Advance>(),
        of::<Along>(),
        of::<AlongGrad>(),
        of::<AugmentMask>(),
        of::<AugmentPixels>(),
        of::<AugmentRows>(),
        of::<AugmentTables>(),
        of::<AveragePool>(),
        of::<AveragePoolGrad>(),
        of::<Binary>(),
        of::<BinaryGrad>(),
        of::<Blend>(),
        of::<Cast>(),
        of::<ClipGradNorm>(),
        of::<Compare>(),
        of::<Concat>(),
        of::<ConfusionMatrix>(),
        of::<ConvForward>(),
        of::<ConvGradInput>(),
        of::<ConvGradWeight>(),
        of::<CountCorrect>(),
        of::<CrossEntropy>(),
        of::<CrossEntropyGrad>(),
        of::<CumSum>(),
        of::<Dropout>(),
        of::<Expand>(),
        of::<Extreme>(),
        of::<Fill>(),
        of::<Gather>(),
        of::<GatherLabels>(),
        of::<GatherRows>(),
        of::<GridSample>(),
        of::<GridSampleGradGrid>(),
        of::<GridSampleGradInput>(),
        of::<Interpolate>(),
        of::<InterpolateGrad>(),
        of::<LocalResponseNorm>(),
        of::<LocalResponseNormGrad>(),
        of::<Lookup>(),
        of::<MatMul>(),
        of::<MaxPoolForward>(),
        of::<MaxPoolGather>(),
        of::<MaxPoolGrad>(),
        of::<MaxUnpoolForward>(),
        of::<MaxUnpoolGrad>(),
        of::<MeanDifference>(),
        of::<MixImages>(),
        of::<MixLabels>(),
        of::<Nms>(),
        of::<Norm>(),
        of::<NormStatistics>(),
        of::<Normalize>(),
        of::<NormalizeGrad>(),
        of::<Pad>(),
        of::<PadGrad>(),
        of::<Permute>(),
        of::<PointwiseLoss>(),
        of::<PointwiseLossGrad>(),
        of::<Prod>(),
        of::<Ratio>(),
        of::<ReadTextures>(),
        of::<Reshape>(),
        of::<RunningStatistic>(),
        of::<ScatterAdd>(),
        of::<Select>(),
        of::<ShuffledBatch>(),
        of::<Slice>(),
        of::<SliceGrad>(),
        of::<Softmax>(),
        of::<SoftmaxGrad>(),
        of::<SplitAxis>(),
        of::<Spread>(),
        of::<StatisticPairs>(),
        of::<Sum>(),
        of::<Ties>(),
        of::<TopK>(),
        of::<Unary>(),
        of::<UnaryGrad>(),
        of::<Update>(),
        of::<Var>(),
        of::<WriteTexture>(),
    ];
    own.contains(&(op as &dyn Any).type_id())
}

/// Every kernel of the crate, to be read, translated and measured. A dispatch of one by an op from
/// elsewhere runs with every check.
pub fn kernels() -> Vec<Kernel> {
    let fixed = [
        augment::KERNELS,
        loss::accuracy::KERNELS,
        loss::confusion::KERNELS,
        reduce::along::KERNELS,
        reduce::cumsum::KERNELS,
        random::batches::KERNELS,
        elementwise::binary::KERNELS,
        optim::blend::KERNELS,
        elementwise::cast::KERNELS,
        optim::clip::KERNELS,
        detect::nms::KERNELS,
        elementwise::compare::KERNELS,
        loss::cross_entropy_lower::KERNELS,
        movement::gather::KERNELS,
        movement::index::KERNELS,
        norm::local_response_norm::KERNELS,
        norm::local_response_norm_wide::KERNELS,
        norm::lower::KERNELS,
        movement::pad::KERNELS,
        loss::pointwise::KERNELS,
        pool::KERNELS,
        random::KERNELS,
        reduce::KERNELS,
        reduce::topk::KERNELS,
        optim::schedule::KERNELS,
        resize::lower::KERNELS,
        resize::sample::KERNELS,
        loss::softmax::KERNELS,
        elementwise::unary::KERNELS,
        optim::update::KERNELS,
    ];
    let fixed = fixed
        .concat()
        .into_iter()
        .chain(texture::kernels())
        .cloned();
    let composed = [
        conv::kernels(),
        matmul::kernels(),
        norm::lower::kernels(),
        pool::kernels(),
    ]
    .concat();
    (fixed.chain(composed).chain(lowering::kernels())).collect()
}

/// Fails unless the op got `count` inputs.
fn expect_inputs(op: &str, inputs: &[&Type], count: usize) -> Result<()> {
    if inputs.len() == count {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{op}: {} inputs, {count} are needed",
        inputs.len()
    )))
}

/// Fails unless `operand` of `op` has the dtype that the op needs.
fn expect_dtype(op: &str, operand: &str, ty: &Type, wanted: DType) -> Result<()> {
    if ty.dtype == wanted {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{op}: {operand} is {ty}, {wanted} is needed"
    )))
}

/// Fails unless `operand` of `op` is `f32`.
fn expect_f32(op: &str, operand: &str, ty: &Type) -> Result<()> {
    expect_dtype(op, operand, ty, DType::F32)
}

/// Fails unless `operand` of `op` is of exactly this type.
fn expect_type(op: &str, operand: &str, ty: &Type, wanted: &Type) -> Result<()> {
    if ty == wanted {
        return Ok(());
    }
    Err(Error::shape(format!(
        "{op}: {operand} is {ty}, {wanted} is needed"
    )))
}

/// Fails unless `ty`, an operand of `op`, is that of a clock.
fn expect_clock(op: &str, ty: &Type) -> Result<()> {
    expect_type(op, "clock", ty, &Type::u32([4]))
}

/// Fails for forms that only the plan makes, after gradients were built.
fn expect_unfused(op: &str, fused: bool) -> Result<()> {
    if fused {
        return Err(Error::new(
            ErrorKind::NotDifferentiable,
            format!("{op}: a fused form has no gradient; build it from its parts"),
        ));
    }
    Ok(())
}

/// What ops say that are gradients and have none themselves.
fn no_second_derivative(op: &str) -> Error {
    Error::new(
        ErrorKind::NotDifferentiable,
        format!("{op}: second derivatives are not offered"),
    )
}

/// The order of two elements, for the reference: NaN as larger than all numbers and as equal to
/// NaN, zeros as equal.
fn in_order(a: f64, b: f64) -> Ordering {
    let numbers = || (a + 0.0).total_cmp(&(b + 0.0));
    match (a.is_nan(), b.is_nan()) {
        (false, false) => numbers(),
        (a_is_nan, b_is_nan) => a_is_nan.cmp(&b_is_nan),
    }
}

/// What fused kernels do last, for the reference: relu, then zero where the mask is not positive.
fn finish(y: &mut [f64], relu: bool, mask: Option<&Array>) {
    for (i, value) in y.iter_mut().enumerate() {
        let masked = mask.is_some_and(|mask| mask.floats()[i] <= 0.0);
        if masked || (relu && *value <= 0.0) {
            *value = 0.0;
        }
    }
}
