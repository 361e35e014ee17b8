"""Classifies the rows of a CSV file of numbers with a torch.export package. Usage: classify_pt2.py MODEL.pt2 ROWS.csv"""
import json
import sys

import numpy
import torch

extra = {"metadata.json": ""}
program = torch.export.load(sys.argv[1], extra_files=extra)
metadata = json.loads(extra["metadata.json"])
model = torch.compile(program.module(), dynamic=True)

rows = torch.from_numpy(numpy.loadtxt(sys.argv[2], delimiter=",", dtype=numpy.float32, ndmin=2))
with torch.no_grad():
    logits = model(rows.reshape(-1, *metadata["input"]["shape"]))

for row, probabilities in zip(logits.tolist(), logits.softmax(1)):
    index = int(probabilities.argmax())
    print(metadata["classes"][index], f"{probabilities[index]:.4f}", *(f"{logit:.9g}" for logit in row))
