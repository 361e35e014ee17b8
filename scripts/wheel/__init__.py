"""The program `cresset`, a training pipeline for classifiers: `python -m cresset`, or `cresset` in PATH."""
