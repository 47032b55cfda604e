"""Writes cases.json and tensors.safetensors beside this file: what PyTorch computes, in float64, for small inputs.

    python3 -m venv env && env/bin/pip install torch==2.15.*
    env/bin/python tests/oracle/make.py

Each case names a function of PyTorch (`op`), its options in PyTorch's words, its inputs and its outputs. Tensors are called
`case/name`: inputs, outputs, `d_OUTPUT` (a drawn gradient of an output) and `grad_INPUT` (the gradient that follows). All inputs
are multiples of 2^-20 drawn from the case's name, so that they are the same in any float type; results are rounded to float32; masks are kept as integers.
`cargo test --test oracle` builds the same calls as graphs (build.rs, train.rs) and compares.
"""

import json
import random
import struct
from pathlib import Path

import torch
import torch.nn.functional as F

CASES, TENSORS = [], {}


# Drawing


def draw(name, shape, low=-1.0, high=1.0):
    rng = random.Random(name)
    count = torch.Size(shape).numel()
    values = [round((low + (high - low) * rng.random()) * 2**20) / 2**20 for _ in range(count)]
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def integers(name, shape, below):
    rng = random.Random(name)
    count = torch.Size(shape).numel()
    return torch.tensor([rng.randrange(below) for _ in range(count)], dtype=torch.int64).reshape(shape)


class Between:
    """An input of this shape drawn from an interval other than [-1, 1)."""

    def __init__(self, shape, low, high):
        self.shape, self.low, self.high = shape, low, high


class Below:
    """An integer input of this shape."""

    def __init__(self, shape, limit):
        self.shape, self.limit = shape, limit


def make(name, given):
    if isinstance(given, torch.Tensor):
        return given.clone()
    if isinstance(given, Between):
        return draw(name, given.shape, given.low, given.high)
    if isinstance(given, Below):
        return integers(name, given.shape, given.limit)
    return draw(name, given)


# Cases


def case(family, op, tag, inputs, function, options=None, wrt=None):
    """Runs `function` on the drawn inputs and keeps it all. Gradients are taken of `wrt`, by default of every float input."""
    name = f"{op}/{tag}"
    assert all(other["name"] != name for other in CASES), name
    values = {key: make(f"{name}/{key}", given) for key, given in inputs.items() if given is not None}
    if wrt is None:
        wrt = [key for key, value in values.items() if value.is_floating_point()]
    for key in wrt:
        values[key].requires_grad_(True)
    outputs = function(**values)
    if isinstance(outputs, torch.Tensor):
        outputs = {"output": outputs}
    keep(name, values)
    keep(name, outputs)
    seeds = {key: value for key, value in outputs.items() if value.requires_grad}
    if wrt:
        dy = {key: draw(f"{name}/d_{key}", value.shape) for key, value in seeds.items()}
        keep(name, {f"d_{key}": value for key, value in dy.items()})
        found = torch.autograd.grad(list(seeds.values()), [values[key] for key in wrt], list(dy.values()))
        keep(name, {f"grad_{key}": value for key, value in zip(wrt, found)})
    CASES.append(
        {
            "name": name,
            "family": family,
            "op": op,
            "options": options or {},
            "inputs": list(values),
            "outputs": list(outputs),
            "gradients": wrt,
        }
    )


def keep(name, tensors):
    for key, tensor in tensors.items():
        TENSORS[f"{name}/{key}"] = tensor.detach()


# Convolution


def pad_argument(pairs):
    """Padding per axis as (before, after), in the order that F.pad takes: last axis first."""
    return [side for pair in reversed(pairs) for side in pair]


def convolution(dims, tag, x, weight, bias=True, stride=1, padding=0, dilation=1, groups=1, padding_mode="zeros"):
    each = lambda value: list(value) if isinstance(value, (list, tuple)) else [value] * dims
    stride, dilation = each(stride), each(dilation)
    options = {"stride": stride, "dilation": dilation, "groups": groups, "padding_mode": padding_mode}
    conv = [F.conv1d, F.conv2d, F.conv3d][dims - 1]
    rest = {"stride": stride, "dilation": dilation, "groups": groups}
    if isinstance(padding, str):
        options["padding"] = padding

        def function(input, weight, bias=None):
            return conv(input, weight, bias, padding=padding, **rest)

    else:
        pairs = [pair if isinstance(pair, (list, tuple)) else [pair, pair] for pair in each(padding)]
        options["padding"] = pairs
        if padding_mode == "zeros" and all(before == after for before, after in pairs):

            def function(input, weight, bias=None):
                return conv(input, weight, bias, padding=[before for before, _ in pairs], **rest)

        else:
            mode = "constant" if padding_mode == "zeros" else padding_mode

            def function(input, weight, bias=None):
                return conv(F.pad(input, pad_argument(pairs), mode=mode), weight, bias, **rest)

    inputs = {"input": x, "weight": weight, "bias": [weight[0]] if bias else None}
    case("convolution", f"conv{dims}d", tag, inputs, function, options)


def convolutions():
    modes = ["reflect", "replicate", "circular"]

    convolution(1, "plain", [2, 3, 9], [4, 3, 3])
    convolution(1, "no bias", [2, 3, 9], [4, 3, 3], bias=False)
    convolution(1, "pointwise", [2, 5, 7], [3, 5, 1])
    convolution(1, "stride and padding", [2, 2, 11], [3, 2, 4], stride=3, padding=2)
    convolution(1, "dilation", [1, 2, 12], [3, 2, 3], dilation=3, padding=2)
    convolution(1, "groups", [2, 6, 8], [4, 3, 3], groups=2, padding=1)
    convolution(1, "depthwise", [2, 4, 10], [4, 1, 5], groups=4, padding=2)
    convolution(1, "before and after", [2, 2, 7], [3, 2, 3], padding=[[2, 0]], stride=2)
    convolution(1, "same, even kernel", [2, 2, 9], [3, 2, 4], padding="same")
    convolution(1, "valid", [2, 2, 9], [3, 2, 4], padding="valid", stride=2)
    convolution(1, "window of all", [2, 3, 5], [2, 3, 9], padding=2)
    for mode in modes:
        convolution(1, mode, [2, 2, 7], [3, 2, 3], padding=2, padding_mode=mode)
        convolution(1, f"{mode}, before and after", [1, 3, 6], [3, 1, 3], padding=[[3, 1]], stride=2, groups=3, padding_mode=mode)

    convolution(2, "plain", [2, 3, 6, 5], [4, 3, 3, 3])
    convolution(2, "no bias", [2, 3, 6, 5], [4, 3, 3, 3], bias=False)
    convolution(2, "pointwise", [2, 5, 4, 3], [6, 5, 1, 1])
    convolution(2, "pointwise, stride", [2, 4, 5, 7], [3, 4, 1, 1], stride=2)
    convolution(2, "padding", [2, 2, 5, 5], [3, 2, 3, 3], padding=1)
    convolution(2, "stride", [1, 2, 9, 8], [3, 2, 3, 3], stride=2, padding=1)
    convolution(2, "all per axis", [1, 2, 9, 10], [2, 2, 3, 2], stride=[2, 3], padding=[2, 1], dilation=[1, 2])
    convolution(2, "dilation", [1, 2, 8, 9], [2, 2, 3, 3], dilation=2, padding=2)
    convolution(2, "groups", [2, 4, 5, 5], [6, 2, 3, 3], groups=2, padding=1)
    convolution(2, "depthwise", [2, 5, 6, 6], [5, 1, 3, 3], groups=5, padding=1)
    convolution(2, "depthwise, two filters each, stride", [1, 3, 7, 7], [6, 1, 3, 3], groups=3, padding=1, stride=2)
    convolution(2, "depthwise, dilation", [1, 4, 8, 7], [4, 1, 3, 3], groups=4, padding=2, dilation=2)
    convolution(2, "before and after", [2, 2, 5, 6], [3, 2, 3, 3], padding=[[0, 2], [1, 0]])
    convolution(2, "before and after, stride, groups", [1, 4, 6, 6], [4, 2, 3, 2], padding=[[1, 0], [0, 2]], stride=2, groups=2)
    convolution(2, "same, even kernel", [1, 2, 6, 5], [3, 2, 2, 4], padding="same")
    convolution(2, "same, dilation", [1, 2, 7, 6], [2, 2, 3, 2], padding="same", dilation=[2, 3])
    convolution(2, "valid", [1, 2, 6, 5], [3, 2, 2, 4], padding="valid")
    convolution(2, "window of all", [2, 2, 3, 4], [3, 2, 5, 6], padding=1)
    convolution(2, "wide kernel", [1, 1, 9, 9], [2, 1, 7, 7], padding=3)
    convolution(2, "large stride", [1, 2, 9, 9], [2, 2, 2, 2], stride=4)
    for mode in modes:
        convolution(2, mode, [1, 2, 5, 4], [3, 2, 3, 3], padding=1, padding_mode=mode)
        convolution(
            2,
            f"{mode}, stride, dilation, groups",
            [1, 4, 6, 5],
            [4, 2, 3, 2],
            stride=[1, 2],
            padding=[2, 3],
            dilation=[2, 1],
            groups=2,
            padding_mode=mode,
        )
        convolution(
            2, f"{mode}, before and after", [1, 3, 4, 5], [3, 1, 3, 3], padding=[[2, 0], [1, 3]], groups=3, padding_mode=mode
        )

    convolution(3, "plain", [1, 2, 4, 5, 4], [3, 2, 2, 3, 2])
    convolution(3, "no bias", [2, 1, 3, 4, 3], [2, 1, 2, 2, 3], bias=False)
    convolution(3, "pointwise", [1, 4, 2, 3, 3], [3, 4, 1, 1, 1])
    convolution(3, "all per axis", [1, 2, 5, 6, 5], [2, 2, 3, 2, 2], stride=[1, 2, 3], padding=[2, 0, 1], dilation=[2, 3, 1])
    convolution(3, "groups", [1, 4, 3, 4, 3], [4, 2, 2, 2, 2], groups=2, padding=1)
    convolution(3, "depthwise", [1, 3, 4, 4, 4], [3, 1, 3, 3, 3], groups=3, padding=1, stride=2)
    convolution(3, "before and after", [1, 1, 3, 4, 4], [2, 1, 2, 3, 3], padding=[[1, 0], [0, 2], [2, 1]])
    convolution(3, "same, even kernel", [1, 1, 3, 4, 3], [2, 1, 2, 3, 2], padding="same")
    for mode in modes:
        convolution(3, mode, [1, 1, 3, 4, 3], [2, 1, 3, 2, 3], padding=1, padding_mode=mode)
        convolution(
            3,
            f"{mode}, before and after",
            [1, 2, 3, 3, 4],
            [2, 1, 2, 2, 3],
            padding=[[0, 2], [1, 0], [2, 1]],
            stride=[1, 1, 2],
            groups=2,
            padding_mode=mode,
        )

    convolution(1, "one image", [2, 9], [3, 2, 3], padding=1)
    convolution(2, "one image", [3, 6, 5], [4, 3, 3, 3], stride=2, padding=1)
    convolution(2, "one image, groups", [4, 5, 5], [4, 2, 3, 3], groups=2)
    convolution(3, "one image", [2, 3, 4, 3], [2, 2, 2, 2, 2])


def transposed(dims, tag, x, weight, bias=True, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    each = lambda value: list(value) if isinstance(value, (list, tuple)) else [value] * dims
    options = {
        "stride": each(stride),
        "padding": each(padding),
        "output_padding": each(output_padding),
        "groups": groups,
        "dilation": each(dilation),
    }
    conv = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][dims - 1]

    def function(input, weight, bias=None):
        return conv(input, weight, bias, **options)

    inputs = {"input": x, "weight": weight, "bias": [weight[1] * groups] if bias else None}
    case("transposed convolution", f"conv_transpose{dims}d", tag, inputs, function, options)


def transposed_convolutions():
    transposed(1, "plain", [2, 3, 5], [3, 4, 3])
    transposed(1, "stride, output padding", [2, 2, 5], [2, 3, 4], stride=3, padding=1, output_padding=2)
    transposed(1, "groups", [1, 4, 6], [4, 2, 3], groups=2, stride=2)
    transposed(1, "dilation", [1, 2, 5], [2, 2, 3], dilation=2, padding=2, bias=False)

    transposed(2, "plain", [2, 3, 4, 3], [3, 2, 3, 3])
    transposed(2, "no bias", [2, 3, 4, 3], [3, 2, 3, 3], bias=False)
    transposed(2, "doubling", [1, 3, 3, 4], [3, 2, 2, 2], stride=2)
    transposed(2, "stride, output padding", [1, 2, 4, 3], [2, 3, 3, 3], stride=2, padding=1, output_padding=1)
    transposed(
        2, "all per axis", [1, 2, 3, 4], [2, 2, 3, 2], stride=[2, 3], padding=[2, 1], output_padding=[1, 0], dilation=[2, 1]
    )
    transposed(2, "groups", [1, 4, 3, 3], [4, 3, 2, 3], groups=2, padding=1)
    transposed(2, "depthwise", [2, 3, 4, 4], [3, 1, 3, 3], groups=3, stride=2, padding=1, output_padding=1)
    transposed(2, "dilation larger than stride", [1, 2, 4, 4], [2, 1, 3, 3], dilation=3, stride=2, padding=2, output_padding=2)
    transposed(2, "pointwise", [2, 3, 3, 2], [3, 4, 1, 1], stride=2)

    transposed(3, "plain", [1, 2, 3, 2, 3], [2, 2, 2, 3, 2])
    transposed(
        3,
        "all per axis",
        [1, 2, 2, 3, 3],
        [2, 1, 3, 2, 2],
        stride=[2, 1, 3],
        padding=[1, 0, 1],
        output_padding=[1, 0, 2],
        dilation=[1, 2, 1],
    )
    transposed(1, "one image", [2, 5], [2, 3, 3], stride=2)
    transposed(2, "one image", [3, 4, 3], [3, 2, 3, 3], padding=1)
    transposed(3, "one image", [2, 2, 3, 2], [2, 1, 2, 2, 2])
    transposed(3, "groups", [1, 4, 2, 2, 3], [4, 1, 2, 2, 2], groups=2, stride=2, bias=False)


# Pooling


def per_axis(dims, value):
    return list(value) if isinstance(value, (list, tuple)) else [value] * dims


def max_pooling(dims, tag, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    options = {
        "kernel_size": per_axis(dims, kernel_size),
        "stride": per_axis(dims, kernel_size if stride is None else stride),
        "padding": per_axis(dims, padding),
        "dilation": per_axis(dims, dilation),
        "ceil_mode": ceil_mode,
    }
    pool = [F.max_pool1d, F.max_pool2d, F.max_pool3d][dims - 1]

    def function(input):
        output, indices = pool(input, return_indices=True, **options)
        return {"output": output, "indices": indices}

    case("max pooling", f"max_pool{dims}d", tag, {"input": x}, function, options)


def average_pooling(
    dims, tag, x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    options = {
        "kernel_size": per_axis(dims, kernel_size),
        "stride": per_axis(dims, kernel_size if stride is None else stride),
        "padding": per_axis(dims, padding),
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
    }
    if divisor_override is not None:
        options["divisor_override"] = divisor_override
    pool = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d][dims - 1]
    case("average pooling", f"avg_pool{dims}d", tag, {"input": x}, lambda input: pool(input, **options), options)


def power_pooling(dims, tag, x, norm_type, kernel_size, stride=None, ceil_mode=False):
    options = {
        "norm_type": norm_type,
        "kernel_size": per_axis(dims, kernel_size),
        "stride": per_axis(dims, kernel_size if stride is None else stride),
        "ceil_mode": ceil_mode,
    }
    pool = [F.lp_pool1d, F.lp_pool2d][dims - 1]
    # F.lp_pool1d takes numbers.
    given = {key: value[0] if dims == 1 and isinstance(value, list) else value for key, value in options.items()}
    case("power pooling", f"lp_pool{dims}d", tag, {"input": x}, lambda input: pool(input, **given), options)


def adaptive_pooling(dims, x, output_size):
    options = {"output_size": output_size}
    tag = f"{x[2:]} to {output_size}" if len(x) == dims + 2 else f"one image, {x[1:]} to {output_size}"
    average = [F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d][dims - 1]
    largest = [F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d][dims - 1]
    size = output_size[0] if dims == 1 else output_size

    def function(input):
        output, indices = largest(input, size, return_indices=True)
        return {"output": output, "indices": indices}

    case("adaptive pooling", f"adaptive_avg_pool{dims}d", tag, {"input": x}, lambda input: average(input, size), options)
    case("adaptive pooling", f"adaptive_max_pool{dims}d", tag, {"input": x}, function, options)


def unpooling(dims, tag, x, kernel_size, stride=None, padding=0, output_size=None):
    """The indices are those of a pooling with the same window of a tensor of shape `x`."""
    stride = kernel_size if stride is None else stride
    pool = [F.max_pool1d, F.max_pool2d, F.max_pool3d][dims - 1]
    unpool = [F.max_unpool1d, F.max_unpool2d, F.max_unpool3d][dims - 1]
    pooled, indices = pool(draw(f"indices {dims} {tag}", x), kernel_size, stride, padding, return_indices=True)
    options = {
        "kernel_size": per_axis(dims, kernel_size),
        "stride": per_axis(dims, stride),
        "padding": per_axis(dims, padding),
        "output_size": output_size,
    }

    def function(input, indices):
        return unpool(input, indices, kernel_size, stride, padding, output_size and list(x[:-dims]) + output_size)

    case("unpooling", f"max_unpool{dims}d", tag, {"input": list(pooled.shape), "indices": indices}, function, options)


def poolings():
    max_pooling(1, "plain", [2, 3, 8], 2)
    max_pooling(1, "overlapping, padding", [2, 2, 11], 5, 2, padding=2)
    max_pooling(1, "dilation, ceil", [2, 2, 12], 3, 2, padding=1, dilation=2, ceil_mode=True)
    max_pooling(2, "plain", [2, 3, 6, 6], 2)
    max_pooling(2, "remainders", [1, 3, 7, 5], 2)
    max_pooling(2, "remainders, ceil", [1, 3, 7, 5], 2, ceil_mode=True)
    max_pooling(2, "three by two, padding", [1, 2, 9, 8], 3, 2, padding=1)
    max_pooling(2, "all per axis", [1, 2, 9, 10], [3, 2], [2, 3], padding=[1, 0], dilation=[2, 3], ceil_mode=True)
    max_pooling(2, "ceil, a window past the padding is dropped", [1, 2, 5, 5], 2, 3, padding=1, ceil_mode=True)
    max_pooling(2, "window of all", [2, 3, 4, 5], [4, 5])
    max_pooling(
        2,
        "equal elements",
        torch.tensor([[1.0, 1.0, 2.0, 0.0], [0.0, 1.0, 2.0, 2.0], [3.0, 3.0, 0.0, 0.0]]).double().reshape(1, 1, 3, 4),
        2,
        1,
    )
    max_pooling(3, "plain", [1, 2, 4, 4, 6], 2)
    max_pooling(3, "all per axis", [1, 2, 5, 6, 7], [2, 3, 2], [1, 2, 3], padding=[1, 1, 0], dilation=[2, 1, 2])
    max_pooling(3, "ceil", [1, 1, 5, 5, 4], 3, 2, padding=1, ceil_mode=True)

    max_pooling(1, "one image", [3, 8], 2)
    max_pooling(2, "one image", [2, 6, 5], 3, 2, padding=1)
    max_pooling(3, "one image", [2, 4, 4, 5], 2)
    average_pooling(1, "one image", [3, 8], 2)
    average_pooling(2, "one image", [2, 6, 5], 3, 2, padding=1)
    average_pooling(3, "one image", [2, 4, 4, 5], 2)
    power_pooling(2, "one image", [2, 6, 5], 2.0, 2)
    average_pooling(1, "plain", [2, 3, 8], 2)
    average_pooling(1, "padding, ceil", [2, 2, 10], 4, 3, padding=2, ceil_mode=True)
    average_pooling(1, "padding not counted, ceil", [2, 2, 10], 4, 3, padding=2, ceil_mode=True, count_include_pad=False)
    average_pooling(2, "plain", [2, 3, 6, 6], 2)
    average_pooling(2, "padding", [1, 2, 9, 8], 3, 2, padding=1)
    average_pooling(2, "padding not counted", [1, 2, 9, 8], 3, 2, padding=1, count_include_pad=False)
    average_pooling(2, "padding, ceil", [1, 2, 6, 8], [3, 2], [2, 3], padding=1, ceil_mode=True)
    average_pooling(
        2, "padding not counted, ceil", [1, 2, 6, 8], [3, 2], [2, 3], padding=1, ceil_mode=True, count_include_pad=False
    )
    average_pooling(2, "overlapping", [1, 2, 6, 7], [3, 4], 1)
    average_pooling(2, "another divisor", [1, 2, 6, 7], [3, 2], 2, padding=[1, 0], ceil_mode=True, divisor_override=5)
    average_pooling(3, "another divisor", [1, 2, 4, 5, 4], 2, padding=1, divisor_override=3)
    average_pooling(3, "plain", [1, 2, 4, 4, 6], 2)
    average_pooling(3, "all per axis", [1, 2, 4, 6, 5], [2, 3, 2], [1, 2, 3], padding=[1, 1, 0])
    average_pooling(3, "padding not counted, ceil", [1, 2, 5, 5, 4], 3, 2, padding=1, ceil_mode=True, count_include_pad=False)

    power_pooling(1, "two", [2, 2, 9], 2.0, 3, 2)
    power_pooling(1, "three, ceil", [2, 2, 10], 3.0, 3, 2, ceil_mode=True)
    power_pooling(2, "one", [1, 2, 6, 6], 1.0, 2)
    power_pooling(2, "two", [1, 2, 7, 6], 2.0, [3, 2], [2, 2])
    power_pooling(2, "two, ceil", [1, 2, 8, 6], 2.0, 3, 2, ceil_mode=True)
    # Only whole exponents are defined below zero.
    positive = Between([1, 2, 6, 5], 0.125, 2.0)
    power_pooling(2, "one and a half", positive, 1.5, 2, 1)

    adaptive_pooling(1, [2, 3, 10], [4])
    adaptive_pooling(1, [2, 3, 5], [7])
    adaptive_pooling(2, [2, 3, 6, 5], [1, 1])
    adaptive_pooling(2, [1, 2, 7, 10], [3, 4])
    adaptive_pooling(2, [1, 2, 4, 5], [6, 5])
    adaptive_pooling(1, [3, 10], [4])
    adaptive_pooling(2, [2, 7, 5], [3, 2])
    adaptive_pooling(3, [1, 2, 3, 4, 5], [1, 1, 1])
    adaptive_pooling(3, [1, 2, 5, 4, 6], [2, 3, 4])

    unpooling(1, "plain", [2, 3, 8], 2)
    unpooling(1, "output size", [2, 3, 9], 2, output_size=[9])
    unpooling(2, "one image", [3, 6, 4], 2)
    unpooling(2, "plain", [2, 3, 6, 4], 2)
    # Without overlap: where windows share their largest element, what PyTorch writes is not determined.
    unpooling(2, "padding", [1, 2, 6, 6], 2, 2, padding=1)
    unpooling(2, "output size", [1, 2, 7, 9], [2, 3], output_size=[7, 9])
    unpooling(3, "plain", [1, 2, 4, 4, 4], 2)
    unpooling(3, "output size", [1, 2, 5, 4, 7], 2, output_size=[5, 4, 7])


# Normalisation


def batch_norms():
    def batch_norm(tag, x, training, momentum=0.125, eps=1e-5, affine=True):
        channels = x[1]

        def function(input, running_mean, running_var, weight=None, bias=None):
            output = F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
            if not training:
                return output
            return {"output": output, "new_running_mean": running_mean, "new_running_var": running_var}

        # F.batch_norm writes into the statistics, which are kept as they were before.
        def on_copies(running_mean, running_var, **rest):
            return function(running_mean=running_mean.clone(), running_var=running_var.clone(), **rest)

        inputs = {
            "input": x,
            "running_mean": [channels],
            "running_var": Between([channels], 0.5, 2.0),
            "weight": [channels] if affine else None,
            "bias": [channels] if affine else None,
        }
        wrt = ["input"] + (["weight", "bias"] if affine else [])
        options = {"training": training, "momentum": momentum, "eps": eps}
        case("batch norm", "batch_norm", tag, inputs, on_copies, options, wrt)

    batch_norm("training, 2 axes", [7, 3], True)
    batch_norm("training, 3 axes", [3, 4, 5], True)
    batch_norm("training, 4 axes", [3, 4, 3, 5], True)
    batch_norm("training, 5 axes", [2, 3, 2, 3, 2], True)
    batch_norm("training, not affine", [2, 3, 4, 4], True, affine=False)
    batch_norm("training, large eps and momentum", [4, 3, 2, 2], True, momentum=0.75, eps=0.5)
    batch_norm("inference, 2 axes", [4, 3], False)
    batch_norm("inference, 4 axes", [2, 4, 3, 3], False)
    batch_norm("inference, not affine", [2, 3, 4], False, affine=False)


def other_norms():
    def affine(size):
        return {"weight": size, "bias": size}

    def instance_norm(tag, x, eps=1e-5, has_affine=True):
        inputs = {"input": x, **(affine([x[1]]) if has_affine else {})}
        case(
            "instance norm",
            "instance_norm",
            tag,
            inputs,
            lambda input, **rest: F.instance_norm(input, eps=eps, **rest),
            {"eps": eps},
        )

    instance_norm("3 axes", [2, 3, 7])
    instance_norm("4 axes", [2, 3, 4, 5])
    instance_norm("5 axes", [1, 2, 3, 2, 4])
    instance_norm("not affine", [2, 3, 3, 3], has_affine=False)
    instance_norm("large eps", [1, 3, 3, 5], eps=0.25)

    def group_norm(tag, x, num_groups, eps=1e-5, has_affine=True):
        inputs = {"input": x, **(affine([x[1]]) if has_affine else {})}
        options = {"num_groups": num_groups, "eps": eps}
        case("group norm", "group_norm", tag, inputs, lambda input, **rest: F.group_norm(input, **options, **rest), options)

    group_norm("2 axes", [3, 6], 2)
    group_norm("3 axes", [2, 6, 3], 3)
    group_norm("4 axes", [2, 4, 3, 5], 2)
    group_norm("5 axes", [1, 4, 2, 2, 3], 2)
    group_norm("one group", [2, 3, 4, 2], 1)
    group_norm("a group per channel, not affine", [2, 3, 4, 2], 3, has_affine=False)
    group_norm("large eps", [2, 4, 3, 3], 2, eps=0.25)

    def layer_norm(tag, x, axes, eps=1e-5, has_affine=True):
        shape = x[-axes:]
        inputs = {"input": x, **(affine(shape) if has_affine else {})}
        options = {"normalized_shape": shape, "eps": eps}
        case("layer norm", "layer_norm", tag, inputs, lambda input, **rest: F.layer_norm(input, **options, **rest), options)

    layer_norm("last axis of 2", [5, 7], 1)
    layer_norm("last axis of 4", [2, 3, 4, 5], 1)
    layer_norm("2 axes", [3, 4, 5], 2)
    layer_norm("3 axes", [2, 3, 4, 3], 3)
    layer_norm("all axes, not affine", [3, 5], 2, has_affine=False)
    layer_norm("large eps, not affine", [4, 6], 1, eps=0.25, has_affine=False)

    def rms_norm(tag, x, axes, eps=1e-5, has_weight=True):
        shape = x[-axes:]
        inputs = {"input": x, "weight": shape if has_weight else None}
        options = {"normalized_shape": shape, "eps": eps}
        case("rms norm", "rms_norm", tag, inputs, lambda input, **rest: F.rms_norm(input, **options, **rest), options)

    rms_norm("last axis of 2", [5, 7], 1)
    rms_norm("last axis of 4", [2, 3, 4, 5], 1)
    rms_norm("2 axes", [3, 4, 5], 2)
    rms_norm("all axes", [3, 5], 2)
    rms_norm("no weight", [4, 6], 1, has_weight=False)
    rms_norm("large eps", [4, 6], 1, eps=0.25)

    def local_response_norm(tag, x, size, **options):
        options = {"size": size, "alpha": 1e-4, "beta": 0.75, "k": 1.0, **options}
        case(
            "local response norm",
            "local_response_norm",
            tag,
            {"input": x},
            lambda input: F.local_response_norm(input, **options),
            options,
        )

    local_response_norm("AlexNet's", [2, 7, 3, 3], 5, k=2.0)
    local_response_norm("strong", [2, 6, 3, 2], 3, alpha=1.5, beta=0.5)
    local_response_norm("even size", [1, 7, 2, 3], 4, alpha=1.0)
    local_response_norm("wider than the channels", [1, 3, 4], 9, alpha=2.0, beta=1.0, k=0.5)
    local_response_norm("5 axes", [1, 5, 2, 2, 2], 3, alpha=1.0)


# Activations


def activations():
    wide = Between([4, 25], -6.0, 6.0)

    def activation(op, function, tag="plain", options=None, x=wide):
        options = options or {}
        case("activation", op, tag, {"input": x}, lambda input: function(input, **options), options)

    for op in ["relu", "relu6", "selu", "silu", "mish", "softsign", "hardsigmoid", "hardswish"]:
        activation(op, getattr(F, op))
    activation("sigmoid", torch.sigmoid)
    activation("tanh", torch.tanh)
    activation("hardtanh", F.hardtanh, "default", {"min_val": -1.0, "max_val": 1.0})
    activation("hardtanh", F.hardtanh, "other", {"min_val": -0.25, "max_val": 2.5})
    activation("leaky_relu", F.leaky_relu, "default", {"negative_slope": 0.01})
    activation("leaky_relu", F.leaky_relu, "other", {"negative_slope": 0.375})
    activation("elu", F.elu, "default", {"alpha": 1.0})
    activation("elu", F.elu, "other", {"alpha": 0.375})
    activation("celu", F.celu, "default", {"alpha": 1.0})
    activation("celu", F.celu, "other", {"alpha": 0.375})
    activation("gelu", F.gelu, "exact", {"approximate": "none"})
    activation("gelu", F.gelu, "tanh", {"approximate": "tanh"})
    activation("softplus", F.softplus, "default", {"beta": 1.0, "threshold": 20.0})
    activation("softplus", F.softplus, "other", {"beta": 2.5, "threshold": 5.0})

    # Where the parts of a function meet.
    kinks = torch.tensor([-6.0, -3.0, -1.0, -0.25, -0.0, 0.0, 0.375, 1.0, 2.5, 3.0, 6.0], dtype=torch.float64)
    for op in ["relu", "relu6", "selu", "softsign", "hardsigmoid", "hardswish"]:
        activation(op, getattr(F, op), "kinks", x=kinks)
    activation("hardtanh", F.hardtanh, "kinks", {"min_val": -0.25, "max_val": 2.5}, kinks)
    activation("leaky_relu", F.leaky_relu, "kinks", {"negative_slope": 0.375}, kinks)
    activation("elu", F.elu, "kinks", {"alpha": 0.375}, kinks)
    activation("celu", F.celu, "kinks", {"alpha": 0.375}, kinks)
    activation("softplus", F.softplus, "kinks", {"beta": 2.0, "threshold": 5.0}, kinks)
    case("activation", "prelu", "kinks", {"input": kinks, "weight": [1]}, F.prelu)

    # Far out, where a careless form overflows.
    far = Between([60], -200.0, 200.0)
    for op in ["silu", "mish", "softsign", "elu"]:
        activation(op, getattr(F, op), "far out", {"alpha": 1.0} if op == "elu" else None, far)
    activation("sigmoid", torch.sigmoid, "far out", x=far)
    activation("tanh", torch.tanh, "far out", x=far)
    for form in ["none", "tanh"]:
        activation("gelu", F.gelu, f"far out, {form}", {"approximate": form}, far)
    activation("softplus", F.softplus, "far out", {"beta": 1.0, "threshold": 20.0}, far)

    for tag, x, slopes in [("one slope", [2, 3, 4], 1), ("a slope per channel", [2, 3, 4, 3], 3), ("2 axes", [4, 5], 5)]:
        inputs = {"input": x, "weight": Between([slopes], 0.1, 0.5)}
        case("activation", "prelu", tag, inputs, F.prelu)

    for op, function in [("softmax", F.softmax), ("log_softmax", F.log_softmax)]:
        for tag, x, dim in [
            ("rows", Between([4, 7], -4.0, 4.0), 1),
            ("columns", Between([5, 6], -4.0, 4.0), 0),
            ("channels", Between([2, 5, 3, 2], -4.0, 4.0), 1),
            ("last of 3", Between([2, 3, 5], -4.0, 4.0), 2),
            ("large", Between([3, 6], -40.0, 40.0), 1),
            ("last", Between([2, 3, 5], -4.0, 4.0), -1),
            ("second to last", Between([2, 3, 5], -4.0, 4.0), -2),
        ]:
            case("softmax", op, tag, {"input": x}, lambda input: function(input, dim=dim), {"dim": dim})


# Products


def products():
    for tag, a, b, transpose in [
        ("plain", [5, 7], [7, 4], [False, False]),
        ("first transposed", [7, 5], [7, 4], [True, False]),
        ("second transposed", [5, 7], [4, 7], [False, True]),
        ("both transposed", [7, 5], [4, 7], [True, True]),
        ("a row", [1, 9], [9, 5], [False, False]),
        ("one term", [4, 1], [1, 3], [False, False]),
    ]:

        def function(input, other):
            return (input.t() if transpose[0] else input) @ (other.t() if transpose[1] else other)

        case("product", "matmul", tag, {"input": a, "other": b}, function, {"transpose": transpose})

    def matmul(a, b):
        case("product", "matmul", f"{a} by {b}", {"input": a, "other": b}, torch.matmul, {"transpose": [False, False]})

    matmul([3, 4, 5], [3, 5, 2])
    matmul([2, 1, 4, 3], [2, 3, 5])
    matmul([3, 4, 6], [6, 5])
    matmul([4, 6], [3, 6, 5])
    matmul([2, 3, 4, 6], [2, 1, 6, 5])
    matmul([2, 3, 4, 6], [3, 6, 5])
    matmul([1, 4, 6], [3, 6, 5])
    matmul([3, 4, 6], [1, 6, 5])
    matmul([2, 1, 2, 3, 4], [5, 1, 4, 2])
    matmul([1, 1, 4, 6], [6, 5])
    matmul([4, 6], [6])
    matmul([6], [6, 5])
    matmul([6], [6])
    matmul([2, 3, 4, 6], [6])
    matmul([6], [2, 3, 6, 5])
    for tag, x, outputs, bias in [("bias", [4, 6], 5, True), ("no bias", [3, 7], 2, False), ("one row", [1, 5], 8, True)]:
        case("product", "linear", tag, {"input": x, "weight": [outputs, x[1]], "bias": [outputs] if bias else None}, F.linear)


# Joining, moving, resizing, reducing

    for tag, x, beta, alpha in [("row", [5], 0.5, 2.0), ("matrix", [3, 5], -1.5, 0.25), ("column", [3, 1], 1.0, -1.0)]:
        function = lambda input, a, b: torch.addmm(input, a, b, beta=beta, alpha=alpha)
        case("product", "addmm", tag, {"input": x, "a": [3, 4], "b": [4, 5]}, function, {"beta": beta, "alpha": alpha})

    def gram(input):
        rows = input.flatten(2)
        return rows @ rows.mT / (rows.shape[1] * rows.shape[2])

    case("product", "gram_matrix", "images", {"input": [2, 3, 4, 5]}, gram)


def joining():
    def cat(tag, shapes, dim):
        inputs = {f"input{i}": shape for i, shape in enumerate(shapes)}
        case("joining", "cat", tag, inputs, lambda **inputs: torch.cat(list(inputs.values()), dim), {"dim": dim})

    cat("channels", [[2, 3, 4], [2, 1, 4], [2, 2, 4]], 1)
    cat("rows", [[2, 5], [3, 5]], 0)
    cat("last", [[2, 2, 3], [2, 2, 5]], 2)
    cat("one", [[2, 3]], 1)
    cat("last axis backwards", [[2, 2, 3], [2, 2, 5]], -1)
    cat("first axis backwards", [[2, 5], [3, 5]], -2)

    def split(tag, x, sizes, dim):
        def function(input):
            return {f"output{i}": part for i, part in enumerate(torch.split(input, sizes, dim))}

        case("joining", "split", tag, {"input": x}, function, {"split_size_or_sections": sizes, "dim": dim})

    split("channels", [2, 6, 3], [1, 3, 2], 1)
    split("rows", [5, 4], [2, 3], 0)
    split("last", [2, 3, 6], [4, 2], 2)
    split("last axis backwards", [2, 3, 6], [1, 5], -1)

    def narrow(tag, x, dim, start, length):
        options = {"dim": dim, "start": start, "length": length}
        case("joining", "narrow", tag, {"input": x}, lambda input: input.narrow(dim, start, length), options)

    narrow("rows", [6, 5], 0, 2, 3)
    narrow("channels", [2, 5, 3, 2], 1, 1, 3)
    narrow("last", [2, 3, 7], 2, 3, 4)
    narrow("second to last", [2, 5, 3], -2, 1, 3)

    def slices(tag, x, starts, ends, steps):
        index = tuple(slice(*axis) for axis in zip(starts, ends, steps))
        options = {"start": starts, "end": ends, "step": steps}
        case("joining", "slice", tag, {"input": x}, lambda input: input[index], options)

    slices("all axes", [4, 5, 6], [1, 0, 2], [3, 5, 6], [1, 1, 1])
    slices("steps", [5, 7, 6], [0, 1, 1], [5, 7, 5], [2, 3, 2])

    def pad(tag, x, padding, mode, value=0.0):
        """`padding` is before and after the last axis, before and after the one ahead of it, and so on."""
        options = {"pad": padding, "mode": mode, "value": value}
        case("joining", "pad", tag, {"input": x}, lambda input: F.pad(input, **options), options)

    pad("constant 0", [2, 3, 3], [2, 1], "constant")
    pad("constant, all axes", [2, 3, 2, 3], [2, 0, 1, 1, 0, 2, 1, 0], "constant", 1.5)
    pad("cropped", [2, 4, 5], [-1, 2, 1, -2], "constant", 0.25)
    for mode in ["reflect", "replicate", "circular"]:
        pad(f"{mode}, 3 axes", [2, 2, 5], [3, 2], mode)
        pad(f"{mode}, 4 axes", [1, 2, 4, 3], [1, 2, 2, 0], mode)
        pad(f"{mode}, 5 axes", [1, 1, 3, 2, 4], [3, 1, 0, 1, 1, 2], mode)

    for tag, x, dims in [("rows", [3, 4], [0]), ("two axes", [2, 3, 4], [1, 2]), ("backwards", [2, 3, 4], [-1, -3])]:
        case("joining", "flip", tag, {"input": x}, lambda input: input.flip(dims), {"dims": dims})

    def chunk(tag, x, chunks, dim):
        def function(input):
            return {f"output{i}": part for i, part in enumerate(torch.chunk(input, chunks, dim))}

        case("joining", "chunk", tag, {"input": x}, function, {"chunks": chunks, "dim": dim})

    chunk("equal", [2, 6], 3, 1)
    chunk("the last smaller", [2, 7, 2], 3, 1)
    chunk("last axis backwards", [2, 3, 7], 3, -1)

    for tag, x, dims in [
        ("transpose", [3, 5], [1, 0]),
        ("channels last", [2, 3, 4, 2], [0, 2, 3, 1]),
        ("5 axes", [2, 3, 1, 2, 4], [4, 0, 3, 1, 2]),
        ("backwards", [2, 3, 4], [-1, 0, -2]),
    ]:
        case("joining", "permute", tag, {"input": x}, lambda input: input.permute(dims), {"dims": dims})
    for tag, x, shape in [("one axis", [3, 1, 4], [3, 5, 4]), ("new axes", [1, 3], [2, 4, 3]), ("a scalar", [1], [3, 4])]:
        case("joining", "expand", tag, {"input": x}, lambda input: input.expand(shape), {"size": shape})
    case("joining", "reshape", "plain", {"input": [2, 6, 2]}, lambda input: input.reshape(4, 6), {"shape": [4, 6]})


def resizing():
    def resize(tag, x, mode, size=None, scale_factor=None, align_corners=None):
        options = {"mode": mode, "size": size, "scale_factor": scale_factor, "align_corners": align_corners}
        case("resizing", "interpolate", tag, {"input": x}, lambda input: F.interpolate(input, **options), options)

    resize("nearest, 1D", [2, 2, 5], "nearest", scale_factor=[3.0])
    resize("nearest, 2D", [1, 2, 3, 4], "nearest", scale_factor=[2.0, 2.0])
    resize("nearest, 3D", [1, 1, 2, 3, 2], "nearest", scale_factor=[2.0, 1.0, 3.0])
    resize("nearest, to a size", [1, 2, 5, 4], "nearest", size=[7, 9])
    resize("nearest, smaller", [1, 2, 7, 8], "nearest", size=[3, 5])
    resize("nearest, by a fraction", [1, 2, 5, 6], "nearest", scale_factor=[1.75, 0.625])
    resize("nearest-exact, to a size", [1, 2, 5, 4], "nearest-exact", size=[7, 9])
    resize("nearest-exact, smaller", [2, 2, 8], "nearest-exact", size=[3])
    resize("nearest-exact, by a fraction", [1, 1, 3, 4, 2], "nearest-exact", scale_factor=[1.5, 0.75, 2.5])
    for align in [False, True]:
        words = "aligned" if align else "not aligned"
        resize(f"linear, {words}", [2, 2, 5], "linear", size=[8], align_corners=align)
        resize(f"bilinear, {words}", [1, 2, 3, 4], "bilinear", scale_factor=[2.0, 2.0], align_corners=align)
        resize(f"bilinear, {words}, to a size", [1, 2, 4, 5], "bilinear", size=[7, 6], align_corners=align)
        resize(f"bilinear, {words}, smaller", [1, 2, 7, 8], "bilinear", size=[3, 5], align_corners=align)
        resize(f"bilinear, {words}, to one", [1, 2, 4, 3], "bilinear", size=[1, 1], align_corners=align)
        resize(f"bilinear, {words}, from one", [2, 2, 1, 1], "bilinear", size=[3, 4], align_corners=align)
        resize(f"bilinear, {words}, by a fraction", [1, 2, 5, 6], "bilinear", scale_factor=[1.75, 0.625], align_corners=align)
        resize(f"trilinear, {words}", [1, 1, 2, 3, 3], "trilinear", size=[3, 5, 4], align_corners=align)

        resize(f"bicubic, {words}", [1, 2, 3, 4], "bicubic", scale_factor=[2.0, 2.0], align_corners=align)
        resize(f"bicubic, {words}, to a size", [1, 2, 4, 5], "bicubic", size=[9, 7], align_corners=align)
        resize(f"bicubic, {words}, smaller", [1, 2, 7, 8], "bicubic", size=[3, 5], align_corners=align)
        resize(f"bicubic, {words}, to one", [1, 2, 4, 3], "bicubic", size=[1, 1], align_corners=align)
        resize(f"bicubic, {words}, from one", [2, 2, 1, 2], "bicubic", size=[3, 4], align_corners=align)
        resize(f"bicubic, {words}, by a fraction", [1, 2, 5, 6], "bicubic", scale_factor=[1.75, 0.625], align_corners=align)
    resize("area, 1D", [2, 2, 7], "area", size=[3])
    resize("area, 2D", [1, 2, 5, 8], "area", size=[3, 11])
    resize("area, 3D, by a fraction", [1, 1, 4, 3, 5], "area", scale_factor=[0.5, 1.7, 0.8])

    # The product of extent and factor is rounded down; axes that keep their extent are copied.
    resize("linear, 100 by 0.29", [1, 1, 100], "linear", scale_factor=[0.29])
    resize("linear, 100 by 0.57", [1, 1, 100], "linear", scale_factor=[0.57])
    resize("nearest, 50 by 0.58", [1, 1, 50], "nearest", scale_factor=[0.58])
    resize("nearest, 25 by 1.16", [1, 1, 25], "nearest", scale_factor=[1.16])
    kept = torch.tensor([[[1.0, 2.0, 3.0]]]).double()
    for align in [False, True]:
        words = "aligned" if align else "not aligned"
        resize(f"linear, kept, {words}", kept, "linear", scale_factor=[1.25], align_corners=align)
        resize(f"bilinear, one kept, {words}", [1, 2, 9, 5], "bilinear", scale_factor=[1.1, 2.1], align_corners=align)
        resize(f"trilinear, two kept, {words}", [1, 1, 3, 2, 4], "trilinear", scale_factor=[1.25, 1.0, 0.6], align_corners=align)
    # Over two axes alone: over others PyTorch's gradient is not that of what it computes.
    resize("nearest, one kept, one doubled", [1, 2, 9, 5], "nearest", scale_factor=[1.1, 2.1])
    resize("nearest-exact, kept extents", [1, 2, 9, 5], "nearest-exact", scale_factor=[1.1, 1.15])

    case("resizing", "pixel_shuffle", "by 2", {"input": [1, 8, 2, 3]}, lambda input: F.pixel_shuffle(input, 2), {"factor": 2})
    case("resizing", "pixel_unshuffle", "by 3", {"input": [1, 2, 3, 6]}, lambda input: F.pixel_unshuffle(input, 3), {"factor": 3})

    for align in [False, True]:
        for size in [[3, 4], [1, 5]]:
            options = {"size": size, "align_corners": align}
            function = lambda input: F.affine_grid(input, [2, 1, *size], align_corners=align)
            case("resizing", "affine_grid", f"{size}, {align}", {"input": [2, 2, 3]}, function, options)
        for mode in ["bilinear", "nearest"]:
            for padding in ["zeros", "border", "reflection"]:
                options = {"mode": mode, "padding_mode": padding, "align_corners": align}
                inputs = {"input": [2, 3, 4, 5], "grid": Between([2, 6, 3, 2], -2.5, 2.5)}
                function = lambda input, grid: F.grid_sample(input, grid, **options)
                case("resizing", "grid_sample", f"{mode}, {padding}, {align}", inputs, function, options)


def elementwise():
    shapes = [
        ("same", [3, 4], [3, 4]),
        ("row", [3, 4], [4]),
        ("channel", [2, 3, 2, 2], [3, 1, 1]),
        ("both ways", [4, 1, 3], [2, 1]),
        ("scalar", [2, 3], [1]),
    ]
    for op in ["add", "sub", "mul", "div", "minimum", "maximum"]:
        for tag, a, b in shapes:
            other = Between(b, 0.25, 2.0) if op == "div" else b
            case("elementwise", op, tag, {"input": a, "other": other}, getattr(torch, op))

    # Equal elements share the gradient.
    few = {"input": torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 2.0]]).double(), "other": torch.tensor([2.0, 2.0, 2.0]).double()}
    for op in ["minimum", "maximum"]:
        case("elementwise", op, "equal elements", few, getattr(torch, op))

    positive = Between([4, 6], 0.125, 4.0)
    kinks = torch.tensor([-0.5, -0.0, 0.0, 0.25, 1.0], dtype=torch.float64)
    case("elementwise", "abs", "kinks", {"input": kinks}, torch.abs)
    case(
        "elementwise",
        "clamp",
        "kinks",
        {"input": kinks},
        lambda input: torch.clamp(input, -0.5, 0.25),
        {"min": -0.5, "max": 0.25},
    )
    # At the bounds, and where the lower one lies above the upper one.
    for tag, low, high in [("at the bounds", -0.5, 1.0), ("reversed", 0.25, -0.5)]:
        case(
            "elementwise",
            "clamp",
            tag,
            {"input": kinks},
            lambda input: torch.clamp(input, low, high),
            {"min": low, "max": high},
        )
    wide = torch.cat([torch.tensor([-2.5, -1.5, -0.5, 0.0, 0.5, 1.5, 2.5]).double(), draw("wide", [17], -4, 4)])
    for op, x, options in [
        ("sign", torch.tensor([-2.0, -0.0, 0.0, 0.5, float("nan"), float("inf"), -float("inf")]).double(), {}),
        *((op, wide, {}) for op in ["floor", "ceil", "round", "sin", "cos", "erf"]),
        ("abs", [4, 6], {}),
        ("exp", [4, 6], {}),
        ("log", positive, {}),
        ("sqrt", positive, {}),
        ("rsqrt", positive, {}),
        ("reciprocal", positive, {}),
        ("square", [4, 6], {}),
        ("neg", [4, 6], {}),
        ("clamp", [4, 6], {"min": -0.5, "max": 0.25}),
    ]:
        case("elementwise", op, "plain", {"input": x}, lambda input: getattr(torch, op)(input, **options), options)
    far = torch.tensor([float("inf"), -float("inf"), float("nan"), 1e5, -7e9, 2.0**100]).double()
    for op in ["sin", "cos", "erf"]:
        case("elementwise", op, "far", {"input": far}, getattr(torch, op))
    for exponent, x in [(3.0, [4, 6]), (1.5, positive), (-2.0, positive)]:
        case("elementwise", "pow", f"{exponent}", {"input": x}, lambda input: torch.pow(input, exponent), {"exponent": exponent})


def choices():
    nan, inf = float("nan"), float("inf")
    special = torch.tensor([nan, inf, -inf, 0.0, -0.0, 1.0, -1.0], dtype=torch.float64)
    few = lambda shape: integers(f"few {shape}", shape, 3).double()
    for op in ["eq", "ne", "lt", "le", "gt", "ge"]:
        for tag, a, b in [
            ("same", few([4, 5]), few([4, 5]) - few([4, 5]).flip(0) + 1),
            ("broadcast", few([2, 3, 4]), few([3, 1])),
            ("special", special.reshape(7, 1), special),
            ("integers", Below([3, 5], 4), Below([5], 4)),
        ]:
            case("choice", op, tag, {"input": a, "other": b}, getattr(torch, op), wrt=[])

    def where(tag, condition, a, b, wrt=None):
        function = lambda condition, input, other: torch.where(condition != 0, input, other)
        case("choice", "where", tag, {"condition": condition, "input": a, "other": b}, function, wrt=wrt)

    where("same", Below([3, 4], 2), [3, 4], [3, 4])
    where("rows", Below([4, 1], 2), [4, 5], [5])
    where("all stretch", Below([2, 1, 1], 2), [3, 1], [4])
    where("condition wider", Below([3, 4], 2), [1], [4])
    where("special", Below([7], 2), special, special.flip(0))
    where("integers", Below([3, 4], 2), Below([3, 4], 9), Below([4], 9), wrt=[])

    def to(tag, x, dtype):
        function = lambda input: input.to(getattr(torch, dtype))
        case("choice", "to", tag, {"input": x}, function, {"dtype": dtype}, wrt=[])

    fractions = torch.tensor([0.0, 0.5, 0.99, 1.0, 1.5, 2.5, 254.9, 255.0]).double()
    to("fractions as integers", fractions, "int64")
    to("fractions as bytes", fractions, "uint8")
    to("large", torch.tensor([65536.75, 16777215.0, 4294967040.0]).double(), "int64")
    to("integers as floats", Below([3, 5], 16777216), "float64")
    to("integers as bytes", Below([3, 7], 16777216), "uint8")
    to("bytes as floats", integers("bytes", [3, 5], 256).to(torch.uint8), "float64")
    to("bytes as integers", integers("bytes", [3, 5], 256).to(torch.uint8), "int64")


def reductions():
    axes = [
        ("rows", [4, 5], [1]),
        ("columns", [4, 5], [0]),
        ("channels kept", [2, 3, 2, 4], [0, 2, 3]),
        ("all", [3, 4, 2], [0, 1, 2]),
        ("middle", [3, 4, 5], [1]),
        ("last, backwards", [3, 4, 5], [-1]),
        ("two, backwards", [3, 4, 5], [-3, -1]),
    ]
    for op in ["sum", "mean", "amax", "amin"]:
        for tag, x, dim in axes:
            for keepdim in [False, True]:
                # Once each way is enough.
                if keepdim == tag.endswith("kept"):
                    options = {"dim": dim, "keepdim": keepdim}
                    case("reduction", op, tag, {"input": x}, lambda input: getattr(torch, op)(input, **options), options)
    for op in ["var", "std"]:
        for tag, x, dim in axes:
            for correction in [0, 1]:
                options = {"dim": dim, "correction": correction, "keepdim": tag.endswith("kept")}
                case(
                    "reduction",
                    op,
                    f"{tag}, correction {correction}",
                    {"input": x},
                    lambda input: getattr(torch, op)(input, **options),
                    options,
                )
    for tag, x, dim in axes:
        options = {"dim": dim, "keepdim": tag.endswith("kept")}
        case("reduction", "norm", tag, {"input": x}, lambda input: torch.linalg.vector_norm(input, **options), options)
    zeros = torch.tensor([[2.0, -1.5, 0.5], [0.0, 3.0, -0.25], [0.0, 2.0, -0.0], [0.0, 0.0, 0.0]]).double()
    for tag, x, dim in [("rows", [4, 5], 1), ("columns", [4, 5], 0), ("middle", [3, 4, 5], -2), ("zeros", zeros, 1)]:
        for keepdim in [False, True]:
            options = {"dim": dim, "keepdim": keepdim}
            kept = ", kept" if keepdim else ""
            case("reduction", "prod", f"{tag}{kept}", {"input": x}, lambda input: torch.prod(input, **options), options)
    for tag, x, dim in [("rows", [4, 5], 1), ("columns", [4, 5], 0), ("middle, backwards", [3, 70, 2], -2)]:
        case("reduction", "cumsum", tag, {"input": x}, lambda input: torch.cumsum(input, dim), {"dim": dim})
    # Numbers that differ by less than 2^-24 of their size, and not at all.
    near = torch.tensor([16777214.0, 16777215.0, 16777216.0], dtype=torch.float64)
    alike = torch.tensor([[0.1] * 3, [-0.7] * 3, [1e-3] * 3], dtype=torch.float32).double()
    for op in ["var", "std"]:
        for tag, x, dim in [("near", near, [0]), ("alike", alike, [1])]:
            options = {"dim": dim, "correction": 1, "keepdim": False}
            case("reduction", op, tag, {"input": x}, lambda input: getattr(torch, op)(input, **options), options)
    case("reduction", "mean", "near", {"input": near}, lambda input: input.mean([0]), {"dim": [0], "keepdim": False})
    equal = torch.tensor([[2.0, 1.0, 2.0, 0.0], [3.0, 3.0, 3.0, 3.0], [-1.0, -2.0, -2.0, -1.0]], dtype=torch.float64)
    for op in ["amax", "amin"]:
        options = {"dim": [1], "keepdim": False}
        case("reduction", op, "equal elements", {"input": equal}, lambda input: getattr(torch, op)(input, **options), options)
    for op in ["max", "min"]:
        for tag, x, dim, keepdim in [
            ("rows", [4, 5], 1, False),
            ("columns kept", [4, 5], 0, True),
            ("middle", [2, 4, 3], 1, False),
            ("second to last", [2, 4, 3], -2, False),
            ("equal elements", equal, 1, False),
        ]:
            options = {"dim": dim, "keepdim": keepdim}

            def function(input):
                output, indices = getattr(torch, op)(input, **options)
                return {"output": output, "indices": indices}

            case("reduction", op, tag, {"input": x}, function, options)


# Elements by index


def indexing():
    index = Below([3, 6, 2], 4)
    for dim, x in [(1, [3, 4, 2]), (-2, [3, 4, 2]), (1, [5, 4, 3])]:
        tag = f"{dim} of {x}"
        case("indexing", "gather", tag, {"input": x, "index": index}, lambda input, index: torch.gather(input, dim, index), {"dim": dim})
        function = lambda input, index, src: torch.scatter_add(input, dim, index, src)
        case("indexing", "scatter_add", tag, {"input": x, "index": index, "src": [3, 6, 2]}, function, {"dim": dim})
    rows = {"input": [4, 5], "index": Below([7, 5], 4)}
    case("indexing", "gather", "rows", rows, lambda input, index: torch.gather(input, 0, index), {"dim": 0})
    case("indexing", "one_hot", "plain", {"input": Below([2, 5], 4)}, lambda input: F.one_hot(input, 4), {"classes": 4})
    nan, inf = float("nan"), float("inf")
    special = torch.tensor([[1.0, nan, -inf, 3.0], [inf, -2.0, 0.5, nan]]).double()
    for tag, x, k, dim in [("rows", [3, 9], 4, 1), ("columns", [5, 3], 2, -2), ("all", [2, 6], 6, 1), ("special", special, 3, 1)]:
        for largest in [True, False]:
            options = {"k": k, "dim": dim, "largest": largest}
            function = lambda input: dict(zip(["values", "indices"], torch.topk(input, k, dim, largest)))
            case("indexing", "topk", f"{tag}, {'largest' if largest else 'smallest'}", {"input": x}, function, options)

    # torchvision's nms, as its CPU kernel has it.
    def nms(boxes, scores, iou_threshold, most):
        kept = []
        area = lambda i: (boxes[i][2] - boxes[i][0]) * (boxes[i][3] - boxes[i][1])
        for i in torch.sort(scores, stable=True, descending=True)[1].tolist():
            overlaps = []
            for j in kept:
                low, high = torch.maximum(boxes[i][:2], boxes[j][:2]), torch.minimum(boxes[i][2:], boxes[j][2:])
                common = torch.clamp(high - low, min=0).prod()
                overlaps.append(common / (area(i) + area(j) - common) > iou_threshold)
            if not any(overlaps):
                kept.append(i)
        kept = kept[:most]
        return {"indices": torch.tensor(kept + [len(boxes)] * (most - len(kept))), "count": torch.tensor([len(kept)])}

    for n, threshold, most in [(12, 0.3, 12), (40, 0.5, 40), (40, 0.1, 5)]:
        corners = draw(f"corners {n}", [n, 2], 0.0, 4.0)
        boxes = torch.cat([corners, corners + draw(f"sizes {n}", [n, 2], 0.5, 3.0)], 1)
        scores = integers(f"scores {n}", [n], 20).double()
        options = {"iou_threshold": threshold, "most": most}
        function = lambda boxes, scores: nms(boxes, scores, **options)
        case("indexing", "nms", f"{n}, {threshold}, {most}", {"boxes": boxes, "scores": scores}, function, options, wrt=[])


# Losses


def losses():
    def loss(op, tag, inputs, wrt, **options):
        given = dict(options)
        fixed = {key: given.pop(key) for key in ["weight", "pos_weight"] if key in given}
        drawn = {**inputs, **fixed}
        function = getattr(F, op)
        case("loss", op, tag, drawn, lambda input, target, **rest: function(input, target, **given, **rest), given, wrt)

    x = Between([5, 4], -3.0, 3.0)
    pixels = Between([2, 3, 2, 3], -3.0, 3.0)
    some = torch.tensor([2, 9, 0, 9, 3])
    weight = Between([4], 0.25, 2.0)
    for reduction in ["none", "mean", "sum"]:
        loss("cross_entropy", reduction, {"input": x, "target": Below([5], 4)}, ["input"], reduction=reduction)
        loss(
            "cross_entropy",
            f"weights, {reduction}",
            {"input": x, "target": Below([5], 4)},
            ["input"],
            weight=weight,
            reduction=reduction,
        )
        loss(
            "cross_entropy",
            f"label smoothing, {reduction}",
            {"input": x, "target": Below([5], 4)},
            ["input"],
            label_smoothing=0.125,
            reduction=reduction,
        )
        loss(
            "cross_entropy", f"ignored, {reduction}", {"input": x, "target": some}, ["input"], ignore_index=9, reduction=reduction
        )
        loss(
            "cross_entropy",
            f"weights, label smoothing, ignored, {reduction}",
            {"input": x, "target": some},
            ["input"],
            weight=weight,
            ignore_index=9,
            label_smoothing=0.25,
            reduction=reduction,
        )
        loss(
            "cross_entropy",
            f"pixels, {reduction}",
            {"input": pixels, "target": Below([2, 2, 3], 3)},
            ["input"],
            reduction=reduction,
        )
        loss(
            "cross_entropy",
            f"soft targets, {reduction}",
            {"input": x, "target": Between([5, 4], 0.0, 0.5)},
            ["input"],
            reduction=reduction,
        )
        loss(
            "cross_entropy",
            f"soft targets, weights, label smoothing, {reduction}",
            {"input": x, "target": Between([5, 4], 0.0, 0.5)},
            ["input"],
            weight=weight,
            label_smoothing=0.125,
            reduction=reduction,
        )
        loss(
            "nll_loss", reduction, {"input": Between([5, 4], -4.0, 0.0), "target": Below([5], 4)}, ["input"], reduction=reduction
        )
        loss(
            "nll_loss",
            f"weights, ignored, {reduction}",
            {"input": Between([5, 4], -4.0, 0.0), "target": some},
            ["input"],
            weight=weight,
            ignore_index=9,
            reduction=reduction,
        )
        loss(
            "nll_loss",
            f"pixels, {reduction}",
            {"input": Between([2, 3, 2, 3], -4.0, 0.0), "target": Below([2, 2, 3], 3)},
            ["input"],
            reduction=reduction,
        )
        halves = {"input": Between([4, 3], 0.0625, 0.9375), "target": Between([4, 3], 0.0, 1.0)}
        loss("binary_cross_entropy", reduction, halves, ["input"], reduction=reduction)
        loss(
            "binary_cross_entropy",
            f"weights, {reduction}",
            halves,
            ["input"],
            weight=Between([4, 3], 0.25, 2.0),
            reduction=reduction,
        )
        logits = {"input": Between([4, 3], -4.0, 4.0), "target": Between([4, 3], 0.0, 1.0)}
        loss("binary_cross_entropy_with_logits", reduction, logits, ["input"], reduction=reduction)
        loss(
            "binary_cross_entropy_with_logits",
            f"positive weights, {reduction}",
            logits,
            ["input"],
            pos_weight=Between([3], 0.25, 3.0),
            reduction=reduction,
        )
        loss(
            "binary_cross_entropy_with_logits",
            f"weights, positive weights, {reduction}",
            logits,
            ["input"],
            weight=Between([4, 3], 0.25, 2.0),
            pos_weight=Between([3], 0.25, 3.0),
            reduction=reduction,
        )
        both = {"input": Between([3, 5], -2.0, 2.0), "target": Between([3, 5], -2.0, 2.0)}
        for op in ["mse_loss", "l1_loss"]:
            loss(op, reduction, both, None, reduction=reduction)
        for beta in [1.0, 0.375]:
            loss("smooth_l1_loss", f"beta {beta}, {reduction}", both, None, beta=beta, reduction=reduction)
            loss("huber_loss", f"delta {beta}, {reduction}", both, None, delta=beta, reduction=reduction)
    # Where the parts of a function meet, and logarithms of 0.
    near = torch.tensor([0.0, -0.0, 0.375, -0.375, 1.0, -1.0, 2.0, -0.25], dtype=torch.float64)
    zeros = torch.zeros(8, dtype=torch.float64)
    loss("l1_loss", "kinks", {"input": near, "target": zeros}, None, reduction="none")
    loss("smooth_l1_loss", "kinks", {"input": near, "target": zeros}, None, beta=0.375, reduction="none")
    loss("smooth_l1_loss", "beta 0", {"input": near[2:], "target": zeros[2:]}, None, beta=0.0, reduction="none")
    loss("huber_loss", "kinks", {"input": near, "target": zeros}, None, delta=0.375, reduction="none")
    sure = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    targets = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.25, 0.25], dtype=torch.float64)
    loss("binary_cross_entropy", "certainties", {"input": sure, "target": targets}, ["input"], reduction="none")
    # PyTorch divides by the sum of weights, and by the batch for soft targets.
    pixel_weights = Between([3], 0.25, 2.0)
    pixel_classes = torch.tensor([[[0, 9, 2], [1, 1, 9]], [[9, 0, 0], [2, 2, 1]]])
    loss(
        "cross_entropy",
        "pixels, weights, label smoothing, ignored, mean",
        {"input": pixels, "target": pixel_classes},
        ["input"],
        weight=pixel_weights,
        ignore_index=9,
        label_smoothing=0.125,
        reduction="mean",
    )
    loss(
        "cross_entropy",
        "pixels, soft targets, weights, mean",
        {"input": pixels, "target": Between([2, 3, 2, 3], 0.0, 0.5)},
        ["input"],
        weight=pixel_weights,
        reduction="mean",
    )
    loss(
        "cross_entropy",
        "far apart, mean",
        {"input": Between([5, 4], -200.0, 200.0), "target": Below([5], 4)},
        ["input"],
        reduction="mean",
    )
    loss(
        "binary_cross_entropy_with_logits",
        "far out, none",
        {"input": Between([12], -200.0, 200.0), "target": Between([12], 0.0, 1.0)},
        ["input"],
        reduction="none",
    )

    # Those of several operands of one kind, and formulas that PyTorch has no function for: torchvision's sigmoid_focal_loss.
    def reduced(each, reduction):
        return {"none": each, "mean": each.mean(), "sum": each.sum()}[reduction]

    def contrastive(a, b, c, margin, reduction):
        d = torch.linalg.vector_norm(a - b, dim=-1)
        return reduced((1 - c) * d**2 / 2 + c * torch.clamp(margin - d, min=0) ** 2 / 2, reduction)

    def dice(input, target, smooth, reduction):
        over, under = (input * target).sum([2, 3]), (input + target).sum([2, 3])
        return reduced(1 - (2 * over + smooth) / (under + smooth), reduction)

    def focal(input, target, alpha, gamma, reduction):
        p = torch.sigmoid(input)
        p_t = p * target + (1 - p) * (1 - target)
        each = F.binary_cross_entropy_with_logits(input, target, reduction="none") * (1 - p_t) ** gamma
        if alpha >= 0:
            each = (alpha * target + (1 - alpha) * (1 - target)) * each
        return reduced(each, reduction)

    rows, maps, share = [5, 4], [2, 3, 4, 5], lambda shape: Between(shape, 0.02, 0.98)
    for reduction in ["none", "mean", "sum"]:
        for log_target in [False, True]:
            logs = Between([5, 4], -4.0, -0.1)
            inputs = {"input": logs, "target": logs if log_target else share([5, 4])}
            options = {"log_target": log_target, "reduction": reduction}
            tag = f"{'logs' if log_target else 'shares'}, {reduction}"
            case("loss", "kl_div", tag, inputs, lambda input, target: F.kl_div(input, target, **options), options)
        for p, swap in [(2.0, False), (2.0, True), (1.0, False), (3.0, True)]:
            options = {"margin": 1.0, "p": p, "swap": swap, "reduction": reduction}
            function = lambda a, b, c: F.triplet_margin_loss(a, b, c, **options)
            tag = f"{p}, {'swap, ' if swap else ''}{reduction}"
            case("loss", "triplet_margin_loss", tag, {"a": rows, "b": rows, "c": rows}, function, options)
        options = {"margin": 1.5, "reduction": reduction}
        inputs = {"a": rows, "b": rows, "c": share([5])}
        case("loss", "contrastive_loss", reduction, inputs, lambda a, b, c: contrastive(a, b, c, **options), options)
        options = {"smooth": 1.0, "reduction": reduction}
        inputs = {"input": share(maps), "target": share(maps)}
        case("loss", "dice_loss", reduction, inputs, lambda input, target: dice(input, target, **options), options)
        for alpha, gamma in [(0.25, 2.0), (-1, 1.5)]:
            options = {"alpha": alpha, "gamma": gamma, "reduction": reduction}
            function = lambda input, target: focal(input, target, **options)
            inputs = {"input": Between(rows, -4.0, 4.0), "target": share(rows)}
            case("loss", "sigmoid_focal_loss", f"{alpha}, {gamma}, {reduction}", inputs, function, options)


# Training

SHAPES, STEPS = [[7], [3, 5]], 5


def optimizers():
    def optimizer(op, tag, **options):
        """Parameters after each of the steps, for given gradients of each step."""
        given = {f"param{i}": shape for i, shape in enumerate(SHAPES)}
        given.update({f"gradient{i}": [STEPS, *shape] for i, shape in enumerate(SHAPES)})

        def function(**values):
            params = [values[f"param{i}"].clone() for i in range(len(SHAPES))]
            rule = getattr(torch.optim, op)(params, **options)
            steps = [[] for _ in params]
            for step in range(STEPS):
                for i, param in enumerate(params):
                    param.grad = values[f"gradient{i}"][step].clone()
                rule.step()
                for seen, param in zip(steps, params):
                    seen.append(param.clone())
            return {f"updated{i}": torch.stack(seen) for i, seen in enumerate(steps)}

        case("optimizer", op, tag, given, function, options, wrt=[])

    optimizer("SGD", "plain", lr=0.125)
    optimizer("SGD", "weight decay", lr=0.125, weight_decay=0.0625)
    optimizer("SGD", "momentum", lr=0.125, momentum=0.875)
    optimizer("SGD", "Nesterov, weight decay", lr=0.0625, momentum=0.875, nesterov=True, weight_decay=0.0625)
    optimizer("SGD", "dampening", lr=0.125, momentum=0.875, dampening=0.25)
    optimizer("Adam", "default", lr=0.001)
    optimizer("Adam", "weight decay", lr=0.01, betas=[0.75, 0.875], eps=1e-3, weight_decay=0.0625)
    optimizer("Adam", "AMSGrad", lr=0.01, amsgrad=True)
    optimizer("AdamW", "default", lr=0.001, weight_decay=0.01)
    optimizer("AdamW", "other", lr=0.01, betas=[0.75, 0.875], eps=1e-3, weight_decay=0.25)
    optimizer("RMSprop", "default", lr=0.01)
    optimizer("RMSprop", "momentum, weight decay", lr=0.01, alpha=0.875, eps=1e-3, momentum=0.75, weight_decay=0.0625)
    optimizer("RMSprop", "centered", lr=0.01, alpha=0.75, centered=True)
    optimizer("RMSprop", "centered, momentum", lr=0.01, alpha=0.875, centered=True, momentum=0.75)
    optimizer("Adagrad", "default", lr=0.01)
    optimizer("Adagrad", "other", lr=0.0625, lr_decay=0.25, weight_decay=0.0625, initial_accumulator_value=0.5, eps=1e-3)


def schedulers():
    def scheduler(op, tag, steps, base=0.5, **options):
        """The rate of each step, the first being that before any call of scheduler.step()."""

        def function():
            param = torch.zeros(1, dtype=torch.float64, requires_grad=True)
            rule = torch.optim.SGD([param], lr=base)
            schedule = getattr(torch.optim.lr_scheduler, op)(rule, **options)
            rates = []
            for _ in range(steps):
                rates.append(rule.param_groups[0]["lr"])
                rule.step()
                schedule.step()
            return {"lr": torch.tensor(rates, dtype=torch.float64)}

        case("scheduler", op, tag, {}, function, {"steps": steps, "lr": base, **options}, wrt=[])

    scheduler("StepLR", "plain", 20, step_size=6, gamma=0.25)
    scheduler("MultiStepLR", "plain", 20, milestones=[3, 8, 9], gamma=0.5)
    scheduler("ExponentialLR", "plain", 20, gamma=0.875)
    scheduler("LinearLR", "plain", 15, start_factor=0.25, end_factor=1.0, total_iters=8)
    scheduler("CosineAnnealingLR", "plain", 13, T_max=12, eta_min=0.0625)
    scheduler("CosineAnnealingWarmRestarts", "equal periods", 30, T_0=7, T_mult=1, eta_min=0.0)
    scheduler("CosineAnnealingWarmRestarts", "growing periods", 40, T_0=4, T_mult=2, eta_min=0.0625)
    scheduler("OneCycleLR", "default", 40, max_lr=1.5, total_steps=40, cycle_momentum=False)
    scheduler(
        "OneCycleLR",
        "linear",
        30,
        max_lr=1.5,
        total_steps=30,
        pct_start=0.5,
        anneal_strategy="linear",
        div_factor=10.0,
        final_div_factor=100.0,
        cycle_momentum=False,
    )
    scheduler(
        "OneCycleLR", "three phases", 40, max_lr=1.5, total_steps=40, pct_start=0.25, three_phase=True, cycle_momentum=False
    )


def clipping():
    gradients = {f"gradient{i}": shape for i, shape in enumerate(SHAPES)}

    def clip(op, tag, clip_function, options):
        def function(**given):
            params = [torch.zeros_like(value, requires_grad=True) for value in given.values()]
            for param, value in zip(params, given.values()):
                param.grad = value.clone()
            norm = clip_function(params, **options)
            clipped = {f"clipped{i}": param.grad for i, param in enumerate(params)}
            return clipped if norm is None else {"total_norm": norm, **clipped}

        case("clipping", op, tag, gradients, function, options, wrt=[])

    norm, value = torch.nn.utils.clip_grad_norm_, torch.nn.utils.clip_grad_value_
    clip("clip_grad_norm_", "clipped", norm, {"max_norm": 0.75})
    clip("clip_grad_norm_", "not clipped", norm, {"max_norm": 75.0})
    clip("clip_grad_value_", "plain", value, {"clip_value": 0.375})


def averages():
    def average(tag, decay):
        """The moving average after each step of plain SGD; the first step makes it a copy."""

        def function(param0, gradient0):
            model = torch.nn.Module()
            model.param = torch.nn.Parameter(param0.clone())
            averaged = torch.optim.swa_utils.AveragedModel(model, avg_fn=lambda old, new, count: decay * old + (1 - decay) * new)
            rule = torch.optim.SGD(model.parameters(), lr=0.5)
            seen = []
            for gradient in gradient0:
                model.param.grad = gradient.clone()
                rule.step()
                averaged.update_parameters(model)
                seen.append(averaged.module.param.detach().clone())
            return {"average0": torch.stack(seen)}

        case(
            "average",
            "AveragedModel",
            tag,
            {"param0": [6], "gradient0": [STEPS, 6]},
            function,
            {"decay": decay, "lr": 0.5},
            wrt=[],
        )

    average("slow", 0.875)
    average("fast", 0.25)


# Whole networks: the loss and the gradients of all parameters


def networks():
    def lenet(input, target, conv1_weight, conv1_bias, conv2_weight, conv2_bias, fc1_weight, fc1_bias, fc2_weight, fc2_bias):
        x = F.max_pool2d(F.relu(F.conv2d(input, conv1_weight, conv1_bias, padding=1)), 2)
        x = F.max_pool2d(F.relu(F.conv2d(x, conv2_weight, conv2_bias)), 2)
        x = F.relu(F.linear(x.flatten(1), fc1_weight, fc1_bias))
        return F.cross_entropy(F.linear(x, fc2_weight, fc2_bias), target)

    case(
        "network",
        "lenet",
        "8x8",
        {
            "input": [3, 1, 8, 8],
            "target": Below([3], 4),
            "conv1_weight": [2, 1, 3, 3],
            "conv1_bias": [2],
            "conv2_weight": [4, 2, 3, 3],
            "conv2_bias": [4],
            "fc1_weight": [5, 4],
            "fc1_bias": [5],
            "fc2_weight": [4, 5],
            "fc2_bias": [4],
        },
        lenet,
    )

    def residual(
        input,
        target,
        conv1_weight,
        norm1_weight,
        norm1_bias,
        conv2_weight,
        norm2_weight,
        norm2_bias,
        down_weight,
        fc_weight,
        fc_bias,
    ):
        x = F.conv2d(input, conv1_weight, stride=2, padding=1)
        x = F.relu(F.batch_norm(x, None, None, norm1_weight, norm1_bias, True))
        x = F.batch_norm(F.conv2d(x, conv2_weight, padding=1), None, None, norm2_weight, norm2_bias, True)
        x = F.relu(x + F.conv2d(input, down_weight, stride=2))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return F.cross_entropy(F.linear(x, fc_weight, fc_bias), target, label_smoothing=0.125)

    case(
        "network",
        "residual",
        "6x6",
        {
            "input": [2, 2, 6, 6],
            "target": Below([2], 3),
            "conv1_weight": [4, 2, 3, 3],
            "norm1_weight": [4],
            "norm1_bias": [4],
            "conv2_weight": [4, 4, 3, 3],
            "norm2_weight": [4],
            "norm2_bias": [4],
            "down_weight": [4, 2, 1, 1],
            "fc_weight": [3, 4],
            "fc_bias": [3],
        },
        residual,
    )


# Writing


def encode(tensors):
    """The bytes of a safetensors file: length of the header, the header as JSON, the elements."""
    header, data = {}, bytearray()
    for name, tensor in tensors.items():
        start = len(data)
        values = tensor.reshape(-1).tolist()
        if tensor.is_floating_point():
            dtype, letter = "F32", "f"
        elif tensor.dtype == torch.uint8:
            dtype, letter = "U8", "B"
        else:
            dtype, letter = "U32", "I"
        data += struct.pack(f"<{len(values)}{letter}", *values)
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [start, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(data)


def main():
    for family in [
        convolutions,
        transposed_convolutions,
        poolings,
        batch_norms,
        other_norms,
        activations,
        products,
        joining,
        resizing,
        elementwise,
        choices,
        reductions,
        indexing,
        losses,
        optimizers,
        schedulers,
        clipping,
        averages,
        networks,
    ]:
        family()
    folder = Path(__file__).parent
    lines = ",\n".join(json.dumps(case) for case in CASES)
    made = json.dumps(f"PyTorch {torch.__version__}")
    (folder / "cases.json").write_text(f'{{"made with": {made}, "cases": [\n{lines}\n]}}\n')
    (folder / "tensors.safetensors").write_bytes(encode(TENSORS))
    counts = {}
    for one in CASES:
        counts[one["family"]] = counts.get(one["family"], 0) + 1
    print(len(CASES), "cases:", ", ".join(f"{count} {family}" for family, count in counts.items()))


main()
