"""Classifies images with an exported model. Needs torch and Pillow. Usage: classify.py MODEL.pt IMAGE.png…"""
import sys

import torch
from PIL import Image


def read(path):
    """Decodes an image to a uint8 tensor (1, 3, height, width)."""
    image = Image.open(path).convert("RGB")
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(1, image.height, image.width, 3).permute(0, 3, 1, 2)


model = torch.jit.load(sys.argv[1])
for path in sys.argv[2:]:
    with torch.inference_mode():
        image = model.pixels(read(path))
        logits = model(image)[0]
        classes, probabilities = model.predict(image)

    index = classes.item()
    print(path, model.classes[index], f"{probabilities[0, index]:.4f}", *(f"{logit:.9g}" for logit in logits.tolist()))
