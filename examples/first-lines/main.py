"""The same from Python, with kazoo, over ZooKeeper's own protocol."""

import os
import threading

from kazoo.client import KazooClient

zk = KazooClient(os.environ.get("EK_ZOOKEEPER", "127.0.0.1:2181"))
zk.start()
seen = threading.Event()


def changed(event):
    print("dataChanged" if event.type == "CHANGED" else event.type, event.path)
    seen.set()


zk.create("/test", b"data")
data, stat = zk.get("/test", watch=changed)
print(data.decode())

zk.set("/test", b"more")
seen.wait(10)

zk.delete("/test")
zk.stop()
