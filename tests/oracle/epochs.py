"""What PyTorch 2.15 trains in two epochs whose last batch is smaller, and with drop_last: the numbers of
`tests/train.rs`, `the_last_batch_is_as_in_pytorch`. `python tests/oracle/epochs.py` prints them."""

import torch
from torch import nn

# The order in which the seed 7 shows the ten images, epoch by epoch, as that test checks first.
ORDER = [[8, 1, 6, 3, 5, 4, 7, 0, 9, 2], [2, 5, 8, 6, 3, 1, 7, 9, 4, 0]]


def pixels():
    """Images [10, 1, 6, 6] of bytes, in f64, with mean 0 and deviation 1 over all of them."""
    count = 10 * 36
    values = [(i * i * 7 + i * 31 + 11) % 251 for i in range(count)]
    bytes = torch.tensor(values, dtype=torch.float64)
    return ((bytes - bytes.mean()) / bytes.std(correction=0)).reshape(10, 1, 6, 6)


def begin(parameter, number):
    """Element i of parameter `number` is ((i * 13 + number * 5) % 17 - 8) / 40."""
    values = [((i * 13 + number * 5) % 17 - 8) / 40 for i in range(parameter.numel())]
    parameter.data = torch.tensor(values, dtype=torch.float64).reshape(parameter.shape)


def train(drop_last):
    net = nn.Sequential()
    net.add_module("conv", nn.Conv2d(1, 3, 3))
    net.add_module("bn", nn.BatchNorm2d(3))
    net.add_module("relu", nn.ReLU())
    net.add_module("flatten", nn.Flatten())
    net.add_module("fc", nn.Linear(3 * 16, 4))
    net.double()
    for number, parameter in enumerate(net.parameters()):
        begin(parameter, number)
    images, labels = pixels(), torch.tensor([i % 4 for i in range(10)])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    losses = []
    for order in ORDER:
        loader = torch.utils.data.DataLoader(order, batch_size=4, drop_last=drop_last)
        for rows in loader:
            loss = nn.functional.cross_entropy(net(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses, net.state_dict()


for drop_last in [False, True]:
    losses, state = train(drop_last)
    print("drop_last", drop_last)
    print("  losses", [float(f"{x:.9g}") for x in losses])
    for name in ["conv.weight", "bn.weight", "bn.running_mean", "bn.running_var", "fc.bias"]:
        print(" ", name, [float(f"{x:.9g}") for x in state[name].flatten().tolist()])
