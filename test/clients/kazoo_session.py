"""An unmodified kazoo against a local ensemble: what the README promises, one case after the other.

Started by run.ts as `kazoo_session.py HTTP_URL ZOOKEEPER_PORT`. Prints one JSON object a line:
`{"case": ..., "ok": ..., "detail": ...}`, or `{"ask": "kill"}`, after which the parent kills the server
with SIGKILL, starts it again, and answers with a line on stdin.
"""

import json
import os
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import BadArgumentsError, BadVersionError, NoAuthError, NodeExistsError
from kazoo.security import make_digest_acl

HTTP_URL = sys.argv[1]
HOSTS = "127.0.0.1:" + sys.argv[2]

# Past this an expected event counts as lost. Generous: nothing is judged by how fast it is.
PATIENCE_S = 60

cases = []


def case(title):
    def register(function):
        cases.append((title, function))
        return function

    return register


def say(message):
    print(json.dumps(message), flush=True)


def ask_for_kill():
    say({"ask": "kill"})
    if not sys.stdin.readline():
        raise EOFError("the parent is gone")


def http(method, path, body=None, headers=None):
    """Status, headers and text; a refusal is no exception here."""
    request = urllib.request.Request(HTTP_URL + path, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S + 30) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def client(**options):
    zk = KazooClient(HOSTS, timeout=30, **options)
    zk.start(timeout=PATIENCE_S)
    return zk


def until(claim, what):
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@case("create /test, and read it with a watch that fires when HTTP changes it")
def watch_fires(zk):
    events = []
    zk.create("/test", b"one")
    data, stat = zk.get("/test", watch=events.append)
    assert (data, stat.version) == (b"one", 0), (data, stat)
    assert events == []
    assert http("PUT", "/v1/main/znodes/test", b"two")[0] == 200
    until(lambda: events, "no event")
    assert (events[0].type, events[0].path) == ("CHANGED", "/test"), events
    data, stat = zk.get("/test")
    assert (data, stat.version) == (b"two", 1), (data, stat)
    http("PUT", "/v1/main/znodes/test", b"three")
    zk.get("/test")
    assert len(events) == 1, "a one-shot watch fired twice"


@case("what kazoo writes, HTTP reads")
def http_reads(zk):
    zk.create("/from-kazoo", "grün".encode())
    status, headers, text = http("GET", "/v1/main/znodes/from-kazoo")
    assert (status, headers["ETag"], text) == (200, '"0"', "grün"), (status, text)


@case("sequential znodes count up, also between kazoo and HTTP")
def sequence(zk):
    zk.create("/queue")
    names = [zk.create("/queue/n-", sequence=True) for _ in range(3)]
    location = http("POST", "/v1/main/znodes/queue/n-", b"")[1]["Location"]
    assert location.endswith("/queue/n-0000000003"), location
    assert names == ["/queue/n-%010d" % i for i in range(3)], names
    assert sorted(zk.get_children("/queue")) == ["n-%010d" % i for i in range(4)]


@case("exists and children, with watches, on znodes that come and go")
def exists_and_children(zk):
    assert zk.exists("/later") is None
    created, children = [], []
    zk.exists("/later", watch=created.append)
    zk.get_children("/", watch=children.append)
    assert http("PUT", "/v1/main/znodes/later", b"")[0] == 201
    until(lambda: created and children, "no event")
    assert (created[0].type, created[0].path) == ("CREATED", "/later"), created
    assert (children[0].type, children[0].path) == ("CHILD", "/"), children
    deleted = []
    zk.get("/later", watch=deleted.append)
    assert http("DELETE", "/v1/main/znodes/later")[0] == 204
    until(lambda: deleted, "no event")
    assert deleted[0].type == "DELETED", deleted


@case("an ephemeral goes with its session, and stays while the session lives")
def ephemeral(zk):
    other = client()
    other.create("/here", ephemeral=True)
    assert zk.exists("/here").ephemeralOwner == other.client_id[0]
    gone = []
    zk.exists("/here", watch=gone.append)
    other.stop()
    until(lambda: gone, "the session was closed and its ephemeral is still there")
    assert zk.exists("/here") is None
    other.close()


@case("an ephemeral of a client that died without a word goes when its session expires")
def expiry(zk):
    program = (
        "import os, sys; from kazoo.client import KazooClient; zk = KazooClient(sys.argv[1], timeout=4); "
        "zk.start(); zk.create('/dying', ephemeral=True); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, HOSTS], check=True, timeout=PATIENCE_S)
    until(lambda: zk.exists("/dying") is None, "the session never expired")


@case("a transaction happens as a whole or not at all")
def transaction(zk):
    done = zk.transaction()
    done.create("/tx", b"a")
    done.set_data("/tx", b"b")
    done.check("/tx", 1)
    results = done.commit()
    assert (results[0], results[1].version, results[2]) == ("/tx", 1, True), results
    refused = zk.transaction()
    refused.set_data("/tx", b"c")
    refused.check("/tx", 9)
    refused.delete("/tx")
    kinds = [type(result).__name__ for result in refused.commit()]
    assert kinds == ["RolledBackError", "BadVersionError", "RuntimeInconsistency"], kinds
    assert zk.get("/tx")[0] == b"b"


@case("versions guard writes, from either side")
def versions(zk):
    zk.create("/guarded", b"0")
    assert http("PUT", "/v1/main/znodes/guarded", b"1", {"If-Match": '"0"'})[0] == 200
    try:
        zk.set("/guarded", b"x", version=0)
        raise AssertionError("a stale version was accepted")
    except BadVersionError:
        pass
    zk.set("/guarded", b"2", version=1)
    assert http("PUT", "/v1/main/znodes/guarded", b"x", {"If-Match": '"1"'})[0] == 412
    try:
        zk.create("/guarded")
        raise AssertionError("a znode was created twice")
    except NodeExistsError:
        pass


@case("a znode with a digest ACL is its owner's alone")
def acl(zk):
    owner = client(auth_data=[("digest", "ann:secret")])
    owner.create("/private", b"mine", acl=[make_digest_acl("ann", "secret", all=True)])
    assert owner.get("/private")[0] == b"mine"
    try:
        zk.get("/private")
        raise AssertionError("a stranger read it")
    except NoAuthError:
        pass
    assert http("GET", "/v1/main/znodes/private")[0] == 403
    owner.stop()
    owner.close()


class Intervals:
    """Who held the lock when, by one clock."""

    def __init__(self):
        self.held = []
        self.inside = 0
        self.guard = threading.Lock()
        self.faults = []

    def hold(self, who):
        with self.guard:
            self.inside += 1
            if self.inside != 1:
                self.faults.append("%s came in while another was inside" % who)
        began = time.monotonic()
        time.sleep(0.02)
        with self.guard:
            self.inside -= 1
            self.held.append((began, time.monotonic(), who))

    def check(self, expected):
        assert self.faults == [], self.faults
        held = sorted(self.held)
        for (_, end, earlier), (begin, _, later) in zip(held, held[1:]):
            assert end <= begin, "%s and %s overlap" % (earlier, later)
        counts = {who: sum(1 for _, _, by in held if by == who) for who in expected}
        assert counts == expected, counts


@case("two kazoo locks and two HTTP locks exclude each other, and fencing tokens only grow")
def locks(zk):
    rounds = 5
    intervals, tokens, faults = Intervals(), [], []

    def with_kazoo(who):
        own = client()
        lock = own.Lock("/jobs/42", who)
        for _ in range(rounds):
            with lock:
                intervals.hold(who)
        own.stop()
        own.close()

    def with_http(who):
        body = json.dumps({"mode": "exclusive", "ttl": "30s", "wait": "60s", "owner": who}).encode()
        for _ in range(rounds):
            status, _, text = http("POST", "/v1/main/locks/jobs/42", body)
            assert status == 201, (status, text)
            grant = json.loads(text)
            intervals.hold(who)
            tokens.append(int(grant["token"], 16))
            status, _, text = http("DELETE", "/v1/main/locks/jobs/42?id=" + grant["id"])
            assert status == 204, (status, text)

    def guarded(work, who):
        try:
            work(who)
        except BaseException:
            faults.append(traceback.format_exc())

    contenders = [(with_kazoo, "kazoo 1"), (with_kazoo, "kazoo 2"), (with_http, "http 1"), (with_http, "http 2")]
    threads = [threading.Thread(target=guarded, args=each, daemon=True) for each in contenders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S * 3)
        assert not thread.is_alive(), "a contender waits for ever"
    assert faults == [], faults[0]
    intervals.check({who: rounds for _, who in contenders})
    assert tokens == sorted(set(tokens)), tokens


@case("a lock held by kazoo is seen and refused over HTTP, and the other way round")
def lock_refused(zk):
    lock = zk.Lock("/jobs/43", "kazoo")
    with lock:
        body = json.dumps({"wait": "100ms"}).encode()
        status, _, text = http("POST", "/v1/main/locks/jobs/43", body)
        assert status == 409, (status, text)
        assert "kazoo" in http("GET", "/v1/main/locks/jobs/43")[2]
    grant = json.loads(http("POST", "/v1/main/locks/jobs/43", b'{"owner": "curl"}')[2])
    assert lock.contenders() == ["curl"], lock.contenders()
    assert not lock.acquire(blocking=False)
    assert http("DELETE", "/v1/main/locks/jobs/43?id=" + grant["id"])[0] == 204
    assert lock.acquire(timeout=PATIENCE_S)
    lock.release()


@case("shared HTTP locks and kazoo's read locks hold together, and a write lock waits for them")
def shared_locks(zk):
    body = json.dumps({"mode": "shared", "wait": "10s"}).encode()
    grants = [json.loads(http("POST", "/v1/main/locks/shared", body)[2]) for _ in range(2)]
    reader, writer = zk.ReadLock("/shared", "reader"), zk.WriteLock("/shared", "writer")
    assert reader.acquire(timeout=PATIENCE_S)
    assert not writer.acquire(blocking=False)
    for grant in grants:
        assert http("DELETE", "/v1/main/locks/shared?id=" + grant["id"])[0] == 204
    reader.release()
    assert writer.acquire(timeout=PATIENCE_S)
    assert http("POST", "/v1/main/locks/shared", b'{"mode": "shared"}')[0] == 409
    writer.release()


@case("kazoo's counter, queue, election and barrier work as on ZooKeeper")
def recipes(zk):
    other = client()
    counter, same = zk.Counter("/recipes/counter"), other.Counter("/recipes/counter")
    for _ in range(3):
        counter += 2
        same -= 1
    assert counter.value == 3, counter.value
    queue = zk.LockingQueue("/recipes/queue")
    queue.put_all([b"a", b"b"])
    taken = other.LockingQueue("/recipes/queue")
    assert taken.get(timeout=PATIENCE_S) == b"a" and taken.consume()
    elected = []
    zk.Election("/recipes/election", "first").run(lambda: elected.append("first"))
    other.Election("/recipes/election", "second").run(lambda: elected.append("second"))
    assert elected == ["first", "second"], elected
    barrier = zk.Barrier("/recipes/barrier")
    barrier.create()
    waiting = threading.Thread(target=lambda: elected.append(other.Barrier("/recipes/barrier").wait(PATIENCE_S)))
    waiting.start()
    assert barrier.remove()
    waiting.join(PATIENCE_S)
    assert elected[-1] is True, elected
    other.stop()
    other.close()


@case("reconfig, as the super user: a server joins, becomes a participant, and leaves for good")
def reconfigures(zk):
    path = "/zookeeper/config"
    joiner = "server.9=member-9:2888:3888:%s;2181"
    events = []
    before = zk.get(path, watch=events.append)[0].decode()
    assert before.startswith("server.1="), before
    try:
        zk.reconfig(joining=joiner % "observer", leaving=None, new_members=None)
        raise AssertionError("anybody may reconfigure")
    except NoAuthError:
        pass
    operator = client()
    operator.add_auth("digest", "super:test")
    data, stat = operator.reconfig(joining=joiner % "observer", leaving=None, new_members=None)
    assert "server.9=member-9:2888:3888:observer;0.0.0.0:2181\n" in data.decode(), data
    assert data.decode().endswith("version=%x" % stat.mzxid), (data, stat)
    until(lambda: events, "no event")
    assert (events[0].type, events[0].path) == ("CHANGED", path), events
    try:
        operator.reconfig(joining=None, leaving="9", new_members=None, from_config=1)
        raise AssertionError("another version was taken")
    except BadVersionError:
        pass
    data, stat = operator.reconfig(
        joining=joiner % "participant", leaving=None, new_members=None, from_config=stat.mzxid
    )
    assert "server.9=member-9:2888:3888:participant" in data.decode(), data

    def has_joined():
        members = json.loads(http("GET", "/v1/main/members")[2])["members"]
        return any(member["id"] == 9 and member.get("role") == "following" for member in members)

    until(has_joined, "server 9 does not follow")
    zk.create("/with-nine", b"members")
    data, _ = operator.reconfig(joining=None, leaving="9", new_members=None)
    assert "server.9" not in data.decode(), data
    try:
        operator.reconfig(joining=joiner % "observer", leaving=None, new_members=None)
        raise AssertionError("an id was used again")
    except BadArgumentsError:
        pass
    assert zk.get("/with-nine")[0] == b"members"
    operator.stop()
    operator.close()


@case("killed with SIGKILL and started again, the server gives the client its session back")
def kill(zk):
    session_id = zk.client_id[0]
    states, seen = [], []
    zk.add_listener(states.append)
    zk.create("/mine", ephemeral=True)
    zk.create("/survivor", b"one")
    zk.DataWatch("/survivor", lambda data, stat: seen.append(data))
    written = [zk.create("/kept-", b"", sequence=True) for _ in range(50)]
    ask_for_kill()
    until(lambda: zk.connected, "not connected again")
    assert zk.client_id[0] == session_id, "another session"
    assert KazooState.LOST not in states, states
    assert KazooState.SUSPENDED in states, "the server was never away"
    assert zk.exists("/mine").ephemeralOwner == session_id
    for path in written:
        assert zk.exists(path) is not None, path
    assert http("PUT", "/v1/main/znodes/survivor", b"two")[0] == 200
    until(lambda: seen and seen[-1] == b"two", "the watch is gone: %r" % seen)


def main():
    zk = client()
    for title, function in cases:
        try:
            function(zk)
            say({"case": title, "ok": True})
        except BaseException as error:
            detail = "".join(traceback.format_exception_only(type(error), error)).strip()
            line = traceback.extract_tb(error.__traceback__)[1:2]
            where = " (line %d)" % line[0].lineno if line else ""
            say({"case": title, "ok": False, "detail": detail + where})
    zk.stop()
    zk.close()


if __name__ == "__main__":
    main()
    # A lock thread that still waits must not keep the process.
    os._exit(0)
