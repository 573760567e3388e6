# SPDX-License-Identifier: MIT
"""Runs inside a container of test_fleet.py, under the real python: starts governed commands by their shims, and writes
one line of JSON for each that ended: [mark, exit status, begin, end, words]. Its argument is its work as JSON:
[[mark, kind, argv, caller goes after so many seconds or null], ...]; kinds have a crew of their own."""
import json
import queue
import subprocess
import sys
import threading
import time

CREWS = {"free": 3, "slow": 2, "denied": 1, "ask": 8, "brief": 4, "leaver": 3}


def run(out, lock, mark, argv, leave):
    begin = time.monotonic()
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if leave is not None:
        try:
            p.wait(leave)
        except subprocess.TimeoutExpired:
            p.kill()
    words = p.communicate()[1].decode(errors="replace")
    with lock:
        print(json.dumps([mark, p.returncode, begin, time.monotonic(), words]), file=out, flush=True)


def crew(work, lock):
    while True:
        try:
            item = work.get_nowait()
        except queue.Empty:
            return
        run(sys.stdout, lock, *item)


work, lock = {k: queue.Queue() for k in CREWS}, threading.Lock()
for mark, kind, argv, leave in json.load(sys.stdin):
    work[kind].put((mark, argv, leave))
threads = [threading.Thread(target=crew, args=(work[k], lock)) for k, n in CREWS.items() for _ in range(n)]
for t in threads:
    t.start()
for t in threads:
    t.join()
