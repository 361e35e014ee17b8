"""Prints the class of each row of a table, by an exported model. Usage: classes.py MODEL.pt ROWS.csv cuda|cpu"""
import sys

import torch

model = torch.jit.load(sys.argv[1], map_location=sys.argv[3])
with open(sys.argv[2]) as table:
    rows = [[float(cell) for cell in line.split(",")] for line in table]
with torch.inference_mode():
    for index in model(torch.tensor(rows, device=sys.argv[3])).argmax(1).tolist():
        print(model.classes[index])
