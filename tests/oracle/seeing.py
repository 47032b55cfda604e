"""What PyTorch 2.15 sees inside a small network, in f64: the numbers of `tests/inspect.rs`.

    python3 -m venv env && env/bin/pip install torch==2.15.* numpy
    env/bin/python tests/oracle/seeing.py > tests/oracle/seeing.json

Weights and pictures follow the integer formula of `networks.py`; noise and moves are Philox's, as
`src/rng.rs` draws them.
"""

import json
import math

import numpy
import torch
from torch import nn
from torch.nn import functional as F

CHANNELS, SIDE, CLASSES = 3, 16, 5
MEAN, DEVIATION = 100.0, 60.0
CLASS, SEED = 2, 7


def fnv(name):
    word = 2166136261
    for byte in name.encode():
        word = (word ^ byte) * 16777619 % 2**32
    return word


def noise(name, count):
    """Numbers in [-1, 1), as `noise` of `networks.py`."""
    words = numpy.arange(count, dtype=numpy.uint64) * 2654435761 + fnv(name)
    words %= 2**32
    words ^= words >> 15
    words = words * 2246822519 % 2**32
    words ^= words >> 13
    words = words * 3266489917 % 2**32
    words ^= words >> 16
    return (words >> 8).astype(numpy.float64) / 2**23 - 1


def draw(name, shape):
    """As `draw` of `networks.py`."""
    values = torch.tensor(noise(name, math.prod(shape))).reshape(shape)
    if name.endswith("running_var"):
        values = 1 + values.abs() / 2
    elif len(shape) == 1:
        values = (0.1 * values) + (1 if name.endswith("weight") else 0)
    else:
        values = values * math.sqrt(6 / math.prod(shape[1:]))
    return values.float().double()


def philox(counter, key):
    """Philox 4x32-10."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [p1 >> 32 ^ c[1] ^ k[0], p1 % 2**32, p0 >> 32 ^ c[3] ^ k[1], p0 % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def word(seed, stream, step, index):
    block = index // 4
    return philox([block, 0, stream, step], [seed, 0])[index % 4]


def normal(seed, stream, step, index, deviation):
    units = [(word(seed, stream, step, 2 * index + k) >> 9) / 2**23 for k in (0, 1)]
    return deviation * math.sqrt(-2 * math.log(1 - units[0])) * math.cos(math.tau * units[1])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(CHANNELS, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 6, 3)
        self.fc = nn.Linear(6 * 3 * 3, CLASSES)

    def forward(self, x, layers=None):
        layers = {} if layers is None else layers
        x = layers["conv1"] = self.conv1(x)
        x = layers["bn1"] = self.bn1(x)
        x = F.max_pool2d(F.relu(x), 2)
        x = layers["conv2"] = self.conv2(x)
        x = layers["relu2"] = F.relu(x)
        x = F.max_pool2d(x, 2)
        x = layers["fc"] = self.fc(x.flatten(1))
        return x


def bytes_of(name):
    count = CHANNELS * SIDE * SIDE
    return numpy.floor((noise(name, count) + 1) * 128)


def normalised(pixels):
    values = torch.tensor((pixels - MEAN) / DEVIATION)
    return values.reshape(1, CHANNELS, SIDE, SIDE)


def gradient(net, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(net(x)[:, CLASS].sum(), x)[0]


def smooth(net, x, samples, share):
    deviation = share * float(x.max() - x.min())
    stream = fnv("smooth_grad")
    total = torch.zeros_like(x)
    for sample in range(samples):
        e = [normal(SEED, stream, sample, at, deviation) for at in range(x.numel())]
        total += gradient(net, x + torch.tensor(e).reshape(x.shape))
    return total / samples


def integrated(net, x, b, steps):
    total = torch.zeros_like(x)
    for k in range(steps):
        total += gradient(net, b + (k + 0.5) / steps * (x - b))
    return (x - b) * total / steps


def starts(window, stride):
    last = SIDE - window
    return list(range(0, last, stride)) + [last]


def occlusion(net, x, window, stride):
    whole = net(x)[0, CLASS]
    total, counts = torch.zeros(SIDE, SIDE).double(), torch.zeros(SIDE, SIDE).double()
    for top in starts(window, stride):
        for left in starts(window, stride):
            covered = x.clone()
            covered[:, :, top:top + window, left:left + window] = 0
            total[top:top + window, left:left + window] += whole - net(covered)[0, CLASS]
            counts[top:top + window, left:left + window] += 1
    return total / counts


def cam(net, x, layer, plus_plus):
    layers = {}
    score = net(x, layers)[0, CLASS]
    maps = layers[layer]
    g = torch.autograd.grad(score, maps)[0]
    if plus_plus:
        # Equations 10 and 19 of the paper, with exp(S) taken out.
        shares = g**2 / (2 * g**2 + maps.sum((2, 3), keepdim=True) * g**3)
        shares = torch.where(g != 0, shares, torch.zeros_like(g))
        weights = (shares * F.relu(g)).sum((2, 3), keepdim=True)
    else:
        weights = g.mean((2, 3), keepdim=True)
    heat = F.relu((weights * maps).sum(1, keepdim=True))
    return F.interpolate(heat, size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def blur(x, deviation, radius):
    at = torch.arange(-radius, radius + 1).double()
    line = torch.exp(-0.5 * (at / deviation) ** 2)
    kernel = torch.outer(line, line)
    kernel = (kernel / kernel.sum()).expand(CHANNELS, 1, -1, -1)
    return F.conv2d(F.pad(x, [radius] * 4, mode="replicate"), kernel, groups=CHANNELS)


def maximise(net, layer, channel, steps, rate, jitter, sigma, l2):
    low, high = -MEAN / DEVIATION, (255 - MEAN) / DEVIATION
    stream = fnv("inspect.picture")
    count = CHANNELS * SIDE * SIDE
    x = torch.tensor([normal(SEED, stream, 0, at, 0.1) for at in range(count)])
    x = x.clamp(low, high).reshape(1, CHANNELS, SIDE, SIDE)
    moves = fnv("inspect.jitter")

    def activation(x):
        layers = {}
        net(x, layers)
        return layers[layer][:, channel].mean()

    scores = []
    for step in range(steps):
        by = [word(SEED, moves, step, axis) % (2 * jitter + 1) - jitter for axis in (0, 1)]
        x = x.detach().requires_grad_()
        # Output (y, x) is input (y + by[0], x + by[1]).
        score = activation(torch.roll(x, [-by[0], -by[1]], (2, 3)))
        g = torch.autograd.grad(score, x)[0]
        scores.append(float(score.detach()))
        x = (1 - l2) * x.detach() + rate * g / (g**2).mean().sqrt()
        deviation = sigma * (1 - step / steps)
        x = blur(x.clamp(low, high), deviation, math.ceil(3 * sigma))
    after = float(activation(x).detach())
    return {"values": x.flatten().tolist(), "before": scores[0], "after": after}


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return value


torch.set_default_dtype(torch.float64)
net = Net().eval()
with torch.no_grad():
    for name, value in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            value.copy_(draw(name, value.shape))
x, black = normalised(bytes_of("picture")), normalised(numpy.zeros(CHANNELS * SIDE * SIDE))
layers = {}
scores = net(x, layers)
seen = {
    "scores": scores[0],
    "bn1": layers["bn1"],
    "relu2": layers["relu2"],
    "saliency": gradient(net, x),
    "smooth_grad": smooth(net, x, 20, 0.15),
    "integrated_gradients": integrated(net, x, black, 24),
    "occlusion": occlusion(net, x, 5, 3),
    "grad_cam": cam(net, x, "conv2", False),
    "grad_cam_relu": cam(net, x, "relu2", False),
    "grad_cam_plus_plus": cam(net, x, "relu2", True),
}
result = {name: value.detach().flatten().tolist() for name, value in seen.items()}
result["difference"] = float((scores - net(black))[0, CLASS].detach())
result["maximise"] = maximise(net, "conv2", 4, 12, 0.1, 3, 0.6, 0.02)
result["maximise_class"] = maximise(net, "fc", CLASS, 12, 0.1, 3, 0.6, 0.02)
print('{"torch": %s,' % json.dumps(torch.__version__))
lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in rounded(result).items()]
print(",\n".join(lines))
print("}")
