# SPDX-License-Identifier: MIT
"""What the native mirror costs, against a plain exec in the same container and an exec by the engine's API, in one run.

    python3 tests/docker-smoke/bench.py [ROUNDS]        # prints a table; test_bench.py holds what a loaded machine can meet of it
"""
import http.client
import json
import pathlib
import socket
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# Runs in the container. Ways take turns, so that what else the machine does hits all of them.
INSIDE = r"""
import json, os, sys, time
ways, rounds, big, at_once = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
env = dict(os.environ)

def one(path):
    begun = time.perf_counter()
    pid = os.posix_spawn(path, [os.path.basename(path)], env)
    status = os.waitpid(pid, 0)[1]
    assert status == 0, (path, status)
    return time.perf_counter() - begun

def many(path, count, width):
    begun = time.perf_counter()
    running, started = 0, 0
    while started < count or running:
        while running < width and started < count:
            os.posix_spawn(path, [os.path.basename(path)], env)
            started += 1
            running += 1
        assert os.waitpid(-1, 0)[1] == 0
        running -= 1
    return count / (time.perf_counter() - begun)

def bulk(path, size):
    r, w = os.pipe()
    begun = time.perf_counter()
    pid = os.posix_spawn(path, ["head", "-c", str(size), "/dev/zero"], env, file_actions=[(os.POSIX_SPAWN_DUP2, w, 1), (os.POSIX_SPAWN_CLOSE, r)])
    os.close(w)
    got, buf = 0, bytearray(1 << 18)
    while n := os.readv(r, [buf]):
        got += n
    os.close(r)
    assert got == size and os.waitpid(pid, 0)[1] == 0
    return size / (time.perf_counter() - begun)

out = {}
for name, folder in ways.items():
    [one(folder + "/true") for _ in range(5)]
times = {name: [] for name in ways}
for _ in range(rounds):
    for name, folder in ways.items():
        times[name].append(one(folder + "/true"))
out["times"] = times
if big:
    out["bulk"] = {name: bulk(folder + "/head", big) for name, folder in ways.items()}
if at_once:
    out["many"] = {name: many(folder + "/true", at_once * 10, at_once) for name, folder in ways.items()}
print(json.dumps(out))
"""


class Api(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def engine_exec(path, container):
    """Seconds of one `true` by the engine's API: made, started, its stream at its end."""
    a = Api(path)
    begun = time.perf_counter()
    body = json.dumps({"AttachStdout": True, "AttachStderr": True, "Cmd": ["/usr/bin/true"], "User": "1000"})
    a.request("POST", f"/containers/{container}/exec", body, {"Content-Type": "application/json"})
    made = json.loads(a.getresponse().read())
    a.request("POST", f"/exec/{made['Id']}/start", '{"Detach":false,"Tty":false}', {"Content-Type": "application/json"})
    a.getresponse().read()
    return time.perf_counter() - begun


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p))]


def measure(container, socket_path, rounds=300, engine_rounds=30, big=1 << 30, at_once=32, parts=10):
    """In `parts`, each with some of all ways, the engine's among them: what else the machine does hits all alike."""
    ways = {"plain": "/usr/bin", "mirror": "/opt/shims"}
    times, bulk, many = {"plain": [], "mirror": [], "engine": []}, [], []
    for part in range(parts):
        also_long = part % 3 == 0
        done = container.exec("/usr/bin/python3", "-c", INSIDE, json.dumps(ways), str(-(-rounds // parts)), str(big if also_long else 0),
                              str(at_once if also_long else 0), env=container.ENV, timeout=900)
        r = json.loads(done.stdout)
        for k, v in r["times"].items():
            times[k] += v
        if also_long:
            bulk.append(r["bulk"])
            many.append(r["many"])
        times["engine"] += [engine_exec(socket_path, container.id) for _ in range(-(-engine_rounds // parts))]
    r = {"times": times, "median": {k: statistics.median(v) for k, v in times.items()}, "p99": {k: percentile(v, 0.99) for k, v in times.items()},
         "bulk": {k: statistics.median(x[k] for x in bulk) for k in ways}, "many": {k: statistics.median(x[k] for x in many) for k in ways}}
    # What it takes while the machine does nothing else: one in ten.
    low = {k: percentile(v, 0.1) for k, v in times.items()}
    r["low"] = {"plain": low["mirror"] / low["plain"], "engine": low["engine"] / low["mirror"],
                "bulk": max(x["mirror"] / x["plain"] for x in bulk), "many": max(x["mirror"] / x["plain"] for x in many)}
    r["ratio"] = {"median": r["median"]["mirror"] / r["median"]["plain"], "p99": r["p99"]["mirror"] / r["p99"]["plain"],
                  "engine": r["median"]["engine"] / r["median"]["mirror"],
                  "bulk": statistics.median(x["mirror"] / x["plain"] for x in bulk), "many": statistics.median(x["mirror"] / x["plain"] for x in many)}
    return r


BARS = {"median": ("<", 2), "p99": ("<", 5), "engine": (">", 25), "bulk": (">", 0.9), "many": (">", 0.5)}


def show(r):
    for k in ("plain", "mirror", "engine"):
        print(f"{k:8} median {r['median'][k] * 1e3:8.2f} ms   p99 {r['p99'][k] * 1e3:8.2f} ms")
    for k in ("plain", "mirror"):
        print(f"{k:8} 1 GiB {r['bulk'][k] / 1e9:6.2f} GB/s   32 at once {r['many'][k]:8.0f} /s")
    print("the best tenth: " + ", ".join(f"{k} {v:.2f}" for k, v in r["low"].items()))
    for k, (sign, bar) in BARS.items():
        v = r["ratio"][k]
        print(f"{k:8} {v:6.2f}  (bar {sign} {bar}: {'met' if (v < bar) == (sign == '<') else 'missed'})")


def main():
    import conftest
    e = conftest.Engine()
    try:
        e.start()
        e.load()
        w = conftest.system.Warden(conftest.OPEN, {"engine": e.socket, "socket_mode": "0666", "asks_per_minute": 0, "record_bytes_per_minute": 0})
        c = conftest.Container(e, w)
        show(measure(c, e.socket, int(sys.argv[1]) if len(sys.argv) > 1 else 300))
        c.remove()
        w.close()
    finally:
        e.close()


if __name__ == "__main__":
    main()
