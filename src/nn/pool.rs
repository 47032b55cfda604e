//! Pooling layers: the parameters of `ops`' poolings are the layers. Max unpooling needs indices
//! beside x and is called on the graph.

use super::{Build, Module};
use crate::error::Result;
use crate::graph::Value;

pub use crate::ops::{
    AdaptiveAvgPool, AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool,
    AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d, AvgPool, AvgPool1d, AvgPool2d,
    AvgPool3d, LpPool, LpPool1d, LpPool2d, LpPool3d, MaxPool, MaxPool1d, MaxPool2d, MaxPool3d,
};

impl<const D: usize> Module for MaxPool<D> {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within(format_args!("MaxPool{D}d"), |cx| {
            cx.graph().max_pool(x, *self)
        })
    }
}

impl<const D: usize> Module for AvgPool<D> {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within(format_args!("AvgPool{D}d"), |cx| {
            cx.graph().avg_pool(x, *self)
        })
    }
}

impl<const D: usize> Module for LpPool<D> {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within(format_args!("LpPool{D}d"), |cx| {
            cx.graph().lp_pool(x, *self)
        })
    }
}

impl<const D: usize> Module for AdaptiveAvgPool<D> {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within(format_args!("AdaptiveAvgPool{D}d"), |cx| {
            cx.graph().adaptive_avg_pool(x, *self)
        })
    }
}

impl<const D: usize> Module for AdaptiveMaxPool<D> {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within(format_args!("AdaptiveMaxPool{D}d"), |cx| {
            cx.graph().adaptive_max_pool(x, *self)
        })
    }
}

/// The mean of each plane: `[n, c, ...]` gives `[n, c, 1, ...]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GlobalAvgPool;

impl Module for GlobalAvgPool {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("GlobalAvgPool", |cx| cx.graph().global_avg_pool(x))
    }
}

/// The largest element of each plane: `[n, c, ...]` gives `[n, c, 1, ...]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GlobalMaxPool;

impl Module for GlobalMaxPool {
    fn build(&self, cx: &mut Build, x: Value) -> Result<Value> {
        cx.within("GlobalMaxPool", |cx| cx.graph().global_max_pool(x))
    }
}
