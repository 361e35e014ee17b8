"""The program of the package, and how it fails."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


class Error(Exception):
    """The program failed, with its message.

    Attributes:
        exit_code: 2 for an error in usage or input, 1 for any other failure.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Interrupted(KeyboardInterrupt):
    """A training was stopped by Ctrl-C, after it saved its state.

    Attributes:
        run: the run folder; ``cresset.train(resume=run)`` continues. None if training had not started.
    """

    def __init__(self, message: str, run: Path | None) -> None:
        super().__init__(message)
        self.run = run


class RunWarning(UserWarning):
    """A warning of the program, such as about the data of a run."""


def program() -> str:
    """Path of the program."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "cresset")


def environment() -> dict[str, str]:
    """The environment of the program, which finds the libtorch of the installed torch. Does not import
    torch."""
    torch = importlib.util.find_spec("torch")
    if torch is None or not torch.submodule_search_locations:
        raise Error(
            "torch was not found, whose libtorch the program needs. Install it: pip install torch==2.11.0"
        )
    libraries = os.path.join(torch.submodule_search_locations[0], "lib")
    known = os.environ.get("LD_LIBRARY_PATH")
    return {**os.environ, "LD_LIBRARY_PATH": libraries + (os.pathsep + known if known else "")}


def plain_environment() -> dict[str, str]:
    """The environment of a program whose output is read. Notebooks ask programs for colors."""
    variables = {**environment(), "NO_COLOR": "1"}
    return {name: value for name, value in variables.items() if name not in ("CLICOLOR_FORCE", "FORCE_COLOR")}


def version() -> str:
    """The version of the program, such as ``0.1.0``."""
    done = subprocess.run([program(), "--version"], env=plain_environment(), capture_output=True, text=True)
    if done.returncode:
        raise failure(done.stderr, done.returncode)
    return done.stdout.split()[1]


def failure(stderr: str, exit_code: int) -> Error:
    """The error of a command that wrote this to standard error."""
    lines = stderr.strip().splitlines()
    last = next((at for at, line in reversed(list(enumerate(lines))) if line.startswith("error: ")), None)
    if last is None:
        message = "\n".join(lines[-5:])
    else:
        # An error of the command line has more lines: a tip, the usage, and where there is more.
        message = "\n".join(lines[last:]).removeprefix("error: ")
        message = message.split("\nUsage:")[0].split("\nFor more information")[0].strip()
    if exit_code < 0:
        message = f"the program was ended by signal {-exit_code}. {message}".strip()
    return Error(message or f"the program failed with exit code {exit_code}", exit_code)


# Arguments of the command line without a value. The other options take `true` and `false`.
_SWITCHES = {"continue", "find_label_errors", "promote", "report", "tensorboard", "trust"}


def arguments(options: dict[str, object]) -> list[str]:
    """Command line arguments of options by name: ``batch_size=32`` is ``--batch-size 32``."""
    found: list[str] = []
    for name, value in options.items():
        name = name.rstrip("_")
        flag = "--" + name.replace("_", "-")
        if value is None or (value is False and name in _SWITCHES):
            continue
        found.append(flag if value is True and name in _SWITCHES else f"{flag}={_text(value)}")
    return found


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ",".join(f"{name}={_text(part)}" for name, part in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(_text(part) for part in value)
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
