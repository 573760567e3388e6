#!/bin/bash
# vm.sh "SUITE..." [PYTEST ARGUMENT...]: tests of the project in an emulated machine that boots Debian SUITE (trixie, bookworm):
# a kernel with cgroup version 2 alone, systemd, AppArmor, and that release's Docker with the systemd driver.
# Arguments are for pytest, which runs there in the project's directory; without any it is the choice below.
# Ends with "N passed, N failed"; skipped is failed. Needs root; the first run for a suite needs the network.
#
# VM_SECONDS  how long a machine may run (5400)            VM_PATIENCE  what bounds of time are multiplied with (8)
# VM_DOOR     a port of this host's loopback: what is written to it a shell in the machine runs; the machine stays after its tests
# VM_OUT      where console, log and junit.xml go (build/vm)            VM_CACHE  where roots are kept (~/.cache/clawrden-vm)
set -euo pipefail
cd "$(dirname "$0")/.."
suites=${1:?vm.sh "SUITE..." [PYTEST ARGUMENT...]}
shift
smoke=tests/docker-smoke
# An emulated processor needs some seconds a test: this is what depends on kernel, cgroups, engine and security module.
[ $# -gt 0 ] || set -- $smoke/test_unit.py $smoke/test_switch.py $smoke/test_seat.py $smoke/test_mirror.py $smoke/test_who.py $smoke/test_podman.py $smoke/test_mirror_docker.py \
    $smoke/test_entry.py::test_what_starts_is_judged $smoke/test_entry.py::test_docker_stop_reaches_the_agent \
    $smoke/test_escape.py::test_clone_into_another_cgroup_does_not_leave_the_kill \
    $smoke/test_escape.py::test_removing_the_container_is_never_held_up $smoke/test_escape.py::test_nested_namespaces_are_refused
[ "$(id -u)" = 0 ] || { echo "vm.sh: needs root" >&2; exit 1; }

if [ "${suites#* }" != "$suites" ]; then # one machine after the other
    passed=0 failed=0
    for suite in $suites; do
        last=$(build-aux/vm.sh "$suite" "$@" | tee /dev/stderr | tail -n 1)
        read -r ok _ bad _ <<<"$last"
        passed=$((passed + ok)) failed=$((failed + bad))
    done
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
    exit
fi
suite=$suites
seconds=${VM_SECONDS:-5400}
build-aux/deps.sh vm
out=$(realpath -m "${VM_OUT:-build/vm}/$suite")
cache=${VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/clawrden-vm}
mkdir -p "$out" "$cache"
rm -f "$out"/*
# On the disk: the machine's root and image take some gigabytes.
work=$(mktemp -d /var/tmp/clawrden-vm-XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
mkdir "$root"

# Runs a command in the root. What is mounted for it goes with it.
inside() {
    unshare --mount --pid --fork --kill-child sh -euc 'root=$1; shift
        mount --make-rprivate /
        mount -t proc proc "$root/proc"; mount --rbind /dev "$root/dev"; mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
        exec chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive "$@"' inside "$root" "$@"
}

copy_project() {
    mkdir -p "$root/src"
    git ls-files -z -co --exclude-standard | tar --null --ignore-failed-read -T - -c 2>>"$out/setup.log" | tar -C "$root/src" -x
}

# A Debian with all packages; made once for each list of packages.
make_base() { # tar
    echo "vm.sh: making a root of Debian $suite, some minutes" >&2
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" >>"$out/setup.log" 2>&1
    # Its packages come from where this machine's come from.
    apt-config dump Acquire | grep -v '^Acquire::Changelogs' >"$root/etc/apt/apt.conf.d/99host"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    # The initial file system holds what this machine's disk needs: it is read by an emulated processor.
    mkdir -p "$root/etc/initramfs-tools/conf.d"
    echo MODULES=list >"$root/etc/initramfs-tools/conf.d/vm"
    printf '%s\n' virtio_pci virtio_blk ext4 >"$root/etc/initramfs-tools/modules"
    copy_project
    inside sh -ec 'cd /src; CI=1 build-aux/deps.sh build guest' >>"$out/setup.log" 2>&1
    rm -rf "$root"/src "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    tar -C "$root" --numeric-owner -cf "$1.part" . && mv "$1.part" "$1"
}

# What the machine does: these tests, and an end.
configure() {
    printf '%s\0' "$@" >"$root/arguments"
    echo $((seconds * 9 / 10)) >"$root/limit" # so that a run that is cut off leaves its results
    cat >"$root/tests.sh" <<'RUN'
#!/bin/bash
cd /src
mapfile -d '' -t arguments </arguments
mkdir -p /result
{
    uname -r; systemctl --version | head -n 1; docker --version; stat -f -c 'cgroups: %T' /sys/fs/cgroup
    timeout -s INT -k 60 "$(cat /limit)" /usr/bin/python3 -B -m pytest -v -rfEs --tb=short --durations=15 -p no:cacheprovider --junit-xml=/result/junit.xml "${arguments[@]}"
    echo $? >/result/status
    dmesg --level=warn,err,crit | tail -n 50
} 2>&1 | tee /result/log
sync
RUN
    cat >"$root/etc/systemd/system/tests.service" <<UNIT
[Unit]
After=basic.target dbus.service systemd-logind.service
[Service]
Type=oneshot
Environment=HOME=/root LANG=C.UTF-8 CLAWRDEN_TEST_PATIENCE=${VM_PATIENCE:-8} CLAWRDEN_TEST_MACHINE=disposable
ExecStart=/bin/bash /tests.sh
ExecStopPost=/bin/sh -c '[ -e /stays ] || systemctl --no-block poweroff'
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=infinity
Delegate=no
[Install]
WantedBy=multi-user.target
UNIT
    local units=$root/etc/systemd/system u
    mkdir -p "$units/multi-user.target.wants"
    ln -sf ../tests.service "$units/multi-user.target.wants/"
    # Engines are the tests' own; the rest is nothing that a test needs.
    for u in docker.service docker.socket containerd.service serial-getty@ttyS0.service getty@tty1.service \
        apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
        systemd-udev-settle.service systemd-networkd-wait-online.service man-db.timer; do
        ln -sf /dev/null "$units/$u"
    done
    echo '/dev/vda / ext4 defaults,noatime 0 1' >"$root/etc/fstab"
    echo vm >"$root/etc/hostname"
    [ -z "${VM_DOOR:-}" ] || make_door "$units"
}

# For a person who looks into a failure: echo COMMAND | nc -N 127.0.0.1 PORT
make_door() { # directory of units
    touch "$root/stays"
    cat >"$1/door.socket" <<'UNIT'
[Socket]
ListenStream=2222
Accept=yes
UNIT
    cat >"$1/door@.service" <<UNIT
[Service]
WorkingDirectory=/src
Environment=HOME=/root LANG=C.UTF-8 CLAWRDEN_TEST_PATIENCE=${VM_PATIENCE:-8} CLAWRDEN_TEST_MACHINE=disposable
ExecStart=/bin/bash
StandardInput=socket
StandardOutput=socket
StandardError=socket
UNIT
    cat >"$1/door-network.service" <<'UNIT'
[Service]
Type=oneshot
ExecStart=/bin/sh -ec 'modprobe virtio_net; n=$(ls /sys/class/net | grep -v lo); ip link set "$n" up; ip address add 10.0.2.15/24 dev "$n"'
UNIT
    ln -sf ../door.socket ../door-network.service "$1/multi-user.target.wants/"
}

key=$(cat build-aux/deps.sh build-aux/vm.sh | sed -n '/^\(build\|guest\) /p; /^inside()/,/^}/p; /^make_base()/,/^}/p' | sha256sum | cut -c 1-16)
base=$cache/$suite-$key.tar
if [ -s "$base" ]; then tar -C "$root" --numeric-owner -xf "$base"; else make_base "$base"; fi
copy_project
echo "vm.sh: building the project in it" >&2
inside sh -ec 'cd /src; make -s programs' >>"$out/setup.log" 2>&1 || { tail -n 30 "$out/setup.log" >&2; exit 1; }
configure "$@"
truncate -s 12G "$work/disk"
mke2fs -q -t ext4 -E lazy_itable_init=1 -d "$root" "$work/disk"
cp "$root"/boot/vmlinuz-* "$work/kernel"
cp "$root"/boot/initrd.img-* "$work/initrd"
rm -rf --one-file-system "$root"

echo "vm.sh: booting; follow $out/console" >&2
begun=$SECONDS
# Without the mitigations of real processors, and without the wait for grace periods: neither is what is tested.
nic=none
[ -z "${VM_DOOR:-}" ] || nic=user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:$VM_DOOR-:2222
accel=tcg,thread=multi,tb-size=1024
timeout -k 10 "$seconds" qemu-system-x86_64 -accel $accel -m 4096 -smp 2 -display none -serial "file:$out/console" -monitor none \
    -no-reboot -nic "$nic" -kernel "$work/kernel" -initrd "$work/initrd" -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
    -append "root=/dev/vda rw console=ttyS0 quiet mitigations=off rcupdate.rcu_expedited=1 nowatchdog systemd.show_status=false" \
    </dev/null >"$out/qemu.log" 2>&1 || echo "vm.sh: the machine ended with $? (124: its time was up)" >&2
for f in log junit.xml status; do debugfs -R "dump /result/$f $out/$f" "$work/disk" >/dev/null 2>&1 || true; done
echo "vm.sh: Debian $suite, $((SECONDS - begun)) s; $out"

/usr/bin/python3 - "$out" <<'COUNT'
import pathlib, sys, xml.etree.ElementTree as tree
out = pathlib.Path(sys.argv[1])
passed, bad = 0, []
try:
    for case in tree.parse(out / "junit.xml").iter("testcase"):
        if any(case.find(x) is not None for x in ("failure", "error", "skipped")):
            bad.append(case.get("classname") + "::" + case.get("name"))
        else:
            passed += 1
    if (out / "status").read_text().strip() not in ("0", "1"):
        bad.append("(the run was cut off)")
except (OSError, tree.ParseError):
    bad.append("(no result came out of the machine)")
    console = out / "console"
    print(console.read_text(errors="replace")[-3000:] if console.exists() else "no console")
for name in bad:
    print("FAILED", name)
if not passed and not bad:
    bad.append("(no test ran)")
print(f"{passed} passed, {len(bad)} failed")
sys.exit(bool(bad))
COUNT
