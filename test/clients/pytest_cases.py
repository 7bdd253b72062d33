"""A Python package's own tests, with a line of JSON per test.

Started as `pytest_cases.py MODULE [PYTEST_ARGUMENT...]`, or used by a suite that has more to prepare. Prints one JSON
object per test: `{"case": ..., "outcome": "passed" | "failed" | "skipped", "detail": ...}`.
"""

import importlib.util
import json
import os
import sys

import pytest

TEST_TIMEOUT_S = 120


class Plugin:
    def __init__(self, skips):
        self.skips = frozenset(skips)

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if not self.is_skipped(item)]

    def is_skipped(self, item):
        file = item.location[0].rsplit("/", 1)[-1]
        return not self.skips.isdisjoint({item.name, file, item.location[2].split(".")[0]})

    def pytest_runtest_logreport(self, report):
        if report.when != "call" and report.outcome == "passed":
            return
        if report.when == "teardown" and report.outcome == "failed":
            return
        file = report.nodeid.split("::")[0].rsplit("/", 1)[-1]
        name = report.nodeid.split("::", 1)[1].replace("::", ".")
        detail = str(report.longrepr)[-1500:] if report.outcome != "passed" else ""
        line = {"case": f"{file}: {name}", "outcome": report.outcome, "detail": detail}
        print("\n" + json.dumps(line), flush=True)


def path_of(module):
    """The file of a module, the directory of a package."""
    origin = importlib.util.find_spec(module).origin
    return os.path.dirname(origin) if os.path.basename(origin) == "__init__.py" else origin


def play(module, skips=(), arguments=()):
    """Runs the tests of a module or a package. 0: they ran to their end, whatever came of them."""
    fixed = ["-p", "no:cacheprovider", "-p", "no:terminal", f"--timeout={TEST_TIMEOUT_S}"]
    code = pytest.main([*fixed, *arguments, path_of(module)], plugins=[Plugin(skips)])
    return 0 if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) else 2


if __name__ == "__main__":
    sys.exit(play(sys.argv[1], arguments=sys.argv[2:]))
