"""Trains a classifier on pictures of one's own, with validation and early stopping."""

import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, random_split
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18


def accuracy(model, loader, device):
    model.eval()
    right = count = 0
    with torch.no_grad():
        for images, labels in loader:
            answers = model(images.to(device)).argmax(1).cpu()
            right += (answers == labels).sum().item()
            count += len(labels)
    return right / count


def main():
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plain = [
        transforms.Resize(32),
        transforms.CenterCrop(32),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.25] * 3),
    ]
    changed = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(32, padding=2)]
    pictures = ImageFolder("pictures", transforms.Compose(plain))
    augmented = ImageFolder("pictures", transforms.Compose(plain + changed))
    seed = torch.Generator().manual_seed(1)
    train, held_out, test = random_split(pictures, [0.72, 0.08, 0.2], seed)
    train.dataset = augmented
    train_loader = DataLoader(train, batch_size=64, shuffle=True)
    val_loader = DataLoader(held_out, batch_size=256)
    test_loader = DataLoader(test, batch_size=256)
    model = resnet18(num_classes=len(pictures.classes)).to(device)
    epochs, patience = 15, 5
    optimizer = torch.optim.AdamW(model.parameters())
    steps = epochs * len(train_loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps, pct_start=0.05)
    best, best_epoch, kept = 0.0, 0, None
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        share = accuracy(model, val_loader, device)
        print(f"epoch {epoch + 1}: loss {total / len(train_loader):.4f}, {share:.4f} right")
        if share > best:
            best, best_epoch, kept = share, epoch, copy.deepcopy(model.state_dict())
        elif epoch - best_epoch >= patience:
            break
    model.load_state_dict(kept)
    torch.save({"model": kept, "classes": pictures.classes}, "model.pt")
    print("test accuracy", accuracy(model, test_loader, device))


if __name__ == "__main__":
    main()
