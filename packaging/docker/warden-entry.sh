#!/bin/sh
# SPDX-License-Identifier: MIT
# Entry point of the warden's image.
set -eu
umask 022
# The volume of shims, which prisoners mount read-only: filled anew at each start, so that an upgrade reaches them. Replaced by
# rename: a shim that runs keeps its file.
# Whatever else lies there some image may have brought, links of its own too: none is followed, none stays.
for old in /clawrden/bin/* /clawrden/bin/.[!.]* /clawrden/bin/..?*; do
    case " clawrden-shim ${CLAWRDEN_TOOLS:-} " in
        *" ${old##*/} "*) [ ! -d "$old" ] || [ -L "$old" ] || rm -rf "$old" ;;
        *) rm -rf "$old" ;;
    esac
done
cp /usr/libexec/clawrden/clawrden-shim /clawrden/bin/.new
chmod 755 /clawrden/bin/.new
mv -fT /clawrden/bin/.new /clawrden/bin/clawrden-shim
for tool in ${CLAWRDEN_TOOLS:-}; do
    case $tool in */* | .* | -* | clawrden*) echo "warden-entry: '$tool' is no name of a tool" >&2; exit 78 ;; esac
    ln -sfnT clawrden-shim "/clawrden/bin/$tool"
done
# A directory that the engine made for a mount can be looked into by everybody, which the warden refuses.
chmod 700 /var/lib/clawrden /var/log/clawrden
# Callers are told apart by their cgroups, seen from the host. An engine on a host with cgroup version 2 alone gives each container a
# view of its own, from which others are "/../..".
if grep -q ':/\.\.' /proc/1/cgroup; then
    exec nsenter --cgroup=/proc/1/ns/cgroup -- clawrden-warden "$@"
fi
exec clawrden-warden "$@"
