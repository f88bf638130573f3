"""SciPy's switch for other arrays, set before SciPy is imported; and what the oracles counted."""

from __future__ import annotations

import os
from collections import Counter

os.environ["SCIPY_ARRAY_API"] = "1"


def pytest_terminal_summary(terminalreporter):
    counts = Counter()
    for outcome in ("passed", "skipped", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            counts[report.nodeid.partition("[")[0], outcome] += 1
    terminalreporter.section("oracles")
    for (test, outcome), n in sorted(counts.items()):
        terminalreporter.write_line(f"{n:4d} {outcome} {test}")
