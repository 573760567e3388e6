# SPDX-License-Identifier: MIT
"""docker-compose.yml with a real Compose and a real engine: the images are built without a network on stand-ins for Debian and
Alpine (image.py), the agents' commands pass, wait and are refused, and people answer from the host."""
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from conftest import BIN, DOCKER, IMAGE, image, system, wait_for

ROOT = system.ROOT
FILE = ROOT / "docker-compose.yml"
BASES = {"debian": IMAGE, "busybox": "clawrden-stand-in:busybox", "trixie": "clawrden-stand-in:trixie"}


OWNERS = {"metrics.token": 65534, "grafana.password": 472}


class Fleet:
    def __init__(self, engine, top, base):
        self.engine, self.top = engine, top
        for d in ("etc", "state", "log", "secrets"):
            (top / d).mkdir()
        shutil.copy(ROOT / "packaging/docker/policy.yaml", top / "etc/policy.yaml")
        for name in ("audit.key", "metrics.token", "grafana.password"):
            (top / "secrets" / name).write_text("0123456789abcdef0123456789abcdef\n")
            (top / "secrets" / name).chmod(0o600)
        for name, uid in OWNERS.items():
            os.chown(top / "secrets" / name, uid, -1)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(top), "DOCKER_HOST": f"unix://{engine.socket}", "COMPOSE_PROJECT_NAME": "t" + base,
                    "DOCKER_SOCKET": str(engine.socket), "CLAWRDEN_ETC": str(top / "etc"), "CLAWRDEN_STATE": str(top / "state"),
                    "CLAWRDEN_LOG": str(top / "log"), "CLAWRDEN_SECRETS": str(top / "secrets"), "WARDEN_BASE": IMAGE,
                    "PRISONER_BASE": BASES.get(base, base), "LOCK_BINARIES": "rm,date,npm", "CLAWRDEN_TOOLS": "rm date npm", "DOCKER_BUILDKIT": "0"}

    def compose(self, *args, check=True, timeout=300):
        done = subprocess.run(["docker-compose", "-f", FILE, *args], capture_output=True, text=True, timeout=timeout, env=self.env, stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def agent(self, service, script):
        return subprocess.Popen(["docker-compose", "-f", FILE, "exec", "-T", service, "sh", "-c", script], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=self.env, stdin=subprocess.DEVNULL)

    def run(self, service, script):
        p = self.agent(service, script)
        out, err = p.communicate(timeout=60)
        return p.returncode, out, err

    def person(self, *args):
        """`clawrden` of the host, in whose network the engine of this test does not live."""
        done = subprocess.run(["nsenter", "-t", str(self.engine.process.pid), "-n", BIN / "clawrden", "--api", "http://127.0.0.1:8421", "--token-file",
                               self.top / "state/token", *args], capture_output=True, text=True, timeout=30, env={"HOME": str(self.top)})
        assert done.returncode == 0, done
        return done.stdout

    def health(self, service):
        id = self.compose("ps", "-q", service).stdout.strip()
        return self.engine.docker("inspect", "-f", "{{.State.Health.Status}}", id, check=False).stdout.decode().strip()


@pytest.fixture(scope="module")
def context(engine):
    with open(engine.dir / "busybox.tar", "wb") as out:
        image.write_busybox(out)
    engine.docker("import", str(engine.dir / "busybox.tar"), BASES["busybox"])
    subprocess.run([ROOT / "build-aux/image-context.sh", "build/image"], check=True, cwd=ROOT)


@pytest.fixture(scope="module", params=["debian", *(pytest.param(base, marks=pytest.mark.slow) for base in ("busybox", "trixie"))])
def fleet(engine, context, request):
    if request.param == "trixie":
        with open(engine.dir / "trixie.tar", "wb") as out:
            image.write_debootstrap(out, "trixie")
        engine.docker("import", str(engine.dir / "trixie.tar"), BASES["trixie"])
    # Where nobody else may write on the way: the warden looks.
    top = engine.dir / request.param
    top.mkdir()
    f = Fleet(engine, top, request.param)
    f.compose("build", "--force-rm")
    try:
        f.compose("up", "-d")
        wait_for(lambda: {f.health(s) for s in ("warden", "prisoner-one", "prisoner-two")} == {"healthy"}, 90, "all are healthy")
        yield f
    finally:
        logs = f.compose("logs", "warden", check=False).stdout
        f.compose("down", "-v", "-t", "3", check=False)
        print(logs[-3000:], file=sys.stderr)


def test_a_base_that_cannot_run_the_warden_is_refused_with_words(engine, context):
    done = subprocess.run([DOCKER, "-H", f"unix://{engine.socket}", "build", "--force-rm", "--build-arg", f"WARDEN_BASE={BASES['busybox']}", ROOT / "build/image/warden"],
                          capture_output=True, text=True, timeout=100, env={"PATH": os.environ["PATH"], "DOCKER_BUILDKIT": "0"})
    assert done.returncode and "WARDEN_BASE has to be the Debian release that the programs were built on" in done.stdout + done.stderr, done


def test_an_agent_is_governed_and_answered_from_the_host(fleet):
    code, out, err = fleet.run("prisoner-one", "echo x > /app/a; rm /app/a; echo $?; ls /app; mkdir /app/d; rm -r /app/d")
    assert out == "0\n" and code == 126 and "no-recursive-rm" in err, (code, out, err)
    asked = fleet.agent("prisoner-two", "/bin/date +%Y; id -u")
    line = wait_for(lambda: re.search(r"^(\w+) .* 1000 +default_action +(?:/bin/)?date", fleet.person("queue"), re.M), 30, "it waits")
    fleet.person("approve", line[1])
    out, err = asked.communicate(timeout=30)
    assert re.fullmatch(r"\d{4}\n1000\n", out), (out, err)
    history = fleet.person("history")
    assert re.search(r"allow +exit 0 .*rm /app/a", history) and re.search(r"deny .*rm -r /app/d", history), history
    # `clawrden` in the warden's own container works as well; the log is sealed with the secret.
    assert "sealed         yes" in fleet.compose("exec", "-T", "warden", "clawrden", "status").stdout
    done = subprocess.run([BIN / "clawrden", "audit", "verify", "--key", fleet.top / "secrets/audit.key", "--head", fleet.top / "state/audit.head",
                           fleet.top / "log/audit.jsonl"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done
    assert {"one", "two"} <= set(re.findall(r'"clawrden.prisoner":"(\w+)"', (fleet.top / "log/audit.jsonl").read_text()))


def test_a_prisoner_has_what_it_needs_and_no_more(fleet):
    code, out, err = fleet.run("prisoner-one", "id -u; cat /proc/net/dev | grep -c :; touch /clawrden/bin/x 2>&1; touch /var/run/clawrden/x 2>&1; "
                               "ls -A /var/run/clawrden; ls /run/docker.sock /var/lib/clawrden 2>&1; grep -h -E 'CapBnd|NoNewPrivs' /proc/self/status")
    lines = out.splitlines()
    assert lines[:2] == ["1000", "1"] and out.count("Read-only file system") == 2, out
    assert "warden.sock" in lines and out.count("No such file") == 2
    assert "CapBnd:\t0000000000000000" in out and "NoNewPrivs:\t1" in out


@pytest.mark.parametrize("service,secret", [("prometheus", "metrics_token"), ("grafana", "grafana_password")])
def test_each_user_reads_its_own_secret(fleet, service, secret):
    """As docs/docker-testing-guide.md sets the owners. The images are stand-ins: the user, mounts and modes are the file's."""
    fleet.env |= {"PROMETHEUS_IMAGE": IMAGE, "GRAFANA_IMAGE": IMAGE}
    run = lambda *args: fleet.compose("--profile", "monitoring", "run", "--rm", "--no-deps", "-T", *args, check=False)
    done = run("--entrypoint", "cat", service, f"/run/secrets/{secret}")
    assert done.returncode == 0 and done.stdout.startswith("0123"), done
    done = run("-u", "1000", "--entrypoint", "cat", service, f"/run/secrets/{secret}")
    assert done.returncode != 0 and "Permission denied" in done.stdout + done.stderr, done


def test_the_warden_comes_back(fleet):
    """An upgrade: the container of the warden is another one, the prisoners stay, with the shims that they had."""
    before = fleet.compose("ps", "-q", "prisoner-one").stdout
    fleet.compose("up", "-d", "--force-recreate", "--no-deps", "warden")
    wait_for(lambda: fleet.health("warden") == "healthy", 60, "the new one is healthy")
    assert fleet.compose("ps", "-q", "prisoner-one").stdout == before
    wait_for(lambda: fleet.run("prisoner-one", "echo > /app/b; rm /app/b")[0] == 0, 30, "commands pass again")


def test_without_the_warden_nothing_runs(fleet):
    fleet.compose("stop", "-t", "5", "warden")
    code, out, err = fleet.run("prisoner-one", "/bin/date")
    assert code == 125 and out == "" and "cannot reach the warden" in err
    fleet.compose("start", "warden")
    wait_for(lambda: fleet.health("warden") == "healthy", 60)


# ---- the file ----

def mount(v):
    """(source, target, options) of a volume, which Compose 1 prints as one string and 2 as a mapping."""
    if isinstance(v, str):
        source, target, options = (v + ":").split(":")[:3]
        return source, target, set(options.split(",")) - {"rw", ""}
    return v["source"], v["target"], {o for o, on in (("ro", v.get("read_only")), ("nocopy", v.get("volume", {}).get("nocopy"))) if on}


def test_both_generations_of_compose_take_the_file(tmp_path):
    """Debian 12's is Compose 1.29, the stricter one, and Debian 13's 2.26."""
    subprocess.run([ROOT / "build-aux/image-context.sh", "build/image"], check=True, cwd=ROOT)
    done = subprocess.run(["docker-compose", "-f", FILE, "--profile", "monitoring", "config"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == {"warden", "prisoner-one", "prisoner-two", "prometheus", "grafana"}
    w = services["warden"]
    assert w["pid"] == "host" and not w.get("privileged") and set(w["cap_add"]) == {"SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_NICE"}
    for name in ("prisoner-one", "prisoner-two"):
        p = services[name]
        assert p["network_mode"] == "none" and p["cap_drop"] == ["ALL"]
        volumes = [mount(v) for v in p["volumes"]]
        assert any(source == "shims" and options == {"ro", "nocopy"} for source, _, options in volumes)
        assert any(target.startswith("/app") for _, target, _ in volumes)
        assert not any(part in place for v in volumes for place in v[:2] for part in ("docker.sock", "/etc/clawrden", "/var/lib"))
    assert all(services[n]["profiles"] == ["monitoring"] for n in ("prometheus", "grafana"))


def test_each_capability_is_explained():
    text = FILE.read_text().split("cap_add:")[1].split("security_opt")[0]
    caps = [line for line in text.splitlines() if line.strip().startswith("- ")]
    assert len(caps) == 4 and all(re.search(r"- [A-Z_]+ +# \S+ \w+", line) for line in caps)


def test_the_policy_to_begin_with_is_one():
    done = subprocess.run([BIN / "clawrden", "policy", "check", ROOT / "packaging/docker/policy.yaml"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr


def test_prometheus_takes_its_configuration(tmp_path):
    for name in ("prometheus.yml", "clawrden-alerts.yml"):
        text = (ROOT / "packaging/prometheus" / name).read_text().replace("/etc/prometheus/", f"{tmp_path}/").replace("/run/secrets/", f"{tmp_path}/")
        (tmp_path / name).write_text(text)
    (tmp_path / "metrics_token").write_text("x\n")
    done = subprocess.run(["promtool", "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
