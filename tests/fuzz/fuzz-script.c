/* SPDX-License-Identifier: MIT */
/* The head of a file that an agent wrote, and an interpreter's arguments: which file will be read?
 * What is found lies within what was given, and of a "#!" line it is what the kernel finds. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
    if (!ok)
        abort();
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* What execve(2) would take: on 256 bytes of which those behind the file's end are zero. */
static void as_the_kernel(const char *s, size_t n, const struct script_line *line)
{
    char text[SCRIPT_LINE_MAX] = "";
    memcpy(text, s, n < sizeof(text) ? n : sizeof(text));
    char *end = memchr(text, '\n', sizeof(text));
    if (!end)
        end = text + sizeof(text) - 1;
    while (blank(end[-1]))
        end--;
    *end = '\0';
    const char *name = text + 2;
    while (blank(*name))
        name++;
    size_t len = strcspn(name, " \t");
    must(strlen(line->interpreter) == len && memcmp(line->interpreter, name, len) == 0);
    name += len;
    while (blank(*name))
        name++;
    must(strcmp(line->argument, name) == 0);
}

static void head(const char *s, size_t n)
{
    struct script_line line;
    char name[64];
    int r = script_line_parse(s, n < SCRIPT_HEAD_MAX ? n : SCRIPT_HEAD_MAX, &line);
    if (r != 1)
        return;
    must(n >= 2 && s[0] == '#' && s[1] == '!');
    must(line.interpreter[0] != '\0');
    as_the_kernel(s, n, &line);
    if (script_env_name(line.argument, name, sizeof(name)) == 0)
        must(name[0] != '\0' && strlen(name) < sizeof(name));
}

/* `s` ends with NUL: strings one behind the other. */
static void operand(const char *tool, const char *s, size_t n, int cut)
{
    struct helper_strings args = {.packed = s, .size = n};
    const char *found = NULL;
    for (size_t i = 0; i < n; i++)
        args.count += s[i] == '\0';
    if (args.count == 0)
        return;
    if (script_operand_find(tool, &args, cut, &found) == SCRIPT_OPERAND)
        must(found >= s && found < s + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const tools[] = {"sh",    "bash", "python3", "perl", "node",
                                        "ruby",  "env",  "busybox", "awk",  "make",
                                        "ld.so", "php",  "lua",     "x"};
    if (size == 0)
        return 0;
    head((const char *)data, size);
    char *copy = calloc(1, size);
    must(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    operand(tools[data[0] % (sizeof(tools) / sizeof(tools[0]))], copy, size, data[0] >> 7);
    free(copy);
    return 0;
}
