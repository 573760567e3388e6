#!/bin/bash
# What the agent of demo.sh does: ordinary work on a small project, then things that it should not do
# alone. `step DECISION/CODE command...` says what is expected, runs the command as it is, and prints
# its output between two marks that demo.sh reads.
set -u

step() {
    local want=$1 code; shift
    printf '@run %s%s\n' "$want" "$(printf ' %q' "$@")"
    output=$("$@" 2>&1 </dev/null)
    code=$?
    printf '%s\n@end %s\n' "$output" $code
}
check() { # what command...
    local what=$1; shift
    if "$@"; then echo '@ok'; else echo "@fail $what"; fi
}

# ---- work that passes ----
cat_by_itself() { while IFS= read -r line; do printf '%s\n' "$line"; done; }

step allow/0 git init --quiet --initial-branch=main
cat_by_itself >package.json <<'JSON'
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
echo 'update-notifier=false' >.npmrc
step allow/0 ls
step allow/0 cat package.json
step allow/0 npm test
step allow/0 npm run build --silent
check "npm run build made dist/hello.js" test -s dist/hello.js
step allow/0 git add package.json src
step allow/0 git commit --quiet -m 'say hello'
step allow/0 git log --oneline
step allow/0 rm -rf dist
step allow/0 curl --silent "$WEB/healthz"
# What the environment holds beyond the harmless does not pass: DEPLOY_TOKEN is the agent's alone.
step allow/0 env
check "DEPLOY_TOKEN stays out of the environment" test "${output/DEPLOY_TOKEN/}" = "$output"
check "GIT_AUTHOR_NAME passes" test "${output/GIT_AUTHOR_NAME=agent/}" != "$output"
# The tool's own failure is the agent's to see: status and words pass through.
step allow/1 npm run nothing-of-this-name --silent

# ---- what a person is asked about ----
step allow/0 git remote add origin ../remote.git
step ask-approved/0 git push --quiet origin main
step ask-denied/126 npm publish
check "the agent reads the person's words" test "${output/ask for a release first/}" != "$output"
step ask-denied/126 rm -rf "$OUTSIDE"
check "what was refused is still there" test -s "$OUTSIDE/data"

step ask-denied/126 curl --silent --upload-file package.json "$WEB/"

# ---- what is refused at once ----
step deny/126 git push --force origin main
step deny/126 npm unpublish hello
if [ "$TRY_ROOT" = 1 ]; then
    step deny/126 "$SHIMS/rm" -rf /
    step deny/126 "$SHIMS/rm" --force --recursive "$OUTSIDE/../../../.."
fi
