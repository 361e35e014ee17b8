"""Prints tests/reference/multilabel.json: multi-label metrics of scikit-learn, decision thresholds, and asymmetric losses.

Run it with Python torch: $(scripts/python-env torch) scripts/reference/multilabel.py > tests/reference/multilabel.json
"""

import json

import numpy as np
import sklearn
import timm.loss
import torch
from sklearn import metrics

AVERAGES = ["micro", "macro"]


def metrics_case(rows, frequencies, digits, seed):
    """Labels of the given frequencies and probabilities that are informative, with ties."""
    random = np.random.default_rng(seed)
    labels = len(frequencies)
    targets = (random.random((rows, labels)) < frequencies).astype(int)
    logits = random.normal(size=(rows, labels)) + 1.5 * targets - 1
    probabilities = np.round(1 / (1 + np.exp(-logits)), digits)
    decisions = (probabilities >= 0.5).astype(int)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(targets, decisions, zero_division=0)
    averaged = {}
    for average in AVERAGES:
        values = metrics.precision_recall_fscore_support(targets, decisions, average=average, zero_division=0)
        averaged |= {f"{average} {name}": value for name, value in zip(["precision", "recall", "F1"], values)}
    columns = list(zip(targets.T, probabilities.T))
    precisions = [metrics.average_precision_score(y, p) if y.any() else None for y, p in columns]
    return {
        "probabilities": probabilities.tolist(),
        "targets": targets.tolist(),
        "labels": [
            {"precision": a, "recall": b, "f1": c, "support": int(d)} for a, b, c, d in zip(precision, recall, f1, support)
        ],
        "metrics": averaged
        | {
            "exact match": metrics.accuracy_score(targets, decisions),
            "Hamming loss": metrics.hamming_loss(targets, decisions),
        },
        "average precisions": precisions,
        "mAP": np.mean([precision for precision in precisions if precision is not None]),
        "thresholds": [threshold(y, p) for y, p in columns],
    }


def threshold(targets, probabilities):
    """The best of all thresholds, by trying each, and its F1 score."""
    edges = np.unique(np.append(probabilities, 0.0))
    cuts = [cut for cut in (edges[:-1] + edges[1:]) / 2 if 0 < cut < 1]
    score = lambda cut: metrics.f1_score(targets, probabilities >= cut, zero_division=0)
    if targets.all() or not targets.any():
        cuts = [0.5]
    best = max(cuts, key=lambda cut: (round(score(cut), 12), -abs(cut - 0.5)))
    return {"threshold": best, "f1": score(best)}


def asymmetric(logits, targets, gamma_neg, gamma_pos, clip):
    """Equations 4 to 7 of Ridnik et al. (2021), with the mean over the labels."""
    p = logits.sigmoid()
    shifted = (p - clip).clamp(min=0)
    positive = -((1 - p) ** gamma_pos) * p.log()
    negative = -(shifted**gamma_neg) * (1 - shifted).log()
    return (targets * positive + (1 - targets) * negative).mean(1)


def loss_case(gamma_neg, gamma_pos, clip):
    generator = torch.Generator().manual_seed(5)
    logits = (3 * torch.randn(6, 4, generator=generator)).to(torch.float64).requires_grad_()
    targets = (torch.rand(6, 4, generator=generator) < 0.3).to(torch.float64)
    losses = asymmetric(logits, targets, gamma_neg, gamma_pos, clip)
    # timm computes in float32, where 1 - p has few digits if p is near 1.
    timm_loss = timm.loss.AsymmetricLossMultiLabel(gamma_neg, gamma_pos, clip, reduction="mean")(logits, targets)
    assert abs(timm_loss.item() - losses.mean().item()) < 1e-4, (timm_loss.item(), losses.mean().item())
    losses.mean().backward()
    return {
        "loss": "asymmetric",
        "options": f"gamma_neg={gamma_neg},gamma_pos={gamma_pos},clip={clip}",
        "outputs": logits.tolist(),
        "targets": targets.tolist(),
        "mean": losses.mean().item(),
        "examples": losses.tolist(),
        "gradient": logits.grad.tolist(),
    }


print(json.dumps({
    "scikit-learn": sklearn.__version__,
    "torch": torch.__version__.split("+")[0],
    "timm": timm.__version__,
    "cases": [
        metrics_case(60, [0.5, 0.2, 0.1, 0.7, 0.3], 2, 1),
        # No example has the second label, and all have the third.
        metrics_case(25, [0.4, 0.0, 1.0], 1, 2),
    ],
    "losses": [loss_case(4, 1, 0.05), loss_case(2, 0, 0), loss_case(0, 0, 0.2), loss_case(1.5, 0.5, 0.1)],
}))
