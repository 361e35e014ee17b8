"""Classifies rows of a table with an exported model. Needs torch alone. Usage: classify_table.py MODEL.pt ROWS.csv"""
import csv
import sys

import torch

model = torch.jit.load(sys.argv[1])
with open(sys.argv[2], newline="", encoding="utf-8") as file:
    rows = [[row[name] for name in model.column_names()] for row in csv.DictReader(file)]

with torch.inference_mode():
    classes, probabilities = model.predict_table(rows)

for index, shares in zip(classes.tolist(), probabilities.tolist()):
    print(model.classes[index], f"{shares[index]:.6f}")
