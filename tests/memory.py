"""Runs a command and prints the most memory that all of its processes together held: the sum of their PSS, sampled."""

import sys
import time

import psutil


def most_memory(command: list[str]) -> tuple[int, int]:
    """Exit code of a command, and the largest sampled sum of PSS over its processes, in bytes."""
    process = psutil.Popen(command)
    most = 0
    while process.poll() is None:
        total = 0
        for one in [process, *process.children(recursive=True)]:
            try:
                total += one.memory_full_info().pss
            except psutil.Error:
                continue
        most = max(most, total)
        time.sleep(1.0)
    return process.returncode, most


if __name__ == "__main__":
    started = time.perf_counter()
    code, most = most_memory(sys.argv[1:])
    print(f"{time.perf_counter() - started:.0f} s, at most {most / 1e9:.2f} GB in all processes", file=sys.stderr)
    sys.exit(code)
