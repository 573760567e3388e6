#!/bin/sh
# Copies what the dashboard takes from npm into the build: npm-assets.sh PACKAGE.json LOCK.json OUT FILE...
# FILEs are paths below node_modules; each arrives in OUT under its own name.
set -eu
package=$1 lock=$2 out=$3
shift 3
at=$out/npm-assets
mkdir -p "$at"
cp "$package" "$at/package.json"
cp "$lock" "$at/package-lock.json"
(cd "$at" && npm ci --silent --no-audit --no-fund --ignore-scripts --prefer-offline --fetch-retries=5) >&2 || {
    echo "npm-assets.sh: npm could not fetch what the dashboard needs" >&2
    exit 1
}
for f; do cp "$at/node_modules/$f" "$out/"; done
