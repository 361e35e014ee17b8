"""Training steps of larger networks in PyTorch, for benches/speed/rows/steps.rs, which wrote the rows and the initial weights.

Prints a line of JSON after warm-up, with the losses of its first three steps, then trains for a round for each line of input.
"""
import argparse
import functools
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

import torch_step
import worker

MODES = {
    "eager": "as a script is usually written",
    "fused": "with Adam(fused=True), and channels last for convolutions",
    "compile": "fused, with the model and the loss through torch.compile",
}


class Cnn(nn.Module):
    """3×3 convolutions and pooling in stages, two linear layers."""

    def __init__(self):
        super().__init__()
        self.stage1, self.stage2 = self.stage(1, 32), self.stage(32, 64)
        self.fc1, self.fc2 = nn.Linear(64 * 2 * 2, 128), nn.Linear(128, 10)

    @staticmethod
    def stage(inputs, outputs):
        return nn.ModuleDict({
            "conv1": nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), "bn1": nn.BatchNorm2d(outputs),
            "conv2": nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), "bn2": nn.BatchNorm2d(outputs),
        })

    def forward(self, x):
        for stage in (self.stage1, self.stage2):
            x = torch.relu(stage["bn1"](stage["conv1"](x)))
            x = torch.relu(stage["bn2"](stage["conv2"](x)))
            x = nn.functional.max_pool2d(x, 2)
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


class Lstm(nn.Module):
    """A bidirectional LSTM over the rows of an image."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(28, 128, 2, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(256, 10)

    def forward(self, x):
        return self.fc(self.rnn(x.squeeze(1))[0].mean(1))


def vit():
    from torchvision.models import VisionTransformer

    model = VisionTransformer(image_size=32, patch_size=4, num_layers=6, num_heads=4, hidden_dim=128, mlp_dim=512, num_classes=10)
    return model


def resnet18():
    from torchvision.models import resnet18 as plain

    model = plain(num_classes=10)
    model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    return model


def of_timm(name):
    import timm

    return timm.create_model(name, num_classes=10)


MODELS = {"cnn": Cnn, "lstm": Lstm, "vit": vit, "resnet18": resnet18}
for name in ("convnext_atto", "mobilenetv3_small_100"):
    MODELS[name] = functools.partial(of_timm, name)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--mode", choices=MODES, required=True, help="; ".join(f"{name}: {what}" for name, what in MODES.items()))
    parser.add_argument("--precision", choices=["f32", "bf16"], required=True)
    for name in ("--batch", "--threads", "--steps"):
        parser.add_argument(name, type=int, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    data = load_file(args.folder / "data.safetensors")
    x, y = data["x"], data["y"]
    model = MODELS[args.model]()
    model.load_state_dict(load_file(args.folder / "start.safetensors"), strict=True)
    if args.mode != "eager" and args.model not in ("lstm", "vit"):
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    step = make_step(model, args)

    losses = []
    for batch in range(3):
        rows = slice(batch * args.batch, (batch + 1) * args.batch)
        losses.append(step(x[rows], y[rows])[0].item())
    batches = shuffled(len(y), args.batch)
    train(args.steps, batches, step, x, y)

    def play():
        begun = time.perf_counter()
        train(args.steps, batches, step, x, y)
        return {"step_ms": (time.perf_counter() - begun) * 1e3 / args.steps}

    worker.serve({"losses": losses}, play)


def make_step(model, args):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=args.mode != "eager")
    is_bf16 = args.precision == "bf16"

    def loss_of(images, labels):
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            logits = model(images).float()
        return nn.functional.cross_entropy(logits, labels), logits

    return torch_step.make_step(optimizer, loss_of, args.mode == "compile")


def shuffled(rows, batch):
    while True:
        yield from torch.randperm(rows).split(batch)


def train(steps, batches, step, x, y):
    """Runs `steps` steps, with the running loss and accuracy that a script prints."""
    loss_sum, correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)
    for _ in range(steps):
        rows = next(batches)
        labels = y[rows]
        loss, logits = step(x[rows], labels)
        loss_sum += loss
        correct += (logits.argmax(1) == labels).sum()
    return loss_sum.item(), correct.item()


main()
