#!/bin/bash
# The main job on real tools, in about ten seconds: an agent's script runs git, npm, ls, cat, rm, curl
# and env through shims; the warden judges, holds, runs and records them; a person answers what waits.
# Prints what the agent saw beside what the warden recorded, verifies the audit chain, and exits with 1
# if anything was not as it should be. Needs `make` first; touches nothing outside its own directory.
#   INTERACTIVE=1   leaves you in a governed shell instead
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
bin=${CLAWRDEN_BIN:-$here/bin}
case $bin in /*) ;; *) bin=$here/$bin ;; esac
agent_uid=61217 # as root: a user of the agent's own, with no name and no rights
passed=0 failed=0

for p in clawrden clawrden-warden clawrden-shim clawrden-mirror; do
    [ -x "$bin/$p" ] || { echo "demo: $bin/$p is missing; run make first" >&2; exit 2; }
done
for p in git npm; do
    command -v $p >/dev/null || { echo "demo: $p is missing; run make deps first" >&2; exit 2; }
done

# Not below /tmp: the starter policy lets the agent delete there.
top=$(mktemp -d /var/tmp/clawrden-demo.XXXXXX) || exit 2
home=$top/agent work=$top/agent/project outside=$top/precious shims=$top/shims
warden_pid='' reviewer_pid=''

# Ends only what was started here.
clean_up() {
    [ -z "$reviewer_pid" ] || kill "$reviewer_pid" 2>/dev/null
    if [ -n "$warden_pid" ] && kill "$warden_pid" 2>/dev/null; then
        for _ in $(seq 100); do kill -0 "$warden_pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$warden_pid" 2>/dev/null
    fi
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

chmod 755 "$top"
mkdir -p "$work/src" "$outside" "$shims" "$top/run" "$top/state" "$top/person"
chmod 700 "$top/state" "$top/person"
echo "the only copy" >"$outside/data"
git init -q --bare --initial-branch=main "$home/remote.git"
for tool in git npm rm ls cat curl env; do ln -s "$bin/clawrden-shim" "$shims/$tool"; done
cp "$here/scripts/demo-agent.sh" "$home/agent.sh"
if [ "$(id -u)" = 0 ]; then
    # What the agent must not change is root's; its own is its own, also what lies outside its workspace.
    chown -R "$agent_uid:$agent_uid" "$home" "$outside"
    as_agent=(setpriv --reuid "$agent_uid" --regid "$agent_uid" --clear-groups --no-new-privs)
    who="uid $agent_uid, a user of its own: the warden is root and out of its reach"
else
    as_agent=()
    who="uid $(id -u), the same as the warden's: as root this demo keeps the two apart"
fi
agent() { # command...
    (cd "$work" && exec "${as_agent[@]}" env -i PATH="$shims:/usr/local/bin:/usr/bin:/bin" HOME="$home" LANG=C.UTF-8 \
        TERM="${TERM:-dumb}" USER=agent CLAWRDEN_SOCKET="$top/run/warden.sock" OUTSIDE="$outside" SHIMS="$shims" TRY_ROOT="${try_root:-0}" WEB="${web:-}" \
        GIT_AUTHOR_NAME=agent GIT_AUTHOR_EMAIL=agent@example.org GIT_COMMITTER_NAME=agent \
        GIT_COMMITTER_EMAIL=agent@example.org DEPLOY_TOKEN=s3cret "$@")
}

export CLAWRDEN_API=unix:$top/state/api.sock
clawrden() { "$bin/clawrden" "$@"; }

clawrden init --workspace "$work" "$top/policy.yaml" >"$top/init.out" || exit 2
chmod 644 "$top/policy.yaml"
"$bin/clawrden-warden" --policy "$top/policy.yaml" --socket "$top/run/warden.sock" --socket-mode 0666 \
    --audit "$top/state/audit.jsonl" --state "$top/state" --api 127.0.0.1:0 >"$top/warden.out" 2>"$top/warden.log" &
warden_pid=$!
for _ in $(seq 100); do
    grep -q 'clawrden-warden: ready' "$top/warden.log" && break
    kill -0 "$warden_pid" 2>/dev/null || break
    sleep 0.1
done
grep -q 'clawrden-warden: ready' "$top/warden.log" ||
    { echo "demo: the warden did not start:" >&2; cat "$top/warden.log" >&2; exit 2; }

web=$(sed -n 's/^api \(http[^ ]*\).*/\1/p' "$top/warden.out")

if [ "${INTERACTIVE:-}" = 1 ]; then
    # Something to push, by the real git and past the warden.
    (cd "$work" && echo hello >src/hello && "${as_agent[@]}" env -i HOME="$home" PATH=/usr/bin:/bin bash -c '
        git init --quiet --initial-branch=main && git remote add origin ../remote.git && git add . &&
        git -c user.name=agent -c user.email=agent@example.org commit --quiet -m start')
    cat <<TEXT

You are the agent now, in $work ($who).
git, npm, rm, ls, cat, curl and env go through the warden here. Try:

  ls                            passes
  git status                    passes
  git push origin main          waits for a person
  rm -rf ../../precious         waits too: it is outside of the workspace
  rm -rf /                      is refused

In another terminal, as $(id -un), be the person:

  export CLAWRDEN_API=$CLAWRDEN_API
  $bin/clawrden queue --watch

exit ends all of it and cleans up.

TEXT
    agent bash --norc --noprofile -c 'PS1="governed \W \$ " exec bash --norc --noprofile -i'
    echo; clawrden history
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
                *) clawrden deny "$id" --comment "not from here: ask for a release first" ;;
            esac >>"$top/person/said" 2>&1
        done
        sleep 0.1
    done
}
# A string or number of a JSON object that stands on one line on stdin.
member() { sed -nE "s/.*[{,]\"$1\": ?(\"([^\"\\\\]|\\\\.)*\"|[0-9]+).*/\1/p" | sed 's/^"//; s/"$//'; }

# ---- what the warden has on record ----

# The n-th request since the warden began, once its end is there. The agent may be further already.
record() { # n
    local lines count it=
    for _ in $(seq 50); do
        lines=$(clawrden history --json --limit 100 2>/dev/null | grep '^{') # the newest first
        count=$(grep -c . <<<"$lines")
        if [ "$count" -ge "$1" ]; then
            it=$(sed -n "$((count - $1 + 1))p" <<<"$lines")
            case $(member decision <<<"$it") in
                allow | ask-approved) [ -n "$(member exit_code <<<"$it")" ] && break ;;
                *) break ;;
            esac
        fi
        sleep 0.1
    done
    printf '%s\n' "$it"
}

show_record() { # the record as a sentence
    local decision rule approver comment code waited
    decision=$(member decision <<<"$1") rule=$(member rule <<<"$1") approver=$(member approver <<<"$1")
    comment=$(member comment <<<"$1") code=$(member exit_code <<<"$1") waited=$(member waited_ms <<<"$1")
    printf '  warden     %s by rule "%s"' "$decision" "$rule"
    case $decision in
        ask-*) printf ', answered by %s after %s ms: "%s"' "$approver" "$waited" "$comment" ;;
    esac
    case $decision in
        allow | ask-approved) printf ', exit %s' "$code" ;;
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
clawrden policy explain --policy "$top/policy.yaml" --json --cwd "$work" -- rm -rf / | grep -q '^{"verdict": *"deny"'
explained=$?
expect "policy explain says deny to rm -rf /" [ $explained = 0 ]
[ $explained = 0 ] && try_root=1 || try_root=0

echo "The agent is $who."
echo "Its git, npm, rm, ls, cat, curl and env are shims; the policy is the one of 'clawrden init'."
echo "DEMO stands for $top."
reviewer &
reviewer_pid=$!
# Not in a pipe: the counters are this shell's.
play < <(agent bash "$home/agent.sh" 2>&1)
kill "$reviewer_pid" 2>/dev/null; wait "$reviewer_pid" 2>/dev/null; reviewer_pid=''

# ---- what must be true now ----

echo
echo "The person's terminal:"
sed "s|$top|DEMO|g; s/^/  /" "$top/person/said"
echo
expect "the approved push arrived" [ "$(git -C "$home/remote.git" -c safe.directory='*' rev-list --count main 2>/dev/null)" = 1 ]
expect "what lies outside the workspace is untouched" [ "$(cat "$outside/data")" = "the only copy" ]
expect "the build directory inside the workspace was deleted" [ ! -e "$work/dist" ]
expect "nothing waits any more" [ "$(clawrden queue --json)" = "[]" ]
clawrden audit verify "$top/state/audit.jsonl" >"$top/verify.out" 2>&1
expect "the audit chain is whole: $(cat "$top/verify.out")" [ $? = 0 ]
echo "The audit log: $(head -n 1 "$top/verify.out" | sed "s|$top|DEMO|")"
# Whoever turns a refusal into a permission afterwards is found out.
sed '0,/"decision":"deny"/s//"decision":"allow"/' "$top/state/audit.jsonl" >"$top/person/forged.jsonl"
clawrden audit verify "$top/person/forged.jsonl" >"$top/forged.out" 2>&1
expect "a changed record is found" [ $? = 1 ]
echo "With one refusal turned into a permission: $(head -n 1 "$top/forged.out" | sed "s|$top/person/||")"
echo
echo "What shims do not stop: a program called by its absolute path. See 'What it does not stop' in README.md."
[ $failed = 0 ] || { echo; echo "the warden's log:"; tail -n 40 "$top/warden.log"; }
echo "$passed passed, $failed failed"
[ $failed = 0 ]
