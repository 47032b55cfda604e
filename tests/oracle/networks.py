"""What PyTorch 2.15 and torchvision compute by the networks of `models`, in f64: the numbers of
`tests/zoo.rs`.

    python3 -m venv env && env/bin/pip install torch==2.15.* torchvision
    env/bin/python tests/oracle/networks.py > tests/oracle/networks.json

Weights and images follow one integer formula on both sides (`draw`). Of each gradient its norm and
its products with SIGNS vectors of signs, from the same formula, are kept: two gradients are as far
apart as the root of the mean square of the differences of these products.
"""

import json
import math

import numpy
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

SIGNS = 8
CLASSES = 10


def noise(name, count):
    """Numbers in [-1, 1), from FNV-1a of the name and the index by a multiplicative hash."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 % 2**32
    words = numpy.arange(count, dtype=numpy.uint64) * 2654435761 + seed
    words %= 2**32
    words ^= words >> 15
    words = words * 2246822519 % 2**32
    words ^= words >> 13
    words = words * 3266489917 % 2**32
    words ^= words >> 16
    # 24 bits, which f32 holds.
    return (words >> 8).astype(numpy.float64) / 2**23 - 1


def draw(name, shape):
    count = math.prod(shape)
    values = torch.tensor(noise(name, count)).reshape(shape)
    if name.endswith("running_var"):
        values = 1 + values.abs() / 2
    elif len(shape) == 1:
        # Of a normalisation, or a bias.
        values = (0.1 * values) + (1 if name.endswith("weight") else 0)
    elif name not in ("images",):
        values = values * math.sqrt(6 / math.prod(shape[1:]))
    # As f32 holds it.
    return values.float().double()


def lenet5():
    net = nn.Sequential()
    for name, layer in [
        ("conv1", nn.Conv2d(1, 6, 5, padding=2)), ("r1", nn.ReLU()), ("p1", nn.MaxPool2d(2)),
        ("conv2", nn.Conv2d(6, 16, 5)), ("r2", nn.ReLU()), ("p2", nn.MaxPool2d(2)),
        ("flatten", nn.Flatten()), ("fc1", nn.Linear(400, 120)), ("r3", nn.ReLU()),
        ("fc2", nn.Linear(120, 84)), ("r4", nn.ReLU()), ("fc3", nn.Linear(84, CLASSES)),
    ]:
        net.add_module(name, layer)
    return net


def lenet5_1998():
    net = nn.Sequential()
    for name, layer in [
        ("conv1", nn.Conv2d(1, 6, 5)), ("t1", nn.Tanh()), ("p1", nn.AvgPool2d(2)),
        ("conv2", nn.Conv2d(6, 16, 5)), ("t2", nn.Tanh()), ("p2", nn.AvgPool2d(2)),
        ("conv3", nn.Conv2d(16, 120, 5)), ("t3", nn.Tanh()), ("flatten", nn.Flatten()),
        ("fc1", nn.Linear(120, 84)), ("t4", nn.Tanh()), ("fc2", nn.Linear(84, CLASSES)),
    ]:
        net.add_module(name, layer)
    return net


class UNet(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        widths = [64, 128, 256, 512, 1024]
        before = channels
        for level, width in enumerate(widths, 1):
            self.add_module(f"down{level}", self.two(before, width))
            before = width
        for level in range(4, 0, -1):
            width = widths[level - 1]
            self.add_module(f"up{level}", nn.ConvTranspose2d(2 * width, width, 2, stride=2))
            self.add_module(f"conv{level}", self.two(2 * width, width))
        self.head = nn.Conv2d(64, classes, 1)

    @staticmethod
    def two(before, width):
        return nn.Sequential(
            nn.Conv2d(before, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU())

    def forward(self, x):
        skipped = []
        for level in range(1, 6):
            if level > 1:
                x = F.max_pool2d(x, 2)
            x = getattr(self, f"down{level}")(x)
            skipped.append(x)
        for level in range(4, 0, -1):
            x = torch.cat([skipped[level - 1], getattr(self, f"up{level}")(x)], 1)
            x = getattr(self, f"conv{level}")(x)
        return self.head(x)


def vision(name):
    options = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
    return lambda: getattr(torchvision.models, name)(num_classes=CLASSES, **options)


# Name, module, channels and side of the images of a forward pass and of a training step.
NETWORKS = [
    ("lenet5", lenet5, 1, 28, 28),
    ("lenet5_1998", lenet5_1998, 1, 32, 32),
    ("alexnet", vision("alexnet"), 3, 64, 64),
    ("vgg11", vision("vgg11"), 3, 32, None),
    ("vgg11_bn", vision("vgg11_bn"), 3, 32, 32),
    ("vgg16", vision("vgg16"), 3, 32, None),
    ("vgg19_bn", vision("vgg19_bn"), 3, 32, None),
    ("googlenet", vision("googlenet"), 3, 64, 64),
    ("resnet18", vision("resnet18"), 3, 64, 64),
    ("resnet34", vision("resnet34"), 3, 64, None),
    ("resnet50", vision("resnet50"), 3, 64, None),
    ("resnet101", vision("resnet101"), 3, 64, None),
    ("mobilenet_v2", vision("mobilenet_v2"), 3, 64, 64),
    ("unet", lambda: UNet(1, 2), 1, 32, 16),
]


def set_states(net):
    for name, value in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        value.copy_(draw(name, value.shape))


def products(name, gradient):
    flat = gradient.detach().numpy().ravel()
    found = []
    for k in range(SIGNS):
        signs = numpy.where(noise(f"{name}/{k}", flat.size) < 0, -1.0, 1.0)
        found.append(float(signs @ flat))
    return found


def run(name, make, channels, forward, training):
    net = make().double()
    with torch.no_grad():
        set_states(net)
    net.eval()
    images = draw("images", (2, channels, forward, forward))
    with torch.no_grad():
        logits = net(images)
    # Of maps, the first of each class.
    shown = logits if logits.dim() == 2 else logits[:, :, 0, :8]
    result = {"name": name, "images": list(images.shape), "logits": shown.flatten().tolist()}
    if training is None:
        return result
    net.train()
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    images = draw("images", (4, channels, training, training))
    outputs = net(images)
    if name == "googlenet":
        heads = [(outputs.logits, 1.0), (outputs.aux_logits1, 0.3), (outputs.aux_logits2, 0.3)]
    else:
        heads = [(outputs, 1.0)]
    classes = heads[0][0].shape[1]
    if heads[0][0].dim() == 2:
        labels = torch.arange(4) * 3 % classes
    else:
        labels = torch.arange(4 * training * training).reshape(4, training, training) * 7 % 3 % classes
    loss = sum(weight * F.cross_entropy(head, labels) for head, weight in heads)
    loss.backward()
    result["step"] = {
        "images": list(images.shape),
        "loss": float(loss.detach()),
        "gradients": {
            key: {"norm": float(value.grad.norm()), "products": products(key, value.grad)}
            for key, value in net.named_parameters()
        },
    }
    return result


def rounded(value):
    """Numbers of nine digits, more than an f32 holds."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return value


torch.manual_seed(0)
versions = [json.dumps(module.__version__) for module in (torch, torchvision)]
print('{"torch": %s, "torchvision": %s, "networks": [' % tuple(versions))
print(",\n".join(json.dumps(rounded(run(*network))) for network in NETWORKS))
print("]}")
