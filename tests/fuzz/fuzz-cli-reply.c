/* SPDX-License-Identifier: MIT */
/* What a warden, or whoever answers in its place, says to the CLI: JSON of any shape. What reaches
 * the terminal is text without controls, and nothing that was there is lost to a NUL. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/ids.h"
#include "cli/request-text.h"
#include "cli/show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visible(const char *s, size_t n)
{
    if (!str_utf8_valid(s, n))
        abort();
    for (size_t i = 0; i < n; i++)
        if (((uint8_t)s[i] < 0x20 && s[i] != '\n') || s[i] == 0x7f)
            abort();
}

static void show(const struct json *o)
{
    static const char *const keys[] = {"id", "command", "reason", "bytes", "uid", "command_line"};
    char *text[] = {show_command(o), show_age(o, "waiting_at"), show_left(o, "deadline"),
                    show_time(o, "time"), show_id(o)};
    for (size_t i = 0; i < ARRAY_LEN(text); i++) {
        visible(text[i], strlen(text[i]));
        free(text[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char *a = show_text(o, keys[i]), *b = show_quoted(o, keys[i]);
        visible(a, strlen(a));
        visible(b, strlen(b));
        free(a);
        free(b);
    }
    (void)show_is_short(o);
}

static void print(const struct json *o)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f)
        abort();
    request_text_print(o, f);
    (void)fclose(f);
    visible(text, n);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(json_freep) struct json *root = NULL;
    struct err err = {{0}};
    int code = 0;
    if (json_parse((const char *)data, size, 100000, &root, &err) < 0)
        return 0;
    if (json_is_object(root)) {
        show(root);
        print(root);
    }
    for (size_t i = 0; json_is_array(root) && i < json_count(root); i++)
        if (json_is_object(json_at(root, i)))
            show(json_at(root, i));
    if (json_is_array(root))
        (void)ids_find(root, "abc", &code, &err);
    struct buf out = BUF_INIT(64u << 20);
    struct json_writer w = JSON_WRITER(&out);
    json_put_tree(&w, root);
    _cleanup_(json_freep) struct json *again = NULL;
    if (!out.failed && json_parse(buf_str(&out), out.len, 200000, &again, &err) < 0)
        abort();
    buf_done(&out);
    return 0;
}
