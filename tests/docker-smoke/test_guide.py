# SPDX-License-Identifier: MIT
"""docs/docker-testing-guide.md as it is printed, in its order, on a real engine; base images are stand-ins, and what would be /etc and
/var is a directory of the test's. The README's quick start is a part of it."""
import os
import re
import subprocess

from conftest import IMAGE, system

ROOT = system.ROOT
PAGE = (ROOT / "docs/docker-testing-guide.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)


def test_every_command_of_the_page(engine):
    top = engine.dir / "guide"
    top.mkdir()
    script = "".join(f"echo '== {n}'\n{block}" for n, block in enumerate(BLOCKS))
    script = script.replace("/etc/clawrden ", f"{top}/etc ").replace("/var/lib/clawrden ", f"{top}/state ").replace("/var/log/clawrden ", f"{top}/log ")
    script = script.replace("=$PWD/secrets", f"={top}/secrets").replace("debian:bookworm-slim", IMAGE)
    script = script.replace("debian:$(. /etc/os-release; echo $VERSION_CODENAME)-slim", IMAGE)
    script = script.replace('"$(basename "$PWD" | tr A-Z a-z)_door-one"', "guide_door-one")  # the project's name, below
    assert script.count(str(top)) == 4 and script.count(IMAGE) == 2 and "guide_door-one" in script
    # `clawrden` has to reach the loopback of the engine's network.
    done = subprocess.run(["nsenter", "-t", str(engine.process.pid), "-n", "bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True,
                          timeout=400, cwd=ROOT, stdin=subprocess.DEVNULL,
                          env={"PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(top), "DOCKER_HOST": f"unix://{engine.socket}",
                               "DOCKER_SOCKET": str(engine.socket), "COMPOSE_PROJECT_NAME": "guide", "DOCKER_BUILDKIT": "0", "LANG": "C.UTF-8"})
    said = done.stdout + done.stderr
    if done.returncode:
        subprocess.run(["docker-compose", "-p", "guide", "down", "-v", "-t", "2"], cwd=ROOT, capture_output=True, timeout=100,
                       env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"})
    assert done.returncode == 0, said[-4000:]
    parts = re.split(r"^== \d+\n", done.stdout, flags=re.M)[1:]
    assert len(parts) == len(BLOCKS)
    find = lambda words: next(p for b, p in zip(BLOCKS, parts) if words in b)
    assert find("rm /app/a") == "removed\n"
    assert done.stderr.count("refused by no-recursive-rm") == 7, done.stderr
    assert re.search(r"\d\d:\d\d:\d\d", find("prisoner-two date"))
    history = find("clawrden history")
    assert history.count("deny") >= 3 and "sound: " in history
    assert re.search(r"\d\d:\d\d:\d\d", find("date.original"))
    assert find("jails set tools").endswith("/clawrden/jail/kubectl\n")
    assert "hardened" in find("cp /bin/true /usr/bin/rm") and "cp: cannot create regular file '/usr/bin/rm'" in done.stderr


def test_the_quick_start_is_part_of_it():
    quick = re.search(r"## A fleet in ten minutes.*?```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)[1]
    known = [re.sub(r" +#.*", "", line).strip() for line in "".join(BLOCKS).splitlines()]
    at = -1
    for line in quick.splitlines():
        at = known.index(re.sub(r" +#.*", "", line).strip(), at + 1)
