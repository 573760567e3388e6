# SPDX-License-Identifier: MIT
"""The Debian package: lintian has nothing to say; in a fresh Debian it is installed, upgraded with its state and with shims of the
version before, removed and purged. The fresh root is made by debootstrap once and kept in the build directory."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import ROOT, needs_root

DEPENDS = ["sensible-utils", "libargon2-1", "libcurl4", "libjansson4", "libmicrohttpd12", "libpcre2-8-0", "libsqlite3-0", "libssl3", "libuv1", "libwslay1",
           "libyaml-0-2", "zlib1g"]


def build(top, version=None):
    """The build's package, by the name of a version."""
    done = subprocess.run([ROOT / "build-aux/deb.sh", *([version] if version else [])], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    *said, path = done.stdout.strip().splitlines()
    assert not said and not done.stderr, "lintian has something to say"
    return pathlib.Path(shutil.move(path, top))


def listed(deb):
    out = subprocess.run(["dpkg", "-c", deb], capture_output=True, text=True, check=True).stdout
    return {line.split()[5].lstrip("."): line.split()[:2] for line in out.splitlines()}


def test_the_package_is_built_and_has_all_of_it(tmp_path):
    files = listed(build(tmp_path, "9.8.7"))
    for name in ("/usr/sbin/clawrden-warden", "/usr/bin/clawrden", "/usr/bin/clawrden-cli", "/usr/bin/clawrden-gate", "/usr/libexec/clawrden/clawrden-shim",
                 "/usr/libexec/clawrden/clawrden-mirror", "/etc/clawrden/policy.yaml", "/etc/clawrden/clawrden.yaml", "/usr/lib/tmpfiles.d/clawrden.conf",
                 "/usr/lib/sysusers.d/clawrden.conf", "/usr/share/clawrden/install-clawrden.sh", "/usr/share/clawrden/harden-container.sh",
                 "/usr/share/bash-completion/completions/clawrden", "/usr/share/zsh/vendor-completions/_clawrden",
                 "/usr/share/fish/vendor_completions.d/clawrden.fish", "/usr/share/man/man1/clawrden-cli.1.gz",
                 *(f"/usr/share/man/man{p.name.split('.')[1]}/{p.name[:-4]}.gz" for p in (ROOT / "docs/man").glob("*.scd"))):
        assert name in files, name
    assert any(name.endswith("systemd/system/clawrden-warden.service") for name in files)
    assert all(owner == "root/root" and not mode[5] == "w" and not mode[8] == "w" for mode, owner in files.values() if not mode.startswith("l"))


def test_a_version_that_is_none(tmp_path):
    done = subprocess.run([ROOT / "build-aux/deb.sh", "1;id"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "is no version" in done.stderr


LIFE = r"""
set -eu
mount -t proc proc /proc; mount -t tmpfs -o mode=755 tmpfs /run; mount -t tmpfs -o mode=1777 tmpfs /tmp
ip link set lo up 2>/dev/null || :
seen() { find / -xdev \( -path /proc -o -path /var/lib/dpkg -o -path /var/cache -o -path /home -o -path /deb \) -prune -o -print | sort; }
start() {
    clawrden-warden >/tmp/log 2>&1 & pid=$!
    for i in $(seq 300); do grep -q 'clawrden-warden: ready' /tmp/log && return; sleep 0.1; done
    cat /tmp/log; exit 9
}
stop() { kill $pid; wait $pid; }
as_agent() { setpriv --reuid agent --regid agent --init-groups env -C /workspace CLAWRDEN_SOCKET=/run/clawrden/warden.sock PATH="$1:$PATH" sh -c "$2"; }
seen >/tmp/before; touch /var/log/dpkg.log

echo "== install"; dpkg -i /deb/clawrden_1.0.0_amd64.deb
clawrden policy check /etc/clawrden/policy.yaml
useradd -m agent; usermod -aG clawrden agent
mkdir -p /workspace; chown agent /workspace
sed -i 's/^default_action: ask/default_action: allow/' /etc/clawrden/policy.yaml   # the administrator's own
mkdir /home/old; cp /usr/libexec/clawrden/clawrden-shim /home/old/uname
start
as_agent /home/old 'uname; uname -m'
[ "$(stat -c '%a %G' /run/clawrden/warden.sock)" = '660 clawrden' ]
clawrden jails create kept npm git; cp -a /var/lib/clawrden/jails /tmp/jail-of-a-container
stop
echo "== upgrade"; dpkg -i /deb/clawrden_2.0.0_amd64.deb
grep -q '^default_action: allow' /etc/clawrden/policy.yaml
start
[ "$(clawrden jails get kept --json | tr -d ' \n' | grep -o '"commands":\["npm","git"\]')" ] || { clawrden jails list; exit 9; }
[ "$(readlink /var/lib/clawrden/jails/kept/git)" = clawrden-shim ]
cp /tmp/jail-of-a-container/kept/clawrden-shim /home/old/uname   # what a container that runs on has of the version before
as_agent /home/old 'uname -n >/dev/null'
[ "$(clawrden history --json | grep -o '"command_line": *"uname' | wc -l)" = 3 ] || { clawrden history; exit 8; }
clawrden audit verify
stop
# State from before there were jails, and of a version that is to come.
mv /var/lib/clawrden/jails.json /tmp/jails.json; rm -r /var/lib/clawrden/jails; start; clawrden jails create other npm; stop
sed 's/"version": *1/"version": 9/' /tmp/jails.json >/var/lib/clawrden/jails.json
if timeout 20 clawrden-warden >/tmp/log 2>&1; then exit 7; fi
grep -q "jails.json' (remove it to begin without its jails)" /tmp/log || { cat /tmp/log; exit 7; }
mv /tmp/jails.json /var/lib/clawrden/jails.json; start; clawrden jails get kept >/dev/null; stop
echo "== the version before, again"; dpkg -i /deb/clawrden_1.0.0_amd64.deb 2>&1
start; as_agent /home/old 'uname'; stop
echo "== remove"; dpkg -r clawrden
[ ! -e /usr/sbin/clawrden-warden ] && [ -e /etc/clawrden/policy.yaml ] && [ -e /var/log/clawrden/audit.jsonl ] && [ -e /var/lib/clawrden/token ]
echo "== purge"; dpkg -P clawrden
! getent group clawrden
userdel agent; rm -rf /workspace; seen >/tmp/after
comm -13 /tmp/before /tmp/after | grep -vE '^/(tmp|run|var/(log|mail)|etc/(passwd|group|shadow|gshadow|subuid|subgid|\.pwd))' >/tmp/left || :
cat /tmp/left; [ ! -s /tmp/left ]
echo "== done"
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    suite = re.search(r"VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text())[1]
    kept = pathlib.Path(os.environ.get("BUILD", ROOT / "build")) / "roots" / f"deb-{suite}.tar"
    root = tmp_path_factory.mktemp("fresh") / "root"
    root.mkdir()
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["debootstrap", "--variant=minbase", f"--include={','.join(DEPENDS)}", suite, root], capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout[-2000:]
        part = kept.with_suffix(f".part{os.getpid()}")
        subprocess.run(["tar", "-C", root, "--numeric-owner", "--exclude=./var/cache/apt/archives/*.deb", "-cf", part, "."], check=True)
        part.rename(kept)
    else:
        subprocess.run(["tar", "-C", root, "--numeric-owner", "-xf", kept], check=True)
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.slow
@needs_root
def test_it_is_installed_upgraded_removed_and_purged(fresh):
    (fresh / "deb").mkdir()
    for version in ("1.0.0", "2.0.0"):
        build(fresh / "deb", version)
    done = subprocess.run(["unshare", "-mnpf", "--kill-child", "chroot", fresh, "sh", "-c", LIFE], capture_output=True, text=True, timeout=300,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"})
    assert done.returncode == 0 and done.stdout.endswith("== done\n"), done.stdout[-3000:] + done.stderr[-3000:]
    assert "Linux\nx86_64\n" in done.stdout
