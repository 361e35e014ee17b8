"""Prints tests/reference/linear_head.json: multinomial logistic regressions of scikit-learn on standardized features.

Run it with Python torch: $(scripts/python-env torch) scripts/reference/linear_head.py > tests/reference/linear_head.json
"""

import json

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

ROWS, WIDTH, CLASSES = 90, 5, 3


def problem():
    """Correlated features of different scales, and classes of different sizes that overlap."""
    generator = np.random.default_rng(7)
    labels = generator.choice(CLASSES, ROWS, p=[0.6, 0.3, 0.1])
    centers = generator.normal(size=(CLASSES, WIDTH))
    values = (centers[labels] + generator.normal(size=(ROWS, WIDTH))) @ generator.normal(size=(WIDTH, WIDTH))
    return np.round(values * 10.0 ** np.arange(-2, WIDTH - 2) + 3, 4).astype(np.float32), labels


def solution(values, labels, strength, weights):
    scaler = StandardScaler().fit(values)
    inputs = scaler.transform(values)
    examples = np.array(weights)[labels]
    # The mean loss with strength / 2 · ‖weight‖² is the sum of scikit-learn divided by C and by the sum of the weights.
    model = LogisticRegression(C=1 / (strength * examples.sum()), tol=1e-12, max_iter=100_000)
    model.fit(inputs, labels, sample_weight=examples)
    logarithms = model.predict_log_proba(inputs)[np.arange(ROWS), labels]
    loss = -(examples * logarithms).sum() / examples.sum() + strength / 2 * (model.coef_**2).sum()
    return {
        "strength": strength,
        "class_weights": weights,
        "weight": model.coef_.tolist(),
        "bias": model.intercept_.tolist(),
        "loss": loss,
    }


def main():
    values, labels = problem()
    values = values.astype(np.float64)
    cases = [(1.0, [1, 1, 1]), (0.01, [1, 1, 1]), (0.001, [1, 1, 1]), (0.03, [0.5, 1, 3])]
    print(json.dumps({
        "features": values.tolist(),
        "labels": labels.tolist(),
        "solutions": [solution(values, labels, *case) for case in cases],
    }))


main()
