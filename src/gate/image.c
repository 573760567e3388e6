/* SPDX-License-Identifier: MIT */
/* Memory is read by process_vm_readv, which needs no descriptor; where that is forbidden (Docker
 * 20.10's filter), and for writing, there is /proc/PID/mem, which writes to pages that the image
 * itself may only read too (a private copy, its file is not touched). Where a kernel forbids that,
 * PTRACE_POKEDATA does the same word by word. x86-64. */
#include "gate/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#include "mirror/phrase.h"

#define PAGE 4096ul
#define TABLE_MAX (48u << 20) /* pointers to 6 MiB of empty strings */
#define STRINGS_MAX (8u << 20)
#define AUXV_MAX 64
#define AT_EXECFN_ 31 /* linux/auxvec.h */
#define CS_64 0x33    /* __USER_CS */
/* The kernel has at least this much stack below the strings (setup_arg_pages()). */
#define SCRATCH (32u << 10)
#define SPARE_SIZE (64ul << 10)
#define SPARE_MAX 16

/* ---- memory ---- */

static int open_mem(pid_t pid)
{
    char path[40];
    struct phrase p = PHRASE(path);
    path[0] = 0;
    phrase_add(&p, "/proc/");
    phrase_add_number(&p, (uint64_t)pid);
    phrase_add(&p, "/mem");
    int fd = openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC); /* musl's open() takes another call */
    /* A /proc that is read-only for the tree is so for us: then words are written by ptrace. */
    if (fd < 0 && (errno == EROFS || errno == EACCES))
        fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* NOLINTBEGIN(performance-no-int-to-ptr): addresses and words of another process */

/* As much as there is, like pread(2). */
static ssize_t read_some(struct image *m, uint64_t at, void *to, size_t n)
{
    struct iovec here = {.iov_base = to, .iov_len = n};
    struct iovec there = {.iov_base = (void *)at, .iov_len = n};
    if (m->mem < 0) {
        ssize_t r = process_vm_readv(m->pid, &here, 1, &there, 1, 0);
        if (r >= 0 || (errno != EPERM && errno != ENOSYS))
            return r;
        int fd = open_mem(m->pid);
        if (fd < 0) {
            errno = -fd;
            return -1;
        }
        m->mem = fd;
    }
    return pread(m->mem, to, n, (off_t)at);
}

static int read_mem(struct image *m, uint64_t at, void *to, size_t n)
{
    uint8_t *p = to;
    while (n > 0) {
        ssize_t r = read_some(m, at, p, n);
        if (r <= 0)
            return r < 0 ? -errno : -EFAULT;
        p += r, at += (uint64_t)r, n -= (size_t)r;
    }
    return 0;
}

static int poke(pid_t pid, uint64_t at, const void *from, size_t n)
{
    const uint8_t *p = from;
    while (n > 0) {
        size_t skip = at & 7, part = 8 - skip < n ? 8 - skip : n;
        errno = 0;
        long word = ptrace(PTRACE_PEEKDATA, pid, (void *)(at - skip), NULL);
        if (errno)
            return -errno;
        memcpy((uint8_t *)&word + skip, p, part);
        if (ptrace(PTRACE_POKEDATA, pid, (void *)(at - skip), (void *)word) < 0)
            return -errno;
        p += part, at += part, n -= part;
    }
    return 0;
}
/* NOLINTEND(performance-no-int-to-ptr) */

static int write_mem(pid_t pid, uint64_t at, const void *from, size_t n)
{
    const uint8_t *p = from;
    int mem = open_mem(pid);
    ssize_t r = 0;
    while (n > 0 && (r = pwrite(mem, p, n, (off_t)at)) > 0)
        p += r, at += (uint64_t)r, n -= (size_t)r;
    if (mem >= 0)
        close(mem);
    return n > 0 ? poke(pid, at, p, n) : 0;
}

/* ---- reading ---- */

/* Copies of common size are kept for the next image: mapping each anew costs more than reading it.
 */
static uint8_t *spares[SPARE_MAX];
static unsigned spares_count;

static int map_copy(struct image *m, size_t n)
{
    m->copy_size = n <= SPARE_SIZE ? SPARE_SIZE : (n + PAGE - 1) & ~(PAGE - 1);
    if (m->copy_size == SPARE_SIZE && spares_count > 0) {
        m->copy = spares[--spares_count];
        return 0;
    }
    void *p = mmap(NULL, m->copy_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    m->copy = p;
    return 0;
}

static uint64_t word_at(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* The stack's words from argc to the end of the auxiliary vector. A window that grows: mostly one
 * read. Sets argc, envc, table_size; *ret_execfn is an address. */
struct table {
    uint8_t *words; /* `first`, or owned (mmap) */
    size_t have, size;
    uint8_t first[PAGE];
};

static int grow(struct image *m, struct table *t, size_t want)
{
    if (want > TABLE_MAX)
        return -E2BIG;
    if (want <= t->have)
        return 0;
    size_t next = t->have ? 2 * t->have : PAGE;
    if (next < want)
        next = want;
    next = (next + PAGE - 1) & ~(PAGE - 1);
    void *p = t->first;
    if (t->size > sizeof(t->first))
        p = mremap(t->words, t->size, next, MREMAP_MAYMOVE);
    else if (next > sizeof(t->first))
        p = mmap(NULL, next, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    if (t->size == sizeof(t->first) && p != t->first)
        memcpy(p, t->first, t->have);
    t->words = p;
    t->size = next;
    /* The stack may end within the window: what was asked for counts. */
    size_t before;
    do {
        before = t->have;
        ssize_t r = read_some(m, m->stack + before, t->words + before, next - before);
        t->have += r > 0 ? (size_t)r : 0;
    } while (t->have > before && t->have < want);
    return t->have >= want ? 0 : -EFAULT;
}

static int get_word(struct image *m, struct table *t, size_t i, uint64_t *ret)
{
    int r = grow(m, t, (i + 1) * 8);
    if (r == 0)
        *ret = word_at(t->words + i * 8);
    return r;
}

/* Pointers up to a NULL; *at is the index behind it. */
static int count_pointers(struct image *m, struct table *t, size_t *at, uint32_t *ret)
{
    uint64_t p = 0;
    int r;
    for (*ret = 0; (r = get_word(m, t, (*at)++, &p)) == 0 && p; ++*ret)
        ;
    return r;
}

static int find_execfn(struct image *m, struct table *t, size_t at, uint64_t *ret)
{
    uint64_t type = 0, value = 0;
    for (int i = 0; i < AUXV_MAX; i++, at += 2) {
        int r = get_word(m, t, at, &type);
        if (r < 0 || (r = get_word(m, t, at + 1, &value)) < 0)
            return r;
        if (type == 0)
            break;
        if (type == AT_EXECFN_) {
            *ret = value;
            return 0;
        }
    }
    return -EBADMSG;
}

static int read_table(struct image *m, struct table *t, uint64_t *ret_execfn)
{
    uint64_t argc = 0, first = 0;
    size_t at = 1;
    int r = get_word(m, t, 0, &argc);
    if (r < 0 || (r = count_pointers(m, t, &at, &m->argc)) < 0 ||
        (r = count_pointers(m, t, &at, &m->envc)) < 0)
        return r;
    if (argc != m->argc || m->argc == 0)
        return -EBADMSG;
    m->table_size = at * 8;
    r = find_execfn(m, t, at, ret_execfn);
    if (r < 0 || (r = get_word(m, t, 1, &first)) < 0)
        return r;
    m->strings = first;
    return 0;
}

/* The strings lie in the order of the pointers, without gaps, and execfn behind them. */
static int check_strings(struct image *m, size_t execfn_at)
{
    const uint8_t *table = m->copy, *s = m->copy + m->table_size;
    size_t at = 0, env_at = 0;
    for (uint32_t i = 0; i < m->argc + m->envc; i++) {
        size_t slot = i < m->argc ? 1 + i : 2 + i;
        if (i == m->argc)
            env_at = at;
        if (word_at(table + slot * 8) != m->strings + at)
            return -EBADMSG;
        const uint8_t *end = memchr(s + at, 0, m->strings_size - at);
        if (!end)
            return -EBADMSG;
        at = (size_t)(end - s) + 1;
    }
    if (m->envc == 0)
        env_at = at;
    m->argv = (struct pack_strings){.packed = (char *)s, .size = env_at, .count = m->argc};
    m->env =
        (struct pack_strings){.packed = (char *)s + env_at, .size = at - env_at, .count = m->envc};
    m->execfn = (char *)s + at;
    return at == execfn_at ? 0 : -EBADMSG;
}

static int read_strings(struct image *m, const struct table *t, uint64_t execfn)
{
    if (execfn < m->strings || execfn - m->strings > STRINGS_MAX)
        return -EBADMSG;
    /* execfn is a path: it and its NUL end within PATH_MAX, and the stack ends behind it. */
    size_t most = (size_t)(execfn - m->strings) + PAGE;
    int r = map_copy(m, m->table_size + most);
    if (r < 0)
        return r;
    memcpy(m->copy, t->words, m->table_size);
    uint8_t *s = m->copy + m->table_size;
    size_t have = 0, at = (size_t)(execfn - m->strings);
    size_t before = (size_t)(m->strings - m->stack);
    if (m->strings > m->stack && before < t->have) { /* mostly they stand in the same window */
        have = t->have - before < most ? t->have - before : most;
        memcpy(s, t->words + before, have);
    }
    while (have < most && !(have > at && memchr(s + at, 0, have - at))) {
        ssize_t n = read_some(m, m->strings + have, s + have, most - have);
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    const uint8_t *end = have > at ? memchr(s + at, 0, have - at) : NULL;
    if (!end)
        return -EBADMSG;
    m->strings_size = (size_t)(end - s) + 1;
    return check_strings(m, at);
}

int image_read(pid_t pid, struct image *ret)
{
    struct user_regs_struct regs;
    struct table t;
    uint64_t execfn = 0;
    t.words = NULL;
    t.have = t.size = 0;
    *ret = (struct image){.pid = pid, .mem = -1, .execfn = ""};
    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
        return -errno;
    if (regs.cs != CS_64)
        return -ENOEXEC;
    ret->stack = regs.rsp;
    ret->entry = regs.rip;
    int r = read_table(ret, &t, &execfn);
    if (r == 0)
        r = read_strings(ret, &t, execfn);
    if (t.size > sizeof(t.first))
        munmap(t.words, t.size);
    return r;
}

void image_done(struct image *m)
{
    if (m->mem >= 0)
        close(m->mem);
    if (m->copy && m->copy_size == SPARE_SIZE && spares_count < SPARE_MAX)
        spares[spares_count++] = m->copy;
    else if (m->copy)
        munmap(m->copy, m->copy_size);
    *m = (struct image){.mem = -1, .execfn = ""};
}

static int same_part(struct image *m, uint64_t at, const uint8_t *want, size_t n)
{
    static uint8_t now[64u << 10];
    while (n > 0) {
        size_t part = n < sizeof(now) ? n : sizeof(now);
        if (read_mem(m, at, now, part) < 0 || memcmp(now, want, part) != 0)
            return -ESTALE;
        at += part, want += part, n -= part;
    }
    return 0;
}

int image_same(struct image *m)
{
    int r = same_part(m, m->stack, m->copy, m->table_size);
    return r < 0 ? r : same_part(m, m->strings, m->copy + m->table_size, m->strings_size);
}

/* ---- the environment ---- */

static bool named(const char *entry, const struct pack_strings *names)
{
    const char *name = names->packed;
    for (uint32_t i = 0; i < names->count; i++, name = pack_next(name)) {
        size_t n = strlen(name);
        if (strncmp(entry, name, n) == 0 && (entry[n] == '=' || entry[n] == 0))
            return true;
    }
    return false;
}

/* Pointers of what stays move up against the auxiliary vector, and argc and argv with them. The
 * stack pointer must stay a multiple of 16, so of an odd number of variables the last slot is kept
 * and names an empty "_", which every shell sets anyway. */
static int move_table(pid_t pid, struct image *m, const uint64_t *keep, uint32_t kept)
{
    struct user_regs_struct regs;
    uint32_t gone = m->envc - kept, shift = gone & ~1u;
    size_t size = m->table_size - 8ul * shift;
    uint8_t *table = m->copy + 8ul * shift;
    memmove(table, m->copy, 8ul * (m->argc + 2)); /* argc, argv, NULL */
    memcpy(table + 8ul * (m->argc + 2), keep, 8ul * (kept + (gone & 1)));
    memset(table + size - 8, 0, 8);
    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
        return -errno;
    m->stack += 8ul * shift;
    regs.rsp = m->stack;
    int r = write_mem(pid, m->stack, table, size);
    if (r == 0 && ptrace(PTRACE_SETREGS, pid, NULL, &regs) < 0)
        r = -errno;
    memmove(m->copy, table, size);
    memmove(m->copy + size, m->copy + m->table_size, m->strings_size);
    m->table_size = size;
    m->envc = kept + (gone & 1);
    m->execfn -= 8ul * shift;
    m->argv.packed -= 8ul * shift;
    m->env.packed -= 8ul * shift;
    return r;
}

int image_scrub(pid_t pid, struct image *m, const struct pack_strings *names, uint32_t *ret_count)
{
    uint8_t *strings = m->copy + m->table_size;
    const uint8_t *pointers = m->copy + 8ul * (m->argc + 2);
    uint32_t kept = 0, first_gone = UINT32_MAX;
    uint64_t spare = 0;
    *ret_count = 0;
    if (names->count == 0)
        return 0;
    size_t room = (8ul * (m->envc + 1) + PAGE - 1) & ~(PAGE - 1);
    uint64_t *keep = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (keep == MAP_FAILED)
        return -EIO;
    /* By the pointers: since an earlier scrub the strings may have gaps. */
    for (uint32_t i = 0; i < m->envc; i++) {
        size_t at = word_at(pointers + 8ul * i) - m->strings;
        char *entry = (char *)strings + at;
        size_t n = strlen(entry) + 1;
        if (!named(entry, names)) {
            keep[kept++] = m->strings + at;
        } else {
            if (n >= 3 && !spare)
                spare = m->strings + at, first_gone = (uint32_t)at;
            memset(entry, 0, n);
            ++*ret_count;
        }
    }
    int r = 0;
    if (*ret_count > 0) {
        if ((*ret_count & 1) && spare)
            strings[first_gone] = '_', strings[first_gone + 1] = '=';
        if (!spare) /* only names without '=' and of one letter: nothing to point to but themselves
                     */
            spare = m->strings + m->argv.size;
        keep[kept] = spare;
        r = write_mem(pid, m->strings + m->argv.size, m->env.packed, m->env.size);
        if (r == 0)
            r = move_table(pid, m, keep, kept);
        if (r == 0)
            r = image_same(m);
    }
    munmap(keep, room);
    return r < 0 ? -EIO : 0;
}

/* ---- another first instruction ---- */

/* rdi 2, rsi text, rdx length */
static const uint8_t poison[] = {
    0xb8, 0x01, 0x00, 0x00, 0x00, /* again: mov eax, 1 (write) */
    0x0f, 0x05,                   /* syscall */
    0x48, 0x85, 0xc0,             /* test rax, rax */
    0x7e, 0x08,                   /* jle end */
    0x48, 0x01, 0xc6,             /* add rsi, rax */
    0x48, 0x29, 0xc2,             /* sub rdx, rax */
    0x75, 0xec,                   /* jnz again */
    0xbf, 0x00, 0x00, 0x00, 0x00, /* end: mov edi, code */
    0xb8, 0xe7, 0x00, 0x00, 0x00, /* mov eax, 231 (exit_group) */
    0x0f, 0x05,                   /* syscall */
    0xf4,                         /* hlt: not reached */
};
#define POISON_CODE 21 /* where the exit code stands */

/* rdi path, rsi argv, rdx envp */
static const uint8_t redirect[] = {
    0xb8, 0x3b, 0x00, 0x00, 0x00, /* mov eax, 59 (execve) */
    0x0f, 0x05,                   /* syscall */
    0xbf, 0x7e, 0x00, 0x00, 0x00, /* mov edi, 126 */
    0xb8, 0xe7, 0x00, 0x00, 0x00, /* mov eax, 231 (exit_group) */
    0x0f, 0x05,                   /* syscall */
    0xf4,
};

/* rdi dir, rsi name, rdx argv, r10 envp, r8 0, r12 words, r13 their length */
static const uint8_t pass[] = {
    0xb8, 0x42, 0x01, 0x00, 0x00, /* mov eax, 322 (execveat) */
    0x0f, 0x05,                   /* syscall */
    0xbf, 0x02, 0x00, 0x00, 0x00, /* mov edi, 2 */
    0x4c, 0x89, 0xe6,             /* mov rsi, r12 */
    0x4c, 0x89, 0xea,             /* mov rdx, r13 */
    0xb8, 0x01, 0x00, 0x00, 0x00, /* mov eax, 1 (write) */
    0x0f, 0x05,                   /* syscall */
    0xbf, 0x7e, 0x00, 0x00, 0x00, /* mov edi, 126 */
    0xb8, 0xe7, 0x00, 0x00, 0x00, /* mov eax, 231 (exit_group) */
    0x0f, 0x05,                   /* syscall */
    0xf4,
};

/* Runs `code` in the page of the entry point. orig_rax -1: this is no system call to restart. */
static int divert(pid_t pid, const struct image *m, struct user_regs_struct *regs,
                  const uint8_t *code, size_t n)
{
    uint64_t page = m->entry & ~(PAGE - 1);
    int r = write_mem(pid, page, code, n);
    if (r < 0)
        return r;
    regs->rip = page;
    regs->orig_rax = (unsigned long long)-1;
    regs->rax = 0;
    return ptrace(PTRACE_SETREGS, pid, NULL, regs) < 0 ? -errno : 0;
}

int image_poison(pid_t pid, const struct image *m, const char *text, int code)
{
    struct user_regs_struct regs;
    uint8_t blob[sizeof(poison)];
    size_t n = strlen(text);
    if (n > SCRATCH / 2)
        n = SCRATCH / 2;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
        return -errno;
    memcpy(blob, poison, sizeof(blob));
    blob[POISON_CODE] = (uint8_t)code;
    regs.rdi = 2;
    regs.rsi = (m->stack - SCRATCH) & ~15ul;
    regs.rdx = n;
    int r = write_mem(pid, regs.rsi, text, n);
    return r < 0 ? r : divert(pid, m, &regs, blob, sizeof(blob));
}

int image_pass(pid_t pid, const struct image *m, int dir, const char *name, const char *words)
{
    struct user_regs_struct regs;
    size_t n = strlen(name) + 1, k = strlen(words);
    uint64_t at = (m->stack - SCRATCH) & ~15ul;
    if (n + k > SCRATCH / 2)
        return -ENAMETOOLONG;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
        return -errno;
    int r = write_mem(pid, at, name, n);
    if (r == 0)
        r = write_mem(pid, at + n, words, k);
    regs.rdi = (unsigned long long)(dir < 0 ? AT_FDCWD : dir);
    regs.rsi = at;
    regs.rdx = m->stack + 8;
    regs.r10 = m->stack + 8ul * (m->argc + 2);
    regs.r8 = 0;
    regs.r12 = at + n;
    regs.r13 = k;
    return r < 0 ? r : divert(pid, m, &regs, pass, sizeof(pass));
}

int image_redirect(pid_t pid, const struct image *m, const char *shim, const char *command,
                   uint32_t skip)
{
    const char *const texts[] = {shim, "--as", command};
    enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };
    struct user_regs_struct regs;
    uint64_t words[TEXTS], at = m->stack - 256, argv;
    int r;
    if (skip >= m->argc)
        return -EINVAL;
    for (size_t i = 0; i < TEXTS; i++)
        words[i] = at -= strlen(texts[i]) + 1;
    argv = (at - 8ul * (m->argc - skip + TEXTS + 1)) & ~15ul;
    /* 128 KiB of stack are there already; more arguments than that are not redirected. */
    if (m->stack - argv > (96u << 10))
        return -E2BIG;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
        return -errno;
    for (size_t i = 0; i < TEXTS; i++)
        if ((r = write_mem(pid, words[i], texts[i], strlen(texts[i]) + 1)) < 0)
            return r;
    if ((r = write_mem(pid, argv, words, sizeof(words))) < 0 ||
        (r = write_mem(pid, argv + sizeof(words), m->copy + 8ul * (1 + skip),
                       8ul * (m->argc - skip + 1))) < 0)
        return r;
    regs.rsp = argv;
    regs.rdi = words[0];
    regs.rsi = argv;
    regs.rdx = m->stack + 8ul * (m->argc + 2);
    return divert(pid, m, &regs, redirect, sizeof(redirect));
}
