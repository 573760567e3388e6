/* SPDX-License-Identifier: MIT */
/* The counters of core/metrics as Prometheus reads them (text format 0.0.4). */
#include <inttypes.h>
#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
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

static void prometheus_durations(struct buf *b, const struct metrics *m)
{
    static const char name[] = "clawrden_execution_duration_seconds";
    uint64_t cumulative[METRICS_BUCKETS + 1], count = 0;
    double sum = 0;
    metrics_execution(m, cumulative, &sum, &count);
    prometheus_head(b, name, "histogram", "How long commands ran.");
    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        (void)buf_printf(b, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, metrics_bounds[i],
                         cumulative[i]);
    (void)buf_printf(b, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, cumulative[METRICS_BUCKETS]);
    (void)buf_printf(b, "%s_sum %.9g\n%s_count %" PRIu64 "\n", name, sum, name, count);
}

static void prometheus_errors(struct buf *b, const struct metrics *m)
{
    prometheus_head(b, "clawrden_errors_total", "counter", "Faults by kind.");
    for (int e = 0; e < METRICS_ERROR_COUNT_; e++)
        (void)buf_printf(b, "clawrden_errors_total{kind=\"%s\"} %" PRIu64 "\n",
                         metrics_error_name((enum metrics_error)e),
                         metrics_errors(m, (enum metrics_error)e));
}

void prometheus_metrics(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct warden *warden = c->api->deps.warden;
    const struct metrics *m = warden_metrics(warden);
    _cleanup_buf_ struct buf b = BUF_INIT(PROMETHEUS_TEXT_MAX);
    prometheus_head(&b, "clawrden_requests_total", "counter", "Requests by command and decision.");
    metrics_each_request(m, prometheus_request, &b);
    prometheus_head(&b, "clawrden_queue_size", "gauge", "Requests that wait for a person.");
    (void)buf_printf(&b, "clawrden_queue_size %zu\n", warden_count(warden, REQUEST_WAITING));
    prometheus_head(&b, "clawrden_running", "gauge", "Commands that run.");
    (void)buf_printf(&b, "clawrden_running %zu\n", warden_count(warden, REQUEST_RUNNING));
    prometheus_durations(&b, m);
    prometheus_errors(&b, m);
    if (b.failed)
        call_error(x, 500, "too_large", NULL, "the metrics are too long");
    else
        exchange_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}
