/* SPDX-License-Identifier: MIT */
/* The numbers of /metrics that a page for people shows, as JSON. */
#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
#include "api/feed.h"
#include "api/process.h"
#include "base/str.h"

static void figures_add_decision(void *arg, const char *command, enum decision d, uint64_t n)
{
    uint64_t *sums = arg;
    sums[d] += n;
}

static void figures_put_decisions(const struct metrics *m, struct json_writer *w)
{
    uint64_t sums[DECISION_INTERRUPTED + 1] = {0};
    metrics_each_request(m, figures_add_decision, sums);
    json_key(w, "decided");
    json_object_begin(w);
    for (int d = DECISION_NONE + 1; d <= DECISION_INTERRUPTED; d++)
        json_field_uint(w, decision_name((enum decision)d), sums[d]);
    json_object_end(w);
    json_key(w, "errors");
    json_object_begin(w);
    for (int e = 0; e < METRICS_ERROR_COUNT_; e++)
        json_field_uint(w, metrics_error_name((enum metrics_error)e),
                        metrics_errors(m, (enum metrics_error)e));
    json_object_end(w);
}

/* The bound below which this share of all lies; null: beyond the last one, or there are none. */
static void figures_put_share(struct json_writer *w, const char *key, const uint64_t *cumulative,
                              const double *bounds, size_t n, uint64_t need)
{
    size_t i = 0;
    while (i < n && cumulative[i] < need)
        i++;
    json_key(w, key);
    if (need == 0 || i == n)
        json_put_null(w);
    else
        json_put_uint(w, (uint64_t)(bounds[i] * 1e6));
}

static void figures_put_time(const struct metrics *m, const char *name, enum metrics_time t,
                             struct json_writer *w)
{
    uint64_t cumulative[METRICS_BUCKETS_MAX + 1], count = 0;
    double sum = 0;
    size_t n;
    const double *bounds = metrics_bounds(t, &n);
    metrics_times(m, t, cumulative, &sum, &count);
    json_key(w, name);
    json_object_begin(w);
    json_field_uint(w, "count", count);
    json_field_uint(w, "mean_us", count ? (uint64_t)(sum * 1e6 / (double)count) : 0);
    figures_put_share(w, "p50_us", cumulative, bounds, n, (count + 1) / 2);
    figures_put_share(w, "p95_us", cumulative, bounds, n, (count * 95 + 99) / 100);
    figures_put_share(w, "p99_us", cumulative, bounds, n, (count * 99 + 99) / 100);
    json_object_end(w);
}

static void figures_put_times(const struct metrics *m, struct json_writer *w)
{
    static const char *const names[METRICS_TIME_COUNT_] = {
        [METRICS_TIME_EXECUTION] = "execution", [METRICS_TIME_DECISION] = "decision",
        [METRICS_TIME_APPROVED] = "approved",   [METRICS_TIME_DENIED] = "denied",
        [METRICS_TIME_EXPIRED] = "expired",     [METRICS_TIME_WITHDRAWN] = "withdrawn"};
    json_key(w, "times");
    json_object_begin(w);
    for (int t = 0; t < METRICS_TIME_COUNT_; t++)
        figures_put_time(m, names[t], (enum metrics_time)t, w);
    json_object_end(w);
}

static void figures_put_log(struct api *a, struct json_writer *w)
{
    struct api_numbers n = {0};
    if (a->deps.numbers)
        a->deps.numbers(a->deps.arg, &n);
    json_key(w, "audit");
    json_object_begin(w);
    json_field_uint(w, "records", n.audit_records);
    json_field_uint(w, "unsynced", n.audit_unsynced);
    json_field_uint(w, "bytes", n.audit_bytes);
    json_field_uint(w, "file_bytes", n.audit_file_bytes);
    json_field_uint(w, "sync_failures", n.audit_sync_failures);
    json_object_end(w);
    json_key(w, "index");
    json_object_begin(w);
    json_field_uint(w, "behind", n.index_behind);
    json_field_uint(w, "errors", n.index_errors);
    json_object_end(w);
}

static void figures_put_process(struct json_writer *w)
{
    struct process_figures p = {0};
    (void)process_read(&p);
    json_key(w, "process");
    json_object_begin(w);
    json_field_uint(w, "cpu_ms", (uint64_t)(p.cpu_s * 1e3));
    json_field_uint(w, "resident_bytes", (uint64_t)p.resident_bytes);
    json_field_uint(w, "threads", (uint64_t)p.threads);
    json_field_uint(w, "open_fds", (uint64_t)p.open_fds);
    json_field_uint(w, "max_fds", (uint64_t)p.max_fds);
    json_object_end(w);
}

void figures_show(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct api *a = c->api;
    const struct metrics *m = warden_metrics(a->deps.warden);
    _cleanup_buf_ struct buf b = BUF_INIT(64u << 10);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    figures_put_decisions(m, &w);
    json_field_uint(&w, "asks", metrics_asked(m));
    json_field_uint(&w, "quick_answers", metrics_quick(m));
    json_field_uint(&w, "policies_loaded", metrics_policies(m, true));
    json_field_uint(&w, "policies_refused", metrics_policies(m, false));
    json_field_uint(&w, "listeners", a->feed ? feed_readers(a->feed) : 0);
    figures_put_times(m, &w);
    figures_put_log(a, &w);
    figures_put_process(&w);
    json_object_end(&w);
    call_json(x, &b);
}
