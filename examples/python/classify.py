"""Classifies pictures with an exported model, using torch, and Pillow to decode. Usage: classify.py MODEL.pt PICTURE.png…"""
import sys

import torch
from PIL import Image


def read(path):
    """The pixels of a picture, uint8 (1, 3, height, width)."""
    picture = Image.open(path).convert("RGB")
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels.view(1, picture.height, picture.width, 3).permute(0, 3, 1, 2)


model = torch.jit.load(sys.argv[1])
for path in sys.argv[2:]:
    with torch.inference_mode():
        picture = model.pixels(read(path))
        logits = model(picture)[0]
        classes, probabilities = model.predict(picture)

    index = classes.item()
    print(path, model.classes[index], f"{probabilities[0, index]:.4f}", *(f"{logit:.9g}" for logit in logits.tolist()))
