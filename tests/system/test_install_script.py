# SPDX-License-Identifier: MIT
"""scripts/install-clawrden.sh in roots that stand in for images (tests/docker-smoke/image.py): by ash, dash and bash; what
shells find afterwards; that everything can be taken back byte for byte; and what a hostile base image or user has prepared."""
import os
import pathlib
import shutil
import stat
import subprocess
import sys

import pytest

from conftest import BIN, ROOT, needs_root

sys.path.insert(0, str(ROOT / "tests/docker-smoke"))
import image  # noqa: E402

pytestmark = needs_root
SCRIPT = ROOT / "scripts/install-clawrden.sh"
SHIM = "/clawrden/bin/clawrden-shim"
SMALL = ["base-files", "base-passwd", "libc6", "libc-bin", "libtinfo6", "bash", "dash", "coreutils", "libselinux1", "libpcre2-8-0",
         "libgmp10", "libacl1", "libattr1", "libcap2", "libssl3", "libssl3t64", "libsystemd0", "zlib1g", "libzstd1", "sed", "grep"]
SHELLS = {"dash": ("debian", "/bin/dash"), "bash": ("debian", "/bin/bash"), "ash": ("busybox", "/bin/ash")}
DEBIAN_BASHRC = "case $- in *i*) ;; *) return;; esac\nPATH=$HOME/.local/bin:$PATH\nalias ll='ls -l'"  # and no newline


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    made = {}
    for kind, write in (("debian", lambda out: image.write(out, SMALL)), ("busybox", image.write_busybox)):
        top = tmp_path_factory.mktemp(kind)
        with open(top / "tar", "wb") as out:
            write(out)
        (top / "root").mkdir()
        subprocess.run(["tar", "-C", top / "root", "-xf", top / "tar"], check=True)
        root = top / "root"
        root.chmod(0o755)
        for name, minor in (("null", 3), ("zero", 5)):
            os.mknod(root / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
            (root / "dev" / name).chmod(0o666)
        (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
        (root / "etc/shadow").write_text("root:*:1::::::\n")
        (root / "etc/shadow").chmod(0o600)
        put(root / "home/agent/.bashrc", DEBIAN_BASHRC, 0o640, 1000)
        put(root / "home/agent/.profile", "PATH=$HOME/bin:$PATH\n. $HOME/.bashrc\n", 0o644, 1000)
        put(root / "usr/local/bin/npm", "#!/bin/sh\necho npm: $0 $*\n", 0o755)
        put(root / "usr/local/bin/docker", "#!/bin/sh\n", 0o755)
        made[kind] = root
    yield made
    for root in made.values():
        shutil.rmtree(root.parent)


def put(path, text, mode=0o644, owner=0):
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, owner, owner)


def snapshot(root):
    """All that is there: kind, mode, owners, content."""
    seen = {}
    for at, dirs, files in os.walk(root):
        for name in dirs + files:
            p = pathlib.Path(at, name)
            st = p.lstat()
            what = os.readlink(p) if p.is_symlink() else p.read_bytes() if stat.S_ISREG(st.st_mode) else st.st_rdev
            seen[str(p)[len(str(root)):]] = (st.st_mode, st.st_uid, st.st_gid, what)
    return seen


class Image:
    def __init__(self, root, shell):
        self.root, self.shell, self.kind = root, shell, "busybox" if shell == "/bin/ash" else "debian"
        shutil.copy((BIN / "clawrden-shim").resolve(), root / "opt-shim")
        shutil.copy(SCRIPT, root / "install.sh")
        self.before = snapshot(root)

    def sh(self, *argv, user=0, env=None):
        """In there, with nothing of this environment."""
        return subprocess.run(["/usr/sbin/chroot", f"--userspec={user}:{user}", self.root, *argv], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60, env=env or {})

    def install(self, *options, user=0):
        return self.sh(self.shell, "/install.sh", *(["--shim", "/opt-shim"] if "--uninstall" not in options else []), *options, user=user,
                       env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    def ok(self, *options):
        done = self.install(*options)
        assert done.returncode == 0, done
        return done

    def refused(self, words, *options, code=1, before=None):
        before = before or snapshot(self.root)
        done = self.install(*options)
        assert done.returncode == code and words in done.stderr, done
        after = {k: v for k, v in snapshot(self.root).items() if not k.startswith("/clawrden")}
        assert after == {k: v for k, v in before.items() if not k.startswith("/clawrden")}
        return done

    def path(self, name):
        return self.root / name.lstrip("/")


@pytest.fixture
def make_image(roots, tmp_path):
    def make(shell="dash"):
        kind, path = SHELLS[shell]
        root = tmp_path / shell
        subprocess.run(["cp", "-a", "--reflink=auto", roots[kind], root], check=True)
        return Image(root, path)
    return make


every_shell = pytest.mark.parametrize("shell", SHELLS)
ALL = ("--lock-binaries", "npm, docker,cat,mv,ls,rm,ln,sed,stat,grep,cp,sha256sum,dd,tail,chmod", "--user", "agent")


# ---- what it does ----

@every_shell
def test_tools_are_locked_and_everything_is_put_back(make_image, shell):
    """Also when its own tools are among them."""
    i = make_image(shell)
    done = i.ok(*ALL)
    assert done.stdout.endswith('ENV PATH="/clawrden/bin:${PATH}"\n')
    for name in ("npm", "cat", "mv", "sed"):
        assert os.readlink(i.path(f"/clawrden/bin/{name}")) == SHIM
    assert os.readlink(i.path("/usr/local/bin/npm")) == SHIM
    assert i.path("/usr/local/bin/npm.original").read_text().endswith("echo npm: $0 $*\n")
    assert os.readlink(i.path("/bin/cat")) == SHIM
    socket_dir = i.path("/run/clawrden").stat()  # /var/run leads there, and out of the root
    assert (stat.S_IMODE(socket_dir.st_mode), socket_dir.st_uid, socket_dir.st_gid) == (0o750, 0, 1000)
    for path, mode in (("/clawrden", 0o755), ("/clawrden/bin", 0o755), ("/clawrden/state", 0o700), (SHIM, 0o755)):
        st = i.path(path).stat()
        assert (stat.S_IMODE(st.st_mode), st.st_uid) == (mode, 0), path
    bashrc = i.path("/home/agent/.bashrc").stat()
    assert (stat.S_IMODE(bashrc.st_mode), bashrc.st_uid) == (0o640, 1000)
    i.ok("--uninstall")
    assert snapshot(i.root) == i.before


@every_shell
def test_the_second_time_changes_nothing(make_image, shell):
    i = make_image(shell)
    i.ok(*ALL)
    once = snapshot(i.root)
    i.ok(*ALL)
    assert snapshot(i.root) == once
    i.ok("--lock-binaries", "npm,dirname", "--link-binaries=bash,git")  # more of it
    assert os.readlink(i.path("/clawrden/bin/git")) == SHIM and os.readlink(i.path("/bin/dirname")) == SHIM
    i.ok("--uninstall")
    assert snapshot(i.root) == i.before
    assert "nothing is installed" in i.ok("--uninstall").stdout


@every_shell
def test_dry_run_says_and_does_nothing(make_image, shell):
    i = make_image(shell)
    said = i.ok(*ALL, "--dry-run").stdout
    assert snapshot(i.root) == i.before
    for words in ("would lock /usr/local/bin/npm: kept as /usr/local/bin/npm.original", "would link /clawrden/bin/npm",
                  "first on PATH in /etc/profile\n", "first on PATH in /home/agent/.bashrc\n", "would make /var/run/clawrden"):
        assert words in said, said
    i.ok(*ALL)
    installed = snapshot(i.root)
    assert "would undo: lock /usr/local/bin/npm" in i.ok("--uninstall", "--dry-run").stdout
    assert snapshot(i.root) == installed


DEFAULT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WAYS = [  # environment, shell and option
    ({"PATH": "/clawrden/bin:" + DEFAULT}, "sh", "-c"), ({}, "sh", "-lc"), ({"PATH": "/clawrden/bin:" + DEFAULT}, "sh", "-lc"),
    ({"PATH": DEFAULT}, "sh", "-lc"), ({"PATH": "/clawrden/bin:" + DEFAULT}, "bash", "-c"), ({}, "bash", "-lc"), ({}, "bash", "-ic"),
    ({"PATH": DEFAULT}, "bash", "-ic"), ({}, "bash", "-lic"), ({"PATH": "/home/agent/bin:" + DEFAULT}, "bash", "-lc")]


@every_shell
def test_every_kind_of_shell_finds_the_shim(make_image, shell):
    i = make_image(shell)
    i.ok(*ALL)
    for name in ("bin", ".local/bin"):  # what the user's own files put first
        i.path(f"/home/agent/{name}").mkdir(parents=True)
        put(i.path(f"/home/agent/{name}/npm"), "#!/bin/sh\n", 0o755, 1000)
    tried = 0
    for env, sh, option in WAYS:
        if sh == "bash" and i.kind == "busybox":
            continue
        done = i.sh(f"/bin/{sh}", option, "command -v npm; echo $PATH", user=1000, env={"HOME": "/home/agent", **env})
        assert done.stdout.startswith("/clawrden/bin/npm\n/clawrden/bin:"), (env, sh, option, done)
        tried += 1
    assert tried == (4 if i.kind == "busybox" else 10)
    # Without any PATH, and by absolute path: what stands there is the shim.
    for env, argv in (({}, ["/bin/sh", "-c", "npm"]), ({"PATH": "/bin:/usr/bin"}, ["/usr/local/bin/npm"]), ({"PATH": "/bin"}, ["/bin/cat"])):
        done = i.sh(*argv, user=1000, env=env)
        assert done.returncode == (127 if argv[-1] == "npm" and "not found" in done.stderr else 125), done
        assert "not found" in done.stderr or "cannot reach the warden" in done.stderr


def test_files_of_other_shells_and_logins(make_image):
    i = make_image("bash")
    i.path("/etc/zsh").mkdir()
    put(i.path("/etc/environment"), "LANG=C\nPATH='/opt/x:/usr/bin'", 0o644)
    put(i.path("/home/agent/.bash_profile"), "PATH=/opt/mine:$PATH", 0o600, 1000)
    before = snapshot(i.root)
    i.ok(*ALL, "--socket-dir", "/run/agents/warden")
    assert i.path("/etc/environment").read_text().splitlines()[3:] == ['PATH="/clawrden/bin:/opt/x:/usr/bin"',
                                                                       'CLAWRDEN_SOCKET="/run/agents/warden/warden.sock"',
                                                                       "# <<< clawrden <<<"]
    assert "/clawrden/bin" in i.path("/etc/zsh/zshenv").read_text()
    done = i.sh("/bin/bash", "-lc", "echo $PATH $CLAWRDEN_SOCKET", user=1000, env={"HOME": "/home/agent"})
    assert done.stdout.startswith("/clawrden/bin:/opt/mine:") and done.stdout.endswith(" /run/agents/warden/warden.sock\n"), done
    i.ok("--uninstall")
    assert snapshot(i.root) == before


def test_an_upgraded_tool_is_locked_anew(make_image):
    i = make_image()
    i.ok(*ALL)
    i.path("/usr/local/bin/npm").unlink()
    put(i.path("/usr/local/bin/npm"), "#!/bin/sh\necho newer\n", 0o755)  # as dpkg would
    assert "was replaced since" in i.ok(*ALL).stdout
    assert os.readlink(i.path("/usr/local/bin/npm")) == SHIM and "newer" in i.path("/usr/local/bin/npm.original").read_text()
    # Replaced, and not locked anew: nothing is thrown away.
    i.path("/usr/local/bin/npm").unlink()
    put(i.path("/usr/local/bin/npm"), "newest", 0o755)
    assert "stays as /usr/local/bin/npm.original" in i.ok("--uninstall").stderr
    assert i.path("/usr/local/bin/npm").read_text() == "newest"


def test_files_that_were_changed_since_keep_the_change(make_image):
    i = make_image()
    i.ok(*ALL)
    with open(i.path("/home/agent/.bashrc"), "a") as f:
        f.write("export MINE=1\n")
    i.path("/etc/profile.d/zz-clawrden.sh").unlink()
    i.ok(*ALL)
    text = i.path("/home/agent/.bashrc").read_text()
    assert text.count(">>> clawrden") == 2 and text.rstrip().endswith("<<<") and "export MINE=1" in text
    with open(i.path("/home/agent/.profile"), "a") as f:
        f.write("export MINE=2\n")
    done = i.ok("--uninstall")
    assert "/home/agent/.profile was changed since" in done.stderr
    assert i.path("/home/agent/.bashrc").read_text() == DEBIAN_BASHRC + "\nexport MINE=1\n"
    assert i.path("/home/agent/.profile").read_text().endswith(".bashrc\nexport MINE=2\n")


def test_what_was_interrupted_is_finished(make_image):
    i = make_image()
    i.ok(*ALL)
    done = snapshot(i.root)
    i.path("/usr/local/bin/npm").unlink()  # between the two renames
    i.path("/usr/local/bin/npm.clawrden-new").symlink_to("/nowhere")
    i.ok(*ALL)
    assert snapshot(i.root) == done


# ---- what it refuses ----

@every_shell
def test_names_that_are_none(make_image, shell):
    i = make_image(shell)
    for names in ["../bin/x", "a/b", "/bin/npm", "..", ".", "-rf", "npm,-x", "a\nb", "npm\n", "$(id)", "a;b", "a*",
                  "npm.original", "clawrden-shim", "b\\c", "\u00e9", "x" * 201, "'"]:
        for option in ("--lock-binaries", "--link-binaries"):
            done = i.install(option, names)
            assert done.returncode == 2 and f"{option}: " in done.stderr, (names, done)
    assert snapshot(i.root) == i.before


@pytest.mark.parametrize("options,words", [
    (["--lock-binaries", "npm,sh"], "every script needs 'sh'"), (["--lock-binaries", "busybox"], "every script needs"),
    (["--lock-binaries"], "needs a value"), (["--nonsense"], "unknown option"), (["npm"], "unknown option"),
    (["--user", "a b"], "no name of a user"), (["--user=-x"], "no name of a user"), (["--socket-dir", "run"], "no absolute path"),
    (["--socket-dir", "/run/../etc"], "no plain path"), (["--socket-dir", "/"], "no absolute path"), (["--socket-dir", "/a b"], "no plain path"),
    (["--uninstall", "--lock-binaries", "npm"], "takes back everything")])
def test_options_that_make_no_sense(make_image, options, words):
    make_image("ash").refused(words, *options, code=2)


def test_only_root(make_image):
    i = make_image()
    i.path("/install.sh").chmod(0o755)
    done = i.install(*ALL, user=1000)
    assert done.returncode == 1 and "only root" in done.stderr


def test_a_user_that_is_not_there(make_image):
    make_image().refused("there is no user 'nobody-here'", "--user", "nobody-here")


def test_what_is_no_shim(make_image):
    i = make_image()
    done = i.sh(i.shell, "/install.sh", "--shim", "/bin/true")
    assert done.returncode == 1 and "'/bin/true' is not clawrden-shim" in done.stderr
    put(i.path("/fake"), "#!/bin/sh\n# CLAWRDEN-SHIM-v2\nexit 1\n", 0o755)
    done = i.sh(i.shell, "/install.sh", "--shim", "/fake", env={"PATH": "/bin"})
    assert done.returncode == 1 and "does not run here" in done.stderr and not i.path(SHIM).exists()


def plant(i, what):
    home, npm = i.path("/home/agent"), i.path("/usr/local/bin/npm")
    if what == "link":
        i.path("/clawrden").symlink_to("/home/agent")
    elif what in ("bin-link", "state-link"):
        i.path("/clawrden").mkdir()
        i.path("/clawrden/" + what.split("-")[0]).symlink_to("/home/agent")
    elif what == "owned":
        i.path("/clawrden/bin").mkdir(parents=True)
        os.chown(i.path("/clawrden"), 1000, 1000)
    elif what == "state-owned":
        i.path("/clawrden/state/tools").mkdir(parents=True)
        os.chown(i.path("/clawrden/state/tools"), 1000, 1000)
    elif what == "writable":
        i.path("/clawrden/bin").mkdir(parents=True)
        i.path("/clawrden/bin").chmod(0o777)
    elif what == "planted-name":
        i.path("/clawrden/bin").mkdir(parents=True)
        i.path("/clawrden/bin/npm").symlink_to("/home/agent/npm")
    elif what == "kept":
        put(i.path("/usr/local/bin/npm.original"), "somebody's", 0o755)
    elif what == "kept-link":
        i.path("/usr/local/bin/npm.original").symlink_to("/home/agent/x")
    elif what == "shim-already":
        npm.unlink()
        shutil.copy(BIN / "clawrden-shim", npm)
    elif what == "link-to-other-shim":
        npm.unlink()
        shutil.copy(BIN / "clawrden-shim", home / "x")
        npm.symlink_to("/home/agent/x")
    elif what == "lost":
        npm.unlink()
        npm.symlink_to(SHIM)
    elif what == "tools-dir":
        i.path("/usr/local/bin").chmod(0o777)
    elif what == "socket-link":
        i.path("/run/clawrden").symlink_to("/etc")


@pytest.mark.parametrize("what,words", [
    ("link", "is a symbolic link"), ("bin-link", "is a symbolic link"), ("state-link", "is a symbolic link"), ("owned", "belongs to another user"),
    ("state-owned", "is not ours"), ("writable", "can be written by others than root"), ("planted-name", "is no link of ours"),
    ("kept", "npm.original is in the way"), ("kept-link", "npm.original is in the way"), ("shim-already", "is a shim already"),
    ("link-to-other-shim", "is a shim already"), ("lost", "its original is lost"), ("tools-dir", "can be written by others than root"),
    ("socket-link", "is a symbolic link")])
def test_what_a_hostile_image_has_prepared(make_image, what, words):
    i = make_image()
    plant(i, what)
    prepared = snapshot(i.root)
    done = i.install(*ALL)
    assert done.returncode == 1 and words in done.stderr, done
    if i.path("/clawrden/state/done").exists():
        i.ok("--uninstall")  # what was done up to there can be taken back
    after = snapshot(i.root)
    assert {k: v for k, v in after.items() if not k.startswith("/clawrden")} == {k: v for k, v in prepared.items() if not k.startswith("/clawrden")}


@pytest.mark.parametrize("what", ["link", "dangling", "dir", "fifo", "root-link"])
def test_a_users_file_that_is_none_is_left_alone(make_image, what):
    i = make_image()
    bashrc = i.path("/home/agent/.bashrc")
    bashrc.unlink()
    {"link": lambda: bashrc.symlink_to("/etc/shadow"), "dangling": lambda: bashrc.symlink_to("/etc/cron.d-x"), "dir": bashrc.mkdir,
     "fifo": lambda: os.mkfifo(bashrc), "root-link": lambda: bashrc.symlink_to("../../etc/passwd")}[what]()
    before = snapshot(i.root)
    done = i.ok(*ALL)
    assert "/home/agent/.bashrc is no ordinary file and is left alone" in done.stderr
    after = snapshot(i.root)
    for path in ("/etc/shadow", "/etc/passwd", "/home/agent/.bashrc"):
        assert after[path] == before[path]
    i.ok("--uninstall")
    assert snapshot(i.root) == before


def test_lines_like_ours_keep_nobody_out(make_image):
    """A user whose file has our marks is set up all the same."""
    i = make_image()
    fake = "# >>> clawrden >>>\nPATH=/home/agent/bin:/usr/bin\n# <<< clawrden <<<\nPATH=/x\n"
    put(i.path("/home/agent/.profile"), fake, 0o644, 1000)
    before = snapshot(i.root)
    i.ok(*ALL)
    done = i.sh("/bin/sh", "-lc", "command -v npm", user=1000, env={"HOME": "/home/agent"})
    assert done.stdout == "/clawrden/bin/npm\n"
    i.ok("--uninstall")
    assert snapshot(i.root) == before


def test_a_home_that_is_elsewhere(make_image):
    i = make_image()
    shutil.rmtree(i.path("/home/agent"))
    i.path("/home/agent").symlink_to("/root")
    assert "were not made" in i.ok(*ALL).stderr


def test_a_socket_directory_for_everybody_is_closed(make_image):
    i = make_image()
    i.path("/run/agents").mkdir(parents=True)
    i.path("/run/agents").chmod(0o777)
    before = snapshot(i.root)
    i.ok(*ALL, "--socket-dir", "/run/agents")
    assert stat.S_IMODE(i.path("/run/agents").stat().st_mode) == 0o750
    i.ok("--uninstall")
    assert snapshot(i.root) == before


def test_what_is_no_tool_is_left_alone(make_image):
    i = make_image()
    npm = i.path("/usr/local/bin/npm")
    for make in (npm.mkdir, lambda: npm.symlink_to("/nowhere"), lambda: put(npm, "x", 0o644)):
        npm.unlink() if npm.is_symlink() or npm.is_file() else npm.rmdir() if npm.is_dir() else None
        make()
        before = snapshot(i.root)
        done = i.ok("--lock-binaries", "npm")
        assert "npm is no program and is left alone" in done.stderr and "nothing to lock" in done.stdout
        i.ok("--uninstall")
        assert snapshot(i.root) == before
