#!/bin/sh
# Writes a C file with the bytes of files: embed.sh OUT HEADER LIST FILE-OR-FOLDER...
# LIST is the name of the array of {name, text, len}, ended by a row of NULL; of a folder, its
# *.yaml are taken. OUT is left alone when nothing has changed, so that it can run at every build
# and a new file is seen.
set -eu
out=$1 header=$2 list=$3
shift 3
LC_ALL=C
export LC_ALL
if [ -d "$1" ]; then
    set -- "$1"/*.yaml
fi
for f; do
    [ -f "$f" ] || { echo "embed.sh: no file $f" >&2; exit 1; }
done
tmp=$out.tmp
{
    echo "/* Written by build-aux/embed.sh; do not change. */"
    echo "#include \"$header\""
    n=0
    for f; do
        echo "static const unsigned char text_$n[] = {"
        od -An -v -tu1 <"$f" | sed 's/[0-9][0-9]*/&,/g'
        echo "};"
        n=$((n + 1))
    done
    echo "const struct $list $list[] = {"
    n=0
    for f; do
        echo "    {\"$(basename "$f")\", text_$n, sizeof(text_$n)},"
        n=$((n + 1))
    done
    echo "    {0},"
    echo "};"
} >"$tmp"
if cmp -s "$tmp" "$out"; then rm "$tmp"; else mv "$tmp" "$out"; fi
