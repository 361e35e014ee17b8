"""One rank of PyTorch's DistributedDataParallel: the job of benches/distributed.rs.

For each line on standard input, runs the command in it, and prints the seconds it took:

    step N        N training steps
    reduce N      N all-reduces of 25 MB
"""
import sys
import time

import torch
import torch.distributed as dist
import torchvision
from torch import nn
from torch.nn.parallel import DistributedDataParallel

BATCH, CLASSES = 32, 10


def main():
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    torch.manual_seed(dist.get_rank())
    network = torchvision.models.resnet18(num_classes=CLASSES)
    # The stem for images of 32 × 32, as in the paper's networks for CIFAR.
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    model = DistributedDataParallel(network)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    criterion = nn.CrossEntropyLoss()
    inputs, labels = torch.rand(BATCH, 3, 32, 32), torch.randint(CLASSES, (BATCH,))
    message = torch.ones(25 * 1024 * 1024 // 4)

    def step():
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    print("ready", sum(p.numel() for p in model.parameters()), flush=True)
    for line in sys.stdin:
        what, count = line.split()
        begun = time.perf_counter()
        for _ in range(int(count)):
            step() if what == "step" else dist.all_reduce(message)
        print(time.perf_counter() - begun, flush=True)
    dist.destroy_process_group()


main()
