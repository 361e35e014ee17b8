"""Trains classifiers and predicts with them, by the program `cresset`.

>>> import cresset
>>> run = cresset.train("iris", epochs=20)
>>> run.validation.metrics["accuracy"]
>>> cresset.load(run.model).predict(frame).classes

The program is also `cresset` in PATH, and `python -m cresset`.
"""

from ._model import Model, Prediction, Predictions, load
from ._program import Error, Interrupted, RunWarning, version
from ._run import CrossValidation, Epoch, Evaluation, Run, cross_validate, train

__all__ = [
    "CrossValidation",
    "Epoch",
    "Error",
    "Evaluation",
    "Interrupted",
    "Model",
    "Prediction",
    "Predictions",
    "Run",
    "RunWarning",
    "cross_validate",
    "load",
    "train",
    "version",
]
