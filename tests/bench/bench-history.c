/* SPDX-License-Identifier: MIT */
/* The history with many requests: makes an index of N decisions and their ends by the warden's own
 * way from lines of an audit log into it, then asks each of the named queries many times, with
 * other values and from another place each time, and exports. The database is kept for another run.
 *   bench-history DIR N [ROUNDS]  ->  "query NAME p50_ms X p95_ms X rows X" ..., "export FORMAT
 * mb_s X rows X", "made rows N s X bytes X", "rss kib X" */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "bench.h"
#include "store/db.h"
#include "store/ingest.h"
#include "store/pages.h"

#define STRETCH 5000 /* requests in a transaction */
#define SPAN (90 * 24 * 3600 * CLOCK_NS_PER_SEC)
#define BEGIN (1767225600 * CLOCK_NS_PER_SEC) /* 2026-01-01 */
#define EXPORT_ROWS 200000

/* The same sequence each time. */
static uint64_t state = 88172645463325252;
static uint64_t pick(uint64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % n;
}

/* Small numbers are much more likely, as with real commands. */
static uint64_t skewed(uint64_t n)
{
    uint64_t a = pick(n), b = pick(n), c = pick(n);
    a = a < b ? a : b;
    return a < c ? a : c;
}

static const char *const commands[] = {
    "git",  "ls",  "cat",    "npm",   "python3", "grep", "sed",     "node",      "make", "curl",
    "find", "gcc", "docker", "ssh",   "tar",     "pip",  "cargo",   "go",        "jq",   "awk",
    "rm",   "mv",  "cp",     "mkdir", "chmod",   "psql", "kubectl", "terraform", "aws",  "gh"};
static const char *const decisions[] = {"allow",      "deny",        "ask-approved",
                                        "ask-denied", "ask-expired", "withdrawn"};
static const char *const people[] = {"ana", "bob", "cho", "dee", "eva", "fay", "gus", "hal"};

static const char *a_decision(size_t command)
{
    uint64_t p = pick(1000);
    if (command == 1 || command == 2) /* ls, cat: nobody is asked */
        return p < 990 ? "allow" : "deny";
    return decisions[p < 780 ? 0 : p < 850 ? 1 : p < 965 ? 2 : p < 980 ? 3 : p < 990 ? 4 : 5];
}

static void put_id(struct buf *b, uint64_t n)
{
    (void)buf_printf(b, "\"id\":\"01940000-%04x-7000-8000-%012" PRIx64 "\"", (unsigned)(n >> 48),
                     n & 0xffffffffffff);
}

static void put_decision(struct buf *b, uint64_t n, uint64_t of, size_t command,
                         const char *decision)
{
    char time[32];
    (void)clock_format(BEGIN + n * (SPAN / of), time);
    (void)buf_printf(b, "\"time\":\"%s\",", time);
    put_id(b, n);
    (void)buf_printf(
        b,
        ",\"event\":\"decision\",\"door\":\"shim\",\"command\":\"%s\",\"executable\":{\"path\":"
        "\"/usr/bin/%s\"},\"args\":[\"v%" PRIu64 "\",\"--file=src/w%" PRIu64 "/w%" PRIu64
        ".c\",\"w%" PRIu64 "\",\"n%" PRIu64 "\"],\"cwd\":\"/home/agent/project%" PRIu64 "\","
        "\"uid\":%" PRIu64 ",\"gid\":1000,\"pid\":%" PRIu64 ",\"container\":",
        commands[command], commands[command], pick(6), skewed(500), skewed(5000), skewed(20000), n,
        skewed(40), 1000 + skewed(8), 2 + pick(30000));
    uint64_t box = skewed(20);
    (void)(box ? buf_printf(b, "\"agent-%" PRIu64 "\"", box) : buf_append_str(b, "null"));
    bool person = str_starts(decision, "ask-a") || str_starts(decision, "ask-d");
    (void)buf_printf(
        b,
        ",\"policy\":\"%064x\",\"rule\":\"rule-%zu-%s\",\"reason\":\"as the policy "
        "says\",\"verdict\":"
        "\"%s\",\"decision\":\"%s\",\"approver\":%s%s%s,\"channel\":\"cli\",\"waited_ms\":%" PRIu64
        ",\"executor\":\"mirror\",\"error\":null",
        7u, command, decision, person ? "ask" : decision, decision, person ? "\"" : "",
        person ? people[skewed(8)] : "null", person ? "\"" : "", person ? pick(60000) : 0);
}

static void put_end(struct buf *b, uint64_t n, uint64_t of)
{
    char time[32];
    uint64_t p = pick(1000);
    (void)clock_format(BEGIN + n * (SPAN / of) + pick(60) * CLOCK_NS_PER_SEC, time);
    (void)buf_printf(b, "\"time\":\"%s\",", time);
    put_id(b, n);
    (void)buf_append_str(b, ",\"event\":\"end\",\"executor\":\"mirror\",\"started\":true,");
    if (p < 2)
        (void)buf_append_str(b, "\"signal\":9,");
    else
        (void)buf_printf(b, "\"exit_code\":%d,",
                         p < 900   ? 0
                         : p < 970 ? 1
                         : p < 990 ? 2
                         : p < 999 ? 127
                                   : 42);
    (void)buf_printf(b, "\"duration_ms\":%" PRIu64 ",\"timeout_violation\":false,\"error\":null",
                     skewed(60000));
}

static void put_line(struct ingest *g, struct buf *b, uint64_t *seq)
{
    struct err err = {""};
    static const char zero[] = "0000000000000000000000000000000000000000000000000000000000000000";
    _cleanup_free_ char *line =
        mem_printf("{\"v\":1,\"seq\":%" PRIu64 ",\"prev\":\"%s\",%s,\"hash\":\"%s\"}", ++*seq, zero,
                   buf_str(b), zero);
    if (ingest_line(g, line, strlen(line), &err) < 0 || ingest_last_seq(g) != *seq) {
        (void)fprintf(stderr, "bench-history: %s: %s\n", err.text, line);
        exit(2);
    }
    buf_clear(b);
}

static void must(int r, const struct err *err)
{
    if (r >= 0)
        return;
    (void)fprintf(stderr, "bench-history: %s\n", err->text);
    exit(2);
}

static void make_rows(struct sqlite3 *db, uint64_t of)
{
    struct err err = {""};
    struct ingest *g = NULL;
    uint64_t seq = 0;
    struct buf b = BUF_INIT(65536);
    must(ingest_new(db, &g, &err), &err);
    for (uint64_t n = 0; n < of; n += STRETCH) {
        must(db_exec(db, "BEGIN IMMEDIATE", &err), &err);
        for (uint64_t i = n; i < n + STRETCH && i < of; i++) {
            size_t command = skewed(ARRAY_LEN(commands));
            const char *decision = a_decision(command);
            put_decision(&b, i, of, command, decision);
            put_line(g, &b, &seq);
            if (str_eq(decision, "allow") || str_eq(decision, "ask-approved")) {
                put_end(&b, i, of);
                put_line(g, &b, &seq);
            }
        }
        must(ingest_mark(g, &err), &err);
        must(db_exec(db, "COMMIT", &err), &err);
    }
    buf_done(&b);
    ingest_free(g);
}

static int64_t number(struct sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    struct err err = {""};
    must(db_prepare(db, sql, &s, &err), &err);
    int64_t n = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
    (void)sqlite3_finalize(s);
    return n;
}

/* ---- questions ---- */

static char text[4][64]; /* of the question being asked */

static const char *word(int at, const char *fmt, uint64_t n)
{
    _cleanup_free_ char *s = mem_printf("%s%" PRIu64, fmt, n);
    (void)snprintf(text[at], sizeof(text[at]), "%s", s);
    return text[at];
}

static void in_range(struct history_query *q, uint64_t days)
{
    q->since = BEGIN + pick(SPAN - days * 24 * 3600 * CLOCK_NS_PER_SEC);
    q->until = q->since + days * 24 * 3600 * CLOCK_NS_PER_SEC;
}

static void q_newest(struct history_query *q)
{
}
static void q_command(struct history_query *q)
{
    q->command = commands[skewed(ARRAY_LEN(commands))];
}
static void q_command_in_a_day(struct history_query *q)
{
    q->command = commands[pick(ARRAY_LEN(commands))];
    in_range(q, 1);
}
static void q_denied_in_a_week(struct history_query *q)
{
    q->decision = "deny";
    in_range(q, 7);
}
static void q_container_and_command(struct history_query *q)
{
    q->container = pick(4) ? word(0, "agent-", 1 + skewed(19)) : "";
    q->command = commands[pick(ARRAY_LEN(commands))];
}
static void q_user_and_decision(struct history_query *q)
{
    q->has_uid = true;
    q->uid = 1000 + (uint32_t)pick(8);
    q->decision = decisions[pick(ARRAY_LEN(decisions))];
}
static void q_approver(struct history_query *q)
{
    q->approver = people[pick(ARRAY_LEN(people))];
    q->command = pick(2) ? NULL : commands[pick(ARRAY_LEN(commands))];
}
static void q_rule(struct history_query *q)
{
    _cleanup_free_ char *s = mem_printf("rule-%" PRIu64 "-%s", pick(ARRAY_LEN(commands)),
                                        decisions[pick(ARRAY_LEN(decisions))]);
    (void)snprintf(text[0], sizeof(text[0]), "%s", s);
    q->rule = text[0];
}
static void q_exit_code(struct history_query *q)
{
    static const int codes[] = {0, 1, 2, 127, 42, 99};
    q->has_exit = true;
    q->exit_code = codes[pick(ARRAY_LEN(codes))];
}
static void q_words(struct history_query *q)
{
    _cleanup_free_ char *s = mem_printf("w%" PRIu64 " W%" PRIu64, skewed(500), skewed(5000));
    (void)snprintf(text[0], sizeof(text[0]), "%s", s);
    q->q = text[0];
}
static void q_nothing_fits(struct history_query *q) /* two frequent ones that never meet */
{
    q->command = pick(2) ? "ls" : "cat";
    q->decision = "ask-denied";
    if (pick(2))
        q->q = "src v1";
}
static void q_everything(struct history_query *q)
{
    q->command = commands[skewed(10)];
    q->decision = pick(2) ? "allow" : "ask-approved";
    q->container = word(0, "agent-", 1 + skewed(19));
    q->has_uid = q->has_exit = true;
    q->uid = 1000 + (uint32_t)skewed(8);
    q->exit_code = pick(3) ? 0 : 1;
    q->q = word(1, "src v", pick(6));
    q->arg = word(2, "w", skewed(20000));
    in_range(q, 30);
}

static const struct {
    const char *name;
    void (*fill)(struct history_query *q);
} queries[] = {
    {"newest", q_newest},
    {"command", q_command},
    {"command-in-a-day", q_command_in_a_day},
    {"denied-in-a-week", q_denied_in_a_week},
    {"container-and-command", q_container_and_command},
    {"user-and-decision", q_user_and_decision},
    {"approver", q_approver},
    {"rule", q_rule},
    {"exit-code", q_exit_code},
    {"words", q_words},
    {"nothing-fits", q_nothing_fits},
    {"everything", q_everything},
};

static void ask(struct sqlite3 *db, size_t which, int rounds, int64_t last)
{
    double *ms = bench_alloc((size_t)rounds, sizeof(*ms));
    uint64_t rows = 0;
    for (int i = 0; i < rounds; i++) {
        struct history_query q = {.limit = 50};
        struct pages_page page;
        struct err err = {""};
        char before[32];
        queries[which].fill(&q);
        (void)snprintf(before, sizeof(before), "%" PRIu64, 1 + pick((uint64_t)last));
        if (i % 2 && !q.since)
            q.before = before; /* somewhere in the middle */
        double start = bench_now_us();
        must(pages_read(db, &q, &page, &err), &err);
        ms[i] = (bench_now_us() - start) / 1000;
        for (const char *p = buf_str(&page.text); (p = strstr(p, "{\"id\":")); p++)
            rows++;
        buf_done(&page.text);
    }
    printf("query %-22s p50_ms %8.2f p95_ms %8.2f max_ms %8.2f rows %" PRIu64 "\n",
           queries[which].name, bench_quantile(ms, rounds, 0.5), bench_quantile(ms, rounds, 0.95),
           bench_quantile(ms, rounds, 1), rows / (unsigned)rounds);
    (void)fflush(stdout);
    free(ms);
}

static void export(struct sqlite3 *db, const char *name, enum rows_format format, uint64_t rows_max)
{
    struct history_query q = {.format = format, .part = true};
    struct pages_page page;
    struct err err = {""};
    char before[PAGES_CURSOR_SIZE] = "";
    double bytes = 0, start = bench_now_us();
    uint64_t parts = 0;
    do {
        q.before = before[0] ? before : NULL;
        must(pages_read(db, &q, &page, &err), &err);
        bytes += (double)page.text.len;
        (void)snprintf(before, sizeof(before), "%s", page.next);
        buf_done(&page.text);
        parts++;
    } while (before[0] && bytes < 800.0 * (double)rows_max);
    double s = (bench_now_us() - start) / 1e6;
    printf("export %-6s mb_s %.0f mb %.0f parts %" PRIu64 "\n", name, bytes / 1e6 / s, bytes / 1e6,
           parts);
}

static long rss_kib(const char *which)
{
    char line[256];
    long kib = 0;
    size_t n = strlen(which);
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, which, n) == 0)
            kib = strtol(line + n, NULL, 10);
    if (f)
        (void)fclose(f);
    return kib;
}

int main(int argc, char **argv)
{
    struct sqlite3 *db = NULL;
    struct err err = {""};
    uint64_t rows = 0, rounds = 100;
    if (argc < 3 || argc > 4 || str_parse_u64(argv[2], 1000000000, &rows) < 0 || rows == 0 ||
        (argc == 4 && (str_parse_u64(argv[3], 100000, &rounds) < 0 || rounds == 0))) {
        (void)fprintf(stderr, "usage: bench-history DIR N [ROUNDS]\n");
        return 2;
    }
    _cleanup_free_ char *path = mem_printf("%s/history-%" PRIu64 ".db", argv[1], rows);
    must(db_open(path, &db, &err), &err);
    double start = bench_now_us();
    if (number(db, "SELECT count(*) FROM meta") == 0) {
        make_rows(db, rows);
        struct stat st = {0};
        (void)stat(path, &st);
        printf("made rows %" PRIu64 " s %.1f bytes %lld\n", rows, (bench_now_us() - start) / 1e6,
               (long long)st.st_size);
    }
    db_close(db);
    must(db_open_reader(path, &db, &err), &err);
    int64_t last = number(db, "SELECT max(seq) FROM requests");
    for (size_t i = 0; i < ARRAY_LEN(queries); i++)
        ask(db, i, (int)rounds, last);
    export(db, "json", ROWS_JSON, EXPORT_ROWS);
    export(db, "lines", ROWS_LINES, EXPORT_ROWS);
    export(db, "csv", ROWS_CSV, EXPORT_ROWS);
    printf("rss kib %ld peak %ld\n", rss_kib("VmRSS:"), rss_kib("VmHWM:"));
    db_close(db);
    return 0;
}
