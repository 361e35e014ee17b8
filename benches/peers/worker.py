"""How a peer of the benchmark takes its turns (benches/speed/contest.rs)."""
import json
import sys


def serve(ready, play):
    """Says by a line of JSON that the warm-up is over, then plays a round for every line on the standard input."""
    print(json.dumps(ready), flush=True)
    for _ in sys.stdin:
        found = play()
        # A round may know better, of processes that are several.
        print(json.dumps({"peak_mb": peak_mb(), **found}), flush=True)


def peak_mb():
    """The greatest resident size of this process so far, in MB."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1024
