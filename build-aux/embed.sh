#!/bin/sh
# Writes a C file with the bytes of the given files: embed.sh OUT HEADER LIST FILE...
# LIST is the name of the array of {name, text, len}, ended by a row of NULL.
set -eu
out=$1 header=$2 list=$3
shift 3
LC_ALL=C
export LC_ALL
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
mv "$tmp" "$out"
