/* SPDX-License-Identifier: MIT */
#include "api/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define PROCESS_STAT_MAX 4096

/* The field of /proc/self/stat (proc(5)) with this number, from 3 on. */
static unsigned long long process_field(const char *stat, int number)
{
    const char *p = strrchr(stat, ')'); /* the name may hold anything */
    for (int i = 2; p && i < number; i++)
        p = strchr(p + 1, ' ');
    return p ? strtoull(p + 1, NULL, 10) : 0;
}

static uint64_t process_boot_s(void)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
    if (fd_read_file("/proc/stat", 1u << 20, &b, NULL) < 0)
        return 0;
    const char *p = strstr(buf_str(&b), "\nbtime ");
    return p ? strtoull(p + strlen("\nbtime "), NULL, 10) : 0;
}

static uint64_t process_fds(void)
{
    struct stat st;
    uint64_t n = 0;
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size; /* Linux 6.2 */
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        (void)closedir(d);
    return n > 3 ? n - 3 : 0; /* dots, and the directory's own */
}

static void process_put(struct buf *b, const char *name, const char *type, const char *help,
                        double value)
{
    (void)buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n%s %.16g\n", name, help, name, type, name,
                     value);
}

bool process_read(struct process_figures *ret)
{
    _cleanup_buf_ struct buf stat = BUF_INIT(PROCESS_STAT_MAX);
    if (fd_read_file("/proc/self/stat", PROCESS_STAT_MAX, &stat, NULL) < 0)
        return false;
    const char *s = buf_str(&stat);
    double ticks = (double)sysconf(_SC_CLK_TCK), page = (double)sysconf(_SC_PAGESIZE);
    struct rlimit files = {0};
    (void)getrlimit(RLIMIT_NOFILE, &files);
    *ret = (struct process_figures){
        .cpu_s = (double)(process_field(s, 14) + process_field(s, 15)) / ticks,
        .resident_bytes = (double)process_field(s, 24) * page,
        .virtual_bytes = (double)process_field(s, 23),
        .started_s = (double)process_boot_s() + (double)process_field(s, 22) / ticks,
        .threads = (double)process_field(s, 20),
        .open_fds = (double)process_fds(),
        .max_fds = (double)files.rlim_cur};
    return true;
}

void process_metrics(struct buf *b)
{
    struct process_figures p;
    if (!process_read(&p))
        return;
    process_put(b, "process_cpu_seconds_total", "counter", "Processor time, user and system.",
                p.cpu_s);
    process_put(b, "process_resident_memory_bytes", "gauge", "Resident memory.", p.resident_bytes);
    process_put(b, "process_virtual_memory_bytes", "gauge", "Virtual memory.", p.virtual_bytes);
    process_put(b, "process_start_time_seconds", "gauge", "Start, since 1970 UTC.", p.started_s);
    process_put(b, "process_threads", "gauge", "Threads.", p.threads);
    process_put(b, "process_open_fds", "gauge", "Open descriptors.", p.open_fds);
    process_put(b, "process_max_fds", "gauge", "How many may be open.", p.max_fds);
}
