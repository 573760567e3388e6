# SPDX-License-Identifier: MIT
"""The metrics as Prometheus sees them: the real promtool reads the page, the real server scrapes a warden, loads the
alert rules and answers every question of the Grafana board."""
import json
import re
import socket
import subprocess
import urllib.parse
import urllib.request

import pytest
import yaml

from conftest import POLICY, ROOT, wait_for
from test_api import finish, held, post

ALERTS = ROOT / "packaging/prometheus/clawrden-alerts.yml"
BOARD = ROOT / "packaging/grafana/clawrden.json"


def value(text, series):
    """The value of a series, written as on the page; None when it is not there."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.M)
    return float(found[1]) if found else None


@pytest.fixture
def used(warden):
    warden.run("true")
    warden.run("rm", "x")
    warden.run('no"such\\to\nol')
    p, id = held(warden)
    post(warden, f"/api/queue/{id}/approve")
    finish(p)
    p, id = held(warden)
    post(warden, f"/api/queue/{id}/deny")
    finish(p)
    post(warden, "/api/policy/reload")
    warden.set_policy("rules: [{}]\n")
    post(warden, "/api/policy/reload")
    return warden


def test_promtool_reads_the_page(used):
    done = subprocess.run(["promtool", "check", "metrics"], input=used.metrics(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stdout and not done.stderr, (done.stdout, done.stderr)


def test_they_count_what_happened(used):
    m = used.metrics()
    assert value(m, 'clawrden_requests_total{command="true",decision="allow"}') == 1
    assert value(m, 'clawrden_requests_total{command="git",decision="ask-approved"}') == 1
    assert value(m, 'clawrden_container_requests_total{container="(host)",decision="ask-denied"}') == 1
    assert value(m, "clawrden_decision_duration_seconds_count") == 3
    for outcome, n in (("approved", 1), ("denied", 1), ("expired", 0), ("withdrawn", 0)):
        assert value(m, f'clawrden_approval_wait_seconds_count{{outcome="{outcome}"}}') == n
    assert value(m, "clawrden_asks_total") == 2 and value(m, "clawrden_quick_answers_total") == 2
    assert value(m, 'clawrden_policy_reloads_total{result="loaded"}') >= 1
    assert value(m, 'clawrden_policy_reloads_total{result="refused"}') == 1
    assert value(m, "clawrden_audit_records") == used.records()[-1]["seq"]
    assert value(m, "clawrden_audit_bytes_total") == used.audit.stat().st_size == value(m, "clawrden_audit_file_bytes")
    assert value(m, "process_resident_memory_bytes") > 1e6 and value(m, "process_open_fds") > 5
    assert re.search(r'^clawrden_build_info\{version="[^"]+"\} 1$', m, re.M)
    assert "no\\" not in m and "such" not in m  # a name that an agent made up is counted as other
    wait_for(lambda: value(used.metrics(), "clawrden_audit_unsynced_records") == 0, what="all is on the disk")
    wait_for(lambda: value(used.metrics(), "clawrden_index_behind_records") == 0, what="the index has all")


def test_what_runs_is_told_by_container(warden):
    p = warden.popen("sleep", "60")
    wait_for(lambda: value(warden.metrics(), 'clawrden_container_running{container="(host)"}') == 1)
    post(warden, "/api/kill", {"all": True, "signal": 9})
    finish(p)
    wait_for(lambda: value(warden.metrics(), "clawrden_running") == 0)


def test_rules_and_board_name_what_is_there(used):
    """Every name in them is a metric of the page, and every one that a rule needs."""
    text = used.metrics()
    there = set(re.findall(r"^# TYPE (\w+) ", text, re.M))
    there |= {f"{n}{end}" for n in re.findall(r"^# TYPE (\w+) histogram", text, re.M) for end in ("_bucket", "_sum", "_count")}
    for file in (ALERTS, BOARD):
        named = set(re.findall(r"\b(?:clawrden|process)_\w+", file.read_text()))
        assert named and named <= there, named - there
    done = subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "SUCCESS" in done.stdout, (done.stdout, done.stderr)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def prometheus(used, tmp_path):
    """query(text): the result; a Prometheus that scrapes `used`."""
    (tmp_path / "token").write_text(used.token)
    config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(ALERTS)],
              "scrape_configs": [{"job_name": "clawrden", "authorization": {"credentials_file": str(tmp_path / "token")},
                                  "static_configs": [{"targets": [used.api_url.removeprefix("http://")]}]}]}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    with open(tmp_path / "log", "wb") as log:
        p = subprocess.Popen(["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--web.listen-address={address}",
                              f"--storage.tsdb.path={tmp_path}/data"], stdout=log, stderr=log, cwd=tmp_path)

    def get(path):
        try:
            with urllib.request.urlopen(f"http://{address}/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            assert p.poll() is None, (tmp_path / "log").read_text()
            return None

    get.query = lambda text: get("query?" + urllib.parse.urlencode({"query": text}))
    try:
        wait_for(lambda: (r := get.query('up{job="clawrden"}')) and r["result"] and r["result"][0]["value"][1] == "1", 60,
                 "it scrapes the warden")
        yield get
    finally:
        p.terminate()
        p.wait(20)


def test_a_real_prometheus_scrapes_it(used, prometheus):
    r = wait_for(lambda: prometheus.query("clawrden_asks_total")["result"], 20)
    assert r[0]["value"][1] == "2" and r[0]["metric"]["job"] == "clawrden"
    target = prometheus("targets")["activeTargets"][0]
    assert target["health"] == "up" and target["lastError"] == ""
    # The rules, evaluated; and the questions of the board, with what Grafana would put in.
    rules = wait_for(lambda: (g := prometheus("rules")["groups"][0]["rules"]) and all(x["health"] != "unknown" for x in g) and g, 30)
    assert {x["health"] for x in rules} == {"ok"} and len(rules) > 8
    wait_for(lambda: "ClawrdenPolicyRefused" in {a["labels"]["alertname"] for a in prometheus("alerts")["alerts"]}
             or len(prometheus.query("clawrden_policy_reloads_total[1m]")["result"][0]["values"]) > 3, 30)
    asked = 0
    for panel in json.loads(BOARD.read_text())["panels"]:
        for t in panel["targets"]:
            expr = t["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            assert "$" not in expr, expr
            assert prometheus.query(expr)["resultType"] == "vector", expr
            asked += 1
    assert asked > 15
