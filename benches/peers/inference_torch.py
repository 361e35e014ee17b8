"""Runs an exported model in Python: torch.jit.load and torch.inference_mode, as a user would write it.

    inference_torch.py calls MODEL TABLE WAY        print the logits of one row and of 64 as JSON, then time calls for each line of input;
                                                    WAY is `plain` or `optimized` (torch.jit.optimize_for_inference)
    inference_torch.py folder MODEL FOLDER OUT.csv  classify the images of a folder
    inference_torch.py table MODEL TABLE OUT.csv    classify the rows of a table
"""
import csv
import sys
import time
from itertools import islice
from pathlib import Path

import torch

import worker

BATCH = 64


def main():
    job, model, source = sys.argv[1:4]
    torch.set_num_threads(1)
    model = torch.jit.load(model)
    with torch.inference_mode():
        if job == "calls":
            model.eval()
            calls(torch.jit.optimize_for_inference(model) if sys.argv[4] == "optimized" else model, rows(source))
        else:
            inputs = pictures(source) if job == "folder" else rows(source)
            write(model, inputs, sys.argv[4])


def rows(table):
    with open(table) as file:
        for number, line in enumerate(file, 1):
            yield f"{table}:{number}", [float(cell) for cell in line.split(",")]


def pictures(folder):
    import numpy
    from PIL import Image

    for path in sorted(Path(folder).rglob("*.png")):
        picture = Image.open(path).convert("L").resize((8, 8), Image.Resampling.BILINEAR)
        yield path, (numpy.asarray(picture, dtype=numpy.float32) * (16 / 255)).ravel().tolist()


def write(model, inputs, out):
    with open(out, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["input", "class", "probability"])
        while batch := list(islice(inputs, BATCH)):
            probabilities = model(torch.tensor([values for _, values in batch])).softmax(-1)
            best, classes = probabilities.max(-1)
            for (name, _), index, probability in zip(batch, classes.tolist(), best.tolist()):
                writer.writerow([name, model.classes[index], f"{probability:.6f}"])


def calls(model, inputs):
    many = torch.tensor([values for _, values in islice(inputs, BATCH)])
    one = many[:1].clone()
    time_calls(model, one, many)
    logits = torch.cat([model(one), model(many)]).flatten().tolist()
    worker.serve({"logits": logits}, lambda: time_calls(model, one, many))


def time_calls(model, one, many):
    one_us, many_us = median_us(model, one, 3000), median_us(model, many, 500)
    return {"one_us": one_us, "rows_per_s": len(many) / many_us * 1e6}


def median_us(model, inputs, count):
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        model(inputs)
        times.append(time.perf_counter() - begun)
    return sorted(times)[count // 2] * 1e6


main()
