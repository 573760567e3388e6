# SPDX-License-Identifier: MIT
"""Pages and filters of what waits and runs, and what a page for people asks besides: containers, figures, the policy's
text, its loads and its rules' hits."""
import hashlib
import json

import pytest

from conftest import POLICY, wait_for
from test_api import ask, finish, get, held, post

QUEUE_POLICY = POLICY + "  - {name: ask-id, command: id, action: ask, approval_timeout: 60s}\n"


def ids(a):
    assert a.status == 200, a.body
    return [x["id"] for x in a.json]


def viewer(w):
    return post(w, "/api/tokens", {"role": "viewer"}).json["token"]


@pytest.fixture
def queue(make_warden):
    """A warden with five that wait: git, id, git, git, id; [(process, id)]."""
    w = make_warden(QUEUE_POLICY)
    w.held = [held(w, name) for name in ("git", "id", "git", "git", "id")]
    yield w
    for p, id in w.held:
        post(w, f"/api/queue/{id}/deny")
        finish(p)


def pages(w, query, **kw):
    """All pages of a list, by its cursors."""
    found, cursor = [], ""
    while True:
        a = get(w, f"/api/queue?{query}{cursor}", **kw)
        found.append(ids(a))
        if "x-next-cursor" not in a.headers:
            return found
        assert a.headers["x-next-cursor"] == found[-1][-1]
        cursor = f"&cursor={a.headers['x-next-cursor']}"


def test_pages_have_everything_once_and_in_order(queue):
    all_of_it = [id for _, id in queue.held]
    assert ids(get(queue, "/api/queue")) == all_of_it == sorted(all_of_it)
    for limit, lengths in ((1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (1000, [5])):
        got = pages(queue, f"limit={limit}")
        assert [len(p) for p in got] == lengths and sum(got, []) == all_of_it
    assert get(queue, "/api/queue?limit=2").headers["x-total-count"] == "5"
    head = ask(queue, "HEAD", "/api/queue?command=git&limit=1")
    assert (head.status, head.body, head.headers["x-total-count"]) == (200, b"", "3")


def test_what_ends_between_two_pages_shifts_nothing(queue):
    all_of_it = [id for _, id in queue.held]
    first = get(queue, "/api/queue?limit=2")
    for p, id in queue.held[:2]:  # the cursor's own too
        post(queue, f"/api/queue/{id}/deny")
        finish(p)
    assert ids(get(queue, f"/api/queue?limit=2&cursor={first.headers['x-next-cursor']}")) == all_of_it[2:4]
    queue.held = queue.held[2:]


def test_filters_must_all_fit(queue):
    git = [queue.held[i][1] for i in (0, 2, 3)]
    uid = get(queue, "/api/queue").json[0]["uid"]
    for query, want in (("command=git", git), ("rule=ask-git", git), ("command=git&rule=ask-id", []), (f"uid={uid}&command=git", git),
                        (f"uid={uid + 1}", []), ("container=&command=git", git), ("container=box", []), ("door=shim&command=git", git),
                        ("door=gate", [])):
        a = get(queue, f"/api/queue?{query}")
        assert (ids(a), a.headers["x-total-count"]) == (want, str(len(want))), query
    assert sum(pages(queue, "command=git&limit=2"), []) == git
    assert ids(get(queue, "/api/queue?command=git", token=viewer(queue))) == git


def test_a_viewer_cannot_look_behind_a_mask_by_a_filter(make_warden):
    w = make_warden(QUEUE_POLICY + "redact: ['^gi[a-z]$']\n")
    p, id = held(w, "git")
    token = viewer(w)
    assert "git" not in json.dumps(get(w, "/api/queue", token=token).json[0]["command"])
    assert ids(get(w, "/api/queue?command=git", token=token)) == []
    assert ids(get(w, "/api/queue?command=git")) == [id]
    post(w, f"/api/queue/{id}/deny")
    finish(p)


def test_what_runs_is_filtered_too(warden):
    p = warden.popen("sleep", "60")
    run = wait_for(lambda: get(warden, "/api/running").json)[0]
    assert ids(get(warden, "/api/running?command=sleep&door=shim")) == [run["id"]]
    assert ids(get(warden, "/api/running?command=git")) == [] == ids(get(warden, f"/api/running?cursor={run['id']}"))
    post(warden, "/api/kill", {"id": run["id"], "signal": "KILL"})
    finish(p)


def test_the_cli_pages_and_filters(queue):
    git = [queue.held[i][1] for i in (0, 2, 3)]
    out = json.loads(queue.cli("queue", "--json", "--command", "git", check=True).stdout)
    assert [x["id"] for x in out] == git
    out = queue.cli("queue", "-c", "git", "-n", "2", check=True).stdout
    assert f"more: --after {git[1]}" in out
    rest = json.loads(queue.cli("queue", "-c", "git", "-n", "2", "--after", git[1], "--json", check=True).stdout)
    assert [x["id"] for x in rest] == git[2:]
    assert "matches" in queue.cli("queue", "--rule", "none", check=True).stdout
    assert "matches" in queue.cli("running", "--user", "root", "--door", "gate", check=True).stdout
    for wrong, words in ((["queue", "--limit", "0"], "--limit"), (["queue", "--user", "no-such-user"], "no-such-user"),
                         (["queue", "--door", "window"], "door"), (["queue", "--rule", "x", git[0]], "either"),
                         (["running", "--user", "root", "--uid", "0"], "either"), (["queue", "--watch", "--limit", "1"], "--watch")):
        done = queue.cli(*wrong)
        assert done.returncode != 0 and words in done.stderr, wrong


def test_containers_tell_of_the_host(queue):
    (host,) = get(queue, "/api/containers", token=viewer(queue)).json
    assert (host["container"], host["waiting"], host["running"], host["paused"]) == (None, 5, 0, False)
    queue.run("rm", "x")
    queue.run("echo", "x")
    (host,) = get(queue, "/api/containers").json
    assert (host["decided"]["deny"], host["decided"]["allow"]) == (1, 1)
    post(queue, "/api/pause", {"all": True})
    assert get(queue, "/api/containers").json[0]["paused"] is True
    post(queue, "/api/resume", {"all": True})


def test_figures_agree_with_what_happened(warden):
    for _ in range(3):
        warden.run("echo", "x")
    warden.run("rm", "x")
    f = wait_for(lambda: (x := get(warden, "/api/figures").json)["times"]["execution"]["count"] == 3 and x)
    assert (f["decided"]["allow"], f["decided"]["deny"], f["asks"]) == (3, 1, 0)
    assert f["times"]["decision"]["count"] == 4 and f["times"]["decision"]["p50_us"] > 0
    assert f["times"]["approved"] == {"count": 0, "mean_us": 0, "p50_us": None, "p95_us": None, "p99_us": None}
    assert f["audit"]["records"] >= 7 and f["process"]["resident_bytes"] > 1 << 20 and f["process"]["open_fds"] > 5


def test_the_policy_has_its_text_its_loads_and_the_hits_of_its_rules(warden):
    for _ in range(2):
        warden.run("rm", "x")
    rules = {r["name"]: r for r in get(warden, "/api/policy").json["rules"]}
    assert rules["no-rm"]["hits"] == 2 and rules["no-rm"]["hit_at"] and (rules["ask-git"]["hits"], rules["ask-git"]["hit_at"]) == (0, None)
    text = get(warden, "/api/policy/text").json
    assert text["text"] == POLICY and hashlib.sha256(POLICY.encode()).hexdigest() == text["version"]
    assert [(x["by"], x["refused"]) for x in get(warden, "/api/policy/loads").json] == [("start", None)]
    warden.set_policy("nonsense: 1\n")
    assert post(warden, "/api/policy/reload").status == 422
    changed = POLICY + "# changed\n"
    warden.set_policy(changed)
    assert post(warden, "/api/policy/reload").status == 200
    loads = get(warden, "/api/policy/loads").json
    assert loads[0]["refused"] is None and loads[0]["version"] == hashlib.sha256(changed.encode()).hexdigest()
    assert any("nonsense" in (x["refused"] or "") and x["version"] == text["version"] for x in loads)
    assert loads[-1]["by"] == "start" and get(warden, "/api/policy/text").json["text"] == changed
