// SPDX-License-Identifier: MIT
// What must not be approved by a slip of the finger. This decides nothing: the policy did, and a person will. It only asks
// for a second, deliberate act, and says why.
const DESTROYS = new Set(["rm", "dd", "shred", "mkfs", "wipefs", "fdisk", "parted", "truncate", "rmdir", "unlink", "shutdown", "reboot", "halt", "poweroff", "kill", "pkill", "killall"]);
const BECOMES = new Set(["sudo", "su", "doas", "pkexec", "chroot", "nsenter", "unshare", "setcap", "passwd", "useradd", "usermod", "visudo"]);
const OPENS = new Set(["nc", "ncat", "socat", "ssh", "scp", "rsync", "telnet", "ftp"]);
const RUNS = new Set(["sh", "bash", "dash", "zsh", "fish", "python", "python3", "perl", "ruby", "node", "php", "lua", "eval", "xargs"]);

// Words for a person, or null.
export function why(r) {
  const args = Array.isArray(r.args) ? r.args.filter((a) => typeof a === "string") : [];
  const command = typeof r.command === "string" ? r.command.split("/").pop() : "";
  if (r.trust === "unknown") return "the program is not known";
  if (r.shortened) return "not all of it is shown here";
  if (DESTROYS.has(command) || command.startsWith("mkfs.")) return "it can destroy or end things";
  if (BECOMES.has(command)) return "it gives more rights";
  if (OPENS.has(command)) return "it talks to other machines";
  if (RUNS.has(command) && args.some((a) => /^-[a-z]*[ceE]$/.test(a))) return "it runs code from its arguments";
  if (command === "git" && args.some((a) => /^(--force|-f|--force-with-lease.*|--hard|--delete|--mirror|filter-branch)$/.test(a))) return "it can rewrite or drop work";
  if ((command === "docker" || command === "podman") && args.some((a) => /^(run|exec|rm|rmi|kill|prune|--privileged)$/.test(a))) return "it acts on containers";
  if ((command === "chmod" || command === "chown") && args.some((a) => /^(-[a-zA-Z]*R[a-zA-Z]*|--recursive|[0-7]*777|.*[+=].*s.*)$/.test(a))) return "it opens up files";
  if (args.some((a) => a === "--no-preserve-root" || /^(\/etc|\/boot|\/dev|\/sys|\/proc)(\/|$)/.test(a))) return "it touches the system's own files";
  if (args.some((a) => /[\p{Cf}\u200b-\u200f\u202a-\u202e]/u.test(a))) return "it has characters that cannot be seen";
  return null;
}
