"""A table of numbers and a label in pandas, for benches/speed/rows/csv.rs: the C parser with explicit dtypes, its fastest.

Usage: csv_pandas.py FILE. Reads it once to warm up, then once for each line of input.
"""
import sys
import time

import pandas

import worker


def main():
    path = sys.argv[1]
    worker.serve(read(path), lambda: read(path))


def read(path):
    begun = time.perf_counter()
    table = pandas.read_csv(path, header=None, dtype={column: "float32" for column in range(64)})
    seconds = time.perf_counter() - begun
    total = table.iloc[:, :64].to_numpy(dtype="float64").sum().item()
    return {"seconds": seconds, "rows": len(table), "sum": total}


main()
