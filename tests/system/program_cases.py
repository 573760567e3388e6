# SPDX-License-Identifier: MIT
"""Programs of Debian, as scripts for `sh` whose output, errors, status and files must be the same under `clawrden run`.

    name: (programs that must be installed, script)

What prints times, process numbers or sizes of the machine is left out or cut away by the script itself."""

GIT = "git init -q r && cd r && git config user.name n && git config user.email n@example.org && echo one > f && git add f && git commit -qm one; "

CASES = {
    # ---- shells ----
    "dash": ("dash", "dash -c 'i=0; while [ $i -lt 20 ]; do /bin/echo $i; i=$((i+1)); done; exit 5'"),
    "bash pipelines": ("bash", "bash -c 'set -o pipefail; /bin/echo a | /bin/cat | tr a b | tee out; /bin/false | /bin/true; echo ${PIPESTATUS[@]} $?'"),
    "bash substitutions": ("bash", "bash -c 'diff <(/bin/echo a) <(/bin/echo b); cat < <(/bin/echo c) > >(cat); echo $(echo $(/bin/echo d))'; sleep 0.2"),
    "bash background": ("bash", "bash -c '(sleep 0.1; exit 3) & p=$!; sleep 0.05 & wait $p; echo $?; wait; echo $?'"),
    "bash traps": ("bash", "bash -c 'trap \"echo term\" TERM; trap \"/bin/echo bye\" EXIT; kill -TERM $$; /bin/echo on; exit 4'"),
    "bash coproc": ("bash", "bash -c 'coproc C { while read l; do /bin/echo got $l; done; }; echo hi >&${C[1]}; read x <&${C[0]}; echo $x'"),
    "bash exec": ("bash", "bash -c 'exec 7>out; /bin/echo seven >&7; exec -a other /bin/sh -c \"echo \\$0\"'"),
    "bash login": ("bash", "bash -lc 'echo $0; type -t ls'; bash --norc --noprofile -c 'shopt -s globstar; echo **'"),
    "signals of children": ("sh", "for s in TERM KILL INT QUIT SEGV; do sh -c \"ulimit -c 0; kill -$s \\$\\$\" 2>/dev/null; echo $s $?; done"),
    "ulimit": ("bash", "bash -c 'ulimit -n 64; ulimit -n; ulimit -t 5; ulimit -t; umask 027; umask; /bin/sh -c umask; touch f; stat -c %a f'"),
    "not found": ("sh", "no-such-program; echo $?; ./none; echo $?; /etc/passwd; echo $?; /; echo $?"),
    "a script without #!": ("bash", "echo 'echo plain script $1' > s; chmod +x s; ./s a; bash -c './s b'; find . -name s -exec ./{} c ';' 2>&1 | grep -c s"),
    "nested #!": ("sh", "printf '#!/bin/sh\\necho \"$0 $1 $2\"\\n' > i; printf '#!/bin/sh -e\\n./i x y\\n' > s; chmod +x i s; ./s; printf '#!/no/such\\n' > n; chmod +x n; ./n; echo $?"),
    "many arguments": ("sh", "seq 20000 | xargs sh -c 'echo $#' x; seq 3000 | xargs -n 500 echo | wc -l"),
    "long environment": ("env", "env -i A=\"$(head -c 60000 /dev/zero | tr '\\0' x)\" /bin/sh -c 'echo ${#A}'; env -i B=1 /usr/bin/env"),
    # ---- small tools ----
    "sed awk": ("sed awk", "seq 10 | sed -n '2,4p;s/9/nine/p' | awk '{s+=$1; print} END {print s; system(\"echo from awk; exit 2\")}'; printf 'a\\n' > f; sed -i s/a/b/ f; cat f"),
    "sort uniq join": ("sort join", "printf '3 c\\n1 a\\n2 b\\n1 a\\n' | sort -u > x; printf '1 A\\n3 C\\n' > y; join x y; sort -R x | wc -l; comm -12 x x | uniq -c"),
    "grep": ("grep", "printf 'one\\ntwo\\n' > f; grep -c o f; grep -q zzz f; echo $?; grep -rn two .; egrep 'x|t' f; grep missing none; echo $?"),
    "find": ("find", "mkdir -p a/b; touch a/x a/b/y; find . -type f -exec sh -c 'echo \"$1\"' _ {} ';' | sort; find a -name y -execdir /bin/echo {} +; find . -name b -prune -o -print | sort"),
    "xargs": ("xargs", "seq 30 | xargs -P 4 -n 1 sh -c 'exit $(($1 % 3 == 0))' _; echo $?; printf 'a b\\0c' | xargs -0 -I{} echo '<{}>'"),
    "diff patch": ("diff patch", "printf '1\\n2\\n3\\n' > a; printf '1\\ntwo\\n3\\n' > b; diff a b > d; echo $?; patch a d; cmp a b; echo $?; diff3 a b a; echo $?"),
    "coreutils": ("od sha256sum", "printf 'data\\n' > f; sha256sum f; md5sum f | md5sum -c -; od -c f; base64 f; tac f; nl f; cut -c2 f; tr a-z A-Z < f; split -b 2 f p; ls p*; cp -a f g; ln -s f l; readlink -f l | sed 's,.*/,,'; stat -c '%s %F' l; mv g h; rm p*; ls"),
    "tee and dd": ("tee dd", "seq 5 | tee a b | tail -1; dd if=a of=c bs=1 count=3 2>/dev/null; od -c c; truncate -s 100 d; wc -c < d"),
    "timeout": ("timeout", "timeout 0.2 sleep 5; echo $?; timeout -s KILL 0.2 sleep 5; echo $?; timeout 5 sh -c 'exit 7'; echo $?; timeout --foreground 0.2 sh -c 'exec sleep 5'; echo $?"),
    "nice nohup setsid": ("nohup setsid", "nice -n 5 nice; nohup echo kept 2>/dev/null; setsid -w sh -c 'exit 6'; echo $?; stdbuf -oL echo line; chrt -o 0 echo sched; ionice -c 3 echo io"),
    "flock": ("flock", "flock l sh -c 'echo held; flock -n l echo twice; echo $?'; flock -n l echo free"),
    "bc expr printf": ("expr", "expr 6 '*' 7; printf '%05.1f|%s\\n' 3.14159 x; test 1 -lt 2 -a -d /; echo $?; [ a = b ]; echo $?; factor 12; seq -s, 3; numfmt --to=iec 2048"),
    "date": ("date", "TZ=UTC date -d @0 +%F; TZ=Asia/Tokyo date -d @0 +%H; LC_ALL=C cal 2>/dev/null 1 2020; true"),
    "iconv locale": ("iconv", "printf '\\303\\244' | iconv -f utf8 -t latin1 | od -An -tx1; locale -k LC_TIME | head -1; getconf PATH; getent passwd root"),
    "ps": ("ps", "sh -c 'sleep 1 & ps -o comm= -p $!; kill $!'; ps -o comm= -p $$; pgrep -x no-such-thing; echo $?"),
    "less more": ("less", "seq 3 | less; seq 3 | more; printf 'x\\n' > f; PAGER=less sh -c '$PAGER f'"),
    "ed": ("ed", "printf 'a\\nhello\\n.\\nw f\\nq\\n' | ed -s; cat f; printf '!echo shell\\nq\\n' | ed -s"),
    "vi": ("vi", "printf 'one\\n' > f; vi -es -c '%s/one/two/' -c wq f </dev/null; echo $?; cat f"),
    "vim filters": ("vim", "printf 'b\\na\\n' > f; vim -u NONE -es -c '%!sort' -c 'r !echo from shell' -c wq f </dev/null; cat f"),
    # ---- archives ----
    "tar": ("tar gzip", "mkdir d; seq 100 > d/f; ln -s f d/l; tar czf t.tgz d; tar tzf t.tgz; rm -r d; tar xzf t.tgz; ls -1 d; tar cf - d | tar xf - -C . ; echo $?; tar cf t.tar --to-command='cat' d 2>/dev/null; tar xf t.tar -O d/f | tail -1; tar xf none; echo $?"),
    "compressors": ("bzip2 xz", "seq 1000 > f; for c in gzip bzip2 xz; do $c -k f; done; ls f.*; tar cJf t f; tar cjf u f; tar tf t u; zcat f.gz | tail -1; xzcat f.xz | wc -l; gunzip -t f.xz; echo $?"),
    "zip": ("zip unzip", "seq 10 > f; zip -q z f; rm f; unzip -qo z; tail -1 f; zip -T z | tail -1"),
    "cpio": ("cpio", "seq 5 > f; echo f | cpio -o --quiet > a; rm f; cpio -i --quiet < a; cat f; rm a"),
    "rsync": ("rsync", "mkdir a; seq 9 > a/f; rsync -a a/ b; rsync -ani --delete a/ b | wc -l; cat b/f | tail -1; rsync none c 2>/dev/null; echo $?"),
    # ---- git ----
    "git": ("git", GIT + "echo two >> f; git diff --stat; git commit -qam two; git log --format='%s %an'; git show --stat --format=%s; git blame -s f | cut -c 10-; git status --short; git push; echo $?"),
    "git branches": ("git", GIT + "git checkout -qb side; echo s > g; git add g; git commit -qm side; git checkout -q -; echo m > h; git add h; git commit -qm m; git merge -q --no-edit side; git log --format=%s --no-merges; git branch -d side | sed 's/(.*//'"),
    "git rebase with an editor": ("git", GIT + "for i in 2 3; do echo $i > $i; git add $i; git commit -qm $i; done; GIT_SEQUENCE_EDITOR='sed -i 1s/pick/reword/' GIT_EDITOR='sed -i 1s/^/re-/' git rebase -q -i HEAD~2; git log --format=%s"),
    "git hooks": ("git", GIT + "printf '#!/bin/sh\\necho hook $1\\ngit diff --cached --name-only\\n' > .git/hooks/pre-commit; printf '#!/bin/sh\\nsed -i 1s/^/[x]\\ / \"$1\"\\n' > .git/hooks/commit-msg; chmod +x .git/hooks/*-*; echo 2 > f; git commit -qam two; git log -1 --format=%s; printf '#!/bin/sh\\nexit 1\\n' > .git/hooks/pre-commit; echo 3 > f; git commit -qam three; echo $?"),
    "git pager and aliases": ("git", GIT + "git -c core.pager='sed s/^/P:/' --paginate log --format=%s; git -c alias.x='!echo alias; git rev-parse --abbrev-ref HEAD | wc -l' x a; GIT_PAGER=cat git --paginate show --format=%s --stat; git -c diff.external=/bin/false diff; echo $?"),
    "git remotes": ("git", GIT + "git init -q --bare ../b; git remote add o ../b; git push -q o HEAD:main; cd ..; git clone -q -b main b c; cd c; git log --format=%s; echo 2 > f; git -c user.name=n -c user.email=e commit -qam two; git push -q; cd ../r; git pull -q o main; cat f; git ls-remote o | wc -l; git fetch -q --all"),
    "git stash worktree": ("git", GIT + "echo x > f; git stash -q; cat f; git stash pop -q; cat f; git worktree add -q ../w HEAD; ls ../w; git worktree list | wc -l; git stash list; git gc -q; git fsck; git count-objects | cut -d' ' -f2"),
    "git bisect": ("git", GIT + "for i in 1 2 3 4 5; do echo $i > n; git add n; git commit -qm $i; done; git bisect start -q HEAD HEAD~4 >/dev/null; git bisect run sh -c '[ $(cat n) -lt 4 ]' | grep -c 'first bad'; git bisect reset -q; git submodule -q status; git grep -c one"),
    "git patches": ("git", GIT + "echo 2 >> f; git commit -qam two; git format-patch -q -1; git reset -q --hard HEAD~1; git am -q 0001*; git log --format=%s; git archive HEAD | tar tf -; git bundle create -q b HEAD; git clone -q b ../q 2>/dev/null; ls ../q | wc -l"),
    # ---- languages ----
    "python": ("python3", "python3 -c 'import sys; print(sys.argv[1:], sys.stdin.read())' a b </dev/null; printf 'import sys\\nprint(__name__)\\nsys.exit(9)\\n' > m.py; python3 m.py; echo $?; python3 -m m; python3 - x < m.py; python3 -c '1/0' 2>&1 | tail -1"),
    "python subprocess": ("python3", "cat > m.py <<'X'\nimport os, subprocess as s, signal\nprint(s.run(['echo', 'a'], capture_output=True), s.run('exit 3', shell=True).returncode)\np = s.Popen(['sleep', '9']); p.terminate(); print(p.wait())\ntry: s.run(['sleep', '9'], timeout=0.3)\nexcept s.TimeoutExpired as e: print('late')\ntry: s.run(['no-such'])\nexcept FileNotFoundError as e: print(e)\nprint(os.system('exit 4') >> 8, os.popen('echo popen').read())\npid = os.posix_spawn('/bin/sh', ['sh', '-c', 'exit 5'], os.environ); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\nprint(s.run(['sh', '-c', 'kill -9 $$']).returncode, s.run(['cat'], input=b'in', capture_output=True).stdout, s.run(['pwd'], cwd='/usr', capture_output=True).stdout)\nprint(s.run(['sh', '-c', 'echo $X'], env={'X': '1'}, capture_output=True).stdout, s.run(['true'], preexec_fn=os.setsid, close_fds=True).returncode)\nX\npython3 -u m.py"),
    "python multiprocessing": ("python3", "cat > m.py <<'X'\nimport multiprocessing as m, concurrent.futures as c\ndef f(x): return x * x\nif __name__ == '__main__':\n    for how in ('fork', 'spawn', 'forkserver'):\n        with m.get_context(how).Pool(2) as p: print(how, p.map(f, range(5)))\n    with c.ThreadPoolExecutor(4) as e: print(list(e.map(f, range(4))))\nX\npython3 m.py"),
    "python asyncio": ("python3", "cat > m.py <<'X'\nimport asyncio\nasync def main():\n    ps = [await asyncio.create_subprocess_exec('sh', '-c', f'echo {i}; exit {i}', stdout=-1) for i in range(4)]\n    print([((await p.communicate())[0], p.returncode) for p in ps])\n    p = await asyncio.create_subprocess_shell('exec sleep 9')\n    try: await asyncio.wait_for(p.wait(), 0.2)\n    except asyncio.TimeoutError: p.kill(); print(await p.wait())\nasyncio.run(main())\nX\npython3 m.py"),
    "python pty": ("python3", "cat > m.py <<'X'\nimport pty, os\npid, fd = pty.fork()\nif pid == 0: os.execlp('sh', 'sh', '-c', 'test -t 0 && echo tty; stty -echo; read x; echo got $x; exit 3')\nos.write(fd, b'hi\\n'); out = b''\nwhile True:\n    try: d = os.read(fd, 999)\n    except OSError: break\n    if not d: break\n    out += d\nprint(b'tty' in out and b'got hi' in out, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\nX\npython3 m.py"),
    "python venv": ("python3", "python3 -m venv --without-pip v && v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)'; . v/bin/activate; python -c 'print(1)'; python3 -m compileall -q v/bin; echo $?; echo '[1]' | python3 -m json.tool --compact; python3 -m unittest 2>&1 | tail -1"),
    "node": ("node", "node -p '[1,2].map(x => x * 2).join()' ; echo 'console.log(process.argv.length, require(\"path\").basename(__filename)); process.exit(4)' > m.js; node m.js a; echo $?; node -e 'throw 1' 2>/dev/null; echo $?; echo 'console.log(\"stdin\")' | node -; printf '#!/usr/bin/env node\\nconsole.log(\"by name\")\\n' > s; chmod +x s; ./s"),
    "node child processes": ("node", "cat > m.js <<'X'\nconst c = require('child_process'), out = [];\nconsole.log(c.execSync('echo sync; pwd | wc -l').toString(), c.spawnSync('sh', ['-c', 'echo e >&2; exit 3']).status);\nc.exec('exit 5', (e) => { out.push('exec ' + e.code); });\nc.execFile('echo', ['a b'], (e, o) => { out.push('file ' + o.trim()); });\nc.spawn('no-such').on('error', (e) => out.push(e.code));\nconst p = c.spawn('sleep', ['9'], {timeout: 200}); p.on('exit', (code, sig) => out.push('late ' + sig));\nconst f = c.fork(__dirname + '/f.js'); f.on('message', (m) => { out.push('fork ' + m); f.disconnect(); }); f.send(6);\nc.spawn('cat', {stdio: ['pipe', 'pipe', 'inherit']}).on('close', (x) => out.push('cat ' + x)).stdin.end('x');\nc.spawn('sh', ['-c', 'kill -9 $$'], {detached: true}).on('exit', (x, s) => out.push('kill ' + s));\nprocess.on('exit', () => console.log(out.sort().join('\\n')));\nX\necho 'process.on(\"message\", (m) => process.send(m * 7))' > f.js; node m.js"),
    "node workers": ("node", "cat > m.js <<'X'\nconst { Worker, isMainThread, parentPort } = require('worker_threads');\nif (isMainThread) { let n = 0; for (let i = 0; i < 3; i++) new Worker(__filename).on('message', (m) => { n += m; if (n === 12) console.log(n); }); }\nelse parentPort.postMessage(require('child_process').spawnSync('sh', ['-c', 'exit 4']).status);\nX\nnode m.js"),
    "npm scripts": ("npm", "cat > package.json <<'X'\n{\"name\": \"p\", \"version\": \"1.0.0\", \"scripts\": {\"pretest\": \"echo pre\", \"test\": \"node -e 'console.log(process.env.npm_package_name)' && ./t.sh\", \"posttest\": \"echo post\", \"bad\": \"exit 7\"}, \"bin\": {\"p\": \"t.sh\"}}\nX\nprintf '#!/bin/sh\\necho script \"$@\"\\n' > t.sh; chmod +x t.sh; npm test --silent; npm run --silent test -- arg; npm run --silent bad; echo $?; npm pack --silent; npm pkg get version"),
    "npm install": ("npm", "mkdir d; printf '{\"name\": \"d\", \"version\": \"1.0.0\", \"bin\": \"b.js\", \"scripts\": {\"install\": \"echo built > built\"}}' > d/package.json; printf '#!/usr/bin/env node\\nconsole.log(\"bin of d\")\\n' > d/b.js; printf '{\"name\": \"p\", \"version\": \"1.0.0\", \"dependencies\": {\"d\": \"file:d\"}, \"scripts\": {\"go\": \"d\"}}' > package.json; npm install --silent --offline --no-audit --no-fund >/dev/null; echo $?; ls node_modules/.bin; npm run --silent go; npx --offline d; npm ls --silent | tail -2 | head -1"),
    "perl": ("perl", "perl -e '$| = 1; print `echo back`; my $r = system(\"exit 3\"); print $r >> 8, \"\\n\"; open(P, \"-|\", \"seq 2\"); print <P>; close(P); if (!fork) { exec \"echo\", \"child\" } wait; print $? , \"\\n\"; exec { \"/bin/sh\" } \"named\", \"-c\", \"echo \\$0\"'"),
    "ruby": ("ruby", "ruby -e 'puts `echo back`; system(\"exit 3\"); p $?.exitstatus; IO.popen(\"cat\", \"r+\") { |f| f.puts 1; f.close_write; p f.read }'"),
    "php": ("php", "php -r 'echo shell_exec(\"echo back\"); passthru(\"exit 3\", $c); echo $c;'"),
    "lua": ("lua5.4", "lua5.4 -e 'print(io.popen(\"echo back\"):read(\"a\"), os.execute(\"exit 3\"))'"),
    "tcl": ("tclsh", "echo 'puts [exec echo a | tr a b]; catch {exec false} e; puts $e' | tclsh"),
    "go": ("go", "printf 'package main\\nimport (\"fmt\"; \"os/exec\")\\nfunc main() { o, e := exec.Command(\"sh\", \"-c\", \"echo out; exit 3\").CombinedOutput(); fmt.Println(string(o), e) }\\n' > m.go; GO111MODULE=off CGO_ENABLED=0 go build -o m m.go; ./m; GO111MODULE=off go run m.go; go vet m.go; echo $?"),
    "java": ("java", "printf 'class M { public static void main(String[] a) throws Exception { var p = new ProcessBuilder(\"sh\", \"-c\", \"exit 3\").start(); System.out.println(p.waitFor()); } }' > M.java; java M.java"),
    # ---- building ----
    "make": ("make", "printf 'all: a b c\\n\\t@echo all\\na b c:\\n\\t@sleep 0.1; echo $@ > $@\\nbad:\\n\\t@exit 3\\nsub:\\n\\t@$(MAKE) --no-print-directory all\\nv := $(shell echo shell)\\nshow:\\n\\t@echo $(v)\\n' > Makefile; make -j3; make -s show; make sub; make -s bad; echo $?; cat a b c; make -n all; make nothing; echo $?"),
    "gcc": ("gcc", "printf '#include <stdio.h>\\n#include <unistd.h>\\nint main(int c, char **v) { printf(\"%%d\\\\n\", c); fflush(0); if (c > 1) execlp(\"echo\", \"echo\", \"replaced\", (char *)0); return 3; }\\n' > m.c; gcc -O2 -Wall -o m m.c && ./m; echo $?; ./m x; gcc -static -o s m.c && ./s y; gcc -c bad.c; echo $?; gcc -E -P - < /dev/null; nm m | grep -c main; objdump -f m | grep -c x86; strip m; ./m; size s | wc -l; gcc -pipe -flto -o l m.c && ./l"),
    "g++ and ar": ("g++ ar", "printf '#include <cstdio>\\nint f() { puts(\"f\"); return 0; }\\n' > f.cc; printf 'int f(); int main() { return f(); }\\n' > m.cc; g++ -c f.cc m.cc; ar rcs libf.a f.o; g++ -o m m.o -L. -lf; ./m; g++ -shared -fPIC -o libf.so f.cc; g++ -o d m.o ./libf.so; ./d; ldd /bin/ls | grep -c libc"),
    "cc1 by vfork": ("gcc", "cat > m.c <<'X'\n#define _GNU_SOURCE\n#include <spawn.h>\n#include <stdio.h>\n#include <sys/wait.h>\n#include <unistd.h>\nextern char **environ;\nint main(void) { int s; pid_t p; char *a[] = {\"sh\", \"-c\", \"exit 6\", 0};\n posix_spawnp(&p, \"sh\", 0, 0, a, environ); waitpid(p, &s, 0); printf(\"%d\\n\", WEXITSTATUS(s));\n if (!(p = vfork())) { execv(\"/bin/false\", a); _exit(9); } waitpid(p, &s, 0); printf(\"%d\\n\", WEXITSTATUS(s));\n FILE *f = popen(\"echo popen\", \"r\"); char b[64]; printf(\"%s\", fgets(b, 64, f)); pclose(f); return system(\"exit 2\") >> 8; }\nX\ngcc -o m m.c && ./m; echo $?"),
    "clang": ("clang", "printf 'int main(void) { return 4; }\\n' > m.c; clang -o m m.c && ./m; echo $?; clang-format --version >/dev/null; echo $?"),
    "meson": ("meson ninja", "printf \"project('p', 'c')\\ntest('t', executable('m', 'm.c'))\\n\" > meson.build; printf 'int main(void) { return 0; }\\n' > m.c; meson setup -Dwerror=true b > log 2>&1; echo $?; ninja -C b > log 2>&1; echo $?; meson test -C b 2>&1 | grep -c OK; b/m; echo $?"),
    "cmake": ("cmake", "printf 'cmake_minimum_required(VERSION 3.10)\\nproject(p C)\\nadd_executable(m m.c)\\n' > CMakeLists.txt; printf 'int main(void) { return 0; }\\n' > m.c; cmake -S . -B b >/dev/null; cmake --build b >/dev/null; b/m; echo $?"),
    "autotools parts": ("m4", "printf 'define(x, 1)x\\n' | m4; printf 'syscmd(echo from m4)' | m4; pkg-config --version >/dev/null; echo $?"),
    "shellcheck": ("shellcheck", "printf '#!/bin/sh\\necho $1\\n' > s; shellcheck -f gcc s; echo $?"),
    # ---- more ----
    "curl": ("curl python3", "python3 -u -c 'import http.server as h; s = h.HTTPServer((\"127.0.0.1\", 0), h.SimpleHTTPRequestHandler); open(\"port\", \"w\").write(str(s.server_port)); s.handle_request(); s.handle_request()' 2>/dev/null & while [ ! -s port ]; do sleep 0.05; done; seq 3 > f; curl -s http://127.0.0.1:$(cat port)/f; curl -s -o /dev/null -w '%{http_code}\\n' http://127.0.0.1:$(cat port)/none; wait; curl -s http://127.0.0.1:1; echo $?; rm port"),
    "openssl": ("openssl", "printf x | openssl dgst -sha256; openssl rand 4 | wc -c; openssl genrsa 2048 2>/dev/null | openssl rsa -check -noout 2>/dev/null; echo $?"),
    "sqlite3": ("sqlite3", "sqlite3 d 'create table t(a); insert into t values (1), (2); select sum(a) from t'; echo '.shell echo shell' | sqlite3 d"),
    "jq": ("jq", "echo '{\"a\": [1, 2]}' | jq -c '.a | add'"),
    "script": ("script", "script -qec 'test -t 1 && echo tty; exit 3' /dev/null; echo $?"),
    "tmux": ("tmux", "tmux -L t -f /dev/null new-session -d 'echo in tmux > out; exit' ; for i in $(seq 100); do [ -s out ] && break; sleep 0.05; done; cat out; tmux -L t kill-server 2>/dev/null; true"),
    "systemd-inhibit and friends": ("getopt", "getopt -o ab: -- -a -b x y; run-parts --list /nonexistent 2>&1 | wc -l; which -a sh | wc -l; lsb_release -is 2>/dev/null | wc -l; hostname | wc -l; uname -s; tty; mktemp -u XXXX | wc -c"),
    "busybox": ("busybox", "busybox sh -c 'echo $((1 + 1)); busybox ls /nonexistent; echo $?'; busybox echo a | busybox tr a b"),
}

# More than a few seconds each.
SLOW = {"npm install", "npm scripts", "meson", "java", "cmake", "go", "python multiprocessing", "node child processes", "clang"}

# Refused by design, with words: what these need is what the gate forbids.
REFUSED = {
    "gdb": ("gdb", "gdb -nx -batch -ex run --args /bin/true", "ptrace: Operation not permitted"),
    "strace": ("strace", "strace -o /dev/null /bin/true", "Operation not permitted"),
    "sudo": ("sudo", "sudo -n true", "no new privileges"),
    "su": ("su", "su -c true root </dev/null", "su: "),
    "unshare": ("unshare", "unshare -Ur true", "unshare"),
}
