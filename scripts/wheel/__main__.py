"""Starts the program in place of this process, with the libtorch of the installed torch, which is not imported."""

import importlib.util
import os
import sys


def main():
    torch = importlib.util.find_spec("torch")
    if torch is None:
        sys.exit("cresset: torch was not found, whose libtorch the program needs. Install it: pip install torch==2.11.0")
    libraries = os.path.join(torch.submodule_search_locations[0], "lib")
    known = os.environ.get("LD_LIBRARY_PATH")
    os.environ["LD_LIBRARY_PATH"] = libraries + (os.pathsep + known if known else "")
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "cresset")
    os.execv(program, [program, *sys.argv[1:]])


main()
