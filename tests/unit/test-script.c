/* SPDX-License-Identifier: MIT */
/* Which file an interpreter reads: a table of command lines. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "mirror/script.h"

#define NONE NULL
#define UNCLEAR "?"

/* tool, the script, argv */
struct row {
    const char *tool, *script;
    const char *argv[8];
};

static const struct row rows[] = {
    {"git", NONE, {"git", "f"}},
    {"sh", "f", {"sh", "f"}},
    {"dash", "f", {"sh", "-e", "f", "-c", "x"}},
    {"bash", "f", {"bash", "-eo", "pipefail", "f"}},
    {"bash", "f", {"bash", "-o", "errexit", "+x", "f"}},
    {"bash", "f", {"bash", "--rcfile", "x", "f"}},
    {"bash", "f", {"bash", "--norc", "--", "f"}},
    {"bash", "-f", {"bash", "--", "-f"}},
    {"sh", NONE, {"sh", "-c", "f"}},
    {"sh", NONE, {"sh", "-ec", "f"}},
    {"sh", NONE, {"sh", "-s", "f"}},
    {"sh", NONE, {"sh", "-", "f"}},
    {"sh", NONE, {"sh"}},
    {"python3", "f", {"python3", "f"}},
    {"python3.11", "f", {"python3", "-u", "-W", "ignore", "f"}},
    {"python3", "f", {"python3", "-Wignore", "-X", "dev", "f"}},
    {"python3", NONE, {"python3", "-c", "f"}},
    {"python3", NONE, {"python3", "-Im", "http.server"}},
    {"pythonx", NONE, {"pythonx", "f"}},
    {"perl", "f", {"perl", "-w", "f"}},
    {"perl5.36.0", "f", {"perl", "-I", "lib", "-Mstrict", "f"}},
    {"perl", "f", {"perl", "-i.bak", "f"}},
    {"perl", NONE, {"perl", "-ne", "print", "f"}},
    {"ruby", "f", {"ruby", "-r", "json", "f"}},
    {"ruby", NONE, {"ruby", "-e", "1"}},
    {"node", "f", {"node", "f"}},
    {"nodejs", "f", {"node", "--require", "x", "f"}},
    {"node", "f", {"node", "--require=x", "f"}},
    {"node", "f", {"node", "-r", "x", "f"}},
    {"node", NONE, {"node", "-e", "1", "f"}},
    {"node", NONE, {"node", "--eval=1", "f"}},
    {"node", NONE, {"node", "-p", "1"}},
    {"php8.2", "f", {"php", "-f", "f"}},
    {"php", "f", {"php", "-d", "a=b", "f"}},
    {"php", NONE, {"php", "-r", "1"}},
    {"lua5.4", "f", {"lua", "f"}},
    {"ld-linux-x86-64.so.2", "/bin/rm", {"ld.so", "/bin/rm", "f"}},
    {"ld-linux-x86-64.so.2", "/bin/rm", {"ld.so", "--library-path", "/x", "/bin/rm"}},
    {"ld-linux-x86-64.so.2", "/bin/rm", {"ld.so", "--argv0", "ls", "/bin/rm"}},
    {"ld-musl-x86_64.so.1", "./f", {"ld", "--preload", "x", "./f"}},
    {"busybox", "f", {"busybox", "sh", "f"}},
    {"busybox", "f", {"sh", "f"}},
    {"busybox", NONE, {"busybox", "ls", "f"}},
    {"busybox", NONE, {"busybox"}},
};

static struct helper_strings pack(const char *const *argv, char out[512])
{
    struct helper_strings s = {.packed = out};
    for (; argv[s.count]; s.count++) {
        memcpy(out + s.size, argv[s.count], strlen(argv[s.count]) + 1);
        s.size += strlen(argv[s.count]) + 1;
    }
    return s;
}

static void each_command_line_has_its_script(void **state)
{
    char packed[512];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *found = NULL;
        struct helper_strings args = pack(rows[i].argv, packed);
        enum script_operand o = script_operand_find(rows[i].tool, &args, false, &found);
        if (o != (rows[i].script ? SCRIPT_OPERAND : SCRIPT_NONE) ||
            (rows[i].script && strcmp(found, rows[i].script) != 0))
            fail_msg("row %zu (%s): %s", i, rows[i].tool, found ? found : "none");
    }
}

static void arguments_that_were_cut_are_unclear_only_where_it_matters(void **state)
{
    char packed[512];
    const char *found;
    struct helper_strings s = pack((const char *const[]){"sh", "-e", NULL}, packed);
    assert_int_equal(script_operand_find("sh", &s, true, &found), SCRIPT_UNCLEAR);
    assert_int_equal(script_operand_find("ls", &s, true, &found), SCRIPT_NONE);
    s = pack((const char *const[]){"sh", "f", NULL}, packed);
    assert_int_equal(script_operand_find("sh", &s, true, &found), SCRIPT_OPERAND);
    s = pack((const char *const[]){"sh", "-o", NULL}, packed);
    assert_int_equal(script_operand_find("sh", &s, true, &found), SCRIPT_UNCLEAR);
    s = (struct helper_strings){0};
    assert_int_equal(script_operand_find("sh", &s, true, &found), SCRIPT_UNCLEAR);
}

static int line(const char *text, struct script_line *ret)
{
    return script_line_parse(text, strlen(text), ret);
}

static void a_script_line_is_split_as_the_kernel_does(void **state)
{
    struct script_line l;
    assert_int_equal(line("#!/bin/sh\n", &l), 1);
    assert_string_equal(l.interpreter, "/bin/sh");
    assert_string_equal(l.argument, "");
    assert_int_equal(line("#! \t/usr/bin/env  node --x \nrest", &l), 1);
    assert_string_equal(l.interpreter, "/usr/bin/env");
    assert_string_equal(l.argument, "node --x");
    assert_int_equal(line("#!/bin/sh", &l), 1); /* the file ends */
    assert_int_equal(line("\177ELF", &l), 0);
    assert_int_equal(line("#", &l), 0);
    assert_int_equal(line("#!\n", &l), -1);
    assert_int_equal(line("#!   \n/bin/sh", &l), -1);
    assert_int_equal(script_line_parse("#!/bin/s\0h\n", 11, &l), -1);
}

/* What `#!/bin/echo ARGUMENT` prints when the kernel starts it: ARGUMENT, a blank, the script. */
static void run_script(const char *text, char *out, size_t size)
{
    char dir[] = "/tmp/test-script-XXXXXX", path[64];
    int fd, pipe[2], status;
    assert_non_null(mkdtemp(dir));
    assert_true(snprintf(path, sizeof(path), "%s/s", dir) < (int)sizeof(path));
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(pipe[1], STDOUT_FILENO);
        (void)execl(path, path, (char *)NULL);
        _exit(99);
    }
    close(pipe[1]);
    ssize_t n = read(pipe[0], out, size - 1); /* echo writes once */
    close(pipe[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(unlink(path) == 0 && rmdir(dir) == 0);
    out[n > 0 ? n : 0] = 0;
    char *behind = strstr(out, " /tmp/test-script-");
    assert_non_null(behind);
    *behind = 0;
}

static void an_argument_is_what_the_kernel_passes_on(void **state)
{
    struct script_line l;
    static const struct {
        size_t length; /* of a row of 'a' behind "#!/bin/echo " */
        const char *rest;
    } ends[] = {{1, "\n"},      {1, "  \n"},      {1, "  "},      {1, ""},     {242, "bc\n"},
                {243, "\nb"},   {242, " b c\n"},  {230, " \t\n"}, {243, "\t"}, {240, "      b\n"},
                {240, "  b\n"}, {1, "  b  c \n"}, {242, "\t"},    {241, "\t"}, {242, "b"}};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char text[400] = "#!/bin/echo ", out[512];
        memset(text + strlen(text), 'a', ends[i].length);
        strcat(text, ends[i].rest);
        run_script(text, out, sizeof(out));
        assert_int_equal(line(text, &l), 1);
        assert_string_equal(l.argument, out);
    }
}

static void a_script_line_that_is_too_long_is_refused(void **state)
{
    char text[400] = "#!/";
    struct script_line l;
    memset(text + 3, 'a', sizeof(text) - 4);
    assert_int_equal(script_line_parse(text, sizeof(text) - 1, &l), -1);
    text[100] = ' '; /* the argument may be cut, as the kernel does */
    assert_int_equal(script_line_parse(text, sizeof(text) - 1, &l), 1);
}

static void env_names_its_program_or_is_not_understood(void **state)
{
    char out[64];
    assert_int_equal(script_env_name("node", out, sizeof(out)), 0);
    assert_string_equal(out, "node");
    assert_int_equal(script_env_name("-S node --flag", out, sizeof(out)), 0);
    assert_string_equal(out, "node");
    assert_int_equal(script_env_name("-Snode", out, sizeof(out)), 0);
    assert_string_equal(out, "node");
    const char *const odd[] = {
        "",           "node --flag", "-i node",    "PATH=. node", "-S A=b node",
        "-S -i node", "-S 'node'",   "-S no\\_de", "-S ${X}"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        assert_int_equal(script_env_name(odd[i], out, sizeof(out)), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_command_line_has_its_script),
        cmocka_unit_test(arguments_that_were_cut_are_unclear_only_where_it_matters),
        cmocka_unit_test(a_script_line_is_split_as_the_kernel_does),
        cmocka_unit_test(an_argument_is_what_the_kernel_passes_on),
        cmocka_unit_test(a_script_line_that_is_too_long_is_refused),
        cmocka_unit_test(env_names_its_program_or_is_not_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
