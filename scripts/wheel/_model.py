"""Prediction: starts `cresset predict` and reads its JSON lines."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ._inputs import prepared
from ._program import Error, arguments, failure, plain_environment, program

if TYPE_CHECKING:
    import numpy
    import pandas
    import PIL.Image


@dataclass(frozen=True)
class Prediction:
    """The prediction for one input.

    Attributes:
        input: the path, with the line of a table; or the index of an input without a path, from 0.
        label: the most probable class; None for several labels, a number, or an error.
        labels: the predicted labels of a model for several labels.
        value: the predicted number, for regression.
        interval: the prediction interval of the number, if the model has one.
        probabilities: the probability of each class or label by name.
        set: the prediction set, if the model has one (``coverage`` in training).
        is_ood: whether the input is unlike the training data, if the model knows (``ood`` in training).
        error: why there is no prediction; None if there is one.
    """

    input: str | int
    label: str | None = None
    labels: list[str] | None = None
    value: float | None = None
    interval: tuple[float, float] | None = None
    probabilities: dict[str, float] | None = None
    set: list[str] | None = None
    is_ood: bool | None = None
    error: str | None = None


class Predictions(Sequence[Prediction]):
    """The predictions for some inputs, in their order."""

    def __init__(self, names: list[str], rows: list[Prediction]) -> None:
        self._names = names
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...

    @overload
    def __getitem__(self, index: slice) -> Predictions: ...

    def __getitem__(self, index: int | slice) -> Prediction | Predictions:
        return Predictions(self._names, self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self._rows)

    def __repr__(self) -> str:
        return f"<Predictions for {len(self)} inputs, {len(self.errors)} errors>"

    @property
    def classes(self) -> list[str | None]:
        """The most probable class of each input; None for an error."""
        return [row.label for row in self._rows]

    @property
    def errors(self) -> dict[str | int, str]:
        """The errors by input."""
        return {row.input: row.error for row in self._rows if row.error is not None}

    @property
    def probabilities(self) -> numpy.ndarray:
        """The probabilities, float64 (inputs, classes), NaN for errors, as a NumPy array. Columns are in the
        order of `Model.classes`."""
        import numpy

        nothing = dict.fromkeys(self._names, float("nan"))
        rows = [row.probabilities or nothing for row in self._rows]
        values = [[row.get(name, float("nan")) for name in self._names] for row in rows]
        return numpy.array(values, dtype=numpy.float64).reshape(len(rows), len(self._names))

    @property
    def values(self) -> numpy.ndarray:
        """The predicted numbers, float64 (inputs), NaN for errors, as a NumPy array."""
        import numpy

        return numpy.array([float("nan") if row.value is None else row.value for row in self._rows])

    def frame(self) -> pandas.DataFrame:
        """One row per input as a pandas DataFrame: ``input``, ``class`` and ``p_CLASS``; ``labels`` or
        ``value`` for other tasks; and ``error``."""
        import pandas

        return pandas.DataFrame([_flat(row) for row in self._rows])


def _flat(row: Prediction) -> dict[str, object]:
    shown: dict[str, object] = {"input": row.input}
    if row.labels is not None:
        shown["labels"] = row.labels
    elif row.value is not None:
        shown["value"] = row.value
        if row.interval is not None:
            shown["low"], shown["high"] = row.interval
    elif row.label is not None:
        shown["class"] = row.label
    shown.update({f"p_{name}": value for name, value in (row.probabilities or {}).items()})
    shown["error"] = row.error
    return shown


class Model:
    """An exported model.

    Attributes:
        path: the TorchScript file, which ``torch.jit.load`` reads, too.
        metadata: what the file says about itself, as docs/export.md describes.
    """

    def __init__(self, path: Path, metadata: dict[str, Any]) -> None:
        self.path = path
        self.metadata = metadata

    def __repr__(self) -> str:
        return f"<Model {str(self.path)!r}, {len(self.classes)} classes>"

    @property
    def classes(self) -> list[str]:
        """The names of the classes or labels by index, or of the predicted number."""
        return list(self.metadata["classes"])

    def predict(
        self,
        inputs: str | os.PathLike[str] | Iterable[Any] | numpy.ndarray | pandas.DataFrame | PIL.Image.Image,
        **options: object,
    ) -> Predictions:
        """Predicts the classes of some inputs. Starts the program once for all of them.

        Args:
            inputs: one of

                - a path, or several: images, folders of images, CSV files
                - a pandas DataFrame with the columns of the training table; others are ignored
                - a NumPy array of raw values as in training, (N, features) or (N, shape…), or of images,
                  uint8 (N, height, width) or (N, height, width, 3)
                - PIL images
            options: options of ``cresset predict`` such as ``batch_size=256``, ``device="cuda"``,
                ``unknown="error"``.

        Raises:
            Error: if the inputs do not fit the model. An input of several that cannot be read has an `error`
                instead.
        """
        with tempfile.TemporaryDirectory(prefix="cresset-") as folder:
            given = prepared(inputs, self.metadata, Path(folder))
            fixed = [
                program(),
                "predict",
                str(self.path),
                *given.arguments,
                "--output=jsonl",
                "--probabilities",
            ]
            done = subprocess.run(
                [*fixed, *arguments(options)],
                env=plain_environment(),
                input=given.text,
                capture_output=True,
                encoding="utf-8",
            )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        rows = [_prediction(line, None if given.are_paths else row) for row, line in enumerate(lines)]
        # 1: some inputs have errors.
        if done.returncode not in (0, 1) or (done.returncode == 1 and not rows):
            raise failure(done.stderr, done.returncode)
        return Predictions(self.classes, rows)


def load(path: str | os.PathLike[str]) -> Model:
    """Opens an exported model: a file such as ``model.pt``, or a run folder.

    Raises:
        Error: if it is not a model that cresset exported.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "model.pt"
    try:
        with zipfile.ZipFile(file) as archive:
            name = next(name for name in archive.namelist() if name.endswith("extra/metadata.json"))
            metadata = json.loads(archive.read(name))
    except OSError as error:
        raise Error(f"cannot read the model {file}: {error.strerror or error}", 2) from error
    except (zipfile.BadZipFile, StopIteration, ValueError) as error:
        raise Error(f"{file} is not a model that cresset exported", 2) from error
    return Model(file, metadata)


def _prediction(line: dict[str, Any], row: int | None) -> Prediction:
    """The prediction of a line of the output; `row` is the number of an input without a name."""
    # A model for several labels and one for a number also have `predictions`: all labels by probability.
    is_class = "predictions" in line and "labels" not in line and "value" not in line
    return Prediction(
        input=line["input"] if row is None else row,
        label=line["predictions"][0]["class"] if is_class else None,
        labels=line.get("labels"),
        value=line.get("value"),
        interval=tuple(line["interval"]) if "interval" in line else None,
        probabilities=line.get("probabilities"),
        set=line.get("set"),
        is_ood=line.get("ood"),
        error=line.get("error"),
    )
