# SPDX-License-Identifier: MIT
"""The other generation of Docker and Compose: those of Debian 13 (26.1, 2.26), in a root of its own, with the images and the compose
file that are built here. The programs in them are this host's."""
import shutil
import subprocess

import pytest

from conftest import image, system

ROOT = system.ROOT
IN_THERE = r"""
set -u
umount -l /.old
cd /project; ip link set lo up
export DOCKER_HOST=unix:///run/d.sock DOCKER_SOCKET=/run/d.sock DOCKER_BUILDKIT=0 COMPOSE_PROJECT_NAME=v2
dockerd --data-root /var/lib/d --exec-root /run/d --pidfile /run/d.pid -H $DOCKER_HOST --bridge=none --iptables=false --ip6tables=false >/tmp/log 2>&1 & d=$!
for i in $(seq 60); do docker version >/dev/null 2>&1 && break; sleep 1; done
docker version -f 'engine {{.Server.Version}}'; docker-compose version
docker import base.tar base:1 >/dev/null
mkdir -p etc secrets; install -d -m 700 state log; install -m 644 packaging/docker/policy.yaml etc/
(umask 077; head -c 32 /dev/urandom | base64 >secrets/audit.key)
export CLAWRDEN_ETC=$PWD/etc CLAWRDEN_STATE=$PWD/state CLAWRDEN_LOG=$PWD/log CLAWRDEN_SECRETS=$PWD/secrets WARDEN_BASE=base:1 PRISONER_BASE=base:1
export LOCK_BINARIES=date,rm CLAWRDEN_TOOLS="date rm"
docker-compose --profile monitoring config -q && echo "the file is right"
docker-compose build >/tmp/build 2>&1 || tail -n 30 /tmp/build
docker-compose up -d
for i in $(seq 90); do docker-compose ps | grep warden | grep -q '(healthy)' && break; sleep 1; done
person() { docker-compose exec -T warden clawrden "$@"; }
docker-compose exec -T prisoner-one sh -c 'echo 1 >/app/a; rm /app/a && echo removed; mkdir /app/d; rm -r /app/d; echo "status $?"'
docker-compose exec -T prisoner-two date +%Y-asked & agent=$!
for i in $(seq 60); do person queue | grep -q date && break; sleep 1; done
person approve "$(person queue --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' | head -n 1)"
wait $agent
scripts/harden-container.sh --programs build/image/prisoner --base-image base:1 --output-image hard:1 --lock-binaries date
docker-compose down -v -t 3
kill $d; wait $d
echo "== done"
"""


@pytest.mark.slow
def test_the_fleet_with_the_engine_and_compose_of_debian_13(engine):
    root = engine.dir / "trixie"
    root.mkdir()
    with open(engine.dir / "trixie-root.tar", "wb") as out:
        image.write_debootstrap(out, "trixie", ("docker.io", "docker-cli", "docker-compose", "iptables", "iproute2"))
    subprocess.run(["tar", "-C", root, "--numeric-owner", "-xf", engine.dir / "trixie-root.tar"], check=True)
    subprocess.run([ROOT / "build-aux/image-context.sh", "build/image"], check=True, cwd=ROOT)
    project = root / "project"
    (project / "build").mkdir(parents=True)
    for name in ("docker-compose.yml", "packaging", "scripts", "build/image"):
        subprocess.run(["cp", "-r", ROOT / name, project / name], check=True)
    with open(project / "base.tar", "wb") as out:
        image.write(out)
    (root / "run.sh").write_text(IN_THERE)
    enter = """mount --make-rprivate /; mount --bind "$0" "$0"; mkdir -p "$0/.old"
mount -t proc proc "$0/proc"; mount --rbind /sys "$0/sys"; mount --rbind /dev "$0/dev"; mount -t tmpfs -o mode=755 tmpfs "$0/run"
mount -t tmpfs -o mode=1777 tmpfs "$0/tmp"; cd "$0"; pivot_root . .old; exec chroot . bash /run.sh"""
    done = subprocess.run(["unshare", "-mn", "sh", "-euc", enter, root], capture_output=True, text=True, timeout=500, stdin=subprocess.DEVNULL,
                          env={"PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"})
    shutil.rmtree(root, ignore_errors=True)
    said = done.stdout + done.stderr
    assert done.stdout.endswith("== done\n"), said[-4000:]
    for words in ("engine 26.", "Compose version 2.", "the file is right", "removed\nstatus 126\n", "-asked\n", "refused by no-recursive-rm", "hard:1 is ready"):
        assert words in said, (words, said[-4000:])
