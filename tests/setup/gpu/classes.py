"""Prints the class of each row of a table, by an exported model on the first GPU. Usage: classes.py MODEL.pt ROWS.csv"""
import sys

import torch

model = torch.jit.load(sys.argv[1], map_location="cuda")
with open(sys.argv[2]) as table:
    rows = [[float(cell) for cell in line.split(",")] for line in table]
with torch.inference_mode():
    for index in model(torch.tensor(rows, device="cuda")).argmax(1).tolist():
        print(model.classes[index])
