"""Takes the header files out of wheels: unpack_headers.py FOLDER, which holds the wheels, fills FOLDER/include.

The wheels themselves are removed: they are mostly libraries, up to 400 MB each, and of those none is needed.
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
