"""Fine-tunes a saved network on other pictures, whose classes it does not know yet."""

import torch
from torch import nn
from torch.utils.data import DataLoader, random_split
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18


def main():
    device = "cuda" if torch.cuda.is_available() else "cpu"
    steps = [transforms.Resize(32), transforms.CenterCrop(32), transforms.ToTensor()]
    steps.append(transforms.Normalize([0.5] * 3, [0.25] * 3))
    pictures = ImageFolder("others", transforms.Compose(steps))
    train, test = random_split(pictures, [0.8, 0.2], torch.Generator().manual_seed(1))
    loaders = [DataLoader(train, 64, shuffle=True), DataLoader(test, 256)]
    saved = torch.load("model.pt", map_location="cpu")
    model = resnet18(num_classes=len(saved["classes"]))
    model.load_state_dict(saved["model"])
    model.fc = nn.Linear(model.fc.in_features, len(pictures.classes))
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    for _ in range(5):
        model.train()
        for images, labels in loaders[0]:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images.to(device)), labels.to(device)).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            answers = [(model(x.to(device)).argmax(1).cpu() == y) for x, y in loaders[1]]
        print(torch.cat(answers).float().mean().item())
    torch.save({"model": model.state_dict(), "classes": pictures.classes}, "fine_tuned.pt")


if __name__ == "__main__":
    main()
