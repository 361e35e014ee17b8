"""Reads a folder of JPEGs as torchvision's ImageFolder and torch's DataLoader do, for benches/speed/rows/pictures.rs.

Usage: loader_torchvision.py FOLDER WORKERS. Reads an epoch to warm up, then one for each line of input, and prints as JSON the images
per second and the peak memory in MB of the process and its workers together, as proportional set size (shared pages are counted
once).
"""

import os
import sys
import threading
import time

import torch
from torchvision import datasets, transforms

import worker

BATCH = 64


def processes(pid):
    """A process and all its descendants."""
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            for child in file.read().split():
                found += processes(int(child))
    return found


def memory():
    total = 0
    for pid in processes(os.getpid()):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except (OSError, StopIteration):
            pass
    return total / 1024


def main(folder, workers):
    transform = transforms.Compose([
        transforms.RandomResizedCrop(224),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ])
    data = datasets.ImageFolder(folder, transform)
    loader = torch.utils.data.DataLoader(
        data, batch_size=BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    peak, ended = [0.0], threading.Event()

    def watch():
        while not ended.wait(0.2):
            peak[0] = max(peak[0], memory())

    thread = threading.Thread(target=watch)
    thread.start()

    def epoch():
        start = time.perf_counter()
        count = sum(len(labels) for _, labels in loader)
        return {"per_s": count / (time.perf_counter() - start), "pictures": count, "peak_mb": peak[0]}

    # The first epoch starts the workers and fills their queues.
    worker.serve(epoch(), epoch)
    ended.set()
    thread.join()


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("TORCH_THREADS", "1")))
    main(sys.argv[1], int(sys.argv[2]))
