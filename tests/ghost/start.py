#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""start.py CONN NAME ARGV...: starts NAME with the streams that the shim at the other end of CONN lends, and hands its signals on."""
import ctypes
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
import shim_fakes as fakes  # noqa: E402

PR_SET_PDEATHSIG = 1  # what it starts does not outlive it


def hand_on(peer, command):
    try:
        while True:
            kind, payload = peer.message()
            if kind == fakes.SIGNAL:
                command.send_signal(struct.unpack(">I", payload)[0])
    except (EOFError, OSError):
        command.kill()


peer = fakes.Peer(socket.socket(fileno=int(sys.argv[1])))
peer.streams(keep=True)
peer.sock.settimeout(60)
command = subprocess.Popen(sys.argv[3:], executable=f"/usr/bin/{sys.argv[2]}", stdin=peer.fds[0], stdout=peer.fds[1], stderr=peer.fds[2],
                           user=65534, extra_groups=[],
                           preexec_fn=lambda: ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
threading.Thread(target=hand_on, args=(peer, command), daemon=True).start()
status = command.wait()
peer.send(fakes.ended(fakes.BY_SIGNAL if status < 0 else fakes.CODE, abs(status)))
sys.exit(abs(status))
