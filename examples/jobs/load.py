"""Loads pictures of one's own, a folder for each class: `python load.py`."""

import torch
from PIL import Image, UnidentifiedImageError
from torch.utils.data import DataLoader, random_split
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import has_file_allowed_extension


def readable(path):
    if not has_file_allowed_extension(path, (".png", ".jpg", ".jpeg", ".webp")):
        return False
    try:
        Image.open(path).verify()
        return True
    except (OSError, UnidentifiedImageError) as error:
        print("left out:", path, error)
        return False


def main():
    steps = [transforms.Resize(32), transforms.CenterCrop(32), transforms.ToTensor()]
    pictures = ImageFolder("pictures", transforms.Compose(steps), is_valid_file=readable)
    seed = torch.Generator().manual_seed(1)
    train, test = random_split(pictures, [0.8, 0.2], seed)
    pixels = torch.stack([image for image, _ in train])
    steps.append(transforms.Normalize(pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))))
    pictures.transform = transforms.Compose(steps)
    train_loader = DataLoader(train, batch_size=64, shuffle=True)
    test_loader = DataLoader(test, batch_size=256)
    print(f"{len(train)} to train, {len(test)} to test: {', '.join(pictures.classes)}")


if __name__ == "__main__":
    main()
