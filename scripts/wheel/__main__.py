"""Starts the program in place of this process, with the libtorch of the installed torch, which is not
imported."""

import os
import sys

from ._program import Error, environment, program


def main() -> None:
    """Runs the program with the arguments of this process."""
    try:
        variables = environment()
    except Error as error:
        sys.exit(f"cresset: {error}")
    os.execve(program(), [program(), *sys.argv[1:]], variables)


if __name__ == "__main__":
    main()
