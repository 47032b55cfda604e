#!/usr/bin/env python3
"""The cases of benches/peers/cases.txt in PyTorch, on the CPU and on CUDA where it is: python3 bench.py --help."""

import argparse
import json
import math
import os
import pathlib
import platform
import re
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

CASES = pathlib.Path(__file__).resolve().parent.parent / "cases.txt"

# Copies of a case's operands together exceed this, so that no cache holds what the next run reads.
ROTATED_BYTES = 128e6


class LeNet5(nn.Sequential):
    """As src/models/lenet.rs."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
        )


class BasicBlock(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.stride = stride
        self.planes = (out - channels) // 2

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.stride != 1:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.planes, self.planes))
        return F.relu(y + x)


class ResNet20(nn.Sequential):
    """As src/models/resnet.rs."""

    def __init__(self):
        layers = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        channels = 16
        for out in (16, 32, 64):
            for _ in range(3):
                layers.append(BasicBlock(channels, out, 1 if out == channels else 2))
                channels = out
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        out = 4 * width
        self.residual = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        return F.relu(self.residual(x) + self.shortcut(x))


class ResNet50(nn.Sequential):
    """As src/models/resnet.rs."""

    def __init__(self):
        stem = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        layers = [stem, nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
        channels = 64
        for blocks, width in ((3, 64), (4, 128), (6, 256), (3, 512)):
            for block in range(blocks):
                layers.append(Bottleneck(channels, width, 2 if width > 64 and block == 0 else 1))
                channels = 4 * width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))


def train(model, shape, device):
    """A function that takes a number of training steps and reads the last loss."""
    model = model.to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x = torch.randn(shape, device=device)
    labels = torch.arange(shape[0], device=device) % 10

    def run(count):
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
        if not math.isfinite(loss.item()):
            sys.exit("error: the loss is not finite")

    return run


def repeated(make, shapes, device):
    """A function that calls `make` with copies of operands in turns and waits for the last."""
    size = sum(4 * math.prod(shape) for shape in shapes)
    copies = int(min(max(ROTATED_BYTES // size, 1), 8))
    operands = [[torch.rand(shape, device=device) * 2 - 1 for shape in shapes] for _ in range(copies)]

    def run(count):
        with torch.no_grad():
            for i in range(count):
                make(*operands[i % copies])
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def subject(name, device):
    """What runs the case of this name, with its floating-point operations and bytes if it is a kernel."""
    kind, size, *rest = name.split("/")
    if kind == "lenet5":
        return train(LeNet5(), (int(size[1:]), 1, 28, 28), device), None, None
    if kind == "resnet20":
        return train(ResNet20(), (int(size[1:]), 3, 32, 32), device), None, None
    if kind == "resnet50":
        return train(ResNet50(), (int(size[1:]), 3, 224, 224), device), None, None
    if kind == "matmul":
        *batch, m, n, k = map(int, size.split("x"))
        run = repeated(torch.matmul, [(*batch, m, k), (*batch, k, n)], device)
        count = math.prod(batch)
        return run, 2 * count * m * n * k, 4 * count * (m * k + k * n + m * n)
    found = re.fullmatch(r"(\d+)x(\d+)x(\d+)x(\d+)-(\d+)k(\d+)s(\d+)p(\d+)(?:g(\d+))?", size)
    if kind != "conv2d" or not found or rest not in (["forward"], ["dx"], ["dw"]):
        sys.exit(f'error: "{name}" is no case')
    n, c, h, w, filters, kernel, stride, padding = map(int, found.groups()[:8])
    groups = int(found[9] or 1)
    x, weight = (n, c, h, w), (filters, c // groups, kernel, kernel)
    y = (n, filters, (h + 2 * padding - kernel) // stride + 1, (w + 2 * padding - kernel) // stride + 1)
    flops = 2 * math.prod(y) * math.prod(weight[1:])
    size = 4 * sum(map(math.prod, (x, weight, y)))
    options = {"stride": stride, "padding": padding, "groups": groups}
    if rest == ["forward"]:
        return repeated(lambda x, weight: F.conv2d(x, weight, **options), [x, weight], device), flops, size

    def backward(x, weight, dy):
        wanted = [rest == ["dx"], rest == ["dw"], False]
        pairs = [[stride] * 2, [padding] * 2, [1, 1]]
        torch.ops.aten.convolution_backward(dy, x, weight, None, *pairs, False, [0, 0], groups, wanted)

    return repeated(backward, [x, weight, y], device), flops, size


def measure(name, device, about, args):
    begin = time.perf_counter()
    run, flops, size = subject(name, device)

    def timed(count):
        begin = time.perf_counter()
        run(count)
        return (time.perf_counter() - begin) * 1e3

    timed(1)
    first = (time.perf_counter() - begin) * 1e3
    once = min(timed(1) for _ in range(3))
    count = min(max(math.ceil(args.seconds * 1e3 / once), 1), 10_000)
    times = [timed(count) / count for _ in range(args.rounds)]
    median, best = statistics.median_high(times), min(times)
    gflops = flops and flops / median / 1e6
    speed = f"{gflops:9.1f} GFLOP/s" if flops else ""
    print(f"{name:<44}{about['backend']:<8}pytorch {median:12.4f} ms (best {best:.4f}, first {first:.0f}){speed}", flush=True)
    return {
        "case": name,
        "variant": "pytorch",
        "chosen": True,
        **about,
        "ms": median,
        "best_ms": best,
        "spread_ms": max(times) - best,
        "first_step_ms": first,
        "gflops": gflops,
        "gbps": size and size / median / 1e6,
        "timestamps": False,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "version": torch.__version__,
    }


def cpu_name():
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", metavar="TEXT", action="append", help="only cases whose name holds one of these")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default both, as far as they are there")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads; default as many as the machine has")
    parser.add_argument("--tf32", action="store_true", help="lets CUDA round f32 operands to TF32; default off")
    parser.add_argument("--json", metavar="FILE", help="writes one JSON line per case and device to this file")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2, help="what a round takes at least")
    args = parser.parse_args()
    if args.rounds < 1 or args.seconds <= 0 or args.threads < 1:
        parser.error("--rounds, --seconds and --threads are above 0")
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch finds none")
    names = [line for line in CASES.read_text().split() if not args.case or any(part in line for part in args.case)]
    if not names:
        parser.error("--case: no case's name holds it")
    torch.set_num_threads(args.threads)
    torch.backends.cuda.matmul.allow_tf32 = args.tf32
    torch.backends.cudnn.allow_tf32 = args.tf32
    # As burn tunes and striate has its rules, cuDNN may look for its fastest algorithm.
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(1)
    devices = {}
    if args.device != "cuda":
        driver = f"torch {torch.__version__}, {torch.get_num_threads()} threads"
        devices["cpu"] = {"adapter": cpu_name(), "driver": driver, "backend": "cpu"}
    if args.device != "cpu" and torch.cuda.is_available():
        precision = "TF32" if args.tf32 else "f32"
        driver = f"torch {torch.__version__}, CUDA {torch.version.cuda}, {precision}"
        devices["cuda"] = {"adapter": torch.cuda.get_device_name(), "driver": driver, "backend": "cuda"}
    lines = [measure(name, torch.device(device), about, args) for name in names for device, about in devices.items()]
    if args.json:
        with open(args.json, "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
