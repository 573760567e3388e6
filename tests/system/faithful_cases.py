# SPDX-License-Identifier: MIT
"""Command lines that must do the same with and without Clawrden.

Each case is a name and a bash script. Both runs start in a fresh directory of the same content; what they write to
stdout and stderr, their exit status, and the files they leave must be equal, byte for byte. The scripts call tools by
name: in the governed run each name leads to the shim."""

# Tools that the governed run finds as shims.
TOOLS = """
awk base64 basename bash bzip2 cat chmod cmp comm cp curl cut dash date dd df diff dirname du env expr false find git
grep gunzip gzip head id install kill ln ls make md5sum mkdir mkfifo mktemp mv nice node nohup npm od paste perl printenv
printf ps pwd python3 readlink realpath rm rmdir sed seq setsid sh sha256sum sleep sort stat stty tac tail tar tee test
timeout touch tr true tty uname uniq wc xargs xz yes
""".split()

CASES = [
    # streams
    ("stdout", "seq 1 1000"),
    ("stderr only", "ls /nonexistent/x"),
    ("stdout and stderr apart", "ls /nonexistent . ; ls -1 / | head -3"),
    ("stdout and stderr in one pipe keep their order",
     "perl -e '$|=1; select(STDERR); $|=1; select(STDOUT); for (1..50) { print STDOUT \"o$_\\n\"; print STDERR \"e$_\\n\"; }' 2>&1"),
    ("pipeline", "seq 1 5000 | grep 7 | sort -r | head -5 | tr 0-9 a-j"),
    ("long pipeline", "seq 100 | cat | cat | cat | cat | cat | cat | cat | cat | wc -l"),
    ("here document", "cat <<EOF\nhello $((1+1))\nEOF"),
    ("here string", "tr a-z A-Z <<< 'quiet words'"),
    ("stdin from file", "printf 'b\\na\\n' > in; sort < in"),
    ("append redirection", "echo one > f; cat f >> g; cat f >> g; cat g"),
    ("binary through a pipe", "head -c 300000 /dev/zero | tr '\\0' '\\377' | sha256sum"),
    ("every byte", "perl -e 'print map chr, 0..255' | cat | od -c"),
    ("line of 1 MiB", "head -c 1048576 /dev/zero | tr '\\0' x | tee long | wc -c; sha256sum long"),
    ("no newline at the end", "printf 'no newline'"),
    ("large output", "seq 1 200000 | sha256sum"),
    ("tee to stderr", "echo x | tee /dev/stderr"),
    ("closed stdin", "cat <&-; echo $?"),
    ("closed stdout", "echo x >&-; ls >&-; echo $? >&2"),
    ("closed stderr", "ls /nonexistent 2>&-; echo $?"),
    ("all closed", "ls <&- >&- 2>&-; echo $?"),
    ("stdin is /dev/null", "cat < /dev/null; echo $?"),
    ("stdout is /dev/full", "seq 1 10 > /dev/full; echo $?"),
    ("stdin is a directory", "cat < . ; echo $?"),
    ("reader goes away", "yes | head -3; echo ${PIPESTATUS[@]}"),
    ("SIGPIPE kills", "seq 1 1000000 | head -1; echo ${PIPESTATUS[0]}"),
    ("extra descriptor is the shell's own", "exec 7>seven; echo to7 >&7; cat seven"),
    ("read from fifo", "mkfifo p; (echo through > p) & cat p; wait"),
    ("seek in a shared file", "printf '1234567890' > f; { head -c 3; cat; } < f"),
    ("same offset for two writers", "{ printf a; printf b; cat /dev/null; printf c; } > f; cat f"),
    # exit status and signals
    ("exit codes", "for i in 0 1 2 42 125 126 127 128 200 255; do sh -c \"exit $i\"; echo $?; done"),
    ("killed by each signal",
     "for s in HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM; do sh -c \"ulimit -c 0; kill -$s \\$\\$\"; echo $s $?; done 2>/dev/null"),
    ("timeout kills", "timeout 0.3 sleep 5; echo $?"),
    ("timeout -s KILL", "timeout -s KILL 0.3 sleep 5; echo $?"),
    ("TERM reaches the tool", "sh -c 'trap \"echo got term; exit 3\" TERM; while :; do sleep 0.05; done' & p=$!; sleep 0.4; kill -TERM $p; wait $p; echo $?"),
    ("USR1 and USR2 reach the tool", "sh -c 'trap \"echo one\" USR1; trap \"echo two; exit 5\" USR2; while :; do sleep 0.05; done' & p=$!; sleep 0.4; kill -USR1 $p; sleep 0.3; kill -USR2 $p; wait $p; echo $?"),
    ("INT to a background tool is ignored as in a plain shell", "sh -c 'sleep 0.4; echo end' & p=$!; sleep 0.1; kill -INT $p; wait $p; echo $?"),
    ("nohup", "nohup sh -c 'kill -HUP $$; echo alive' 2>/dev/null; echo $?"),
    ("trap inherited as ignored", "trap '' TERM; sh -c 'kill -TERM $$; echo survived'; echo $?"),
    ("stop and continue", "sh -c 'sleep 0.5; echo done' & p=$!; sleep 0.1; kill -STOP $p; sleep 0.2; kill -CONT $p; wait $p; echo $?"),
    ("kill -9", "sleep 30 & p=$!; sleep 0.2; kill -9 $p; wait $p 2>/dev/null; echo $?"),
    ("background jobs", "sleep 0.1 & sleep 0.2 & wait; echo waited; jobs"),
    ("missing file as exit 1", "grep x /nonexistent; echo $?"),
    ("and or", "true && echo yes; false || echo no; ! true; echo $?"),
    # arguments, names, environment
    ("empty and blank arguments", "printf '[%s]' '' ' ' 'a b' $'\\t' $'\\n'; printf '%s|' \"$@\""),
    ("quotes and backslashes", r"""printf '%s\n' '"' "'" '\' '$HOME' '`id`' '*' '?' '~' '!'"""),
    ("not UTF-8 argument", "printf '%s' $'\\xff\\xfe\\x80' | od -An -tx1; touch $'bad\\xff'; ls | od -c"),
    ("newline in a file name", "touch $'two\\nlines'; ls -1 | wc -l; rm $'two\\nlines'; ls"),
    ("leading dash", "touch -- -rf; ls; rm -- -rf; ls"),
    ("unicode", "printf 'ö☃😀\\n' > 'naïve ☃'; cat 'naïve ☃'; ls"),
    ("20,000 arguments", "printf '%s\\n' $(seq 1 20000) | tail -1; ls $(seq 1 2) 2>&1 | sort"),
    ("an argument of 100 KiB", "x=$(head -c 100000 /dev/zero | tr '\\0' y); printf %s \"$x\" | wc -c"),
    ("xargs with many", "seq 1 30000 | xargs printf '%s ' | wc -w"),
    ("an argument too long is the shell's own error", "x=$(head -c 140000 /dev/zero | tr '\\0' y); printenv \"$x\" 2>/dev/null; echo $?"),
    ("variables that the policy passes", "LC_ALL=C TERM=xterm-256color TZ=Europe/Vienna printenv LC_ALL TERM TZ; TZ=UTC date -d @0"),
    ("HOME", "HOME=$PWD sh -c 'echo ~ | tail -c 2; cd ~ && ls -A'"),
    # directories, ids, limits
    ("pwd", "mkdir -p a/b; cd a/b; basename \"$(pwd)\"; cd ..; sh -c 'basename $(pwd)'"),
    ("cwd through a symlink", "mkdir real; ln -s real link; cd link; touch here; cd ..; ls real"),
    ("cwd removed", "mkdir gone; cd gone; rmdir ../gone; true; ls 2>/dev/null; echo $?"),
    ("umask", "umask 027; touch u; mkdir d; stat -c %a u d; (umask 0; touch v); stat -c %a v"),
    ("id", "id -u; id -g; id -G | tr ' ' '\\n' | sort -n"),
    ("ulimit on files", "ulimit -n 64; sh -c 'ulimit -n'"),
    ("ulimit on file size", "ulimit -f 1; sh -c 'ulimit -f'; dd if=/dev/zero of=big bs=4096 count=4 2>/dev/null; echo $?; stat -c %s big"),
    ("ulimit on cpu", "ulimit -t 60; sh -c 'ulimit -t'"),
    ("nice", "nice -n 5 nice"),
    # real work
    ("tar round trip", "mkdir t; seq 1 100 > t/a; seq 1 50 > t/b; tar czf t.tgz t; rm -r t; tar xzf t.tgz; cat t/a t/b | sha256sum"),
    ("gzip in a pipe", "seq 1 10000 | gzip -9n | gunzip | sha256sum"),
    ("find -exec", "mkdir -p x/y; touch x/1 x/y/2; find x -type f -exec basename {} \\; | sort"),
    ("find | xargs -0", "mkdir z; touch 'z/a b' $'z/c\\nd'; find z -type f -print0 | xargs -0 ls | wc -l"),
    ("sed in place", "echo abc > s; sed -i s/b/X/ s; cat s"),
    ("awk", "seq 1 10 | awk '{s += $1} END {print s}'"),
    ("git", "git init -q -b main r; cd r; git config user.email a@b; git config user.name n; echo 1 > f; git add f; git commit -qm one; git log --format=%s; git status --short; echo 2 > f; git diff --stat; git --no-pager diff | tail -1"),
    ("git with a pager that is not a terminal", "git init -q -b main r; cd r; git -c user.email=a@b -c user.name=n commit -q --allow-empty -m x; git log --format=%s | cat"),
    ("git with bad usage", "git nosuchcommand; echo $?"),
    ("python", "python3 -c 'import sys, os; print(sys.argv, os.isatty(1), sys.stdin.read())' a 'b c' < /dev/null"),
    ("python subprocess", "python3 -c 'import subprocess; r = subprocess.run([\"sh\", \"-c\", \"echo out; echo err >&2; exit 7\"], capture_output=True); print(r)'"),
    ("python timeout", "python3 -c '\nimport subprocess\ntry: subprocess.run([\"sleep\", \"9\"], timeout=0.3)\nexcept subprocess.TimeoutExpired as e: print(\"expired\", e.cmd)'"),
    ("node", "node -e 'console.log(process.argv.length, process.stdout.isTTY === undefined); process.stderr.write(\"e\"); process.exit(9)'; echo $?"),
    ("node child process", "node -e 'const c = require(\"child_process\").spawnSync(\"sh\", [\"-c\", \"cat; exit 4\"], {input: \"fed\"}); console.log(c.status, String(c.stdout))'"),
    ("npm run", "echo '{\"name\":\"p\",\"version\":\"1.0.0\",\"scripts\":{\"hi\":\"echo from npm; exit 3\"}}' > package.json; npm run -s hi; echo $?"),
    ("make -j", "printf 'all: a b c\\na b c:\\n\\t@sh -c \"echo made > $@\"\\n' > Makefile; make -s -j4; cat a b c"),
    ("make fails", "printf 'all:\\n\\t@sh -c \"exit 3\"\\n' > Makefile; make -s; echo $?"),
    ("perl", "perl -ne 'print scalar reverse' <<< 'abc'"),
    ("login shell", "bash -lc 'echo in login' 2>/dev/null"),
    ("setsid", "setsid -w sh -c 'exit 6'; echo $?"),
    ("a daemon that the command leaves behind lives on", "sh -c '(sleep 0.4; echo late > left) > /dev/null 2>&1 & echo started'; sleep 0.8; cat left"),
    ("dd status", "dd if=/dev/zero of=d bs=1k count=64 2>/dev/null; stat -c %s d"),
    ("hard and soft links", "echo x > a; ln a b; ln -s a c; cat b c; stat -c %h a; readlink c"),
    ("cp -a keeps modes", "echo x > a; chmod 640 a; cp -a a b; stat -c %a b"),
    ("rm -r", "mkdir -p q/w; touch q/w/e; rm -r q; ls"),
]
