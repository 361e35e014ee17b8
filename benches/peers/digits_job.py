"""Shared code of the peers of `cresset train`: the job's options, its data and its report."""
import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from worker import peak_mb

REPOSITORY = Path(__file__).resolve().parents[2]
BATCH_SIZE = 32
LEARNING_RATE = 1e-3


def options(description):
    """The parser of the options common to all peers."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=1, help="threads of one operation (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split, the weights and the shuffling (default 0)")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data/digits.csv", help="the digits (default data/digits.csv)")
    parser.add_argument("--split", type=Path, help="CSV with the header row,part: which rows (from 0) are `train`, which `heldout` "
                        "(default: scikit-learn's stratified 80/20 split by the seed)")
    parser.add_argument("--epochs", type=int, default=10, help="measured epochs (default 10)")
    parser.add_argument("--warm-up-epochs", type=int, default=0, help="epochs of the same training before the measurement (default 0)")
    parser.add_argument("--export", type=Path, help="also write the trained model to this file")
    return parser


def read_parts(args):
    """The images (float32, 0 to 1, 8x8) and labels: x_train, y_train, x_heldout, y_heldout."""
    table = np.loadtxt(args.data, delimiter=",", dtype=np.float32)
    x, y = table[:, :-1].reshape(-1, 8, 8) / 16, table[:, -1].astype(np.int64)
    train, heldout = read_split(args.split, len(y)) if args.split else stratified_split(y, args.seed)
    return x[train], y[train], x[heldout], y[heldout]


def read_split(path, rows):
    entries = np.loadtxt(path, delimiter=",", dtype=str, skiprows=1, ndmin=2)
    row, part = entries[:, 0].astype(int), entries[:, 1]
    if set(part) != {"train", "heldout"} or len(set(row)) != len(row) or not 0 <= row.min() <= row.max() < rows:
        raise SystemExit(f"{path}: expected rows 0 to {rows - 1}, each at most once, in the parts `train` and `heldout`.")
    return row[part == "train"], row[part == "heldout"]


def stratified_split(y, seed):
    # Imported here: with --split, a measured process need not load scikit-learn.
    from sklearn.model_selection import train_test_split

    return train_test_split(np.arange(len(y)), test_size=0.2, random_state=seed, stratify=y)


class Clock:
    """The training time of the epochs, without evaluation."""

    def __init__(self, warm_up_epochs):
        self.left, self.seconds, self.first_step_s = warm_up_epochs, 0.0, None

    def step_ended(self):
        """Call it after the first step, or after each step."""
        if self.first_step_s is None:
            self.first_step_s = since_start()

    def begin(self):
        self.begun = time.perf_counter()

    def end(self):
        if self.left > 0:
            self.left -= 1
        else:
            self.seconds += time.perf_counter() - self.begun


def since_start():
    """Seconds since the start of this process, with the kernel's resolution of 10 ms."""
    with open("/proc/self/stat") as file:
        started = int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    with open("/proc/uptime") as file:
        return float(file.read().split()[0]) - started


def report(peer, args, train_rows, accuracy, import_s, clock):
    """Prints the one line of output. The time per step excludes evaluation, export and warm-up."""
    steps = args.epochs * -(-train_rows // BATCH_SIZE)
    figures = {"peer": peer, "accuracy": round(accuracy, 6), "import_s": round(import_s, 3), "train_s": round(clock.seconds, 4),
               "us_per_step": round(clock.seconds / steps * 1e6, 1), "steps": steps, "first_step_s": round(clock.first_step_s, 2),
               "peak_mb": round(peak_mb(), 1)}
    print(json.dumps(figures))
