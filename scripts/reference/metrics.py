"""Prints tests/reference/metrics.json: metrics computed by scikit-learn for some logits and labels.

Run it with scikit-learn: $(scripts/python-env torch) scripts/reference/metrics.py > tests/reference/metrics.json
"""

import json

import numpy as np
import sklearn
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn import metrics


def calibration_error(y, p, bins=15):
    """Not in scikit-learn: the sum over bins (low, high] of |correct - confidence|, divided by the number of rows."""
    confidence, right = p.max(1), p.argmax(1) == y
    place = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1)
    return sum(abs((right[place == b] - confidence[place == b]).sum()) for b in range(bins)) / len(y)


def case(rows, classes, seed):
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, rows)
    logits = random.normal(size=(rows, classes)).astype(np.float32)
    logits[np.arange(rows), y] += 1.5
    logits = np.round(logits * 3, 1).astype(np.float32)  # with ties
    p = softmax(logits.astype(np.float64), axis=1)
    predicted = logits.argmax(1)
    loss = lambda t: metrics.log_loss(y, softmax(logits.astype(np.float64) / t, axis=1), labels=range(classes))
    temperature = minimize_scalar(lambda x: loss(np.exp(x)), bounds=(-4, 4), method="bounded", options={"xatol": 1e-10}).x
    temperature = float(np.exp(temperature))
    top = lambda k: float(metrics.top_k_accuracy_score(y, p, k=k, labels=range(classes))) if classes > k else None
    precision, recall, f1, support = metrics.precision_recall_fscore_support(y, predicted, labels=range(classes), zero_division=0)
    auc = metrics.roc_auc_score(y, p if classes > 2 else p[:, 1], multi_class="ovr", average="macro", labels=range(classes) if classes > 2 else None)
    return {
        "logits": logits.tolist(),
        "labels": y.tolist(),
        "metrics": {
            "accuracy": metrics.accuracy_score(y, predicted),
            "top-2 accuracy": top(2),
            "top-5 accuracy": top(5),
            "balanced accuracy": metrics.balanced_accuracy_score(y, predicted),
            "macro F1": metrics.f1_score(y, predicted, average="macro"),
            "micro F1": metrics.f1_score(y, predicted, average="micro"),
            "ROC-AUC": auc,
            "log-loss": metrics.log_loss(y, p, labels=range(classes)),
            "Brier score": metrics.brier_score_loss(y, p, labels=range(classes), scale_by_half=False),
            "calibration error": calibration_error(y, p),
            "calibration error, scaled": calibration_error(y, softmax(logits.astype(np.float64) / temperature, axis=1)),
            "temperature": temperature,
        },
        "classes": [{"precision": a, "recall": b, "f1": c, "rows": int(d)} for a, b, c, d in zip(precision, recall, f1, support)],
        "confusion": metrics.confusion_matrix(y, predicted, labels=range(classes)).tolist(),
    }


print(json.dumps({"scikit-learn": sklearn.__version__, "cases": [case(60, 7, 1), case(40, 3, 2), case(30, 2, 3)]}))
