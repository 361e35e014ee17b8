"""Inputs of a prediction, as the program reads them: paths, or a table on its standard input."""

from __future__ import annotations

import csv
import io
import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Prepared:
    """Inputs for the program.

    Attributes:
        arguments: for the command line.
        text: for standard input.
        are_paths: whether they are files, which have names, rather than values in memory.
    """

    arguments: list[str]
    text: str
    are_paths: bool = False


def prepared(inputs: Any, metadata: dict[str, Any], folder: Path) -> Prepared:
    """Prepares inputs of any kind. Images are written to `folder`."""
    if isinstance(inputs, (str, os.PathLike)):
        return _paths([inputs], are_paths=True)
    if hasattr(inputs, "to_csv"):
        return Prepared(["-"], _frame(inputs, metadata))
    if _is_picture(inputs):
        return _pictures([inputs], folder)
    if hasattr(inputs, "__array_interface__"):
        return _array(inputs, metadata, folder)
    if not isinstance(inputs, Iterable):
        raise TypeError(
            f"cannot predict a {type(inputs).__name__}; pass paths, a DataFrame, an array or PIL images"
        )
    items = list(inputs)
    if all(isinstance(item, (str, os.PathLike)) for item in items):
        return _paths(items, are_paths=True)
    if all(_is_picture(item) for item in items):
        return _pictures(items, folder)
    kinds = ", ".join(sorted({type(item).__name__ for item in items}))
    raise TypeError(f"expected paths or PIL images, not a list of {kinds}")


def _paths(paths: list[Any], are_paths: bool = False) -> Prepared:
    """Passes paths on standard input: the length of a command line is limited, and it gives some names a
    meaning."""
    names = [os.path.abspath(os.fspath(path)) for path in paths]
    for name in names:
        if "\n" in name:
            raise ValueError(f"a path with a line break cannot be passed on: {name!r}")
    return Prepared(["--paths-from=-"], "".join(f"{name}\n" for name in names), are_paths)


def _frame(frame: Any, metadata: dict[str, Any]) -> str:
    table = metadata["input"].get("table") or {}
    if "header" in table:
        missing = [column["name"] for column in table["columns"] if column["name"] not in frame.columns]
        if missing:
            raise ValueError(f"the DataFrame lacks the columns {', '.join(map(repr, missing))}")
    text: str = frame.to_csv(index=False, header="header" in table)
    return text


def _array(array: Any, metadata: dict[str, Any], folder: Path) -> Prepared:
    shape = metadata["input"]["shape"]
    features = 1
    for size in shape:
        features *= size
    flat = array.reshape(len(array), -1) if array.ndim > 1 else array.reshape(-1, 1)
    value_range = metadata["input"].get("value_range") or {}
    is_image = array.ndim > 2 and array.dtype.kind == "u" and array.dtype.itemsize == 1
    if is_image and value_range.get("max") == 255 and list(array.shape[1:]) != list(shape):
        return _arrays(array, folder)
    if flat.shape[1] != features:
        raise ValueError(
            f"the array has {flat.shape[1]} values per example, shape {tuple(array.shape[1:])}; the model "
            f"takes {features}, shape {tuple(shape)}, or, if it was trained on images, uint8 images "
            "(N, height, width) or (N, height, width, 3)"
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    table = metadata["input"].get("table") or {}
    if "header" in table:
        writer.writerow([column["name"] for column in table["columns"]])
    writer.writerows(flat.tolist())
    return Prepared(["-"], text.getvalue())


def _arrays(array: Any, folder: Path) -> Prepared:
    """Images, uint8 (N, height, width) or (N, height, width, 1 or 3)."""
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 3):
        raise ValueError(
            f"expected images (N, height, width) or (N, height, width, 3), not {tuple(array.shape)}"
        )
    paths = [folder / f"{number:08}.png" for number in range(len(array))]
    for path, pixels in zip(paths, array, strict=True):
        path.write_bytes(_png(pixels))
    return _paths(paths)


def _png(pixels: Any) -> bytes:
    """A PNG file of uint8 values, (height, width) or (height, width, 3)."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    color = 0 if pixels.ndim == 2 else 2

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 1))
        + chunk(b"IEND", b"")
    )


def _is_picture(item: Any) -> bool:
    return hasattr(item, "save") and hasattr(item, "getbands")


def _pictures(pictures: list[Any], folder: Path) -> Prepared:
    paths = [folder / f"{number:08}.png" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path)
    return _paths(paths)
