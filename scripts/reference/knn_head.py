"""Prints tests/reference/knn_head.json: k-nearest-neighbor classifiers of scikit-learn with cosine similarity and softmax weights.

Run it with Python torch: $(scripts/python-env torch) scripts/reference/knn_head.py > tests/reference/knn_head.json
"""

import json

import numpy as np
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier

ROWS, QUERIES, WIDTH, CLASSES = 80, 40, 6, 4
COUNTS = [1, 3, 5, 10, 20]

# The share of the uniform distribution in the probabilities.
FLOOR = 1e-6


def problem():
    """Features of overlapping classes, with lengths that mean nothing."""
    generator = np.random.default_rng(11)
    centers = generator.normal(size=(CLASSES, WIDTH))
    labels = generator.choice(CLASSES, ROWS + QUERIES, p=[0.4, 0.3, 0.2, 0.1])
    values = centers[labels] + 0.7 * generator.normal(size=(ROWS + QUERIES, WIDTH))
    return np.round(values * generator.uniform(0.1, 30, size=(ROWS + QUERIES, 1)), 4).astype(np.float32), labels


def probabilities(bank, labels, queries, k, temperature):
    """Votes weighted by the softmax of similarity / temperature: scikit-learn divides the weights by their sum."""
    model = KNeighborsClassifier(
        n_neighbors=k, algorithm="brute", metric="cosine", weights=lambda distance: np.exp((1 - distance) / temperature)
    )
    found = model.fit(bank, labels).predict_proba(queries)
    assert found.shape[1] == CLASSES
    return found * (1 - FLOOR) + FLOOR / CLASSES


def leave_one_out(bank, labels, k, temperature):
    rows = np.arange(len(bank))
    found = [probabilities(bank[rows != row], labels[rows != row], bank[row : row + 1], k, temperature) for row in rows]
    return log_loss(labels, np.concatenate(found))


def main():
    values, labels = problem()
    values = values.astype(np.float64)
    bank, queries = values[:ROWS], values[ROWS:]
    cases = [(1, 0.07), (5, 0.07), (20, 0.5), (ROWS, 1.0)]
    found = {k: probabilities(bank, labels[:ROWS], queries, k, 0.07) for k in COUNTS}
    print(json.dumps({
        "features": bank.tolist(),
        "labels": labels[:ROWS].tolist(),
        "queries": queries.tolist(),
        "query_labels": labels[ROWS:].tolist(),
        "cases": [
            {"k": k, "temperature": temperature,
             "probabilities": probabilities(bank, labels[:ROWS], queries, k, temperature).tolist()}
            for k, temperature in cases
        ],
        "losses": [
            {"k": k, "validation": log_loss(labels[ROWS:], found[k]),
             "train": leave_one_out(bank, labels[:ROWS], k, 0.07)}
            for k in COUNTS
        ],
    }))


main()
