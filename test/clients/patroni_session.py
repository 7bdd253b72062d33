"""What Patroni keeps in ZooKeeper, through its own class for that: members, a leader, configuration, failovers.

Started as `patroni_session.py HOST:PORT CONTROL_URL`, which kills the server on `/stop` and starts it on `/start`.
Prints a JSON object per case, like the other sessions.
"""

import json
import logging
import os
import sys
import time
import urllib.request

from patroni.dcs import get_dcs

ADDRESS, CONTROL_URL = sys.argv[1:3]
SCOPE = f"cluster-{os.getpid()}"

# Longer than a killed server may take to come back: sessions are to live on.
TTL_S = 60
PATIENCE_S = 60


def member(name):
    settings = {"scope": SCOPE, "namespace": "/patroni/", "name": name}
    times = {"ttl": TTL_S, "loop_wait": 10, "retry_timeout": 10}
    return get_dcs({**settings, **times, "zookeeper": {"hosts": [ADDRESS]}})


def control(action):
    with urllib.request.urlopen(CONTROL_URL + action, data=b"", timeout=120) as answer:
        answer.read()


def eventually(claim):
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def touch(dcs, **data):
    dcs.get_cluster()
    assert dcs.touch_member(data)


def initialized_once(one, two):
    assert one.initialize(create_new=True, sysid="")
    assert not two.initialize(create_new=True, sysid="7")
    assert one.initialize(create_new=False, sysid="42")
    assert two.get_cluster().initialize == "42"
    assert two.cancel_initialization()
    assert one.get_cluster().initialize is None


def configured(one, two):
    assert one.set_config_value(json.dumps({"ttl": TTL_S}))
    assert one.set_config_value(json.dumps({"ttl": TTL_S + 1}))
    config = two.get_cluster().config
    assert (config.version, config.data) == (1, {"ttl": TTL_S + 1})
    assert not two.set_config_value("{}", 7)
    assert two.set_config_value(json.dumps({"ttl": TTL_S}), 1)


def registered(one, two):
    touch(one, state="running", xlog_location=1)
    touch(two, state="starting")
    touch(two, state="running")
    members = {each.name: each for each in one.get_cluster().members}
    assert {name: each.data["state"] for name, each in members.items()} == {"one": "running", "two": "running"}
    assert members["two"].session == two._client.client_id[0]


def led_by_one(one, two):
    assert one.attempt_to_acquire_leader()
    assert not two.attempt_to_acquire_leader()
    cluster = two.get_cluster()
    assert cluster.leader.name == "one"
    assert one.update_leader(one.get_cluster(), 1000, {"slot": 5})
    assert two.get_cluster().status.last_lsn == 1000


def failed_over(one, two):
    assert two.manual_failover("one", "two")
    failover = one.get_cluster().failover
    assert (failover.leader, failover.candidate) == ("one", "two")
    assert one.manual_failover("", "", version=failover.version)
    assert not one.get_cluster().failover.candidate
    assert not two.manual_failover("one", "two", version=failover.version + 7)


def synchronized(one, two):
    state = one.write_sync_state("one", ["two"], 1)
    assert two.get_cluster().sync.matches("two")
    newer = one.write_sync_state("one", ["two", "three"], 1, version=state.version)
    assert newer.version == state.version + 1
    assert one.write_sync_state("one", None, 0, version=state.version + 7) is None
    assert one.delete_sync_state(newer.version)


def survived(one, two):
    touch(one, state="running", xlog_location=2)
    sessions = [dcs._client.client_id[0] for dcs in (one, two)]
    control("/stop")
    control("/start")
    eventually(lambda: one._client.connected and two._client.connected)
    assert [dcs._client.client_id[0] for dcs in (one, two)] == sessions
    cluster = two.get_cluster()
    assert (cluster.leader.name, len(cluster.members)) == ("one", 2)
    assert one.update_leader(one.get_cluster(), 2000)


def succeeded(one, two):
    two.get_cluster()
    two.event.clear()
    leader = one.get_cluster().leader
    assert one.delete_leader(leader, 3000)
    assert two.watch(None, PATIENCE_S), "its watch was not told"
    assert two.get_cluster().is_unlocked()
    assert two.attempt_to_acquire_leader()
    assert one.get_cluster().leader.name == "two"


def recreated(one, two):
    touch(two, state="running")
    two._client.restart()
    assert two.get_cluster().is_unlocked()
    touch(two, state="running")
    assert two.take_leader()
    assert one.get_cluster().leader.session == two._client.client_id[0]


def deleted(one, two):
    one.delete_cluster()
    assert two.get_cluster().is_empty()


CASES = {
    "a cluster is initialized by one member only": initialized_once,
    "configuration is written with versions": configured,
    "members register, with their sessions": registered,
    "one member leads, and says how far it is": led_by_one,
    "failovers are asked for, with versions": failed_over,
    "the synchronous state is written with versions": synchronized,
    "sessions, members and the leader outlive the server": survived,
    "a leader that steps down is told of, and succeeded": succeeded,
    "a member with a new session registers and leads anew": recreated,
    "a cluster is deleted": deleted,
}

logging.disable(logging.CRITICAL)
pair = member("one"), member("two")
for title, play in CASES.items():
    outcome, detail = "passed", ""
    try:
        play(*pair)
    except Exception as error:
        outcome, detail = "failed", f"{type(error).__name__}: {error}, line {error.__traceback__.tb_next.tb_lineno}"
    print(json.dumps({"case": title, "outcome": outcome, "detail": detail}), flush=True)
for dcs in pair:
    dcs._client.stop()
