"""How the benchmarks measure: rivals in turn, medians, ratios to the first."""

from __future__ import annotations

from statistics import median
from time import perf_counter


def interleaved(rivals, rounds):
    """Median seconds of each of the functions, run in turn."""
    seconds = {name: [] for name in rivals}
    for run in rivals.values():
        run()
    for _ in range(rounds):
        for name, run in rivals.items():
            start = perf_counter()
            run()
            seconds[name].append(perf_counter() - start)
    return {name: median(values) for name, values in seconds.items()}


def row(title, rivals, rounds, unit=1e6, suffix="us"):
    """Print the medians and the ratio of each rival to the first."""
    seconds = interleaved(rivals, rounds)
    first = next(iter(seconds.values()))
    cells = (f"{name} {t * unit:9.2f} {suffix} ({t / first:6.3f})" for name, t in seconds.items())
    print(f"{title:44s}" + "   ".join(cells))
