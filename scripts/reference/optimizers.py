"""Prints tests/reference/optimizers.json: trajectories of the optimizers and schedules of PyTorch and timm on a fixed problem.

Run it with Python torch: $(scripts/python-env torch) scripts/reference/optimizers.py > tests/reference/optimizers.json
"""

import inspect
import json
import math

import timm.optim
import torch
from torch.optim import _muon

STEPS = 25


def problem():
    """A matrix and a bias in float64, and a deterministic loss with a curved valley."""
    w = torch.tensor([[math.sin(i + 2 * j) for j in range(3)] for i in range(4)], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([math.cos(i) for i in range(3)], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[math.cos(3 * i + j) for j in range(4)] for i in range(8)], dtype=torch.float64)
    y = torch.tensor([[math.sin(i * j + 1) for j in range(3)] for i in range(8)], dtype=torch.float64)
    return w, b, lambda: ((x @ w + b).tanh() - y).square().mean()


def trajectory(make):
    w, b, loss = problem()
    # Weight decay only for the matrix, as in the library under test.
    optimizer = make([{"params": [w]}, {"params": [b], "weight_decay": 0.0}])
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    return {"w": w.flatten().tolist(), "b": b.tolist()}


class Muon:
    """PyTorch's Muon for the matrix and its AdamW for the bias."""

    def __init__(self, groups, lr, weight_decay, **options):
        matrices, others = ([group] for group in groups)
        self.parts = [
            torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw", **options),
            torch.optim.AdamW(others, lr=lr, weight_decay=weight_decay),
        ]

    def zero_grad(self):
        for part in self.parts:
            part.zero_grad()

    def step(self):
        for part in self.parts:
            part.step()


# The iteration in float64, like the rest of the problem, where PyTorch rounds to bfloat16.
exec(inspect.getsource(_muon._zeropower_via_newtonschulz).replace("grad.bfloat16()", "grad.double().clone()"), vars(_muon))

CASES = {
    "adam": ("", 0.0, lambda p: torch.optim.Adam(p, lr=0.05)),
    "adam, decay": ("beta1=0.8,beta2=0.95,eps=0.001", 0.01, lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.01)),
    "adamw": ("", 0.1, lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1)),
    "sgd": ("momentum=0", 0.0, lambda p: torch.optim.SGD(p, lr=0.05)),
    "sgd, momentum": ("", 0.01, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01)),
    "sgd, nesterov": ("momentum=0.8,nesterov=1", 0.01, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.01)),
    "adagrad": ("", 0.0, lambda p: torch.optim.Adagrad(p, lr=0.05)),
    "adagrad, decay": ("lr_decay=0.1", 0.01, lambda p: torch.optim.Adagrad(p, lr=0.05, lr_decay=0.1, weight_decay=0.01)),
    "rmsprop": ("", 0.0, lambda p: torch.optim.RMSprop(p, lr=0.05)),
    "lion": ("", 0.1, lambda p: timm.optim.Lion(p, lr=0.05, weight_decay=0.1)),
    "lion, betas": ("beta1=0.8,beta2=0.9", 0.0, lambda p: timm.optim.Lion(p, lr=0.05, betas=(0.8, 0.9))),
    "lamb": ("", 0.01, lambda p: timm.optim.Lamb(p, lr=0.05, weight_decay=0.01, eps=1e-8, max_grad_norm=None)),
    "lamb, betas": ("beta1=0.8,beta2=0.9,eps=0.001", 0.1, lambda p: timm.optim.Lamb(p, lr=0.05, weight_decay=0.1, betas=(0.8, 0.9), eps=1e-3, max_grad_norm=None)),
    "adan": ("", 0.02, lambda p: timm.optim.Adan(p, lr=0.05, weight_decay=0.02)),
    "adan, betas": ("beta1=0.9,beta2=0.8,beta3=0.95,eps=0.001", 0.0, lambda p: timm.optim.Adan(p, lr=0.05, betas=(0.9, 0.8, 0.95), eps=1e-3)),
    "muon": ("", 0.1, lambda p: Muon(p, lr=0.05, weight_decay=0.1)),
    "muon, plain": ("momentum=0.8,nesterov=0,iterations=3", 0.0, lambda p: Muon(p, lr=0.05, weight_decay=0.0, momentum=0.8, nesterov=False, ns_steps=3)),
    "rmsprop, momentum": ("alpha=0.9,momentum=0.5", 0.01, lambda p: torch.optim.RMSprop(p, lr=0.05, alpha=0.9, momentum=0.5, weight_decay=0.01)),
}


def schedule(make, steps=40):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def plateau():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    losses = [1.0, 0.9, 0.95, 0.91, 0.9, 0.92, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.7]
    rates = []
    for loss in losses:
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step(loss)
    return {"losses": losses, "rates": rates}


lr = torch.optim.lr_scheduler
print(json.dumps({
    "torch": torch.__version__.split("+")[0],
    "steps": STEPS,
    "optimizers": {name: {"options": options, "weight_decay": decay, "end": trajectory(make)} for name, (options, decay, make) in CASES.items()},
    "schedules": {
        "step": schedule(lambda o: lr.StepLR(o, 10, gamma=0.5)),
        "cosine": schedule(lambda o: lr.CosineAnnealingLR(o, 40)),
        "cosine-restarts": schedule(lambda o: lr.CosineAnnealingWarmRestarts(o, 10, T_mult=2, eta_min=0.1)),
        "wsd": schedule(lambda o: lr.SequentialLR(o, [lr.ConstantLR(o, 1.0, 1), lr.LinearLR(o, 1.0, 0.25, 16)], [24])),
        "one-cycle": schedule(lambda o: lr.OneCycleLR(o, 1.0, total_steps=40), 39) ,
    },
    "plateau": plateau(),
}, indent=1))
