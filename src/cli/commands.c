/* SPDX-License-Identifier: MIT */
/* The surface of `clawrden`: every command, its options and its help. A new command is a row here,
 * a cmd-*.c, and a place in docs/man/clawrden.1.scd (a test compares the two). */
#include <limits.h>

#include "cli/cli.h"
#include "cli/cmd.h"

#define LIST_OPTIONS                                                                               \
    {"limit", 'n', "N", "show the oldest N (all)"},                                                \
        {"after", 0, "ID", "the page behind this request"},                                        \
        {"command", 'c', "NAME", "only this command"},                                             \
        {"user", 'u', "USER", "only this user, by name or number"},                                \
        {"uid", 0, "N", "the same, by number"},                                                    \
        {"container", 0, "NAME", "only this container (\"\": this host)"},                         \
        {"rule", 'r', "NAME", "only what this rule decided"},                                      \
    {                                                                                              \
        "door", 0, "DOOR", "only what came by shim, shim-v1, gate or api"                          \
    }

static const struct cli_option running_options[] = {LIST_OPTIONS, {0}};

static const struct cli_option queue_options[] = {
    LIST_OPTIONS,
    {"watch", 'w', NULL, "redraw until 'q'; j/k select, a approves, d denies"},
    {0},
};

static const struct cli_option answer_options[] = {
    {"comment", 'm', "TEXT", "words that the agent reads and the record keeps"},
    {0},
};

static const struct cli_option approve_options[] = {
    {"comment", 'm', "TEXT", "words that the record keeps"},
    {"remember", 'r', NULL, "for this unknown program, as long as its gated tree lives"},
    {0},
};

static const struct cli_option history_options[] = {
    {"limit", 'n', "N", "show the newest N (50)"},
    {"command", 'c', "NAME", "only this command"},
    {"decision", 'd', "WORD", "only allow, deny, ask-approved, ask-denied, ask-expired ..."},
    {"user", 'u', "USER", "only this user, by name or number"},
    {"uid", 0, "N", "the same, by number"},
    {"container", 0, "NAME", "only this container (\"\": this host)"},
    {"rule", 'r', "NAME", "only what this rule decided"},
    {"approver", 0, "NAME", "only what this person answered"},
    {"exit-code", 'x', "N", "only what ended so"},
    {"signal", 0, "N", "only what this signal ended"},
    {"arg", 0, "TEXT", "one of the arguments is this"},
    {"text", 't', "WORDS", "all these words stand in the command line; wor* is a beginning"},
    {"since", 0, "WHEN", "not older: 2h, or 2026-01-31T08:00:00Z"},
    {"until", 0, "WHEN", "not newer"},
    {"before", 0, "CURSOR", "the page behind one that ended with this cursor"},
    {"export", 0, "FORMAT", "all that fits, as csv, json or jsonl, to stdout"},
    {0},
};

static const struct cli_option kill_options[] = {
    {"container", 'c', "NAME", "a container, with all that runs and waits in it"},
    {"all", 'a', NULL, "everything"},
    {"signal", 's', "NAME", "TERM (KILL follows after the grace; the default), KILL, INT, HUP ..."},
    {"reason", 'm', "TEXT", "words for the record and the agent"},
    {"yes", 'y', NULL, "do not ask"},
    {0},
};

static const struct cli_option pause_options[] = {
    {"container", 'c', "NAME", "a container, with all that runs and waits in it"},
    {"all", 'a', NULL, "everything"},
    {"resume-after", 0, "TIME", "it goes on by itself after 90s, 15m, 2h ..."},
    {"reason", 'm', "TEXT", "words for the record"},
    {"yes", 'y', NULL, "do not ask"},
    {0},
};

static const struct cli_option resume_options[] = {
    {"container", 'c', "NAME", "a container"},
    {"all", 'a', NULL, "everything that is paused"},
    {"reason", 'm', "TEXT", "words for the record"},
    {"yes", 'y', NULL, "do not ask"},
    {0},
};

static const struct cli_option panic_options[] = {
    {"resume-after", 0, "TIME", "it goes on by itself after 90s, 15m, 2h ..."},
    {"reason", 'm', "TEXT", "words for the record"},
    {"yes", 'y', NULL, "do not ask"},
    {0},
};

static const struct cli_option explain_options[] = {
    {"policy", 'p', "FILE", "this policy instead of the configured one"},
    {"uid", 'u', "N", "as this user id (yours)"},
    {"cwd", 'C', "DIR", "as if called there (where you are)"},
    {"request", 'r', "ID", "a request that waits, as the warden sees it"},
    {0},
};

static const struct cli_option init_options[] = {
    {"strict", 0, NULL, "the strict policy: what is not named is denied"},
    {"force", 'f', NULL, "replace a file that is there"},
    {"workspace", 'w', "DIR", "where the agent works (the current directory)"},
    {0},
};

static const struct cli_option run_options[] = {
    {"policy", 'p', "FILE", "the rules (the configured policy, else the built-in starter policy)"},
    {"workspace", 'w', "DIR", "where the agent may write (the current directory)"},
    {"name", 0, "NAME", "of the session (made from the workspace and the time)"},
    {"ask", 0, "HOW", "elsewhere: by 'clawrden approve' (default); tty: here; none: refuse"},
    {"api", 0, "ADDR:PORT", "a dashboard on loopback; port 0 picks one (none; needs namespaces)"},
    {"net", 0, "WHICH", "host (default), or none: a network of its own with nothing in it"},
    {"write", 0, "PATHS", "more that may be written, separated by ':'"},
    {"hide", 0, "PATHS", "more that must not be seen, separated by ':'"},
    {"require", 0, "LEVEL", "do not start with less than: landlock, namespaces"},
    {"walls", 0, "WHICH", "auto: the strongest (default); landlock: no more than that"},
    {"allow-debuggers", 0, NULL, "programs inside may trace each other (gdb, strace -p); weaker"},
    {0},
};

static const struct cli_option doctor_options[] = {
    {"shims", 0, "DIR", "the folder of shims (found on PATH)"},
    {"attack", 0, NULL, "try to break out of a governed tree, harmlessly"},
    {"walls", 0, "WHICH", "with --attack: auto (default) or landlock"},
    {0},
};

static const struct cli_option jails_options[] = {
    {"containers", 'c', "GLOBS", "names of the containers that it is for, separated by ','"},
    {"mode", 0, "MODE", "plain (default), or hardened: the shim is mounted over their tools"},
    {0},
};

static const struct cli_option token_options[] = {
    {"role", 'r', "ROLE", "viewer, approver, operator or admin"},
    {"name", 'n', "NAME", "who holds it, as records will say"},
    {"expires", 'e', "TIME", "how long it counts: 12h, 30d ... (until it is revoked)"},
    {0},
};

static const struct cli_option user_options[] = {
    {"role", 'r', "ROLE", "viewer, approver, operator or admin"},
    {0},
};

static const struct cli_option login_options[] = {
    {"name", 'n', "NAME", "what you call it (its host and port)"},
    {0},
};

static const struct cli_option audit_verify_options[] = {
    {"head", 0, "FILE",
     "the head file (audit.head in the state directory, when it is of this log)"},
    {"key", 0, "FILE", "the key that the log is written with (CLAWRDEN_AUDIT_KEY)"},
    {"single", 0, NULL, "this very file, without the rotated files before it"},
    {0},
};

static const struct cli_option audit_tail_options[] = {
    {"lines", 'n', "N", "the last N records (20)"},
    {"follow", 'f', NULL, "go on with the records that come"},
    {0},
};

static const struct cli_option audit_export_options[] = {
    {"csv", 0, NULL, "a table for spreadsheets instead of a JSON array"},
    {"since", 0, "WHEN", "not older: 2h, or 2026-01-31T08:00:00Z"},
    {"until", 0, "WHEN", "not newer"},
    {0},
};

#define AUDIT_HELP                                                                                 \
    "FILE is the active log; rotated files beside it belong to it. Without FILE: CLAWRDEN_AUDIT, " \
    "else\n/var/log/clawrden/audit.jsonl as root, else audit.jsonl in the state directory. Needs " \
    "no warden."

#define ID_HELP "ID is a whole id, or at least 4 characters of its beginning or end."

const struct command commands[] = {
    {"init", "[--strict] [--workspace DIR] [--force] [PATH]", "write a commented starter policy",
     "Writes /etc/clawrden/policy.yaml (as root) or ~/.config/clawrden/policy.yaml, or PATH.\n"
     "A file that is there stays unless --force is given.",
     init_options, 0, 1, false, cmd_init},
    {"run", "[OPTION]... [--] COMMAND [ARG]...", "run an agent on this machine, governed",
     "Every program that starts below COMMAND is judged by the policy first; what it asks for "
     "waits\n"
     "for 'clawrden approve' or 'clawrden deny'. Exits as COMMAND does, with 125 when it could not "
     "be\n"
     "governed. All messages go to stderr.",
     run_options, 1, UINT_MAX, true, cmd_run},
    {"doctor", "[--attack [--walls WHICH]] [--shims DIR]", "say what this host can enforce",
     "Tries what Clawrden needs of the kernel, says what each mode would enforce here and what to\n"
     "change, and whether shims come first in every kind of shell. Exits with 0 when the "
     "strongest\n"
     "mode works, else 1. With --attack it runs a harmless forbidden command in many ways, inside "
     "of\n"
     "the governed tree that it stands in, or in one that it starts: exits with 1 if one got "
     "through.",
     doctor_options, 0, 0, false, cmd_doctor},
    {"status", "", "say what the warden enforces and what is going on", NULL, NULL, 0, 0, false,
     cmd_status},
    {"queue", "[--watch] [OPTION]... [ID]", "show what waits for an answer",
     "With an ID: everything that is known of that request. " ID_HELP
     "\nThe oldest first; all filters that are given must fit.",
     queue_options, 0, 1, false, cmd_queue},
    {"approve", "[--comment TEXT] [--remember] ID...", "let a waiting command run",
     ID_HELP "\nThe answer is bound to what was read: a request that changed meanwhile is not "
             "approved.",
     approve_options, 1, UINT_MAX, false, cmd_approve},
    {"deny", "[--comment TEXT] ID...", "refuse a waiting command", ID_HELP, answer_options, 1,
     UINT_MAX, false, cmd_deny},
    {"running", "[OPTION]...", "show what runs now",
     "The oldest first; all filters that are given must fit.", running_options, 0, 0, false,
     cmd_running},
    {"history", "[OPTION]... [ID]", "show what was asked, decided and how it ended",
     "Newest first; all filters that are given must fit. A full page ends with the cursor for the\n"
     "next one. An export that is not complete ends with another status than 0.\nWith an ID, and "
     "no "
     "other option: what happened to that request from its first moment to its last. " ID_HELP,
     history_options, 0, 1, false, cmd_history},
    {"kill", "[--signal NAME] [--reason TEXT] [--yes] ID | --container NAME | --all",
     "end a command, a container, or everything",
     ID_HELP "\nTERM goes to every process, and KILL to what is left of it after the grace; "
             "--signal KILL at once.",
     kill_options, 0, 1, false, cmd_kill},
    {"pause", "[--resume-after TIME] [--reason TEXT] [--yes] ID | --container NAME | --all",
     "let a command, a container, or everything stand still",
     ID_HELP "\nNothing of it is started until it is resumed, also by another warden; its times "
             "stand still.",
     pause_options, 0, 1, false, cmd_pause},
    {"resume", "[--reason TEXT] [--yes] ID | --container NAME | --all", "let it go on",
     ID_HELP " --all ends every pause.", resume_options, 0, 1, false, cmd_resume},
    {"panic", "[--resume-after TIME] [--reason TEXT] [--yes]", "pause everything",
     "The same as 'clawrden pause --all'.", panic_options, 0, 0, false, cmd_panic},
    {"jails list", "", "show which command names are governed where", NULL, NULL, 0, 0, false,
     cmd_jails_list},
    {"jails get", "NAME", "show one of them", NULL, NULL, 1, 1, false, cmd_jails_get},
    {"jails create", "[--containers GLOBS] [--mode MODE] NAME COMMAND...",
     "make a folder of command names that lead to the shim",
     "Containers mount it, read-only; see \"directory\" of 'jails get'. Needs the role operator.",
     jails_options, 2, UINT_MAX, false, cmd_jails_create},
    {"jails set", "[--containers GLOBS] [--mode MODE] NAME COMMAND...",
     "give one other command names, at once and also where it is mounted",
     "What is not named any more is gone; without --containers and --mode it is for nobody and "
     "plain.",
     jails_options, 1, UINT_MAX, false, cmd_jails_set},
    {"jails delete", "NAME...", "take them away", NULL, NULL, 1, UINT_MAX, false, cmd_jails_delete},
    {"token create", "--role ROLE [--name NAME] [--expires TIME]", "make a token for the API",
     "Prints it once; only its hash is kept. ROLE is viewer, approver (answers), operator (kills, "
     "pauses)\nor admin (tokens, users, policy); TIME is like 12h or 30d.",
     token_options, 0, 0, false, cmd_token_create},
    {"token list", "", "show who has tokens", NULL, NULL, 0, 0, false, cmd_token_list},
    {"token revoke", "ID|NAME...", "make a token useless at once", NULL, NULL, 1, UINT_MAX, false,
     cmd_token_revoke},
    {"user add", "--role ROLE NAME", "let a person log in with a password",
     "Asks for the password, or reads it from the first line of stdin. ROLE is viewer, approver, "
     "operator\nor admin.",
     user_options, 1, 1, false, cmd_user_add},
    {"user list", "", "show who may log in with a password", NULL, NULL, 0, 0, false,
     cmd_user_list},
    {"user passwd", "NAME", "give a person another password",
     "Asks for it, or reads it from the first line of stdin. Ends the person's sessions.", NULL, 1,
     1, false, cmd_user_passwd},
    {"user role", "NAME ROLE", "give a person another role", "Ends the person's sessions.", NULL, 2,
     2, false, cmd_user_role},
    {"user delete", "NAME...", "take people's logins away, at once", NULL, NULL, 1, UINT_MAX, false,
     cmd_user_delete},
    {"session list", "", "show who is logged in by a browser", NULL, NULL, 0, 0, false,
     cmd_session_list},
    {"session revoke", "ID...", "end sessions of browsers", NULL, NULL, 1, UINT_MAX, false,
     cmd_session_revoke},
    {"link", "", "print a link that logs you in by a browser",
     "It counts once, for ten minutes, with your role.", NULL, 0, 0, false, cmd_link},
    {"login", "[--name NAME] ADDRESS", "keep a warden's address and your token under a name",
     "ADDRESS is https://HOST[:PORT]. Asks for the token, or takes it from --token-file, "
     "CLAWRDEN_TOKEN\nor the first line of stdin. Commands speak to this warden from then on.",
     login_options, 1, 1, false, cmd_login},
    {"logout", "[NAME]", "forget a warden and its token", NULL, NULL, 0, 1, false, cmd_logout},
    {"context list", "", "show the wardens that you know by name", NULL, NULL, 0, 0, false,
     cmd_context_list},
    {"context use", "NAME|-", "choose the warden that commands speak to",
     "\"-\": that of this host again.", NULL, 1, 1, false, cmd_context_use},
    {"audit verify", "[--head FILE] [--key FILE] [--single] [FILE]",
     "check that the audit log is whole and unchanged",
     "Exits with 0: it is; 1: it is not, and each problem is named; 2: it could not be read.\n"
     "May be used while the warden writes. " AUDIT_HELP,
     audit_verify_options, 0, 1, false, cmd_audit_verify},
    {"audit tail", "[-n N] [-f] [FILE]", "show the last records",
     "With --json the records as they stand in the log. " AUDIT_HELP, audit_tail_options, 0, 1,
     false, cmd_audit_tail},
    {"audit export", "[--csv] [--since WHEN] [--until WHEN] [FILE]",
     "write records for other programs",
     "A JSON array of the records of all files, or CSV. " AUDIT_HELP, audit_export_options, 0, 1,
     false, cmd_audit_export},
    {"audit reindex", "", "make the history anew from the audit log",
     "The warden forgets the index behind 'clawrden history' and reads its log again, in the "
     "background.\n"
     "Log and queue are not touched.",
     NULL, 0, 0, false, cmd_audit_reindex},
    {"completion", "bash|zsh|fish", "print what completes this command line in a shell",
     "make install puts it where the shells look. By hand: eval \"$(clawrden completion bash)\".",
     NULL, 1, 1, false, cmd_completion},
    {"policy check", "FILE", "check a policy file",
     "Prints one line and exits with 0, or FILE:LINE:COLUMN and what is wrong, and exits with 1.",
     NULL, 1, 1, false, cmd_policy_check},
    {"policy explain", "[--policy FILE] [--uid N] [--cwd DIR] -- COMMAND [ARG]... | --request ID",
     "say what would happen to a command, and why",
     "Needs no warden: looks at this host as you, with the policy of --policy, else\n"
     "CLAWRDEN_POLICY, else the usual place. Exits with 0 whatever the verdict is.\n"
     "With --request it asks the warden, by the policy in force, about what waits. " ID_HELP,
     explain_options, 0, UINT_MAX, true, cmd_policy_explain},
    {"policy show", "", "show the policy in force", NULL, NULL, 0, 0, false, cmd_policy_show},
    {"policy reload", "", "make the warden read its policy file again",
     "A file with a mistake changes nothing: the policy in force stays.", NULL, 0, 0, false,
     cmd_policy_reload},
    {0},
};
