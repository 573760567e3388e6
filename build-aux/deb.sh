#!/bin/bash
# deb.sh [VERSION]: packs what `make` has built into BUILD/clawrden_VERSION_amd64.deb, and asks lintian about it.
# VERSION is the project's, unless it is named. Needs build-essential, debhelper and lintian (make deps), no root, no network.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${BUILD:-build}")
version=${1:-$(sed -n "s/.*version: '\([0-9.]*\)'.*/\1/p" meson.build | head -n 1)}
[[ $version =~ ^[0-9][0-9.~+]*$ ]] || { echo "deb: '$version' is no version" >&2; exit 2; }
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
src=$top/clawrden-$version
mkdir "$src"
# What install.sh reads, and nothing else.
cp -r build-aux docs share scripts packaging meson.build LICENSE README.md NEWS.md SECURITY.md "$src/"
cp -r packaging/debian "$src/debian"
chmod 755 "$src/debian/rules"
{
    printf 'clawrden (%s) unstable; urgency=medium\n\n  * Built from the sources of this version; see NEWS.md.\n\n' "$version"
    printf ' -- Clawrden developers <clawrden@example.org>  %s\n' "$(date -R -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}")"
} >"$src/debian/changelog"
log=$build/deb.log
(cd "$src" && BUILD=$build dpkg-buildpackage -b -us -uc -nc) >"$log" 2>&1 || { tail -n 30 "$log" >&2; echo "deb: not built, see $log" >&2; exit 1; }
mv "$top/clawrden_${version}_amd64.deb" "$build/"
lintian --allow-root --fail-on warning,error "$build/clawrden_${version}_amd64.deb"
echo "$build/clawrden_${version}_amd64.deb"
