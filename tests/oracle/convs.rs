//! Convolutions, transposed or not.

use striate::error::Result;
use striate::graph::{Graph, Value};
use striate::ops::{Conv, ConvTranspose, ConvTransposeWalk, ConvWalk};

use crate::Example;
use crate::build::{Inputs, padding_mode};

/// A convolution over `D` axes.
pub fn conv<const D: usize>(g: &mut Graph, example: &Example, inputs: &Inputs) -> Result<Value>
where
    ConvWalk: From<Conv<D>>,
{
    let options = &example.options;
    let (x, weight, bias) = (
        inputs["input"],
        inputs["weight"],
        inputs.get("bias").copied(),
    );
    let mut conv: Conv<D> = Conv {
        stride: options.axes("stride"),
        dilation: options.axes("dilation"),
        groups: options.whole("groups"),
        padding_mode: padding_mode(options.text("padding_mode")),
        ..Conv::default()
    };
    match options.get("padding").as_str() {
        Some("same") => {
            let kernel: [usize; D] = g.shape(weight)?[2..].try_into().unwrap();
            conv = conv.same(kernel);
        }
        Some(_) => conv = conv.valid(),
        None => conv.padding = options.pairs("padding").try_into().unwrap(),
    }
    g.conv(x, weight, bias, conv)
}

/// A transposed convolution over `D` axes.
pub fn conv_transpose<const D: usize>(
    g: &mut Graph,
    example: &Example,
    inputs: &Inputs,
) -> Result<Value>
where
    ConvTransposeWalk: From<ConvTranspose<D>>,
{
    let options = &example.options;
    let conv = ConvTranspose {
        stride: options.axes::<D>("stride"),
        padding: options.axes("padding").map(|side| [side; 2]),
        output_padding: options.axes("output_padding"),
        dilation: options.axes("dilation"),
        groups: options.whole("groups"),
    };
    g.conv_transpose(
        inputs["input"],
        inputs["weight"],
        inputs.get("bias").copied(),
        conv,
    )
}
