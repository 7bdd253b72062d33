"""kazoo's own test suite against a server that runs already.

Started as `kazoo_suite.py HOST:PORT[,HOST:PORT...] CONTROL_URL SKIP...`: kazoo's harness, which would start
servers of its own, gets a cluster of what is there; `stop` and `run` of the first ask CONTROL_URL, the others can
be neither stopped nor started. Each SKIP is the name of a test or its class. Prints one JSON object per test: `{"case": ..., "outcome": "passed" | "failed" | "skipped", "detail": ...}`.
"""

import json
import os
import sys
import urllib.request

import pytest

ADDRESSES, CONTROL_URL, SKIPS = sys.argv[1].split(","), sys.argv[2], frozenset(sys.argv[3:])

# The harness and some tests ask which ZooKeeper this is.
os.environ["ZOOKEEPER_VERSION"] = "3.9.5"
os.environ["CI"] = "true"


def control(action):
    with urllib.request.urlopen(CONTROL_URL + action, data=b"", timeout=120) as answer:
        answer.read()


class Server:
    def __init__(self, address):
        self.address = self.secure_address = address
        self.running = True

    def stop(self):
        assert self.address == ADDRESSES[0], "only the first server can be stopped"
        control("/stop-first")
        self.running = False

    def run(self):
        if not self.running:
            control("/start")
            self.running = True


class Cluster(list):
    def start(self):
        for server in self:
            server.run()

    def terminate(self):
        pass

    def get_logs(self):
        return []


CLUSTER = Cluster([Server(address) for address in ADDRESSES])


class Plugin:
    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if not self.is_skipped(item)]

    def is_skipped(self, item):
        file = item.location[0].rsplit("/", 1)[-1]
        return not SKIPS.isdisjoint({item.name, file, item.location[2].split(".")[0]})

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


def main():
    import kazoo.testing.harness
    import kazoo.tests

    kazoo.testing.harness.get_global_cluster = lambda: CLUSTER
    tests = os.path.dirname(kazoo.tests.__file__)
    arguments = ["-p", "no:cacheprovider", "-p", "no:terminal", "--timeout=120", tests]
    return pytest.main(arguments, plugins=[Plugin()])


sys.exit(0 if main() in (0, 1) else 2)
