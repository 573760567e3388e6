/* SPDX-License-Identifier: MIT */
#include "cli/secret.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/cli.h"

static bool secret_line(char out[SECRET_MAX + 2])
{
    if (!fgets(out, SECRET_MAX + 2, stdin))
        return false;
    size_t n = strcspn(out, "\r\n");
    bool whole = out[n] != '\0' || n <= SECRET_MAX;
    out[n] = '\0';
    return whole && n > 0;
}

static bool secret_ask(const char *prompt, char out[SECRET_MAX + 2])
{
    struct termios before, quiet;
    (void)fprintf(stderr, "%s: ", prompt);
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return false;
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    bool ok = secret_line(out);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    (void)fputc('\n', stderr);
    return ok;
}

int secret_read(const char *prompt, bool twice, char out[SECRET_MAX + 2])
{
    char again[SECRET_MAX + 2];
    bool terminal = isatty(STDIN_FILENO);
    if (!(terminal ? secret_ask(prompt, out) : secret_line(out)))
        return cli_fail(CLI_USAGE, "nothing was given, or more than %d bytes", SECRET_MAX);
    if (!terminal || !twice)
        return CLI_OK;
    bool same = secret_ask("the same again", again) && str_eq(out, again);
    explicit_bzero(again, sizeof(again));
    return same ? CLI_OK : cli_fail(CLI_USAGE, "the two are not the same");
}
