#!/bin/sh
# SPDX-License-Identifier: MIT
# install-clawrden.sh: puts the shim into an image and in front of everything that looks for a tool there. For RUN in a
# Dockerfile, as root; needs a POSIX sh (ash, dash, bash) and what every base image has. See docs/docker.md.
#
# A tool is locked by another name (NAME.original) with the shim in its place. That is an obstacle to habits, no boundary: who knows
# the other name can call it. What must not be gone around needs clawrden-gate as entry point.
#
# What is printed into other files must not be expanded here; the branch behind || is meant for both conditions before it.
# shellcheck disable=SC2015,SC2016
set -eu
LC_ALL=C
export LC_ALL
umask 022

top=/clawrden bin=/clawrden/bin state=/clawrden/state
mark='CLAWRDEN-SHIM-v2' # src/shim/marker.c
begin='# >>> clawrden >>> (install-clawrden.sh --uninstall takes this out)'
end='# <<< clawrden <<<'
standard=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# Without these neither the image's own scripts nor this one would start.
never=' sh bash ash dash busybox env ld.so '

say() { printf 'install-clawrden: %s\n' "$*"; }
warn() { printf 'install-clawrden: warning: %s\n' "$*" >&2; }
die() { printf 'install-clawrden: %s\n' "$*" >&2; exit 1; }
misuse() { printf 'install-clawrden: %s (--help tells more)\n' "$*" >&2; exit 2; }

usage() {
    cat <<'TEXT'
usage: install-clawrden.sh [OPTION...]
  --lock-binaries LIST  tools to govern, "npm,docker": the shim stands in front of PATH and in each one's own place;
                        the tool itself is kept beside it as NAME.original
  --link-binaries LIST  tools to govern by PATH alone; those that the image does not have may be named too
  --user NAME           the agent's user: its shells' files are set up too, and its group may enter the socket's directory
  --shim FILE           the shim to install; default: beside this script, or where make install and the package put it
  --socket-dir DIR      where the warden's socket will be mounted; default /var/run/clawrden
  --dry-run             say what would be done, do nothing
  --uninstall           put everything back as it was
TEXT
}

# ---- what was asked for ----

lock='' links='' user='' shim='' socket_dir=/var/run/clawrden dry=0 undo=0
while [ $# -gt 0 ]; do
    option=$1
    case $option in
        --*=*) value=${option#*=} option=${option%%=*} ;;
        --lock-binaries | --link-binaries | --user | --shim | --socket-dir)
            [ $# -ge 2 ] || misuse "$option needs a value"
            value=$2
            shift
            ;;
        *) value='' ;;
    esac
    shift
    case $option in
        --lock-binaries) lock=$lock,$value ;;
        --link-binaries) links=$links,$value ;;
        --user) user=$value ;;
        --shim) shim=$value ;;
        --socket-dir) socket_dir=$value ;;
        --dry-run) dry=1 ;;
        --uninstall) undo=1 ;;
        --help | -h) usage; exit 0 ;;
        *) misuse "unknown option '$option'" ;;
    esac
done

# A list becomes words that are safe as file names; prints them.
names() { # option list
    case $2 in
        *[!A-Za-z0-9._+,\ -]*) misuse "$1: names of tools are made of letters, digits and . _ + - only" ;;
    esac
    ifs=$IFS IFS=' ,'
    for n in $2; do
        case $n in
            -* | .* | clawrden*) misuse "$1: '$n' is no name of a tool" ;;
            *.original) misuse "$1: '$n' would be the name of a locked tool" ;;
        esac
        [ ${#n} -le 200 ] || misuse "$1: a name is too long"
        printf '%s ' "$n"
    done
    IFS=$ifs
}
lock=$(names --lock-binaries "$lock")
links=$(names --link-binaries "$links")
for n in $lock; do
    case $never in *" $n "*) misuse "--lock-binaries: every script needs '$n'; name it with --link-binaries, or use the gate" ;; esac
done
case $socket_dir in
    *[!A-Za-z0-9._/-]* | *//* | */../* | */./* | */.. | */.) misuse "--socket-dir: '$socket_dir' is no plain path" ;;
    /*[!/]) ;;
    *) misuse "--socket-dir: '$socket_dir' is no absolute path" ;;
esac
case $user in
    '') ;;
    -* | *[!A-Za-z0-9._-]*) misuse "--user: '$user' is no name of a user" ;;
esac

# ---- where we stand ----

[ ! -L $top ] && [ ! -L $bin ] && [ ! -L $state ] && [ ! -L $state/tools ] ||
    die "$top, or a directory in it, is a symbolic link; whoever made that could lead us anywhere"
if [ -e $state/tools ]; then
    # -O is in ash, dash and bash; stat may be locked, and is found there only.
    # shellcheck disable=SC3067
    [ -O $top ] && [ -O $state ] && [ -O $state/tools ] || die "$top is not ours"
fi
# Tools that are locked lie there by their own names.
PATH=$state/tools:$standard
export PATH
for n in cat chmod chown cp dd grep id ln ls mkdir mv readlink rm rmdir sed sha256sum stat tail; do
    command -v $n >/dev/null || die "this image has no '$n'"
done
[ "$(id -u)" = 0 ] || die "only root can do this (in a Dockerfile: before USER)"

# Nobody but root may have a say in what lies there.
guarded() { # directory
    [ -d "$1" ] || die "$1 is no directory"
    [ "$(stat -c %u "$1")" = 0 ] || die "$1 belongs to another user, who could change what is put there"
    case $(ls -ld "$1") in
        ?????w* | ????????w*) die "$1 can be written by others than root, who could change what is put there" ;;
    esac
}
for n in $top $bin $state $state/tools $state/backup; do
    [ ! -e "$n" ] || guarded "$n"
done

is_shim() { [ -f "$1" ] && dd if="$1" bs=4096 count=1 2>/dev/null | grep -q $mark; }
is_there() { [ -e "$1" ] || [ -L "$1" ]; }
leads_to_ours() { [ -L "$1" ] && [ "$(readlink "$1")" = $bin/clawrden-shim ]; }

# ---- what was done: lines "WHAT PATH" and "edit N SUM PATH", each written before the act ----

recorded() { [ -e $state/done ] && grep -qxF "$*" $state/done; }
record() { recorded "$@" || printf '%s\n' "$*" >>$state/done; }
forget() {
    grep -vxF "$*" $state/done >$state/done.new || :
    mv -f $state/done.new $state/done
}

make_dir() { # path mode
    [ ! -d "$1" ] || return 0
    ! is_there "$1" || die "$1 is in the way"
    case ${1%/*} in '') ;; *) make_dir "${1%/*}" 755 ;; esac
    mkdir "$1"
    chmod "$2" "$1"
    made="$made $1"
    [ -d $state ] || return 0
    for d in $made; do record "dir $d"; done
    made=''
}
made=''

# ---- files of shells ----

block() {
    printf '%s\n' "$begin"
    printf 'case ":${PATH-}:" in :%s:*) ;; *) PATH=%s${PATH:+:$PATH}; export PATH ;; esac\n' $bin $bin
    [ "$socket_dir" = /var/run/clawrden ] || printf 'CLAWRDEN_SOCKET=%s/warden.sock; export CLAWRDEN_SOCKET\n' "$socket_dir"
    printf '%s\n' "$end"
}
# No shell reads this one: KEY=VALUE, the last one counts.
environment_block() { # old
    path=$(sed -n 's/^PATH=//p' "$1" | sed -n '$p' | sed "s/^[\"']//; s/[\"']\$//; s|^$bin:||")
    printf '%s\nPATH="%s:%s"\n' "$begin" $bin "${path:-$standard}"
    [ "$socket_dir" = /var/run/clawrden ] || printf 'CLAWRDEN_SOCKET="%s/warden.sock"\n' "$socket_dir"
    printf '%s\n' "$end"
}
with_blocks() { # old kind
    # First as well: such files return early when the shell is not interactive. Last: what they put before PATH comes behind.
    [ "$2" != both ] || block
    cat "$1"
    [ ! -s "$1" ] || [ -z "$(tail -c 1 "$1")" ] || echo
    if [ "$2" = environment ]; then environment_block "$1"; else block; fi
}
without_blocks() { # file
    if [ "$(grep -c '^# >>> clawrden >>>' "$1")" = "$(grep -c '^# <<< clawrden <<<' "$1")" ]; then
        sed '/^# >>> clawrden >>>/,/^# <<< clawrden <<</d' "$1"
    else
        cat "$1"
    fi
}
sum() { sha256sum <"$1" | sed 's/ .*//'; }
record_of() { # path: its line
    [ ! -e $state/done ] || sed -n '/^edit [0-9]* [0-9a-f]* /p' $state/done | while read -r what n have path; do
        [ "$path" != "$1" ] || printf '%s %s %s %s\n' "$what" "$n" "$have" "$path"
    done
}

# Never through a link, and from a copy: who owns the directory may change the file at any moment.
edit() { # file both|end|environment owner
    if [ -L "$1" ] || { is_there "$1" && [ ! -f "$1" ]; }; then
        warn "$1 is no ordinary file and is left alone: shells that read it may not find the shims"
        return 0
    fi
    old=$state/old new=$state/new line=$(record_of "$1")
    if [ -n "$line" ] && [ -f "$1" ] && [ "$(printf %s "$line" | sed 's/^edit [0-9]* \([0-9a-f]*\) .*/\1/')" = "$(sum "$1")" ]; then
        return 0
    fi
    if [ $dry = 1 ]; then say "would put $bin first on PATH in $1"; return 0; fi
    rm -rf $old $new
    if [ -f "$1" ]; then
        cp -PRp "$1" $old
        [ -f $old ] && [ ! -L $old ] || die "$1 was changed in this moment"
    else
        : >$old
        chmod 644 $old
        chown "$3" $old
    fi
    n=1
    while [ -e $state/backup/$n ] || [ -e $state/backup/$n.none ]; do n=$((n + 1)); done
    if [ -n "$line" ]; then # it was changed since; what is not ours stays
        cp -p $old $new
        without_blocks $new >$old
    fi
    cp -p $old $new
    with_blocks $old "$2" >$new
    if [ -f "$1" ]; then mv $old $state/backup/$n; else : >$state/backup/$n.none; fi
    record "edit $n $(sum $new) $1"
    mv -f $new "$1"
    [ -z "$line" ] || forget "$line"
    say "put $bin first on PATH in $1"
}

restore() { # number sum path
    if [ -L "$3" ] || [ ! -f "$3" ]; then
        warn "$3 is gone, or no ordinary file any more, and is left alone"
    elif [ "$(sum "$3")" = "$2" ]; then
        if [ -e $state/backup/"$1" ]; then mv -f $state/backup/"$1" "$3"; else rm -f "$3"; fi
    else
        warn "$3 was changed since: only our lines were taken out"
        cp -PRp "$3" $state/old
        [ -f $state/old ] && [ ! -L $state/old ] || die "$3 was changed in this moment"
        cp -p $state/old $state/new
        without_blocks $state/old >$state/new
        mv -f $state/new "$3"
    fi
}

# ---- locks ----

directories() { # those of the standard PATH, each once, by their own names
    seen=' '
    ifs=$IFS IFS=:
    for d in $standard; do
        [ -d "$d" ] || continue
        d=$(cd -P "$d" && pwd -P)
        case $seen in *" $d "*) continue ;; esac
        seen="$seen$d "
        printf '%s ' "$d"
    done
    IFS=$ifs
}

prepare_shim() { # place
    rm -f "$1.clawrden-new" && ln -s $bin/clawrden-shim "$1.clawrden-new" || die "$1: cannot be locked"
}
put_shim() { # place
    hash -r # whatever stood here may be one of our own tools
    mv -f "$1.clawrden-new" "$1" || die "$1: the shim could not be put there; run this again"
    hash -r
}

lock_at() { # path, false when there is nothing to lock
    at=$1 kept=$1.original
    if leads_to_ours "$at"; then
        [ -e "$kept" ] || die "$at is a shim, but $kept is not there: its original is lost"
        return 0
    fi
    if ! is_there "$at" && recorded "lock $at" && is_there "$kept"; then # we were interrupted
        [ $dry = 1 ] || { prepare_shim "$at" && put_shim "$at"; }
        return 0
    fi
    is_there "$at" || return 1
    [ -f "$at" ] && [ -x "$at" ] || { warn "$at is no program and is left alone"; return 1; }
    ! is_shim "$at" || die "$at is a shim already, but not one that was put there by this script"
    if is_there "$kept"; then
        recorded "lock $at" && [ -f "$kept" ] || die "$kept is in the way"
        say "$at was replaced since it was locked (by an upgrade?)"
    fi
    if [ $dry = 1 ]; then say "would lock $at: kept as $kept"; return 0; fi
    guarded "${at%/*}"
    record "lock $at"
    is_there "$state/tools/${at##*/}" || ln -s "$kept" "$state/tools/${at##*/}"
    prepare_shim "$at"
    mv -f "$at" "$kept" || die "$at cannot be renamed"
    put_shim "$at"
    say "locked $at: kept as $kept"
}

unlock() { # path
    if ! is_there "$1.original"; then
        ! leads_to_ours "$1" || warn "$1.original is not there: $1 has lost its original"
    elif leads_to_ours "$1" || ! is_there "$1"; then
        mv -f "$1.original" "$1"
    else
        warn "$1 was replaced since it was locked; the one before it stays as $1.original"
    fi
    hash -r
}

# ---- uninstall ----

uninstall() {
    [ -e $state/done ] || { say "nothing is installed here"; return 0; }
    if [ $dry = 1 ]; then sed 's/^/install-clawrden: would undo: /' $state/done; return 0; fi
    dirs=''
    while read -r what path rest; do
        case $what in
            edit) restore "$path" "${rest%% *}" "${rest#* }" ;;
            link) ! leads_to_ours "$path" || rm -f "$path" ;;
            mode) chmod "${rest%% *}" "$path" && chown "${rest#* }" "$path" ;;
            lock) unlock "$path" ;;
            dir) dirs="$path $dirs" ;;
        esac
    done <$state/done
    rm -rf $state
    rm -f $bin/clawrden-shim
    hash -r
    for d in $dirs; do rmdir "$d" 2>/dev/null || :; done
    say "everything is as it was"
}
if [ $undo = 1 ]; then
    [ -z "$lock$links" ] || misuse "--uninstall takes back everything, and no list"
    uninstall
    exit 0
fi

# ---- install ----

uid=0 gid=0 home=''
if [ -n "$user" ]; then
    uid=''
    while IFS=: read -r name _ number group _ dir _; do
        [ "$name" != "$user" ] || { uid=$number gid=$group home=$dir; break; }
    done </etc/passwd
    [ -n "$uid" ] || die "there is no user '$user'; make it first (useradd, adduser)"
    [ "$uid" != 0 ] || warn "'$user' is root here, who can take the locks away again"
    case $home in
        / | '' | *[!A-Za-z0-9._/+@-]*) warn "the home directory '$home' of $user is left alone"; home='' ;;
        *) [ -d "$home" ] && [ ! -L "$home" ] || { warn "there is no directory $home: the files of $user's shells were not made"; home=''; } ;;
    esac
fi

if [ -z "$shim" ]; then
    here=${0%/*}
    [ "$here" != "$0" ] || here=.
    for f in "$here/clawrden-shim" "$here/../bin/clawrden-shim" "$here/../../libexec/clawrden/clawrden-shim" /usr/local/libexec/clawrden/clawrden-shim \
        /usr/libexec/clawrden/clawrden-shim $bin/clawrden-shim; do
        [ -z "$shim" ] && [ -f "$f" ] && shim=$f
    done
    [ -n "$shim" ] || die "there is no clawrden-shim beside this script; name it with --shim"
fi
is_shim "$shim" || die "'$shim' is not clawrden-shim"

if [ $dry = 0 ]; then
    make_dir $bin 755
    make_dir $state 700
    make_dir $state/tools 700
    make_dir $state/backup 700
    if [ ! -f $bin/clawrden-shim ] || [ "$(sum "$shim")" != "$(sum $bin/clawrden-shim)" ]; then
        [ ! -L $bin/clawrden-shim ] || die "$bin/clawrden-shim is a symbolic link"
        cp "$shim" $state/clawrden-shim
        chmod 755 $state/clawrden-shim
        chown 0:0 $state/clawrden-shim
        $state/clawrden-shim --version >/dev/null || die "'$shim' does not run here (made for another kind of machine?)"
        mv -f $state/clawrden-shim $bin/clawrden-shim
        say "$bin/clawrden-shim"
    fi
fi

all=''
for n in $lock $links; do
    case " $all " in *" $n "*) continue ;; esac
    all="$all $n"
    leads_to_ours "$bin/$n" && continue
    ! is_there "$bin/$n" || die "$bin/$n is there, and is no link of ours"
    if [ $dry = 1 ]; then say "would link $bin/$n"; continue; fi
    record "link $bin/$n"
    ln -s $bin/clawrden-shim "$bin/$n"
    say "linked $bin/$n"
done

# The places where shells and logins take PATH from.
edit /etc/profile end 0:0
if [ $dry = 0 ]; then make_dir /etc/profile.d 755; fi
edit /etc/profile.d/zz-clawrden.sh end 0:0
if [ -e /etc/bash.bashrc ] || [ ! -e /etc/bash/bashrc ]; then edit /etc/bash.bashrc both 0:0; else edit /etc/bash/bashrc both 0:0; fi
[ ! -d /etc/zsh ] || edit /etc/zsh/zshenv end 0:0
[ ! -d /etc/zsh ] || edit /etc/zsh/zprofile end 0:0
edit /etc/environment environment 0:0
for h in /root $home; do
    [ -d "$h" ] && [ ! -L "$h" ] || continue
    owner=0:0
    [ "$h" = /root ] || owner=$uid:$gid
    edit "$h/.profile" end "$owner"
    edit "$h/.bashrc" both "$owner"
    # Where there is one of these, bash does not read .profile.
    for f in .bash_profile .bash_login .zshenv .zshrc; do
        ! is_there "$h/$f" || edit "$h/$f" end "$owner"
    done
done

mode=755
[ -z "$user" ] || mode=750
[ ! -L "$socket_dir" ] || die "$socket_dir is a symbolic link"
if [ $dry = 1 ]; then
    say "would make $socket_dir, root's and group $gid's, mode $mode"
else
    if [ -d "$socket_dir" ]; then
        was=$(stat -c '%a %u:%g' "$socket_dir")
        [ "$was" = "$mode 0:$gid" ] || recorded "dir $socket_dir" || grep -q "^mode $socket_dir " $state/done ||
            record "mode $socket_dir $was"
    else
        make_dir "$socket_dir" $mode
    fi
    chown 0:"$gid" "$socket_dir"
    chmod $mode "$socket_dir"
fi

# Last: from here on this script's own tools may be locked ones.
dirs=$(directories)
for n in $lock; do
    found=0
    for d in $dirs; do
        ! lock_at "$d/$n" || found=1
    done
    [ $found = 1 ] || say "this image has no '$n': there is nothing to lock, only its link"
done

[ $dry = 0 ] || exit 0
say "done; the Dockerfile still needs:"
printf 'ENV PATH="%s:${PATH}"\n' $bin
[ "$socket_dir" = /var/run/clawrden ] || printf 'ENV CLAWRDEN_SOCKET="%s/warden.sock"\n' "$socket_dir"
