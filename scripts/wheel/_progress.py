"""Shows the progress of a training: a line per epoch in notebooks and terminals."""

from __future__ import annotations

import contextlib
import html
import sys
from collections.abc import Iterator
from typing import Any


class Progress:
    """Shows nothing."""

    def update(self, event: dict[str, Any]) -> None:
        """Shows an event."""

    def close(self) -> None:
        """Ends the display."""


class _Lines(Progress):
    """The epochs so far, and the current one."""

    def __init__(self) -> None:
        self.epochs: list[str] = []
        self.current = ""

    def update(self, event: dict[str, Any]) -> None:
        if event["event"] == "progress":
            share = 100 * event["step"] // max(event["steps"], 1)
            self.current = (
                f"epoch {event['epoch']}/{event['epochs']}  {share:3} %  loss {_number(event['train_loss'])}"
            )
            self.redraw()
        elif event["event"] == "epoch":
            metrics = "  ".join(f"{name} {_number(value)}" for name, value in event["metrics"].items())
            self.epochs.append(f"epoch {event['epoch']}/{event['epochs']}  {metrics}")
            self.current = ""
            self.redraw()
        elif event["event"] == "stopped_early":
            self.epochs.append(event["reason"])
            self.redraw()

    def redraw(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        if self.current:
            self.current = ""
            self.redraw()


class _Terminal(_Lines):
    """Lines on standard error. The current one is overwritten."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def redraw(self) -> None:
        finished = "".join(f"{line}\n" for line in self.epochs[self.written :])
        self.written = len(self.epochs)
        sys.stderr.write(f"\r\x1b[K{finished}{self.current}")
        sys.stderr.flush()


class _Notebook(_Lines):
    """The output of a notebook's cell, replaced at each change."""

    # Of long runs, the last epochs are shown.
    SHOWN = 20

    def __init__(self, display: Any, content: Any) -> None:
        super().__init__()
        self.display = display
        self.content = content
        # An output of the cell, from the first epoch on.
        self.handle: Any = None

    def redraw(self) -> None:
        lines = [*self.epochs[-self.SHOWN :], *([self.current] if self.current else [])]
        shown = self.content(f"<pre>{html.escape(chr(10).join(lines))}</pre>")
        if self.handle is None:
            self.handle = self.display(shown, display_id=True)
        else:
            self.handle.update(shown)


@contextlib.contextmanager
def show(wanted: bool | None) -> Iterator[Progress]:
    """The display for this environment; none if it is not wanted, or by default if nobody would see it."""
    display = _choose(wanted)
    try:
        yield display
    finally:
        display.close()


def _choose(wanted: bool | None) -> Progress:
    if wanted is False:
        return Progress()
    # A notebook has imported IPython.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and type(shell).__name__ == "ZMQInteractiveShell":
        from IPython.display import HTML, display

        return _Notebook(display, HTML)
    return _Terminal() if wanted or sys.stderr.isatty() else Progress()


def _number(value: float | None) -> str:
    return "nan" if value is None else f"{value:.4f}"
