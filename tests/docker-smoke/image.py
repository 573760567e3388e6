# SPDX-License-Identifier: MIT
"""Container images without a registry: stand-ins for a Debian image, made of the files of Debian packages
that are installed on this host. Nothing in them comes from the network."""
import io
import os
import pathlib
import re
import shutil
import subprocess
import tarfile

PACKAGES = ["base-files", "base-passwd", "libc6", "libc-bin", "libtinfo6", "bash", "dash", "coreutils", "libselinux1",
            "libpcre2-8-0", "libgmp10", "libacl1", "libattr1", "libcap2", "libssl3", "libssl3t64", "libexpat1", "zlib1g",
            "python3-minimal", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib",
            "python3.13-minimal", "libpython3.13-minimal", "libpython3.13-stdlib", "libffi8", "libbz2-1.0", "liblzma5",
            "procps", "libprocps8", "libproc2-0", "util-linux", "libsmartcols1", "libblkid1", "libmount1", "libuuid1",
            "libudev1", "libcap-ng0", "libsystemd0", "liblz4-1", "libzstd1", "sed", "grep", "findutils", "diffutils"]
LEFT_OUT = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/info", "/usr/share/lintian",
            "/usr/share/bash-completion", "/usr/share/zoneinfo")
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


def files(packages=PACKAGES):
    """Paths of the packages' files and links, as they lie in a merged /usr."""
    have = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *packages], capture_output=True,
                          text=True).stdout.split("\n")
    names = [line.split()[1] for line in have if line.startswith("installed ")]
    listed = subprocess.run(["dpkg", "-L", *names], capture_output=True, text=True, check=True).stdout
    paths = set()
    for path in listed.split("\n"):
        first = path.lstrip("/").split("/", 1)[0]
        if first in MERGED:
            path = "/usr" + path
        if not path.startswith(LEFT_OUT) and os.path.lexists(path) and (os.path.islink(path) or os.path.isfile(path)):
            paths.add(path)
    return sorted(paths)


def add_text(tar, path, text, mode=0o644):
    info = tarfile.TarInfo(path)
    data = text.encode()
    info.size, info.mode = len(data), mode
    tar.addfile(info, io.BytesIO(data))


def add_dir(tar, path, mode=0o755, uid=0):
    info = tarfile.TarInfo(path)
    info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, uid, uid
    tar.addfile(info)


def add_link(tar, path, target):
    info = tarfile.TarInfo(path)
    info.type, info.linkname = tarfile.SYMTYPE, target
    tar.addfile(info)


PROFILE = """\
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
for f in /etc/profile.d/*.sh; do [ ! -r "$f" ] || . "$f"; done
"""


def libraries(program):
    listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return re.findall(r"(/lib\S*) \(0x", listed) + re.findall(r"=> (/usr/lib\S*) \(0x", listed)


def write_busybox(out, programs=()):
    """An image like Alpine's, as far as shells and tools go: everything is Debian's busybox by another name, the shell is
    ash, and musl's loader is there for programs that are built for it; `programs` of this host with what they need."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for path in ("bin", "sbin", "usr", "usr/bin", "usr/sbin", "usr/local", "usr/local/bin", "lib", "lib64", "etc", "etc/profile.d", "proc", "sys",
                     "dev", "run", "var", "root", "home"):
            add_dir(tar, path)
        add_link(tar, "var/run", "/run")
        add_dir(tar, "tmp", 0o1777)
        for path in ("app", "home/agent"):
            add_dir(tar, path, 0o755, 1000)
        busybox = os.path.realpath(shutil.which("busybox"))
        tar.add(busybox, "bin/busybox")
        given = [os.path.realpath(shutil.which(name, path="/usr/bin:/bin")) for name in programs]
        for name, path in zip(programs, given):
            tar.add(path, "usr/bin/" + name)
        for lib in sorted({lib for program in (busybox, *given) for lib in libraries(program)}):
            tar.add(os.path.realpath(lib), lib.lstrip("/"))
        if os.path.exists("/lib/ld-musl-x86_64.so.1"):
            tar.add(os.path.realpath("/lib/ld-musl-x86_64.so.1"), "lib/ld-musl-x86_64.so.1")
        applets = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
        for name in sorted({*applets, "ash", "sh"} - {"busybox"}):
            add_link(tar, "bin/" + name, "/bin/busybox")
        add_text(tar, "etc/profile", PROFILE)
        add_text(tar, "etc/passwd", "root:x:0:0:root:/root:/bin/ash\nagent:x:1000:1000::/home/agent:/bin/ash\n")
        add_text(tar, "etc/group", "root:x:0:\nagent:x:1000:\n")


def write(out, packages=PACKAGES):
    """The image's file system as a tar archive: Debian's files, a user `agent` (1000), /app."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for path in ("usr", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "etc", "proc", "sys", "dev", "run", "var", "root", "opt"):
            add_dir(tar, path)
        for name in MERGED:
            if os.path.islink("/" + name):
                add_link(tar, name, "usr/" + name)
        add_dir(tar, "tmp", 0o1777)
        add_dir(tar, "app", 0o755, 1000)
        add_dir(tar, "home/agent", 0o755, 1000)
        for path in files(packages):
            if path not in ("/etc/passwd", "/etc/group"):
                tar.add(path, path.lstrip("/"), recursive=False)
        if not os.path.lexists("/usr/bin/sh") or "/usr/bin/sh" not in files(packages):
            add_link(tar, "usr/bin/sh", "dash")
        add_text(tar, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\nagent:x:1000:1000::/home/agent:/bin/bash\n")
        add_text(tar, "etc/group", "root:x:0:\nagent:x:1000:\nvideo:x:44:agent\nextra:x:2000:agent\n")


def write_debootstrap(out, suite, packages=()):
    """Debian's own smallest base of that release, with some more packages, fetched once and kept in the build directory."""
    roots = pathlib.Path(os.environ.get("BUILD", pathlib.Path(__file__).resolve().parents[2] / "build")) / "roots"
    kept = roots / ("-".join(["minbase", suite, *packages]) + ".tar")
    if not kept.exists():
        root = roots / f".{suite}.{os.getpid()}"
        root.mkdir(parents=True)
        try:
            subprocess.run(["debootstrap", "--variant=minbase", *([f"--include={','.join(packages)}"] if packages else []), suite, root], check=True, stdout=subprocess.DEVNULL, timeout=1200)
            subprocess.run(["tar", "-C", root, "--numeric-owner", "--exclude=./var/cache/apt/archives/*.deb", "-cf", root.with_suffix(".part"), "."],
                           check=True)
            root.with_suffix(".part").rename(kept)
        finally:
            shutil.rmtree(root, ignore_errors=True)
    with open(kept, "rb") as f:
        shutil.copyfileobj(f, out)


if __name__ == "__main__":
    import sys
    write(sys.stdout.buffer)
