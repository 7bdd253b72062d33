"""kazoo's own test suite against a server that runs already.

Started as `kazoo_suite.py HOST:PORT[,HOST:PORT...] CONTROL_URL SKIP...`: kazoo's harness, which would start
servers of its own, gets a cluster of what is there; `stop` and `run` of the first ask CONTROL_URL, the others can
be neither stopped nor started. Each SKIP is the name of a test, its class or its file. Prints what `pytest_cases.py` does.
"""

import os
import sys
import urllib.request

from pytest_cases import play

ADDRESSES, CONTROL_URL, SKIPS = sys.argv[1].split(","), sys.argv[2], sys.argv[3:]

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


def main():
    import kazoo.testing.harness

    kazoo.testing.harness.get_global_cluster = lambda: CLUSTER
    return play("kazoo.tests", SKIPS)


sys.exit(main())
