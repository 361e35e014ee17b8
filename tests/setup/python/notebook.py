"""Executes a notebook in the current folder and compares its outputs with the stored ones, digits aside.

Usage: notebook.py NOTEBOOK [OUTPUT]     with OUTPUT, writes the executed notebook there instead of comparing
"""

import copy
import re
import sys
from typing import Any

import nbformat
from nbclient import NotebookClient


def shown(notebook: Any) -> list[list[str]]:
    """The texts that the cells show. Digits, and the lengths of numbers and rules, differ from machine to machine."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[masked(output) for output in cell.outputs] for cell in cells]


def masked(output: Any) -> str:
    text = output.get("text") or output.get("data", {}).get("text/html") or output.get("data", {}).get("text/plain", "")
    return re.sub(r"[\s-]+", " ", re.sub(r"\d+(\.\d+)?(e-?\d+)?", "#", text))


def main() -> None:
    stored = nbformat.read(sys.argv[1], as_version=4)
    nbformat.validate(stored)
    executed = copy.deepcopy(stored)
    # Raises the error of a cell.
    NotebookClient(executed, timeout=300, kernel_name="python3").execute()
    if len(sys.argv) > 2:
        for cell in executed.cells:
            # When and where it ran.
            cell.metadata.pop("execution", None)
        executed.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        nbformat.write(executed, sys.argv[2])
        return
    for number, (old, new) in enumerate(zip(shown(stored), shown(executed), strict=True), 1):
        if old != new:
            sys.exit(f"code cell {number} shows something else than stored.\nstored: {old}\nnow: {new}")


if __name__ == "__main__":
    main()
