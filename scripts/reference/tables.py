"""Prints tests/reference/tables.json: models of tables built of the layers of their authors' packages.

Run it with $(scripts/python-env tables) scripts/reference/tables.py > tests/reference/tables.json
"""

import json
import math

import numpy as np
import tabm
import torch
from rtdl_num_embeddings import PeriodicEmbeddings, PiecewiseLinearEmbeddings
from rtdl_revisiting_models import FTTransformer, ResNet
from scipy.stats import norm
from torch import nn

ROWS, NUMBERS, INDICATORS, CLASSES = 6, 3, 2, 3
MEMBERS, WIDTH, BINS, EMBEDDING, FREQUENCIES = 4, 8, 5, 4, 3

# The outer ends of the bins.
OUTER = 3.0


def short(tensor, digits=3):
    """The values of a tensor with few decimals, in lists."""
    if tensor.dim() == 0:
        return round(tensor.item(), digits)
    return [short(part, digits) for part in tensor]


def values(tensors):
    """Sizes and values, which have three decimals."""
    return {name: [list(tensor.shape), short(tensor.flatten())] for name, tensor in tensors.items()}


def draw(module):
    """Rounded random parameters, none of which is that of a fresh layer."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.round(torch.randn_like(parameter) * 400) / 1000)


def edges():
    inner = norm.ppf(np.linspace(0, 1, BINS + 1)[1:-1])
    return torch.tensor([-OUTER, *inner, OUTER], dtype=torch.float32)


class TabM(nn.Module):
    """`tabm` of the package, on piecewise-linear embeddings and indicators."""

    def __init__(self):
        super().__init__()
        self.embedding = PiecewiseLinearEmbeddings([edges()] * NUMBERS, EMBEDDING, activation=False, version="B")
        inputs = NUMBERS * EMBEDDING + INDICATORS
        self.blocks = nn.ModuleList(
            tabm.LinearBatchEnsemble(sizes, WIDTH, k=MEMBERS, scaling_init="ones") for sizes in (inputs, WIDTH)
        )
        self.head = tabm.LinearEnsemble(WIDTH, CLASSES, k=MEMBERS)

    def forward(self, x):
        embedded = self.embedding(x[:, :NUMBERS]).flatten(1)
        x = torch.cat([embedded, x[:, NUMBERS:]], 1)[:, None].expand(-1, MEMBERS, -1)
        for block in self.blocks:
            x = torch.relu(block(x))
        return self.head(x)

    def named(self):
        """The parameters by our names."""
        found = {
            "columns.numbers.weight": self.embedding.linear.weight,
            "columns.numbers.linear": self.embedding.linear0.weight,
            "columns.numbers.bias": self.embedding.linear0.bias,
            "head.weight": self.head.weight,
            "head.bias": self.head.bias,
        }
        for index, block in enumerate(self.blocks):
            for name in ("weight", "r", "s", "bias"):
                found[f"fc{index + 1}.{name}"] = getattr(block, name)
        return found


def rows():
    """Numbers within the bins, a category, and its indicators."""
    numbers = torch.round(torch.randn(ROWS, NUMBERS).clamp(-2.9, 2.9) * 1000) / 1000
    codes = torch.randint(0, INDICATORS, (ROWS, 1))
    return numbers, codes, nn.functional.one_hot(codes[:, 0], INDICATORS).float()


def described(options, named, inputs, logits):
    return {"options": options, "state": values(named), "inputs": short(inputs), "logits": short(logits, 7)}


def resnet():
    network = ResNet(
        d_in=NUMBERS + INDICATORS, d_out=CLASSES, n_blocks=2, d_block=WIDTH, d_hidden_multiplier=2.0, dropout1=0.0, dropout2=0.0
    )
    draw(network)
    norms = {"norm": network.output.normalization}
    linears = {"input": network.input_projection, "head": network.output.linear}
    for index, block in enumerate(network.blocks):
        norms[f"block{index + 1}.norm"] = block.normalization
        linears[f"block{index + 1}.fc1"], linears[f"block{index + 1}.fc2"] = block.linear1, block.linear2
    state = {f"{name}.{part}": getattr(layer, part) for name, layer in linears.items() for part in ("weight", "bias")}
    for name, norm in norms.items():
        norm.running_mean.copy_(torch.round(torch.randn(WIDTH) * 1000) / 1000)
        norm.running_var.copy_(torch.round(torch.rand(WIDTH) * 1000 + 500) / 1000)
        parts = ("weight", "bias", "running_mean", "running_var")
        state |= {f"{name}.{part}": getattr(norm, part) for part in parts}
    numbers, _, indicators = rows()
    inputs = torch.cat([numbers, indicators], 1)
    with torch.no_grad():
        logits = network.eval()(inputs)
    return described(f"width={WIDTH},depth=2,factor=2,dropout=0", state, inputs, logits)


def ft_transformer():
    heads = 2
    network = FTTransformer(
        n_cont_features=NUMBERS,
        cat_cardinalities=[INDICATORS],
        d_out=CLASSES,
        n_blocks=2,
        d_block=2 * WIDTH,
        attention_n_heads=heads,
        attention_dropout=0.0,
        ffn_d_hidden_multiplier=4 / 3,
        ffn_dropout=0.0,
        residual_dropout=0.0,
    )
    draw(network)
    numbers, codes, indicators = rows()
    cat = network.cat_embeddings
    state = {
        "tokens.weight": torch.cat([network.cont_embeddings.weight, cat.embeddings[0].weight]),
        "tokens.bias": torch.cat([network.cont_embeddings.bias, cat.bias]),
        "class_token": network.cls_embedding.weight.view(1, 1, -1),
    }
    layers = {"norm": network.backbone.output.normalization, "head": network.backbone.output.linear}
    for index, block in enumerate(network.backbone.blocks):
        name, attention = f"block{index + 1}", block["attention"]
        if index > 0:
            layers[f"{name}.norm1"] = block["attention_normalization"]
        layers[f"{name}.norm2"] = block["ffn_normalization"]
        layers[f"{name}.fc1"], layers[f"{name}.fc2"] = block["ffn"].linear1, block["ffn"].linear2
        layers[f"{name}.attention.out_proj"] = attention.W_out
        projections = [attention.W_q, attention.W_k, attention.W_v]
        state[f"{name}.attention.in_proj_weight"] = torch.cat([layer.weight for layer in projections])
        state[f"{name}.attention.in_proj_bias"] = torch.cat([layer.bias for layer in projections])
    state |= {f"{name}.{part}": getattr(layer, part) for name, layer in layers.items() for part in ("weight", "bias")}
    with torch.no_grad():
        logits = network.eval()(numbers, codes)
    options = f"width={2 * WIDTH},depth=2,heads={heads},dropout=0"
    return described(options, state, torch.cat([numbers, indicators], 1), logits)


def dcn():
    """The formula of the paper, in plain PyTorch."""
    width = NUMBERS + INDICATORS
    cross = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
    deep, head = nn.Linear(width, WIDTH), nn.Linear(WIDTH, CLASSES)
    for layer in (cross, deep, head):
        draw(layer)
    numbers, _, indicators = rows()
    inputs = x = torch.cat([numbers, indicators], 1)
    with torch.no_grad():
        for layer in cross:
            x = inputs * layer(x) + x
        logits = head(torch.relu(deep(x)))
    state = {"fc1.weight": deep.weight, "fc1.bias": deep.bias, "head.weight": head.weight, "head.bias": head.bias}
    for index, layer in enumerate(cross):
        state |= {f"cross.weight{index + 1}": layer.weight, f"cross.bias{index + 1}": layer.bias}
    return described(f"cross=2,width={WIDTH},depth=1,dropout=0", state, inputs, logits)


class DeepFM(nn.Module):
    """The formula of the paper, in plain PyTorch, with a weight for each product and class; the weights of the paper are 1."""

    def __init__(self, categories, factors):
        super().__init__()
        self.numbers, self.codes = nn.Parameter(torch.empty(NUMBERS, factors)), nn.Embedding(categories, factors)
        self.first_numbers, self.first_codes = nn.Linear(NUMBERS, CLASSES, bias=False), nn.Embedding(categories, CLASSES)
        self.weight = nn.Parameter(torch.empty(CLASSES, factors))
        self.deep, self.head = nn.Linear((NUMBERS + 1) * factors, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, numbers, codes):
        fields = [numbers[:, i, None] * self.numbers[i] for i in range(NUMBERS)] + [self.codes(codes[:, 0])]
        pairs = sum(a * b for i, a in enumerate(fields) for b in fields[i + 1 :])
        first = self.first_numbers(numbers) + self.first_codes(codes[:, 0])
        return first + pairs @ self.weight.T + self.head(torch.relu(self.deep(torch.cat(fields, 1))))

    def named(self):
        """The parameters by our names: a field has its vector, then its first-order terms."""
        vectors = torch.cat([self.numbers, self.codes.weight])
        found = {
            "fields.weight": torch.cat([vectors, torch.cat([self.first_numbers.weight.T, self.first_codes.weight])], 1),
            "fm.weight": self.weight,
        }
        for name, layer in (("fc1", self.deep), ("head", self.head)):
            found |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
        return found


def deepfm():
    factors = 4
    network = DeepFM(INDICATORS, factors)
    draw(network)
    numbers, codes, indicators = rows()
    with torch.no_grad():
        logits = network(numbers, codes)
    options = f"factors={factors},width={WIDTH},depth=1,dropout=0"
    return described(options, network.named(), torch.cat([numbers, indicators], 1), logits)


def model():
    network = TabM()
    draw(network)
    numbers, _, indicators = rows()
    inputs, labels = torch.cat([numbers, indicators], 1), torch.randint(0, CLASSES, (ROWS,))
    with torch.no_grad():
        members = network(inputs)
    repeated = labels.repeat_interleave(MEMBERS)
    return {
        "options": f"members={MEMBERS},width={WIDTH},depth=2,dropout=0,bins={BINS},embedding={EMBEDDING}",
        "state": values(network.named()),
        "inputs": short(inputs),
        "labels": labels.tolist(),
        "probabilities": short(members.softmax(-1).mean(1), 7),
        "loss": nn.functional.cross_entropy(members.flatten(0, 1), repeated, label_smoothing=0.1).item(),
    }


def periodic():
    embedding = PeriodicEmbeddings(NUMBERS, EMBEDDING, n_frequencies=FREQUENCIES, frequency_init_scale=0.1, lite=False)
    draw(embedding)
    numbers = torch.round(torch.randn(ROWS, NUMBERS) * 1000) / 1000
    state = {
        "frequencies": embedding.periodic.weight,
        "weight": embedding.linear.weight,
        "bias": embedding.linear.bias,
    }
    with torch.no_grad():
        vectors = embedding(numbers)
    return {"state": values(state), "inputs": short(numbers), "vectors": short(vectors.flatten(1), 7)}


def quantiles():
    """A skewed feature mapped by the normal quantiles of its middle ranks, with mean 0 and standard deviation 1."""
    raw = np.round(np.random.default_rng(3).exponential(size=40), 3).astype(np.float32)
    raw[5:15] = raw[5]
    below, up_to = (np.searchsorted(np.sort(raw), raw, side) for side in ("left", "right"))
    mapped = norm.ppf((below + up_to) / 2 / len(raw))
    return {"raw": raw.tolist(), "mapped": ((mapped - mapped.mean()) / mapped.std()).tolist()}


if __name__ == "__main__":
    torch.manual_seed(0)
    assert math.isclose(edges()[-1], OUTER)
    networks = {"resnet-table": resnet(), "ft-transformer": ft_transformer(), "dcn": dcn()}
    found = {"tabm": model(), "networks": networks, "periodic": periodic(), "quantiles": quantiles()}
    networks["deepfm"] = deepfm()
    print(json.dumps(found))
