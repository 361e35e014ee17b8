"""Training: starts `cresset train --events json` and reads its events."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._program import Error, Interrupted, RunWarning, arguments, failure, plain_environment, program
from ._progress import Progress, show

if TYPE_CHECKING:
    import pandas

    from ._model import Model

Event = dict[str, Any]


@dataclass(frozen=True)
class Epoch:
    """The metrics of an epoch.

    Attributes:
        epoch: its number, from 1.
        metrics: ``train_loss``, ``train_accuracy``, ``validation_loss``, ``validation_accuracy``; for several
            labels with ``f1`` and for a number with ``r2`` in place of ``accuracy``. NaN if a value is not
            finite.
        lr: the learning rate of the last step.
        seconds: its duration.
    """

    epoch: int
    metrics: dict[str, float]
    lr: float
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """Metrics of the exported model on a set of examples.

    Attributes:
        rows: the number of examples.
        loss: the mean loss.
        metrics: all metrics by name, such as ``accuracy`` and ``macro F1``.
    """

    rows: int
    loss: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        path: the run folder.
        model: the exported TorchScript file, for `cresset.load` and ``torch.jit.load``.
        paths: all files by name: ``model``, ``config``, ``metrics``, ``split``, ``checkpoint``, and
            ``report`` if there is one.
        task: ``classification``, ``multilabel`` or ``regression``.
        classes: the names of the classes or labels, or of the predicted number.
        best_epoch: the epoch whose weights were exported.
        validation: metrics on the validation set, which also selected the epoch.
        test: metrics on the test set; None without one.
        options: all options of the run by name, with those that the recipe chose.
        epochs: the epochs that were trained, without those before a resumption.
        stopped_early: why training ended before its last epoch; None if it did not.
        warnings: the warnings of the program.
        label_errors: the file that ranks the labels, with ``find_label_errors=True``.
        comparison: with ``from_=``, the event ``compared``: the model before and after on the validation set
            and on the corrections.
        promoted: with ``promote=True``, whether the old model was replaced.
    """

    path: Path
    model: Path
    paths: dict[str, Path]
    task: str
    classes: list[str]
    best_epoch: int
    validation: Evaluation
    test: Evaluation | None
    options: dict[str, Any] = field(repr=False)
    epochs: list[Epoch] = field(repr=False)
    stopped_early: str | None = None
    warnings: list[str] = field(default_factory=list)
    label_errors: Path | None = None
    comparison: Event | None = field(default=None, repr=False)
    promoted: bool | None = None

    def load(self) -> Model:
        """The trained model."""
        from ._model import load

        return load(self.model)

    def frame(self) -> pandas.DataFrame:
        """The metrics of the epochs, one row per epoch, as a pandas DataFrame."""
        import pandas

        rows = [{**epoch.metrics, "lr": epoch.lr, "seconds": epoch.seconds} for epoch in self.epochs]
        return pandas.DataFrame(
            rows, index=pandas.Index([epoch.epoch for epoch in self.epochs], name="epoch")
        )


@dataclass(frozen=True)
class CrossValidation:
    """The models of a cross-validation.

    Attributes:
        path: the folder with a run folder for each fold.
        runs: the runs that were trained, without those that were finished before a resumption.
        folds: the metrics of each fold's model on its validation set.
        mean: the mean of each metric over the folds, and of the ``loss``.
        deviation: the standard deviation of each metric over the folds, and of the ``loss``.
        label_errors: the file that ranks the labels, with ``find_label_errors=True``.
    """

    path: Path
    runs: list[Run] = field(repr=False)
    folds: list[Evaluation] = field(repr=False)
    mean: dict[str, float]
    deviation: dict[str, float]
    label_errors: Path | None = None


def train(
    data: str | os.PathLike[str] | pandas.DataFrame | None = None,
    *,
    progress: bool | None = None,
    on_event: Callable[[Event], None] | None = None,
    **options: object,
) -> Run:
    """Trains a model with ``cresset train`` and waits for its end.

    Args:
        data: a built-in data set such as ``digits``, a file or folder of labeled examples, or a pandas
            DataFrame. A DataFrame is saved as CSV beside the run folder, because reports and evaluations read
            the data again. Its last column is the label unless ``label`` names another one.
        progress: whether to show the progress; by default in notebooks and terminals.
        on_event: called with each event of the program, a dictionary. docs/events.md describes them.
        options: the options of ``cresset train``, with ``_`` for ``-``: ``epochs=20, model_options={"width":
            64}``. A sequence or dictionary is joined by commas. An option with the value None is left out.

    Returns:
        The finished run.

    Raises:
        Error: if the program fails, with its message.
        Interrupted: (a KeyboardInterrupt) after Ctrl-C. The run is saved and can be continued with
            ``resume=``.

    Warns:
        RunWarning: for each warning of the program.
    """
    if options.get("folds") is not None and options.get("fold") is None:
        raise TypeError("train() trains one model; cresset.cross_validate() trains one per fold")
    return _finished(_events(data, progress, on_event, options))


def cross_validate(
    data: str | os.PathLike[str] | pandas.DataFrame | None = None,
    *,
    folds: int | None = None,
    progress: bool | None = None,
    on_event: Callable[[Event], None] | None = None,
    **options: object,
) -> CrossValidation:
    """Trains one model per fold with ``cresset train --folds`` and evaluates each on its fold.

    Args:
        folds: their number, unless a cross-validation goes on with ``resume=``. The other arguments, errors
            and warnings are those of `train`.

    Returns:
        The metrics of each fold, their mean and standard deviation.
    """
    if folds is None and options.get("resume") is None:
        raise TypeError("cross_validate() needs folds, such as folds=5")
    told = _events(data, progress, on_event, {**options, "folds": folds})
    result = _last(told, "cross_validated")
    if result is None:
        raise Error(f"{options['resume']} is a single run; continue it with cresset.train()", 2)
    return _cross_validated(told, result)


def _events(
    data: str | os.PathLike[str] | pandas.DataFrame | None,
    progress: bool | None,
    on_event: Callable[[Event], None] | None,
    options: dict[str, object],
) -> list[Event]:
    """Trains, and returns all events of a success."""
    if data is not None:
        options["data"] = data if isinstance(data, (str, os.PathLike)) else _saved(data, options.get("out"))
    command = [program(), "train", "--events=json", *arguments(options)]
    told: list[Event] = []

    def take(event: Event) -> None:
        told.append(event)
        if event["event"] == "warning":
            warnings.warn(event["message"], RunWarning, stacklevel=6)
        if on_event is not None:
            on_event(event)

    with show(progress) as display:
        code, stderr = _follow(command, take, display)
    if (error := _last(told, "error")) is not None:
        raise Error(error["message"], error["exit_code"])
    if (interrupted := _last(told, "interrupted")) is not None or code == 130:
        run = Path(interrupted["run"]) if interrupted else None
        raise Interrupted(
            f"interrupted; cresset.train(resume={str(run)!r}) continues" if run else "interrupted", run
        )
    if any(_last(told, name) for name in ["finished", "cross_validated"]):
        return told
    raise failure(stderr, code)


def _follow(command: list[str], take: Callable[[Event], None], display: Progress) -> tuple[int, str]:
    """Runs the program and passes its events on. After Ctrl-C, waits until it has saved its state. Returns
    its exit code and what it wrote to standard error."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        # In a session of its own, Ctrl-C in a terminal reaches it only through this process, as in a
        # notebook.
        process = subprocess.Popen(
            command,
            env=plain_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            start_new_session=True,
        )
        try:
            _read(process, take, display)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            _read(process, take, display)
        except BaseException:
            # An exception of `on_event`: the run is saved, too.
            process.send_signal(signal.SIGINT)
            _read(process, lambda event: None, display)
            raise
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        errors.seek(0)
        return process.returncode, errors.read()


def _read(process: subprocess.Popen[str], take: Callable[[Event], None], display: Progress) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        display.update(event)
        take(event)
    process.wait()


def _last(told: list[Event], name: str) -> Event | None:
    """The last event of this name."""
    return next((event for event in reversed(told) if event["event"] == name), None)


def _finished(told: list[Event]) -> Run:
    """The first run of these events, with what follows all runs."""
    end = next(index for index, event in enumerate(told) if event["event"] == "finished")
    finished, events = told[end], told[:end]
    started = next(event for event in events if event["event"] == "started")
    paths = {name: Path(path) for name, path in finished["paths"].items() if path is not None}
    epochs = [
        Epoch(event["epoch"], _numbers(event["metrics"]), event["lr"], event["seconds"])
        for event in events
        if event["event"] == "epoch"
    ]
    promotion = _last(told, "promotion")
    return Run(
        path=Path(finished["run"]),
        model=paths["model"],
        paths=paths,
        task=finished["task"],
        classes=finished["classes"],
        best_epoch=finished["best_epoch"],
        validation=_evaluation(finished["validation"]),
        test=_evaluation(finished["test"]) if finished["test"] else None,
        options=started["options"],
        epochs=epochs,
        stopped_early=next((event["reason"] for event in events if event["event"] == "stopped_early"), None),
        warnings=[event["message"] for event in told if event["event"] == "warning"],
        label_errors=_label_errors(told),
        comparison=_last(told, "compared"),
        promoted=promotion["promoted"] if promotion else None,
    )


def _cross_validated(told: list[Event], result: Event) -> CrossValidation:
    starts = [index for index, event in enumerate(told) if event["event"] == "started"]
    ends = [index + 1 for index, event in enumerate(told) if event["event"] == "finished"]
    runs = [_finished(told[start:end]) for start, end in zip(starts, ends, strict=True)]
    return CrossValidation(
        path=Path(result["run"]),
        runs=runs,
        folds=[_evaluation(fold) for fold in result["folds"]],
        mean=_spread(result["mean"]),
        deviation=_spread(result["deviation"]),
        label_errors=_label_errors(told),
    )


def _label_errors(told: list[Event]) -> Path | None:
    found = _last(told, "label_errors")
    return Path(found["path"]) if found else None


def _spread(found: Event) -> dict[str, float]:
    return _numbers({"loss": found["loss"], **found["metrics"]})


def _evaluation(found: Event) -> Evaluation:
    loss = float("nan") if found["loss"] is None else found["loss"]
    return Evaluation(found["rows"], loss, _numbers(found["metrics"]))


def _numbers(values: dict[str, float | None]) -> dict[str, float]:
    """The values, with NaN for what is not finite."""
    return {name: float("nan") if value is None else value for name, value in values.items()}


def _saved(frame: pandas.DataFrame, out: object) -> Path:
    """Saves a table beside the run folder, under a name that depends on its contents."""
    if not hasattr(frame, "to_csv"):
        raise TypeError(f"data is a name, a path or a pandas DataFrame, not {type(frame).__name__}")
    text: str = frame.to_csv(index=False)
    folder = Path(str(out)).parent if out is not None else Path("runs")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"data-{hashlib.sha256(text.encode()).hexdigest()[:12]}.csv"
    if not path.exists():
        path.write_text(text, encoding="utf-8")
    return path
