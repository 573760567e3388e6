/* SPDX-License-Identifier: MIT */
/* clawrden.yaml as bytes: it is refused with its place, or its values are what the table allows. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "warden/config-file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c = {0};
    struct err err = {{0}};
    int r = config_file_apply((const char *)data, size, "f", &c, &err);
    must(r == 0 || strncmp(err.text, "f:", 2) == 0);
    must(c.socket_mode <= 0777);
    must(!c.audit_sync || !strcmp(c.audit_sync, "write") || !strcmp(c.audit_sync, "always"));
    must(!c.policy || c.policy[0] == '/' || c.policy[0] == '\0');
    config_done(&c);
    return 0;
}
