"""The array-api-tests on traced arrays: ``python -m nox -s conformance``.

The suite runs on array_api_compat.numpy, for comparison, then on the traced namespace over it,
with constants and with traced arrays. What passes on the library has to pass on its traced
namespace, or to stand with its reason in the list beside this script.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
LIBRARY = "array_api_compat.numpy"
OURS = ("constants", "traced")  # modules beside this script
OUTCOMES = ("passed", "failed", "xfailed", "xpassed", "skipped")
EXAMPLES, LIMIT = "50", 580  # of each test, and seconds


def find_suite():
    """The checkout of the suite, with the specification in it."""
    suite = Path(os.environ.get("ARRAY_API_TESTS_DIR", "") or "missing").absolute()
    if not (suite / "array-api" / "spec").is_dir():
        msg = (
            "set ARRAY_API_TESTS_DIR to a checkout of the array API test suite:\n"
            "git clone --recurse-submodules https://github.com/data-apis/array-api-tests"
        )
        sys.exit(msg)
    return suite


def outcomes(suite, module, folder, arguments):
    """Outcome of each of the suite's tests on a module, by the test's name."""
    report = Path(folder) / f"{module}.json"
    command = [
        *(sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"),
        *("--max-examples", EXAMPLES, "--derandomize", "--disable-deadline"),
        *("--json-report", f"--json-report-file={report}"),
        *(arguments or ["array_api_tests"]),
    ]
    if module in OURS:
        command += ["--xfails-file", str(HERE / f"xfails-{module}.txt")]
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"ARRAY_API_TESTS_MODULE": module, "PYTHONPATH": os.pathsep.join(paths)}
    env["PYTHONHASHSEED"] = "0"  # the order of sets would choose the examples
    done = subprocess.run(  # noqa: S603  (the interpreter's own pytest)
        command, cwd=suite, env=env, timeout=LIMIT, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):  # 1: tests failed, which is judged here
        sys.exit(f"{module}: pytest ended with {done.returncode}\n{done.stdout}{done.stderr}")
    if module in OURS:
        print(done.stdout)
    return {t["nodeid"]: t["outcome"] for t in json.loads(report.read_text())["tests"]}


def main():
    """Print the counts; fail where less passes than on the library."""
    suite, arguments, failures = find_suite(), sys.argv[1:], 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda m: outcomes(suite, m, folder, arguments), (LIBRARY, *OURS))
        expected, *ours = found
    print(f"{'':24s}" + "".join(f"{outcome:>10s}" for outcome in OUTCOMES))
    for module, got in zip((LIBRARY, *OURS), (expected, *ours), strict=True):
        counts = Counter(got.values())
        print(f"{module:24s}" + "".join(f"{counts[outcome]:10d}" for outcome in OUTCOMES))
    for module, got in zip(OURS, ours, strict=True):
        for test, outcome in got.items():
            if expected[test] != "passed":
                continue
            if outcome in ("failed", "skipped", "error"):
                print(f"{module}: {outcome}, though it passes on {LIBRARY}: {test}")
                failures += 1
            elif outcome == "xpassed":
                print(f"{module}: passes, though xfails-{module}.txt lists it: {test}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
