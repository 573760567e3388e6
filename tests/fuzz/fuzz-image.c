/* SPDX-License-Identifier: MIT */
/* The stack of a new image, which an agent filled. It lies in our own memory, laid out as the
 * kernel does it, and ptrace() is ours; so /proc/PID/mem is the real one. What the kernel could
 * have made is read as it was meant, and after two scrubs nothing that was named is left and
 * everything else is there in its order; what was spoilt is refused or within bounds.
 *
 * An input: u8 argc, u8 names, u8 large, u8 spoils | spoils x (u16 where, u8 xor) | lines: execfn,
 * the names to be taken out, argv, and the environment, which is repeated where `large` says so:
 * one value of 256, since a large one takes a hundred times as long. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <unistd.h>

#include "gate/image.h"

#define BASE 0x200000000000ul /* nothing else is mapped near it */
#define SIZE (512ul << 10)
#define ENTRY (BASE + 0x123)
#define BELOW (160ul << 10) /* of the stack, for what is written there */
#define LARGE 0xfb
#define WORDS_MAX 10000 /* of the environment; a copy of more than 64 KiB is made anew */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
    const char *s;
    size_t n;
};

struct stack {
    struct text execfn, names[16], argv[256];
    struct text env[WORDS_MAX];
    size_t names_count, argc, envc;
    uint64_t strings, rsp;
};

static struct user_regs_struct now;
static struct stack st;

static void must(int ok)
{
    if (!ok)
        abort();
}

/* Of the image: its registers; words of memory are for kernels that forbid writing by /proc. */
long ptrace(enum __ptrace_request what, ...)
{
    __builtin_va_list ap;
    struct user_regs_struct *regs;
    __builtin_va_start(ap, what);
    (void)__builtin_va_arg(ap, pid_t);
    (void)__builtin_va_arg(ap, void *);
    regs = __builtin_va_arg(ap, struct user_regs_struct *);
    __builtin_va_end(ap);
    if (what == PTRACE_GETREGS)
        *regs = now;
    else if (what == PTRACE_SETREGS)
        now = *regs;
    return what == PTRACE_GETREGS || what == PTRACE_SETREGS ? 0 : -1;
}

/* NOLINTBEGIN(performance-no-int-to-ptr): addresses in the image are our own */
static uint8_t *at(uint64_t address)
{
    return (uint8_t *)address;
}
/* NOLINTEND(performance-no-int-to-ptr) */

static uint64_t word(uint64_t address)
{
    uint64_t v;
    must(address >= BASE && address + 8 <= BASE + SIZE);
    memcpy(&v, at(address), 8);
    return v;
}

static const char *string(uint64_t address)
{
    must(address >= BASE && address < BASE + SIZE);
    return (const char *)at(address);
}

static bool is(const char *s, struct text t)
{
    return strlen(s) == t.n && memcmp(s, t.s, t.n) == 0;
}

/* ---- the kernel's part ---- */

static struct text line(const uint8_t **p, const uint8_t *end)
{
    struct text t = {.s = (const char *)*p};
    while (*p < end && **p && **p != '\n')
        ++*p;
    t.n = (size_t)((const char *)*p - t.s);
    *p += *p < end;
    return t;
}

static void read_input(const uint8_t *p, const uint8_t *end, const uint8_t head[4])
{
    size_t total = 0, times = head[2] == LARGE ? WORDS_MAX : 1;
    st.execfn = line(&p, end);
    if (st.execfn.n > 4095)
        st.execfn.n = 4095; /* PATH_MAX */
    for (st.names_count = 0; st.names_count < (head[1] & 15) && p < end; st.names_count++)
        st.names[st.names_count] = line(&p, end);
    for (st.argc = 0; st.argc < head[0] && p < end; st.argc++)
        st.argv[st.argc] = line(&p, end);
    for (st.envc = 0; times > 0 && p < end; times--)
        for (const uint8_t *q = p; q < end && st.envc < WORDS_MAX && total < SIZE / 4;
             total += st.env[st.envc++].n)
            st.env[st.envc] = line(&q, end);
}

static uint64_t put(uint64_t to, struct text t)
{
    memcpy(at(to), t.s, t.n);
    *at(to + t.n) = 0;
    return to + t.n + 1;
}

static uint64_t put_words(uint64_t to, uint64_t *string, const struct text *t, size_t count)
{
    for (size_t i = 0; i < count; i++, to += 8) {
        memcpy(at(to), string, 8);
        *string += t[i].n + 1;
    }
    return to + 8;
}

static bool build(void)
{
    size_t strings = st.execfn.n + 1 + 8;
    for (size_t i = 0; i < st.argc; i++)
        strings += st.argv[i].n + 1;
    for (size_t i = 0; i < st.envc; i++)
        strings += st.env[i].n + 1;
    size_t table = 8 * (st.argc + st.envc + 3), aux = 48;
    if (strings + table + aux + 64 + BELOW > SIZE)
        return false;
    st.strings = BASE + SIZE - strings;
    st.rsp = (st.strings - aux - table - 32) & ~15ul;
    memset(at(BASE), 0, SIZE);
    uint64_t p = st.strings, argc = st.argc, string = st.strings;
    for (size_t i = 0; i < st.argc; i++)
        p = put(p, st.argv[i]);
    for (size_t i = 0; i < st.envc; i++)
        p = put(p, st.env[i]);
    uint64_t auxv[] = {6, 4096, 31, p, 0, 0}; /* AT_PAGESZ, AT_EXECFN, AT_NULL */
    (void)put(p, st.execfn);
    memcpy(at(st.rsp), &argc, 8);
    p = put_words(st.rsp + 8, &string, st.argv, st.argc);
    p = put_words(p, &string, st.env, st.envc);
    memcpy(at(p), auxv, sizeof(auxv));
    now = (struct user_regs_struct){.rsp = st.rsp, .rip = ENTRY, .cs = 0x33};
    return true;
}

/* ---- what must hold ---- */

static void is_within(const struct pack_strings *s, const struct image *m)
{
    const char *from = (const char *)m->copy, *to = from + m->copy_size;
    size_t ends = 0;
    must(s->packed >= from && s->packed <= to && s->size <= (size_t)(to - s->packed));
    for (size_t i = 0; i < s->size; i++)
        ends += s->packed[i] == 0;
    must(ends == s->count && (s->size == 0 || s->packed[s->size - 1] == 0));
}

static void is_sound(const struct image *m)
{
    must(m->argc > 0 && m->argv.count == m->argc && m->env.count == m->envc);
    must(m->table_size + m->strings_size <= m->copy_size);
    is_within(&m->argv, m);
    is_within(&m->env, m);
    must(m->execfn >= m->env.packed + m->env.size);
    must(m->execfn + strlen(m->execfn) < (const char *)m->copy + m->copy_size);
}

static void is_what_was_meant(const struct image *m)
{
    const char *p = m->argv.packed;
    must(m->argc == st.argc && m->envc == st.envc && is(m->execfn, st.execfn));
    for (size_t i = 0; i < st.argc; i++, p = pack_next(p))
        must(is(p, st.argv[i]));
    for (size_t i = 0; i < st.envc; i++, p = pack_next(p))
        must(is(p, st.env[i]));
}

static bool is_named(struct text t, size_t names)
{
    for (size_t i = 0; i < names; i++)
        if (st.names[i].n <= t.n && memcmp(t.s, st.names[i].s, st.names[i].n) == 0 &&
            (st.names[i].n == t.n || t.s[st.names[i].n] == '='))
            return true;
    return false;
}

/* The first `names` were taken out. Empty ones may be added: the stack stays aligned. */
static void is_scrubbed(struct image *m, size_t names)
{
    uint64_t p = now.rsp;
    must(p % 16 == 0 && p == m->stack && word(p) == st.argc);
    p += 8;
    for (size_t i = 0; i < st.argc; i++, p += 8)
        must(is(string(word(p)), st.argv[i]));
    must(word(p) == 0);
    p += 8;
    for (size_t i = 0; i < st.envc; i++) {
        if (is_named(st.env[i], names))
            continue;
        must(is(string(word(p)), st.env[i]));
        p += 8;
    }
    for (int more = 0; word(p); p += 8, more++) {
        const char *s = string(word(p));
        must(more < 2 &&
             (!*s || strcmp(s, "_=") == 0 || !is_named((struct text){s, strlen(s)}, names)));
    }
    must(word(p + 8) == 6 && word(p + 24) == 31);
    must(is(string(word(p + 32)), st.execfn) && is(m->execfn, st.execfn));
    /* Nor does it lie there without a pointer. */
    uint64_t s = st.strings;
    for (size_t i = 0; i < st.argc; i++)
        s += st.argv[i].n + 1;
    for (size_t i = 0; i < st.envc; s += st.env[i++].n + 1)
        if (is_named(st.env[i], names) && st.env[i].n > 2)
            must(!is(string(s), st.env[i]));
    must(image_same(m) == 0);
}

static size_t pack_names(size_t from, size_t to, char *out, struct pack_strings *ret)
{
    *ret = (struct pack_strings){.packed = out};
    for (; from < to; from++) {
        size_t n = st.names[from].n < 255 ? st.names[from].n : 255;
        memcpy(out + ret->size, st.names[from].s, n);
        out[ret->size + n] = 0;
        st.names[from].n = n;
        ret->size += n + 1;
        ret->count++;
    }
    return to;
}

static int scrub(struct image *m, size_t from, size_t to)
{
    char packed[16 * 256];
    struct pack_strings names;
    uint32_t count;
    (void)pack_names(from, to, packed, &names);
    return image_scrub(getpid(), m, &names, &count);
}

static void redirect_is_right(const struct image *m, uint32_t skip)
{
    if (image_redirect(getpid(), m, "/shim", "tool", skip) < 0)
        return;
    must(skip < st.argc);
    uint64_t p = now.rsi;
    must(now.rsp == p && p % 16 == 0 && strcmp(string(now.rdi), "/shim") == 0);
    must(strcmp(string(word(p)), "/shim") == 0 && strcmp(string(word(p + 8)), "--as") == 0 &&
         strcmp(string(word(p + 16)), "tool") == 0);
    for (size_t i = skip; i < st.argc; i++)
        must(is(string(word(p + 24 + 8 * (i - skip))), st.argv[i]));
    must(word(p + 24 + 8 * (st.argc - skip)) == 0);
    must(now.rdx == m->stack + 8 * (st.argc + 2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool mapped;
    struct image m;
    if (size < 4 || size < 4 + 3ul * (data[3] & 15))
        return 0;
    const uint8_t *spoils = data + 4;
    size_t spoils_count = data[3] & 15;
    if (!mapped)
        must(mmap(at(BASE), SIZE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == at(BASE));
    mapped = true;
    read_input(spoils + 3 * spoils_count, data + size, data);
    if (!build())
        return 0;
    bool spoilt = st.argc == 0;
    for (size_t i = 0; i < spoils_count; i++, spoils += 3) {
        uint64_t where = (st.rsp + (uint64_t)(spoils[0] | spoils[1] << 8));
        if (where < BASE + SIZE)
            *at(where) ^= spoils[2], spoilt |= spoils[2] != 0;
    }
    int r = image_read(getpid(), &m);
    must(r == 0 || spoilt);
    if (r == 0) {
        is_sound(&m);
        must(image_same(&m) == 0);
        if (!spoilt)
            is_what_was_meant(&m);
        size_t half = st.names_count / 2;
        r = scrub(&m, 0, half);
        must(r == 0 || spoilt);
        if (r == 0 && !spoilt)
            is_scrubbed(&m, half);
        r = r < 0 ? r : scrub(&m, half, st.names_count);
        must(r == 0 || spoilt);
        if (r == 0 && !spoilt)
            is_scrubbed(&m, st.names_count);
        if (r == 0 && !spoilt)
            redirect_is_right(&m, (uint32_t)(spoils_count % (st.argc + 1)));
    }
    image_done(&m);
    return 0;
}
