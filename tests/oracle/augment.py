"""What torchvision 0.29 makes of a picture by the operations of TrivialAugmentWide and RandAugment:
the bytes of the test in `src/data/augment/policy.rs`.

    python3 -m venv env && env/bin/pip install torch==2.15.* torchvision==0.29.*
    env/bin/python tests/oracle/augment.py > tests/oracle/augment.json

The picture follows one integer formula on both sides (`picture`).
"""

import json

import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.autoaugment import RandAugment, TrivialAugmentWide, _apply_op

SHAPE = (3, 18, 20)
# Lowest byte and number of bytes of each channel.
RANGES = [(20, 200), (0, 256), (90, 100)]


def picture(channels):
    plane = SHAPE[1] * SHAPE[2]
    bytes_ = []
    for channel in range(channels):
        low, count = RANGES[channel]
        for pixel in range(plane):
            word = (channel * plane + pixel + 1) * 2654435761 % 2**32
            word = (word ^ word >> 15) * 2246822519 % 2**32
            bytes_.append(low + (word >> 24) * count // 256)
    return torch.tensor(bytes_, dtype=torch.uint8).reshape(channels, *SHAPE[1:])


def main():
    cases = []
    spaces = {
        "trivial-augment-wide": TrivialAugmentWide()._augmentation_space(31),
        "rand-augment": RandAugment()._augmentation_space(31, SHAPE[1:]),
    }
    for policy, space in spaces.items():
        for channels in (3, 1):
            for number, (name, (magnitudes, signed)) in enumerate(space.items()):
                few = policy == "rand-augment" or channels == 1
                bins = [9] if few else [4, 17, 30]
                for bin_ in bins if magnitudes.ndim > 0 else [0]:
                    for sign in (1, -1) if signed else (1,):
                        magnitude = float(magnitudes[bin_]) if magnitudes.ndim > 0 else 0.0
                        made = _apply_op(
                            picture(channels), name, sign * magnitude, InterpolationMode.NEAREST, None
                        )
                        cases.append(
                            {
                                "policy": policy,
                                "operation": number,
                                "name": name,
                                "channels": channels,
                                "bin": bin_,
                                "sign": sign,
                                "bytes": bytes(made.flatten().tolist()).hex(),
                            }
                        )
    print("[")
    print(",\n".join(json.dumps(case) for case in cases))
    print("]")


main()
