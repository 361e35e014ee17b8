"""A training step in PyTorch on a GPU, as fast as PyTorch can run it: the peer of benches/gpu.rs.

Usage: gpu_torch.py JOB MODE. It prints "ready" after warm-up. For each line of standard input with a number, it runs that many
steps and prints the microseconds per step.
"""
import sys
import time

import torch
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


class Block(nn.Module):
    """A residual block of He et al., 2016: convolutions of (kernel, stride, output channels) and a shortcut."""

    def __init__(self, inputs, convolutions):
        super().__init__()
        layers, channels, total_stride = [], inputs, 1
        for kernel, stride, outputs in convolutions:
            layers += [nn.Conv2d(channels, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            channels, total_stride = outputs, total_stride * stride
        self.body = nn.Sequential(*layers[:-1])
        self.shortcut = nn.Identity()
        if total_stride != 1 or inputs != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, channels, 1, total_stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet(blocks, is_bottleneck, is_small, classes):
    """ResNet as torchvision's; `is_small`: the stem for images of 32 x 32, as `--model-options stem=3` makes it."""
    stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False)] if is_small else [nn.Conv2d(3, 64, 7, 2, 3, bias=False)]
    layers = stem + [nn.BatchNorm2d(64), nn.ReLU()]
    if not is_small:
        layers.append(nn.MaxPool2d(3, 2, 1))
    inputs = 64
    for stage, count in enumerate(blocks):
        width = 64 << stage
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            if is_bottleneck:
                convolutions = [(1, 1, width), (3, stride, width), (1, 1, 4 * width)]
            else:
                convolutions = [(3, stride, width), (3, 1, width)]
            layers.append(Block(inputs, convolutions))
            inputs = convolutions[-1][2]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def make_model(job, classes):
    if job == "digits":
        return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    if job == "resnet50":
        return resnet((3, 4, 6, 3), True, False, classes)
    return resnet((2, 2, 2, 2), False, True, classes)


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
