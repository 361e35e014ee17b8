"""Extracts the headers of the wheels in FOLDER to FOLDER/include. Usage: unpack_headers.py FOLDER

The wheels are deleted: they consist mostly of libraries, up to 400 MB each, which are not needed.
"""

import pathlib
import sys
import zipfile

folder = pathlib.Path(sys.argv[1])
for wheel in folder.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            _, found, inside = name.partition("/include/")
            if found and not name.endswith("/"):
                target = folder / "include" / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    wheel.unlink()
