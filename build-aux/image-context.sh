#!/bin/sh
# image-context.sh DIR: what the images are made of, DIR/warden and DIR/prisoner, for docker build without a network: programs that
# were built here, and the libraries that they need beside what every Debian has.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build} to=$1
rm -rf "$to"
mkdir -p "$to/warden/lib" "$to/warden/sbin" "$to/warden/bin" "$to/warden/libexec" "$to/prisoner"
cp "$build/dynamic/src/warden/clawrden-warden" "$to/warden/sbin/"
cp "$build/dynamic/src/cli/clawrden" "$to/warden/bin/"
cp "$build/static/src/mirror/clawrden-mirror" "$build/static/src/shim/clawrden-shim" "$to/warden/libexec/"
cp packaging/docker/warden-entry.sh "$to/warden/libexec/warden-entry"
cp packaging/docker/healthy.sh "$to/warden/libexec/healthy"
ldd "$to/warden/sbin/clawrden-warden" "$to/warden/bin/clawrden" | sed -n 's/.* => \(\/[^ ]*\) (.*/\1/p' | sort -u | while read -r lib; do
    # Those of the C library have to be the base's own.
    case ${lib##*/} in libc.so.* | libm.so.* | libresolv.so.* | libpthread.so.* | libdl.so.* | librt.so.*) ;; *) cp -L "$lib" "$to/warden/lib/" ;; esac
done
cp "$build/static/src/shim/clawrden-shim" scripts/install-clawrden.sh scripts/make-user.sh "$to/prisoner/"
cp packaging/docker/warden.Dockerfile "$to/warden/Dockerfile"
cp packaging/docker/prisoner.Dockerfile "$to/prisoner/Dockerfile"
strip "$to/warden/sbin/clawrden-warden" "$to/warden/bin/clawrden"
chmod 755 "$to"/warden/*bin/* "$to"/warden/libexec/* "$to"/prisoner/*.sh "$to/prisoner/clawrden-shim"
