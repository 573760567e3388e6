#!/bin/bash
# The main job on real tools, in about ten seconds: an agent's script works under `clawrden run` with git, npm, node, gcc, curl and
# more, by name, by path, through login shells. The gate stops each program before its first instruction; policy judges it; a person
# answers what waits. Prints what the agent saw beside what was recorded, verifies the audit chain, and exits with 1 if anything was
# not as it should be. Needs `make` first, no root, no Docker; touches nothing outside its own directory in the home directory.
#   INTERACTIVE=1   leaves you in a governed shell instead
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
bin=${CLAWRDEN_BIN:-$here/bin}
case $bin in /*) ;; *) bin=$here/$bin ;; esac
passed=0 failed=0

for p in clawrden clawrden-warden clawrden-gate; do
    [ -x "$bin/$p" ] || { echo "demo: $bin/$p is missing; run make first" >&2; exit 2; }
done
for p in git npm gcc curl; do
    command -v $p >/dev/null || { echo "demo: $p is missing; run make deps first" >&2; exit 2; }
done

# Not below /tmp or /var/tmp: behind the walls those are empty.
top=$(mktemp -d "${HOME:-/nonexistent}/clawrden-demo.XXXXXX") ||
    { echo "demo: it needs a home directory that can be written to (HOME)" >&2; exit 2; }
home=$top/agent work=$top/agent/project outside=$top/precious
agent_pid='' reviewer_pid='' web_pid=''

# Ends only what was started here; the tree ends with its session.
clean_up() {
    local pid
    for pid in $reviewer_pid $web_pid $agent_pid; do kill "$pid" 2>/dev/null; done
    wait 2>/dev/null
    [ -n "${KEEP:-}" ] && { echo "kept: $top" >&2; return; }
    rm -rf "$top"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

fail() { failed=$((failed + 1)); echo "  FAILED     $*"; }
pass() { passed=$((passed + 1)); }
expect() { # what condition...
    local what=$1; shift
    if "$@"; then pass; else fail "$what"; fi
}

# ---- the stage ----

mkdir -p "$work/src" "$outside" "$top/state"
chmod 700 "$top/state"
echo "the only copy" >"$outside/data"
git init -q --bare --initial-branch=main "$home/remote.git"
cp "$here/scripts/demo-agent.sh" "$home/agent.sh"
# Nothing of who starts this plays a part: no configuration, no sessions of others.
unset "${!CLAWRDEN_@}" XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME GIT_DIR GIT_WORK_TREE
export CLAWRDEN_STATE=$top/state PATH=$PATH:/usr/local/bin:/usr/bin:/bin
session=$top/state/run/demo log=$top/state/run/demo/audit.jsonl
clawrden() { HOME=$home "$bin/clawrden" "$@"; }
# The agent: its home is its own, and the repository that it pushes to is writable beside the workspace.
run() { # command...
    cd "$work" && exec env HOME="$home" OUTSIDE="$outside" TRY_ROOT="${try_root:-0}" WEB="${web:-}" GIT_AUTHOR_NAME=agent \
        GIT_AUTHOR_EMAIL=agent@example.org GIT_COMMITTER_NAME=agent GIT_COMMITTER_EMAIL=agent@example.org \
        "$bin/clawrden" run --name demo --write "$home/remote.git" -- "$@"
}

if [ "${INTERACTIVE:-}" = 1 ]; then
    # Something to push, by the real git and before there is a gate.
    (cd "$work" && echo hello >src/hello && git init --quiet --initial-branch=main && git remote add origin ../remote.git &&
        git add . && git -c user.name=agent -c user.email=agent@example.org commit --quiet -m start)
    cat <<TEXT

You are the agent now, in $work. Every program that starts here is judged. Try:

  ls                            passes
  git status                    passes
  git push origin main          waits for a person
  /usr/bin/git push             so does this, and bash -lc 'git push'
  rm -rf ../../precious         waits too: it is outside of the workspace
  rm -rf /                      is refused

In another terminal, as $(id -un 2>/dev/null || id -u), be the person:

  export CLAWRDEN_STATE=$CLAWRDEN_STATE
  $bin/clawrden queue --watch

exit ends all of it and cleans up.

TEXT
    export PS1='governed \W $ '
    (run bash --norc --noprofile -i)
    echo
    grep '"event":"decision"' "$log" | grep -v '"decision":"allow"' |
        sed -nE 's/.*"command":("[^"]*").*"args":(\[[^]]*\]).*"decision":"([^"]*)".*/\3 \1 \2/p'
    exit 0
fi

# ---- the person, who answers what waits ----

# Approves a push, denies the rest with words. Reads the queue as any program would: one object a line.
reviewer() {
    local line id command
    for _ in $(seq 600); do
        clawrden queue --json 2>/dev/null | grep '^{' | while read -r line; do
            id=$(member id <<<"$line") command=$(member command_line <<<"$line")
            case $command in
                'git push'*) clawrden approve "$id" --comment "reviewed, go ahead" ;;
                ./hello) clawrden approve "$id" --remember --comment "its own build: always" ;;
                *) clawrden deny "$id" --comment "not from here: ask for a release first" ;;
            esac >>"$top/said" 2>&1
        done
        sleep 0.1
    done
}
# A string or number of a JSON object that stands on one line on stdin.
member() { sed -nE "s/.*[{,]\"$1\": ?(\"([^\"\\\\]|\\\\.)*\"|[0-9]+).*/\1/p" | sed 's/^"//; s/"$//'; }

# ---- what is on record ----

# The n-th command that the agent's shell started: the last decision on that process, which may have become another program on its
# way (npm is found by env and run by node). It is written before the program is let go.
record() { # n
    awk -v n="$1" '
        function number(key) { return match($0, "\"" key "\":[0-9]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) : "" }
        !/"event":"decision"/ { next }
        !agent { agent = number("pid") }
        number("ppid") != agent { next }
        number("pid") != last { last = number("pid"); count++ }
        count == n { line = $0 }
        END { print line }' "$log"
}

show_record() { # the record as a sentence
    local decision rule approver comment waited
    decision=$(member decision <<<"$1") rule=$(member rule <<<"$1") approver=$(member approver <<<"$1")
    comment=$(member comment <<<"$1") waited=$(member waited_ms <<<"$1")
    printf '  recorded   %s by rule "%s"' "$decision" "$rule"
    case $decision in
        ask-*) printf ', answered by %s after %s ms: "%s"' "$approver" "$waited" "$comment" ;;
    esac
    printf '\n'
}

# ---- the play ----

# The agent's script says what it does by lines "@run WANT COMMAND" and "@end CODE"; all other lines are
# what it saw. WANT is DECISION/CODE.
play() {
    local line n=0 want='' lines=0 record
    while IFS= read -r line; do
        case $line in
            '@run '*)
                line=${line//$top/DEMO}
                n=$((n + 1)) lines=0
                want=${line#@run } want=${want%% *}
                printf '\n%2d  $ %s\n' "$n" "${line#@run * }"
                ;;
            '@end '*)
                [ $lines -le 6 ] || printf '  agent saw  ... %d more lines\n' $((lines - 6))
                printf '  agent saw  exit %s\n' "${line#@end }"
                record=$(record "$n")
                show_record "$record"
                expect "wanted $want, the agent saw exit ${line#@end }" [ "${want#*/}" = "${line#@end }" ]
                expect "wanted ${want%/*}, recorded $(member decision <<<"$record")" \
                    [ "${want%/*}" = "$(member decision <<<"$record")" ]
                ;;
            '@fail '*) fail "${line#@fail }" ;;
            '@ok') pass ;;
            '') ;;
            *)
                lines=$((lines + 1))
                [ $lines -gt 6 ] || printf '  agent saw  %s\n' "${line//$top/DEMO}"
                ;;
        esac
    done
    steps=$n
}

# rm -rf / is tried only if the policy denies it, and GNU rm refuses / on its own as well.
clawrden init --workspace "$work" "$top/policy.yaml" >"$top/init.out" || exit 2
clawrden policy explain --policy "$top/policy.yaml" --json --cwd "$work" -- rm -rf / | grep -q '^{"verdict": *"deny"'
explained=$?
expect "policy explain says deny to rm -rf /" [ $explained = 0 ]
[ $explained = 0 ] && try_root=1 || try_root=0

# Something to fetch from, outside.
node -e 'require("http").createServer((q, r) => r.end("a page\n")).listen(0, "127.0.0.1", function () { console.log(this.address().port) })' >"$top/port" &
web_pid=$!
for _ in $(seq 100); do [ -s "$top/port" ] && break; sleep 0.1; done
web=http://127.0.0.1:$(cat "$top/port")

echo "The agent is uid $(id -u), as the person is; every program of its tree is stopped at its start and judged by the starter policy."
echo "DEMO stands for $top."
# Its output in a pipe: it is read while it runs, and the session can be ended by its number.
mkfifo "$top/out"
(run bash "$home/agent.sh") >"$top/out" 2>"$top/run.err" </dev/null &
agent_pid=$!
reviewer &
reviewer_pid=$!
play <"$top/out"
wait "$agent_pid"
status=$? agent_pid=''
kill "$reviewer_pid" 2>/dev/null; wait "$reviewer_pid" 2>/dev/null; reviewer_pid=''

# ---- what must be true now ----

echo
echo "The person's terminal:"
sed "s|$top|DEMO|g; s/^/  /" "$top/said"
echo
echo "What clawrden run said:"
grep '^clawrden: ' "$top/run.err" | sed "s|$top|DEMO|g; s/^/  /" | cut -c 1-220
echo
expect "the agent's exit status comes through" [ $status = 7 ]
expect "it ran all of its steps" [ "$steps" -ge 25 ]
expect "the approved push arrived" [ "$(git -C "$home/remote.git" rev-list --count main 2>/dev/null)" = 1 ]
expect "what lies outside the workspace is untouched" [ "$(cat "$outside/data")" = "the only copy" ]
expect "the build directory inside the workspace was deleted" [ ! -e "$work/dist" ]
expect "the summary counts what was asked and refused" grep -qE '^clawrden: [0-9]+ commands, [0-9]+ asked, [0-9]+ denied' "$top/run.err"
clawrden audit verify "$log" >"$top/verify.out" 2>&1
expect "the audit chain is whole: $(cat "$top/verify.out")" [ $? = 0 ]
echo "The audit log: $(head -n 1 "$top/verify.out" | sed "s|$top|DEMO|")"
# Whoever turns a refusal into a permission afterwards is found out.
sed '0,/"decision":"deny"/s//"decision":"allow"/' "$log" >"$top/forged.jsonl"
clawrden audit verify "$top/forged.jsonl" >"$top/forged.out" 2>&1
expect "a changed record is found" [ $? = 1 ]
echo "With one refusal turned into a permission: $(head -n 1 "$top/forged.out" | sed "s|$top/||")"
echo
[ $failed = 0 ] || { echo; echo "what clawrden run said:"; tail -n 20 "$top/run.err"; echo "the warden's log:"; tail -n 40 "$session/warden.log"; }
echo "$passed passed, $failed failed"
[ $failed = 0 ]
