"""Classifies texts with an exported model. Usage: classify_text.py MODEL.pt TEXT…"""

import sys

import torch

model = torch.jit.load(sys.argv[1])
names = model.class_names()
with torch.inference_mode():
    indexes, probabilities = model.predict_text(sys.argv[2:])
for index, row in zip(indexes.tolist(), probabilities.tolist()):
    print(names[index], f"{row[index]:.6f}")
