"""Says what a picture shows, by a network that `train.py` saved."""

import torch
from PIL import Image
from torchvision import transforms
from torchvision.models import resnet18


def main():
    saved = torch.load("model.pt", map_location="cpu")
    model = resnet18(num_classes=len(saved["classes"]))
    model.load_state_dict(saved["model"])
    model.eval()
    transform = transforms.Compose(
        [
            transforms.Resize(32),
            transforms.CenterCrop(32),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.25] * 3),
        ]
    )
    picture = transform(Image.open("picture.png").convert("RGB"))
    with torch.no_grad():
        shares = model(picture[None]).softmax(1)[0]
    print(f"{saved['classes'][shares.argmax()]} with {100 * shares.max():.1f} %")


if __name__ == "__main__":
    main()
