"""The evaluation of many rows in PyTorch, for benches/speed/rows/evaluation.rs: mean loss and confusion matrix.

Usage: evaluation_torch.py FOLDER BATCH THREADS. Evaluates once to warm up, then once for each line of input.
"""
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

import worker


def main():
    folder, batch, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    data = load_file(folder / "data.safetensors")
    x, y = data["x"], data["y"]
    state = load_file(folder / "start.safetensors")
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    model.load_state_dict({name.replace("fc1", "1").replace("fc2", "3"): value for name, value in state.items()}, strict=True)
    model.eval()
    worker.serve(evaluate(model, x, y, batch), lambda: evaluate(model, x, y, batch))


@torch.inference_mode()
def evaluate(model, x, y, batch):
    begun = time.perf_counter()
    loss, pairs = torch.zeros((), dtype=torch.float64), torch.zeros(100, dtype=torch.int64)
    for inputs, labels in zip(x.split(batch), y.split(batch)):
        logits = model(inputs)
        loss += nn.functional.cross_entropy(logits, labels) * len(labels)
        pairs += torch.bincount(labels * 10 + logits.argmax(1), minlength=100)
    confusion = pairs.view(10, 10)
    found = {"loss": loss.item() / len(y), "correct": confusion.diag().sum().item()}
    return {"seconds": time.perf_counter() - begun, **found}


main()
