/* SPDX-License-Identifier: MIT */
/* The facts of a request: which program, whose, where; and callers that want the helper to hang. */
#include "exec-case.h"

#include <linux/fuse.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/path.h"

static struct shim *ask(enum door_kind door, const char *const *argv)
{
    struct shim *s = shim_new(door, UID, f->dir, argv);
    shim_resolve(s);
    return s;
}

static struct policy_program *program(struct shim *s)
{
    return &s->r->facts.program;
}

static bool has_name(struct shim *s, const char *name)
{
    for (size_t i = 0; i < program(s)->names_count; i++)
        if (str_eq(program(s)->names[i], name))
            return true;
    return false;
}

static char *in_dir(const char *name)
{
    return path_join(f->dir, name);
}

static void make_dir(const char *name, mode_t mode, uid_t uid)
{
    char *p = in_dir(name);
    assert_int_equal(mkdir(p, mode), 0);
    assert_int_equal(chmod(p, mode), 0);
    if (root())
        assert_int_equal(chown(p, uid, uid), 0);
    free(p);
}

static void make_file(const char *name, const char *text, mode_t mode)
{
    char *p = in_dir(name);
    write_file(p, text, mode);
    free(p);
}

static void make_link(const char *target, const char *name)
{
    char *p = in_dir(name);
    assert_int_equal(symlink(target, p), 0);
    free(p);
}

/* ---- programs ---- */

static void a_system_tool_is_trusted_under_its_names(void **state)
{
    struct shim *s = ask(DOOR_SHIM_V2, ARGV("sh", "-c", "true"));
    char *real = realpath("/bin/sh", NULL);
    assert_int_equal(s->seen.error, 0);
    assert_true(s->r->facts.known);
    assert_string_equal(s->r->facts.cwd, f->dir);
    assert_int_equal(program(s)->trust, PROGRAM_TRUSTED);
    assert_string_equal(program(s)->path, real);
    assert_true(has_name(s, "sh"));
    assert_true(has_name(s, str_basename(real)));
    assert_null(program(s)->script);
    assert_null(program(s)->digest);
    free(real);
    shim_free(s);
}

static void a_missing_tool_is_not_found(void **state)
{
    struct shim *s = ask(DOOR_SHIM_V2, ARGV("no-such-tool-here"));
    assert_int_equal(s->seen.error, 0);
    assert_int_equal(program(s)->trust, PROGRAM_NOT_FOUND);
    assert_null(s->r->facts.exec_path);
    shim_free(s);
}

static void what_the_caller_can_write_is_unknown_and_hashed(void **state)
{
    make_file("tool", "\177ELF", 0755);
    struct shim *s = ask(DOOR_SHIM_V1, ARGV("./tool"));
    assert_int_equal(program(s)->trust, PROGRAM_UNKNOWN);
    assert_int_equal(strlen(program(s)->digest), 64);
    assert_non_null(program(s)->why_unknown);
    assert_int_equal(program(s)->names_count, 0);
    shim_free(s);
}

static void a_copy_of_a_system_tool_is_unknown(void **state)
{
    char *cmd = mem_printf("cp /bin/true %s/git && chmod 755 %s/git", f->dir, f->dir);
    assert_int_equal(system(cmd), 0);
    free(cmd);
    struct shim *s = ask(DOOR_SHIM_V1, ARGV("./git"));
    assert_int_equal(program(s)->trust, PROGRAM_UNKNOWN);
    assert_false(has_name(s, "git"));
    shim_free(s);
}

static void a_system_tool_by_its_path_has_its_name(void **state)
{
    struct shim *s = ask(DOOR_SHIM_V1, ARGV("/bin/ls"));
    assert_int_equal(program(s)->trust, PROGRAM_TRUSTED);
    assert_true(has_name(s, "ls"));
    shim_free(s);
}

/* An alias of the caller's for a system tool: the tool is what it is, whatever it is called. */
static void a_link_of_the_callers_gives_no_new_name(void **state)
{
    make_link("/bin/rm", "ls");
    struct shim *s = ask(DOOR_SHIM_V1, ARGV("./ls"));
    assert_false(has_name(s, "ls"));
    shim_free(s);
}

static void each_way_to_write_is_seen(void **state)
{
    if (!root()) {
        print_message("needs root to make files of others\n");
        skip();
    }
    static const struct {
        mode_t dir_mode, file_mode;
        uid_t dir_owner, file_owner;
        bool trusted;
    } cases[] = {
        {0755, 0755, 0, 0, true},     {0755, 0755, UID, 0, false},  {0755, 0755, 0, UID, false},
        {0755, 0757, 0, 0, false},    {0757, 0755, 0, 0, false},    {01777, 0755, 0, 0, false},
        {0755, 0755, 4321, 0, false}, {0755, 0755, 0, 4321, false},
    };
    assert_int_equal(chown(f->dir, 0, 0), 0);
    char *base = mem_printf("/usr/local/clawrden-test-%d", getpid());
    assert_int_equal(mkdir(base, 0755), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *dir = mem_printf("%s/d%zu", base, i), *tool = mem_printf("%s/tool", dir);
        assert_int_equal(mkdir(dir, 0755), 0);
        write_file(tool, "\177ELF", 0755);
        assert_int_equal(chmod(tool, cases[i].file_mode), 0);
        assert_int_equal(chown(tool, cases[i].file_owner, 0), 0);
        assert_int_equal(chmod(dir, cases[i].dir_mode), 0);
        assert_int_equal(chown(dir, cases[i].dir_owner, 0), 0);
        struct shim *s = ask(DOOR_SHIM_V1, ARGV(tool));
        if ((program(s)->trust == PROGRAM_TRUSTED) != cases[i].trusted)
            fail_msg("case %zu: %s", i,
                     program(s)->why_unknown ? program(s)->why_unknown : "trusted");
        shim_free(s);
        free(dir);
        free(tool);
    }
    char *cmd = mem_printf("rm -rf %s", base);
    assert_int_equal(system(cmd), 0);
    free(cmd);
    free(base);
}

/* Root can write anything: what did not come with the system is not trusted for it. */
static void root_gets_no_trust_outside_of_the_system(void **state)
{
    if (!root()) {
        print_message("needs root\n");
        skip();
    }
    char *path = in_dir("tool");
    assert_int_equal(chown(f->dir, 0, 0), 0);
    write_file(path, "\177ELF", 0755);
    assert_int_equal(chown(path, 0, 0), 0);
    struct shim *s = shim_new(DOOR_SHIM_V1, 0, "/root", ARGV(path));
    shim_resolve(s);
    assert_int_equal(program(s)->trust, PROGRAM_UNKNOWN);
    shim_free(s);
    s = shim_new(DOOR_SHIM_V2, 0, "/root", ARGV("ls"));
    shim_resolve(s);
    assert_int_equal(program(s)->trust, PROGRAM_TRUSTED);
    shim_free(s);
    free(path);
}

static void the_shim_is_never_the_tool(void **state)
{
    const char *shim = getenv("CLAWRDEN_SHIM");
    assert_non_null(shim);
    char *cmd = mem_printf("cp %s %s/ls && chmod 755 %s/ls", shim, f->dir, f->dir);
    assert_int_equal(system(cmd), 0);
    free(cmd);
    char *first = mem_strdup(f->dir);
    const char *saved = search_path[0];
    search_path[0] = first;
    struct shim *s = ask(DOOR_SHIM_V2, ARGV("ls"));
    assert_int_equal(program(s)->trust, PROGRAM_TRUSTED);
    assert_string_equal(str_basename(program(s)->path), "ls");
    assert_false(str_starts(program(s)->path, f->dir));
    shim_free(s);
    s = ask(DOOR_SHIM_V1, ARGV("./ls"));
    assert_false(str_starts(program(s)->path, f->dir));
    shim_free(s);
    search_path[0] = saved;
    free(first);
}

/* ---- scripts ---- */

static void a_script_is_the_program(void **state)
{
    make_file("run", "#!/bin/sh -e\necho\n", 0755);
    struct shim *s = ask(DOOR_SHIM_V1, ARGV("./run"));
    char *want = in_dir("run"), *sh = realpath("/bin/sh", NULL);
    assert_string_equal(program(s)->path, want);
    assert_string_equal(program(s)->script, want);
    assert_int_equal(program(s)->script_trust, PROGRAM_UNKNOWN);
    assert_string_equal(program(s)->interpreter, sh);
    assert_int_equal(strlen(program(s)->digest), 64);
    free(want);
    free(sh);
    shim_free(s);
}

static void env_finds_the_interpreter_on_the_trusted_path(void **state)
{
    make_file("run", "#!/usr/bin/env sh\n", 0755);
    make_file("odd", "#!/usr/bin/env -i sh\n", 0755);
    struct shim *s = ask(DOOR_SHIM_V1, ARGV("./run"));
    char *sh = realpath("/bin/sh", NULL);
    assert_string_equal(program(s)->interpreter, sh);
    free(sh);
    shim_free(s);
    s = ask(DOOR_SHIM_V1, ARGV("./odd"));
    assert_int_equal(program(s)->trust, PROGRAM_UNKNOWN);
    shim_free(s);
}

static void the_file_that_an_interpreter_reads_counts(void **state)
{
    make_file("f", "echo hi\n", 0644);
    char *want = in_dir("f");
    const char *const *const calls[] = {
        ARGV("sh", "f"),
        ARGV("sh", "-e", "./f"),
        ARGV("sh", "-eo", "pipefail", "f"),
        ARGV("bash", "--", "f"),
        ARGV("bash", "--rcfile", "x", "f"),
    };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct shim *s = ask(DOOR_SHIM_V2, calls[i]);
        assert_int_equal(program(s)->trust, PROGRAM_TRUSTED);
        assert_non_null(program(s)->script);
        assert_string_equal(program(s)->script, want);
        assert_int_equal(program(s)->script_trust, PROGRAM_UNKNOWN);
        assert_int_equal(strlen(program(s)->digest), 64);
        shim_free(s);
    }
    struct shim *s = ask(DOOR_SHIM_V2, ARGV("sh", "-c", "f"));
    assert_null(program(s)->script);
    shim_free(s);
    s = ask(DOOR_SHIM_V2, ARGV("sh", "missing"));
    assert_string_equal(program(s)->script, "missing");
    assert_int_equal(program(s)->script_trust, PROGRAM_UNKNOWN);
    shim_free(s);
    free(want);
}

/* ---- directories and operands ---- */

static void operands_lead_where_their_links_lead(void **state)
{
    make_dir("sub", 0755, UID);
    make_link("/etc", "out");
    make_link("sub", "in");
    const char *const argv[] = {"rm",      "sub/x",    "out/passwd",          "in/../y",
                                "new/a/b", "new/../z", "/proc/self/root/etc", "in/./x//",
                                NULL};
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, argv);
    for (size_t i = 0; i < 7; i++)
        operands[i] = i + 1;
    operands_count = 7;
    shim_resolve(s);
    char *want[] = {
        in_dir("sub/x"), mem_strdup("/etc/passwd"), in_dir("y"), in_dir("new/a/b"), NULL, NULL,
        in_dir("sub/x")};
    assert_int_equal(s->r->facts.paths_count, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(s->r->facts.paths[i].arg, i + 1);
        if (!str_eq(s->r->facts.paths[i].resolved, want[i]))
            fail_msg("operand %zu: %s", i, s->r->facts.paths[i].resolved);
        free(want[i]);
    }
    shim_free(s);
}

static void many_long_operands_fit(void **state)
{
    static char arg[3000];
    const char *argv[] = {"rm", arg, NULL};
    memset(arg, 'a', sizeof(arg) - 1);
    for (size_t i = 0; i < sizeof(arg); i += 200)
        arg[i] = '/';
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, argv);
    for (size_t i = 0; i < 8; i++)
        operands[i] = 1;
    operands_count = 8;
    shim_resolve(s);
    assert_int_equal(s->seen.error, 0);
    assert_string_equal(s->r->facts.paths[7].resolved, arg);
    shim_free(s);
}

static void a_removed_directory_is_not_known(void **state)
{
    make_dir("sub", 0755, UID);
    char *sub = in_dir("sub");
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, sub, ARGV("ls"));
    assert_int_equal(rmdir(sub), 0);
    shim_resolve(s);
    assert_int_equal(s->seen.error, 0);
    assert_null(s->r->facts.cwd);
    shim_free(s);
    s = shim_new(DOOR_SHIM_V1, UID, f->dir, ARGV("ls"));
    s->r->ask.cwd = sub;
    shim_resolve(s);
    assert_int_equal(s->seen.error, -ENOENT);
    shim_free(s);
    free(sub);
}

static void a_v1_directory_is_entered_with_the_callers_rights(void **state)
{
    if (!root()) {
        print_message("needs root to hide a directory\n");
        skip();
    }
    make_dir("hidden", 0700, 0);
    make_dir("hidden/sub", 0755, 0);
    char *sub = in_dir("hidden/sub");
    struct shim *s = shim_new(DOOR_SHIM_V1, UID, f->dir, ARGV("ls"));
    s->r->ask.cwd = sub;
    shim_resolve(s);
    assert_int_equal(s->seen.error, -EACCES);
    shim_free(s);
    free(sub);
}

/* ---- callers that cannot be served ---- */

static void a_caller_that_is_gone_is_refused(void **state)
{
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("ls"));
    kill(s->agent, SIGKILL);
    waitpid(s->agent, NULL, 0);
    shim_resolve(s);
    assert_true(s->seen.error < 0);
    assert_false(s->r->facts.known);
    shim_free(s);
}

static void leave_the_network(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        _exit(6);
}

static void leave_the_mounts(void)
{
    if (unshare(CLONE_NEWNS) < 0)
        _exit(6);
}

static void change_root(void)
{
    if (chroot("/tmp") < 0 || chdir("/") < 0)
        _exit(6);
}

static void a_caller_behind_walls_is_refused(void **state)
{
    if (!root()) {
        print_message("needs root to make namespaces\n");
        skip();
    }
    void (*const walls[])(void) = {leave_the_network, leave_the_mounts, change_root};
    for (size_t i = 0; i < 3; i++) {
        agent_setup = walls[i];
        struct shim *s = shim_new(DOOR_SHIM_V2, UID, i == 2 ? "/" : f->dir, ARGV("ls"));
        shim_resolve(s);
        assert_int_equal(s->seen.error, -EPERM);
        assert_non_null(strstr(s->seen.words, "of its own"));
        shim_free(s);
    }
}

/* ---- the guise ---- */

static void what_only_root_may_see_stays_unseen(void **state)
{
    if (!root())
        return; /* then there is no guise */
    make_dir("secret", 0700, 0);
    make_file("secret/tool", "\177ELF", 0755);
    struct shim *s = ask(DOOR_SHIM_V1, ARGV("secret/tool"));
    assert_int_equal(s->seen.error, 0);
    assert_int_equal(program(s)->trust, PROGRAM_NOT_FOUND);
    shim_free(s);
    s = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("rm", "secret/x", "/proc/1/cwd/x", "fine"));
    for (size_t i = 0; i < 3; i++)
        operands[i] = i + 1;
    operands_count = 3;
    shim_resolve(s);
    assert_null(s->r->facts.paths[0].resolved);
    assert_null(s->r->facts.paths[1].resolved);
    assert_non_null(s->r->facts.paths[2].resolved);
    shim_free(s);
}

/* Of the children of the helper, which are all alike: how many descriptors they have, and what the
 * kernel says of their ids. There may be more of them by now. */
static char *look_at_workers(void)
{
    char *text = mem_printf("for p in $(cat /proc/%d/task/%d/children); do"
                            " ls /proc/$p/fd | wc -l;"
                            " grep -E '^(Uid|Gid|Groups|CapEff):' /proc/$p/status; done | sort -u",
                            (int)mirror_pid(f->mirror), (int)mirror_pid(f->mirror));
    pump(50); /* who has answered still closes what it was sent */
    FILE *p = popen(text, "r");
    char out[4096];
    assert_non_null(p);
    out[fread(out, 1, sizeof(out) - 1, p)] = '\0';
    (void)pclose(p);
    free(text);
    return mem_strdup(out);
}

static void a_worker_is_itself_again_after_each_lookup(void **state)
{
    if (!root())
        return; /* the kernel shows it to root only */
    make_dir("secret", 0700, 0);
    make_file("tool", "#!/bin/sh\n", 0755);
    const char *const *calls[] = {
        ARGV("ls"),         ARGV("no-such-tool-here"), ARGV("./tool"),      ARGV("secret/tool"),
        ARGV("sh", "tool"), ARGV("sh", "missing"),     ARGV("./tool/tool"), ARGV("env", "ls")};
    shim_free(ask(DOOR_SHIM_V2, ARGV("ls")));
    char *before = look_at_workers();
    for (size_t i = 0; i < 2 * sizeof(calls) / sizeof(calls[0]); i++)
        shim_free(ask(i % 2 ? DOOR_SHIM_V1 : DOOR_SHIM_V2, calls[i / 2]));
    struct shim *s = shim_new(DOOR_SHIM_V1, UID, f->dir, ARGV("ls"));
    s->r->ask.cwd = "/etc/passwd"; /* not a directory */
    shim_resolve(s);
    assert_int_equal(s->seen.error, -ENOTDIR);
    shim_free(s);
    char *after = look_at_workers();
    assert_non_null(strstr(after, "Uid:\t0\t0\t0\t0"));
    assert_string_equal(after, before);
    free(before);
    free(after);
}

/* ---- file systems that do not answer ---- */

/* Mounts a FUSE file system over `dir` that answers the greeting and nothing else; -1: not here. */
static int hung_mount(const char *dir)
{
    char options[128], buf[65536];
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (!root() || fd < 0)
        return -1;
    (void)snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%d,group_id=%d", fd, UID,
                   UID);
    if (mount("test", dir, "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
        close(fd);
        return -1;
    }
    ssize_t n = read(fd, buf, sizeof(buf));
    const struct fuse_in_header *in = (const void *)buf;
    assert_true(n >= (ssize_t)sizeof(*in));
    struct {
        struct fuse_out_header head;
        struct fuse_init_out init;
    } out = {{sizeof(out), 0, in->unique}, {.major = 7, .minor = 31, .max_write = 4096}};
    assert_int_equal(write(fd, &out, sizeof(out)), sizeof(out));
    return fd;
}

static void a_hung_file_system_stalls_nobody_else(void **state)
{
    make_dir("hung", 0755, UID);
    char *dir = in_dir("hung"), *tool = in_dir("hung/tool");
    int fuse = hung_mount(dir);
    if (fuse < 0) {
        print_message("needs root and /dev/fuse\n");
        free(dir);
        free(tool);
        skip();
    }
    struct shim *hung[12];
    uint64_t begin = now_ms();
    for (int i = 0; i < 12; i++) {
        struct err err;
        hung[i] = shim_new(DOOR_SHIM_V1, UID, f->dir, ARGV(tool));
        assert_int_equal(f->resolver->resolve(f->resolver, hung[i]->r, &err), 0);
    }
    /* Another user gets his answer meanwhile. */
    struct shim *s = shim_new(DOOR_SHIM_V2, UID + 1, "/", ARGV("ls"));
    shim_resolve(s);
    assert_int_equal(s->seen.error, 0);
    assert_true(now_ms() - begin < 900);
    shim_free(s);
    for (int i = 0; i < 12; i++) {
        pump_until(hung[i]->seen.resolved);
        assert_int_equal(hung[i]->seen.error, -ETIMEDOUT);
        shim_free(hung[i]);
    }
    assert_true(now_ms() - begin < 4000);
    s = ask(DOOR_SHIM_V2, ARGV("ls"));
    assert_int_equal(s->seen.error, 0);
    shim_free(s);
    close(fuse);
    assert_int_equal(umount2(dir, MNT_DETACH), 0);
    free(dir);
    free(tool);
}

/* The next is asked for as soon as one is answered, and the helper may hear of the answer later. */
static void a_crowd_is_answered(void **state)
{
    enum { CROWD = 120 };
    struct shim *s[CROWD];
    struct err err;
    for (int i = 0; i < CROWD; i++)
        s[i] = shim_new(DOOR_SHIM_V2, UID + (root() ? (uid_t)i % 5 : 0), "/", ARGV("ls"));
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(f->resolver->resolve(f->resolver, s[i]->r, &err), 0);
    for (int i = 0; i < CROWD; i++) {
        pump_until(s[i]->seen.resolved);
        assert_int_equal(s[i]->seen.error, 0);
    }
    for (int i = 0; i < CROWD; i++)
        shim_free(s[i]);
}

static void a_cancelled_lookup_is_not_answered(void **state)
{
    struct err err;
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("ls"));
    assert_int_equal(f->resolver->resolve(f->resolver, s->r, &err), 0);
    f->resolver->cancel(f->resolver, s->r);
    pump(200);
    assert_false(s->seen.resolved);
    shim_resolve(s);
    assert_int_equal(s->seen.error, 0);
    shim_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EXEC_TEST(a_system_tool_is_trusted_under_its_names),
        EXEC_TEST(a_missing_tool_is_not_found),
        EXEC_TEST(what_the_caller_can_write_is_unknown_and_hashed),
        EXEC_TEST(a_copy_of_a_system_tool_is_unknown),
        EXEC_TEST(a_system_tool_by_its_path_has_its_name),
        EXEC_TEST(a_link_of_the_callers_gives_no_new_name),
        EXEC_TEST(each_way_to_write_is_seen),
        EXEC_TEST(root_gets_no_trust_outside_of_the_system),
        EXEC_TEST(the_shim_is_never_the_tool),
        EXEC_TEST(a_script_is_the_program),
        EXEC_TEST(env_finds_the_interpreter_on_the_trusted_path),
        EXEC_TEST(the_file_that_an_interpreter_reads_counts),
        EXEC_TEST(operands_lead_where_their_links_lead),
        EXEC_TEST(many_long_operands_fit),
        EXEC_TEST(a_removed_directory_is_not_known),
        EXEC_TEST(a_v1_directory_is_entered_with_the_callers_rights),
        EXEC_TEST(what_only_root_may_see_stays_unseen),
        EXEC_TEST(a_worker_is_itself_again_after_each_lookup),
        EXEC_TEST(a_caller_that_is_gone_is_refused),
        EXEC_TEST(a_caller_behind_walls_is_refused),
        EXEC_TEST(a_hung_file_system_stalls_nobody_else),
        EXEC_TEST(a_crowd_is_answered),
        EXEC_TEST(a_cancelled_lookup_is_not_answered),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
