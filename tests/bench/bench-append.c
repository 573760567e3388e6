/* SPDX-License-Identifier: MIT */
/* How long a record of the audit log takes, chained and written, until what it stands for may
 * happen: in both sync modes, by turns. bench-append DIR RECORDS */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/mem.h"
#include "bench.h"
#include "store/jsonl.h"

static const char members[] =
    "\"time\":\"2026-01-31T08:00:00.000000000Z\",\"id\":\"01900000-0000-7000-8000-000000000001\","
    "\"event\":\"decision\",\"door\":\"shim\",\"uid\":1000,\"gid\":1000,\"pid\":4711,\"ppid\":4700,"
    "\"parent\":\"bash\",\"cgroup\":\"/user.slice\",\"command\":\"git\",\"args\":[\"push\","
    "\"--force\",\"origin\",\"main\"],\"cwd\":\"/home/agent/"
    "project\",\"executable\":{\"path\":"
    "\"/usr/bin/git\",\"dev\":2049,\"ino\":1234567,\"trust\":\"trusted\"},\"decision\":\"deny\","
    "\"rule\":\"no-force-push\",\"place\":\"policy.yaml:12:5\",\"reason\":\"history of others\"";

static bool is_done;

static void done(void *arg, int error)
{
    (void)arg;
    is_done = error == 0;
}

static void run(uv_loop_t *loop, const char *dir, enum jsonl_sync sync, int records)
{
    struct jsonl_config c;
    struct jsonl *j = NULL;
    struct err err = {0};
    const char *name = sync == JSONL_SYNC_ALWAYS ? "always" : "write";
    _cleanup_free_ char *path = mem_printf("%s/append-%s.jsonl", dir, name);
    double *us = bench_alloc((size_t)records, sizeof(double));
    jsonl_config_default(&c);
    c.path = path;
    c.sync = sync;
    if (jsonl_open(&c, loop, &j, &err) < 0) {
        fprintf(stderr, "bench: %s\n", err.text);
        exit(1);
    }
    struct audit_log *log = jsonl_log(j);
    for (int i = 0; i < records; i++) {
        double start = bench_now_us();
        is_done = false;
        if (log->append(log, members, sizeof(members) - 1, done, NULL, &err) < 0) {
            fprintf(stderr, "bench: %s\n", err.text);
            exit(1);
        }
        while (!is_done)
            (void)uv_run(loop, UV_RUN_ONCE);
        us[i] = bench_now_us() - start;
    }
    printf("%s p50_us %.1f p99_us %.1f bytes %zu\n", name, bench_quantile(us, records, 0.5),
           bench_quantile(us, records, 0.99), sizeof(members) - 1);
    free(us);
    jsonl_close(j);
    (void)uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    uv_loop_t loop;
    if (argc != 3 || uv_loop_init(&loop) != 0) {
        fprintf(stderr, "bench-append DIR RECORDS\n");
        return 2;
    }
    int records = (int)strtol(argv[2], NULL, 10);
    run(&loop, argv[1], JSONL_SYNC_WRITE, records);
    run(&loop, argv[1], JSONL_SYNC_ALWAYS, records / 20 + 1);
    return 0;
}
