"""Prints tests/reference/regression.json: regression metrics of scikit-learn, conformal quantiles, and losses of PyTorch.

Run it with Python torch: $(scripts/python-env torch) scripts/reference/regression.py > tests/reference/regression.json
"""

import json
import math

import numpy as np
import sklearn
import torch
from sklearn import metrics


def metrics_case(rows, offset, seed):
    random = np.random.default_rng(seed)
    targets = np.round(random.normal(scale=3, size=rows), 3) + offset
    predictions = np.round(targets + random.standard_t(3, size=rows), 3)
    residuals = np.abs(predictions - targets)
    return {
        "predictions": predictions.tolist(),
        "targets": targets.tolist(),
        "mae": metrics.mean_absolute_error(targets, predictions),
        "mse": metrics.mean_squared_error(targets, predictions),
        "rmse": metrics.root_mean_squared_error(targets, predictions),
        "r2": metrics.r2_score(targets, predictions),
        "half_widths": {str(coverage): half_width(residuals, coverage) for coverage in [0.5, 0.8, 0.9, 0.99]},
    }


def half_width(residuals, coverage):
    """The conformal quantile, by the inverse of the empirical distribution function."""
    rank = math.ceil((len(residuals) + 1) * coverage - 1e-9)
    if rank > len(residuals):
        return None
    return np.quantile(residuals, (rank - 0.5) / len(residuals), method="inverted_cdf")


def loss_case(name, options, make):
    generator = torch.Generator().manual_seed(6)
    outputs = (2 * torch.randn(8, 1, generator=generator)).to(torch.float64).requires_grad_()
    targets = torch.randn(8, 1, generator=generator).to(torch.float64)
    mean = make(reduction="mean")(outputs, targets)
    mean.backward()
    return {
        "loss": name,
        "options": options,
        "outputs": outputs.tolist(),
        "targets": targets.tolist(),
        "mean": mean.item(),
        "examples": make(reduction="none")(outputs, targets).squeeze(1).tolist(),
        "gradient": outputs.grad.tolist(),
    }


def huber(delta):
    return loss_case("huber", f"delta={delta}", lambda reduction: torch.nn.HuberLoss(reduction, delta))


print(json.dumps({
    "scikit-learn": sklearn.__version__,
    "torch": torch.__version__.split("+")[0],
    "cases": [metrics_case(40, 0, 1), metrics_case(30, 1e6, 2), metrics_case(9, -20, 3)],
    "losses": [huber(1.0), huber(0.3), loss_case("mse", "", torch.nn.MSELoss)],
}))
