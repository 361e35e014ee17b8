"""How a peer of the benchmark takes turns (benches/speed/contest.rs)."""
import json
import sys


def serve(ready, play):
    """Prints `ready` as JSON after the warm-up, then runs a round for every line on standard input."""
    print(json.dumps(ready), flush=True)
    for _ in sys.stdin:
        found = play()
        # A round with several processes reports its own peak.
        print(json.dumps({"peak_mb": peak_mb(), **found}), flush=True)


def peak_mb():
    """The peak resident set size of this process so far, in MB."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1024
