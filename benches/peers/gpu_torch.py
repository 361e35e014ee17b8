"""A training step in PyTorch on a GPU, as fast as PyTorch can run it: the peer of benches/gpu.rs.

Usage: gpu_torch.py JOB MODE. It prints "ready" after warm-up. For each line of standard input with a number, it runs that many
steps and prints the microseconds per step.
"""
import sys
import time

import torch
import torchvision
from torch import nn

# Batch size, shape of an example, number of classes, and whether to use bfloat16 with channels last.
JOBS = {
    "digits": (32, (64,), 10, False),
    "resnet18": (512, (3, 32, 32), 10, True),
    "resnet50": (256, (3, 224, 224), 1000, True),
}
MODES = {
    "eager": None,
    "compile": "default",
    "reduce-overhead": "reduce-overhead",
}


def make_model(job, classes):
    if job == "digits":
        return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    if job == "resnet50":
        return torchvision.models.resnet50(num_classes=classes)
    model = torchvision.models.resnet18(num_classes=classes)
    # The stem for images of 32 × 32, as `--model-options stem=3` makes it.
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


def main():
    job, mode = sys.argv[1:]
    batch, shape, classes, is_bf16 = JOBS[job]
    layout = torch.channels_last if is_bf16 else torch.contiguous_format
    model = make_model(job, classes).to("cuda", memory_format=layout)
    inputs = torch.rand(batch, *shape, device="cuda").to(memory_format=layout)
    labels = torch.randint(classes, (batch,), device="cuda")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def loss_of(inputs, labels):
        with torch.autocast("cuda", torch.bfloat16, enabled=is_bf16):
            logits = model(inputs)
        return nn.functional.cross_entropy(logits.float(), labels)

    if MODES[mode]:
        loss_of = torch.compile(loss_of, mode=MODES[mode])

    def steps(count):
        for _ in range(count):
            optimizer.zero_grad()
            loss_of(inputs, labels).backward()
            optimizer.step()
        torch.cuda.synchronize()

    steps(10)
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        begun = time.perf_counter()
        steps(count)
        print((time.perf_counter() - begun) / count * 1e6, flush=True)


main()
