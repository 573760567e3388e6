/* SPDX-License-Identifier: MIT */
/* The counters of core/metrics as Prometheus reads them (text format 0.0.4). */
#include <inttypes.h>
#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
#include "api/feed.h"
#include "api/process.h"
#include "base/str.h"

#define PROMETHEUS_TEXT_MAX (4u << 20)

static void prometheus_head(struct buf *b, const char *name, const char *type, const char *help)
{
    (void)buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Names come from agents: what would end the label is escaped, and what is no UTF-8 made visible.
 */
static void prometheus_label(struct buf *b, const char *s)
{
    _cleanup_buf_ struct buf visible = BUF_INIT(64u << 10);
    size_t n = strlen(s);
    if (!str_utf8_valid(s, n)) {
        (void)str_escape(&visible, s, n);
        s = buf_str(&visible);
    }
    for (; *s; s++) {
        if (*s == '\n')
            (void)buf_append_str(b, "\\n");
        else if (*s == '"' || *s == '\\')
            (void)buf_printf(b, "\\%c", *s);
        else
            (void)buf_append_char(b, *s);
    }
}

static void prometheus_request(void *arg, const char *command, enum decision d, uint64_t n)
{
    struct buf *b = arg;
    (void)buf_append_str(b, "clawrden_requests_total{command=\"");
    prometheus_label(b, command);
    (void)buf_printf(b, "\",decision=\"%s\"} %" PRIu64 "\n", decision_name(d), n);
}

static void prometheus_container(void *arg, const char *container, enum decision d, uint64_t n)
{
    struct buf *b = arg;
    (void)buf_append_str(b, "clawrden_container_requests_total{container=\"");
    prometheus_label(b, container);
    (void)buf_printf(b, "\",decision=\"%s\"} %" PRIu64 "\n", decision_name(d), n);
}

/* `label`: "outcome=\"approved\"" or "". */
static void prometheus_histogram(struct buf *b, const struct metrics *m, const char *name,
                                 enum metrics_time t, const char *label)
{
    uint64_t cumulative[METRICS_BUCKETS_MAX + 1], count = 0;
    double sum = 0;
    size_t n;
    const double *bounds = metrics_bounds(t, &n);
    const char *comma = label[0] ? "," : "", *open = label[0] ? "{" : "",
               *close = label[0] ? "}" : "";
    metrics_times(m, t, cumulative, &sum, &count);
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(b, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, label, comma, bounds[i],
                         cumulative[i]);
    (void)buf_printf(b, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, label, comma, count);
    (void)buf_printf(b, "%s_sum%s%s%s %.9g\n", name, open, label, close, sum);
    (void)buf_printf(b, "%s_count%s%s%s %" PRIu64 "\n", name, open, label, close, count);
}

static void prometheus_times(struct buf *b, const struct metrics *m)
{
    static const struct {
        const char *name, *help, *label;
        enum metrics_time time;
    } rows[] = {
        {"clawrden_execution_duration_seconds", "How long commands ran.", "",
         METRICS_TIME_EXECUTION},
        {"clawrden_decision_duration_seconds",
         "From a request to its decision, when nobody was asked.", "", METRICS_TIME_DECISION},
        {"clawrden_approval_wait_seconds", "How long requests waited for a person.",
         "outcome=\"approved\"", METRICS_TIME_APPROVED},
        {"clawrden_approval_wait_seconds", NULL, "outcome=\"denied\"", METRICS_TIME_DENIED},
        {"clawrden_approval_wait_seconds", NULL, "outcome=\"expired\"", METRICS_TIME_EXPIRED},
        {"clawrden_approval_wait_seconds", NULL, "outcome=\"withdrawn\"", METRICS_TIME_WITHDRAWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].help)
            prometheus_head(b, rows[i].name, "histogram", rows[i].help);
        prometheus_histogram(b, m, rows[i].name, rows[i].time, rows[i].label);
    }
}

static void prometheus_errors(struct buf *b, const struct metrics *m)
{
    prometheus_head(b, "clawrden_errors_total", "counter", "Faults by kind.");
    for (int e = 0; e < METRICS_ERROR_COUNT_; e++)
        (void)buf_printf(b, "clawrden_errors_total{kind=\"%s\"} %" PRIu64 "\n",
                         metrics_error_name((enum metrics_error)e),
                         metrics_errors(m, (enum metrics_error)e));
}

/* ---- what runs, by container ---- */

#define PROMETHEUS_PLACES (METRICS_CONTAINERS_MAX + 2)

struct places {
    const struct metrics *m;
    struct {
        const char *name; /* borrowed for the call */
        uint64_t n;
    } rows[PROMETHEUS_PLACES];
    size_t count;
};

static void prometheus_place(void *arg, const struct request *r)
{
    struct places *p = arg;
    size_t i = 0;
    if (r->state != REQUEST_RUNNING)
        return;
    const char *name = metrics_container_name(p->m, r->peer.container);
    while (i < p->count && strcmp(p->rows[i].name, name) != 0)
        i++;
    if (i == PROMETHEUS_PLACES)
        return; /* not reached: names are bounded */
    if (i == p->count)
        p->rows[p->count++].name = name;
    p->rows[i].n++;
}

static void prometheus_places(struct buf *b, struct warden *w)
{
    struct places p = {.m = warden_metrics(w)};
    prometheus_head(b, "clawrden_container_running", "gauge", "Commands that run, by container.");
    warden_each(w, prometheus_place, &p);
    for (size_t i = 0; i < p.count; i++) {
        (void)buf_append_str(b, "clawrden_container_running{container=\"");
        prometheus_label(b, p.rows[i].name);
        (void)buf_printf(b, "\"} %" PRIu64 "\n", p.rows[i].n);
    }
}

/* ---- single numbers ---- */

static void prometheus_one(struct buf *b, const char *name, const char *type, const char *help,
                           uint64_t n)
{
    prometheus_head(b, name, type, help);
    (void)buf_printf(b, "%s %" PRIu64 "\n", name, n);
}

static void prometheus_numbers(struct buf *b, struct api *a)
{
    struct api_numbers n = {0};
    if (!a->deps.numbers)
        return;
    a->deps.numbers(a->deps.arg, &n);
    prometheus_one(b, "clawrden_audit_records", "gauge", "Sequence number of the last record.",
                   n.audit_records);
    prometheus_one(b, "clawrden_audit_unsynced_records", "gauge",
                   "Records that a power loss would take.", n.audit_unsynced);
    prometheus_one(b, "clawrden_audit_bytes_total", "counter", "Bytes written to the audit log.",
                   n.audit_bytes);
    prometheus_one(b, "clawrden_audit_file_bytes", "gauge", "Size of the active audit file.",
                   n.audit_file_bytes);
    prometheus_one(b, "clawrden_audit_sync_failures_total", "counter", "Failed syncs of the log.",
                   n.audit_sync_failures);
    prometheus_one(b, "clawrden_index_behind_records", "gauge",
                   "Records of the log that the history does not show yet.", n.index_behind);
    prometheus_one(b, "clawrden_index_errors_total", "counter", "Failed transactions of the index.",
                   n.index_errors);
}

static void prometheus_people(struct buf *b, const struct metrics *m)
{
    prometheus_one(b, "clawrden_asks_total", "counter", "Requests that people were asked about.",
                   metrics_asked(m));
    prometheus_one(b, "clawrden_quick_answers_total", "counter",
                   "Answers in less than two seconds: hardly read.", metrics_quick(m));
    prometheus_head(b, "clawrden_policy_reloads_total", "counter",
                    "Policies by what came of them.");
    (void)buf_printf(b,
                     "clawrden_policy_reloads_total{result=\"loaded\"} %" PRIu64 "\n"
                     "clawrden_policy_reloads_total{result=\"refused\"} %" PRIu64 "\n",
                     metrics_policies(m, true), metrics_policies(m, false));
}

static void prometheus_about(struct buf *b, struct api *a)
{
    const struct policy *p = warden_policy(a->deps.warden);
    prometheus_head(b, "clawrden_build_info", "gauge", "Always 1; the version is a label.");
    (void)buf_append_str(b, "clawrden_build_info{version=\"");
    prometheus_label(b, CLAWRDEN_VERSION);
    (void)buf_append_str(b, "\"} 1\n");
    prometheus_head(b, "clawrden_policy_info", "gauge",
                    "Always 1; the policy in force is a label.");
    (void)buf_printf(b, "clawrden_policy_info{version=\"%s\"} 1\n", p ? policy_digest(p) : "");
    prometheus_one(b, "clawrden_feed_listeners", "gauge", "Who listens to the feed.",
                   a->feed ? feed_readers(a->feed) : 0);
}

void prometheus_metrics(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct warden *warden = c->api->deps.warden;
    const struct metrics *m = warden_metrics(warden);
    _cleanup_buf_ struct buf b = BUF_INIT(PROMETHEUS_TEXT_MAX);
    prometheus_head(&b, "clawrden_requests_total", "counter", "Requests by command and decision.");
    metrics_each_request(m, prometheus_request, &b);
    prometheus_head(&b, "clawrden_container_requests_total", "counter",
                    "Requests by container and decision.");
    metrics_each_container(m, prometheus_container, &b);
    prometheus_one(&b, "clawrden_queue_size", "gauge", "Requests that wait for a person.",
                   warden_count(warden, REQUEST_WAITING));
    prometheus_one(&b, "clawrden_running", "gauge", "Commands that run.",
                   warden_count(warden, REQUEST_RUNNING));
    prometheus_places(&b, warden);
    prometheus_times(&b, m);
    prometheus_errors(&b, m);
    prometheus_people(&b, m);
    prometheus_numbers(&b, c->api);
    prometheus_about(&b, c->api);
    process_metrics(&b);
    if (b.failed)
        call_error(x, 500, "too_large", NULL, "the metrics are too long");
    else
        exchange_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}
