#!/bin/bash
# What the agent of demo.sh does: ordinary work on a small project, then things that it should not do
# alone. `step DECISION/CODE command...` says what is expected, runs the command as it is, and prints
# its output between two marks that demo.sh reads. Everything else here is done by the shell itself.
set -u

step() {
    local want=$1 code; shift
    printf '@run %s%s\n' "$want" "$(printf ' %q' "$@")"
    output=$(exec "$@" 2>&1 </dev/null)
    code=$?
    printf '%s\n@end %s\n' "$output" $code
}
check() { # what condition..., of [ alone: no program
    local what=$1; shift
    if "$@"; then echo '@ok'; else echo "@fail $what"; fi
}
write() { while IFS= read -r line; do printf '%s\n' "$line"; done >"$1"; }

# ---- work that passes ----
step allow/0 git init --quiet --initial-branch=main
write package.json <<'JSON'
{
  "name": "hello",
  "version": "1.0.0",
  "scripts": {
    "build": "mkdir -p dist && cp src/hello.js dist/",
    "test": "node -e \"require('assert').equal(require('./src/hello')('you'), 'hello you')\""
  }
}
JSON
echo 'module.exports = (who) => "hello " + who;' >src/hello.js
echo 'int main(void) { return 0; }' >src/hello.c
echo 'update-notifier=false' >.npmrc
step allow/0 ls
step allow/0 cat package.json
step allow/0 npm test
step allow/0 npm run build --silent
check "npm run build made dist/hello.js" [ -s dist/hello.js ]
step allow/0 node -p "require('./src/hello')('node')"
step allow/0 git add package.json src
step allow/0 git commit --quiet -m 'say hello'
step allow/0 git log --oneline
step allow/0 rm -rf dist
step allow/0 curl --silent "$WEB/page"
# What would load code into every program is taken away before it does.
export LD_PRELOAD=/nowhere/evil.so
step allow/0 env
check "LD_PRELOAD does not reach a program" [ "${output/LD_PRELOAD/}" = "$output" ]
unset LD_PRELOAD
# The tool's own failure is the agent's to see: status and words pass through.
step allow/1 npm run nothing-of-this-name --silent
# Node may run, and yet it cannot write outside: that is the walls' business.
step allow/1 node -e "require('fs').writeFileSync('$OUTSIDE/data', 'overwritten')"

# ---- what a person is asked about ----
step allow/0 gcc -o hello src/hello.c
step ask-approved/0 ./hello
step allow/0 ./hello
step allow/0 git remote add origin ../remote.git
step ask-approved/0 git push --quiet origin main
step ask-denied/126 npm publish
check "the agent reads the person's words" [ "${output/ask for a release first/}" != "$output" ]
step ask-denied/126 rm -rf "$OUTSIDE"
step ask-denied/126 curl --silent --upload-file package.json "$WEB/"

# ---- what is refused at once, whatever way it is called ----
step deny/126 git push --force origin main
step deny/126 /usr/bin/git push --force origin main
step deny/126 bash -lc 'exec git push --force origin main'
step deny/126 env -i /usr/bin/git push --force origin main
step deny/126 npm unpublish hello
if [ "$TRY_ROOT" = 1 ]; then
    step deny/126 rm -rf /
    step deny/126 /bin/rm --force --recursive "$OUTSIDE/../../../.."
fi
exit 7
