#!/bin/sh
# link.sh WORKDIR CC... -- LAYER.a MAY_USE... : links all of a layer (every object of the archive) with
# empty.c and only what stands behind it. An arrow that points the wrong way is a symbol that nobody
# defines; the linker names it, and the file that wants it.
# link.sh --calls LAYER.a SYMBOL... : the layer calls nothing but itself and these.
set -eu
here=$(dirname "$0")

if [ "$1" = --calls ]; then
    lib=$2
    shift 2
    own=$(nm -g --defined-only "$lib" | awk 'NF == 3 {print $3}')
    odd=0
    for s in $(nm -u "$lib" | awk 'NF == 2 && $1 == "U" {print $2}' | sort -u); do
        case " $(echo "$own" | tr '\n' ' ') $* " in *" $s "*) continue ;; esac
        case $s in _GLOBAL_OFFSET_TABLE_ | __stack_chk_* | __asan_* | __ubsan_* | __sanitizer_* | __mem*_chk) continue ;; esac
        echo "$lib calls $s" >&2
        odd=1
    done
    exit $odd
fi

dir=$1
shift
cc=
while [ "$1" != -- ]; do cc="$cc $1"; shift; done
lib=$2
shift 2
# Without --whole-archive the linker would take no object of the layer: nobody calls it here.
# shellcheck disable=SC2086 -- CC is words
exec $cc -o "$dir/alone-$(basename "$lib" .a)" "$here/empty.c" -Wl,--whole-archive "$lib" -Wl,--no-whole-archive "$@"
