"""Classifies rows of numbers with an exported model, using torch alone. Usage: classify.py MODEL.pt ROWS.csv"""
import sys

import torch

model = torch.jit.load(sys.argv[1])
with open(sys.argv[2]) as file:
    rows = torch.tensor([[float(cell) for cell in line.split(",")] for line in file])

with torch.inference_mode():
    logits = model(rows)
    classes, probabilities = model.predict(rows)

for row, index in enumerate(classes.tolist()):
    print(model.classes[index], f"{probabilities[row, index]:.4f}", *(f"{logit:.9g}" for logit in logits[row].tolist()))
