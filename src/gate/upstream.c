/* SPDX-License-Identifier: MIT */
/* Coming back is a question of who answers: the first connection is made before the agent exists,
 * a later one while it runs. So the directory of the socket is held from the first time on, and
 * when the agent could have put a socket of its own there, losing the warden ends the tree. */
#include "gate/upstream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gate/clock.h"
#include "gate/covers.h"
#include "gate/speak.h"
#include "gate/talk.h"
#include "gate/tracer.h"
#include "gate/verdict.h"
#include "mirror/phrase.h"

#define SAY_MS 1000  /* of silence before we say that we wait */
#define POLL_MS 100  /* between two looks for the socket before the agent starts */
#define AGAIN_MS 500 /* between two attempts to come back */
#define GREET_MS 30000

enum upstream_state { UPSTREAM_GONE, UPSTREAM_GREETING, UPSTREAM_THERE };

int (*upstream_watch)(int fd);

static enum upstream_state state;
static const char *path; /* NULL: an inherited connection, which cannot be made again */
static int dir = -1;     /* of `path` */
static bool lasting;     /* nobody of the tree can change what `dir` holds */
static int wait_s;
static uid_t warden_uid;
static uint32_t hello_flags;
static uint64_t until, due = UINT64_MAX;
static bool told, told_loss;

/* ---- reaching it ---- */

static void open_dir(void)
{
    char text[4096];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (dir >= 0)
        close(dir);
    dir = -1;
    if (n >= sizeof(text))
        return;
    memcpy(text, path, n);
    text[n] = 0;
    dir = open(!slash ? "." : n ? text : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Under the directory that is held: renaming something above it changes nothing. */
static int reach(void)
{
    char name[160];
    const char *slash = strrchr(path, '/');
    struct phrase p = PHRASE(name);
    if (dir < 0)
        return -ENOENT;
    name[0] = 0;
    phrase_add(&p, "/proc/self/fd/");
    phrase_add_number(&p, (uint64_t)dir);
    phrase_add(&p, "/");
    phrase_add(&p, slash ? slash + 1 : path);
    return talk_connect(name);
}

/* The tree has our user and less rights: who owns a directory can make it writable again, and a
 * file system that is read-only for us is so for it. */
static bool is_lasting(void)
{
    struct stat st;
    char name[40];
    struct phrase p = PHRASE(name);
    name[0] = 0;
    phrase_add(&p, "/proc/self/fd/");
    phrase_add_number(&p, (uint64_t)dir);
    if (dir < 0 || fstat(dir, &st) < 0 || faccessat(AT_FDCWD, name, W_OK, AT_EACCESS) == 0)
        return false;
    return errno == EROFS || (errno == EACCES && geteuid() != 0 && st.st_uid != geteuid());
}

/* Who listens there. */
static uid_t peer_uid(int fd)
{
    struct ucred c = {.uid = (uid_t)-1};
    socklen_t n = sizeof(c);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) < 0 ? (uid_t)-1 : c.uid;
}

static void say_waiting(uint64_t started, const char *what)
{
    char text[256];
    struct phrase p = PHRASE(text);
    if (told || clock_ms() - started < SAY_MS)
        return;
    told = true;
    text[0] = 0;
    phrase_add(&p, "waiting for ");
    phrase_add(&p, what);
    phrase_add(&p, ", ");
    phrase_add_number(&p, (uint64_t)wait_s);
    phrase_add(&p, " s at most");
    speak(text, "");
}

_Noreturn static void cannot_reach(int error)
{
    char text[256];
    struct phrase p = PHRASE(text);
    text[0] = 0;
    phrase_add(&p, "cannot reach the warden at ");
    phrase_add_safe(&p, path);
    speak_cannot(text, error);
}

void upstream_connect(const struct options *o)
{
    uint64_t started = clock_ms();
    int fd = o->fd;
    path = o->socket;
    wait_s = o->wait_s;
    until = started + 1000ull * (unsigned)wait_s;
    while (path) {
        open_dir();
        if ((fd = reach()) >= 0)
            break;
        if (clock_ms() >= until)
            cannot_reach(fd);
        say_waiting(started, "the warden's socket");
        (void)poll(NULL, 0, POLL_MS);
    }
    if (talk_init(fd) < 0)
        speak_cannot("--fd is not a connected stream socket", 0);
    lasting = path && is_lasting();
    warden_uid = peer_uid(talk_fd());
}

/* ---- the greeting ---- */

static const char *flaw_words(void)
{
    if (hello_flags & GATEWIRE_WALL_MEMORY)
        return "";
    return "the memory of a program that waits can be written by others of the tree (/proc is "
           "writable and Landlock is not to be had): nothing can be held for a person";
}

static int say_hello(void)
{
    size_t size;
    uint8_t *body = talk_body(&size);
    const struct gatewire_hello m = {
        .version = GATEWIRE_VERSION, .flags = hello_flags, .words = flaw_words()};
    size_t n = gatewire_hello_encode(&m, body, size);
    int r = talk_magic();
    return r < 0 ? r : talk_send(GATEWIRE_HELLO, n, -1);
}

static void say_refusal(const uint8_t *body, size_t len)
{
    char text[GATEWIRE_TEXT_MAX + 1], safe[GATEWIRE_TEXT_MAX + 1];
    struct phrase p = PHRASE(safe);
    if (len > GATEWIRE_TEXT_MAX)
        len = GATEWIRE_TEXT_MAX;
    memcpy(text, body, len);
    text[len] = safe[0] = 0;
    phrase_add_safe(&p, text);
    speak("the warden refuses this gate: ", safe);
}

static bool take_welcome(const struct gatewire_head *h, const uint8_t *body)
{
    struct gatewire_welcome m;
    if (h->type != GATEWIRE_WELCOME || gatewire_welcome_decode(body, h->len, &m) < 0 ||
        m.version != GATEWIRE_VERSION)
        return false;
    tracer_search(&m.search);
    return true;
}

/* Whether that was it. What it brings is looked for when it is used: what is missing then cannot
 * start. */
static bool take_covers(const struct gatewire_head *h, int *ret_error)
{
    int fd = h->type == GATEWIRE_COVERS ? talk_take_fd() : -1;
    if (h->type != GATEWIRE_COVERS)
        return false;
    *ret_error = fd < 0 || h->len > 0 ? -EBADMSG : covers_take(fd);
    return true;
}

/* True when the agent may start. Leaves when there is to be none. */
static bool greeted(int read_error)
{
    struct gatewire_head h;
    const uint8_t *body;
    int error = 0;
    bool there;
    while ((there = talk_next(&h, &body)) && take_covers(&h, &error))
        if (error < 0)
            speak_cannot("what lies below the covered tools cannot be had", error);
    if (!there) {
        if (read_error < 0)
            speak_cannot("the warden hung up", 0);
        return false;
    }
    if (h.type == GATEWIRE_REFUSED) {
        say_refusal(body, h.len);
        _exit(SPEAK_EXIT_CANNOT);
    }
    if (!take_welcome(&h, body))
        speak_cannot("the warden speaks another protocol", 0);
    return true;
}

void upstream_greet(uint32_t flags)
{
    uint64_t started = clock_ms(), now;
    hello_flags = flags;
    if (say_hello() < 0)
        speak_cannot("the warden hung up", 0);
    if (until < started + SAY_MS)
        until = started + SAY_MS; /* it is there: a moment it always gets */
    while ((now = clock_ms()) < until) {
        struct pollfd p = {.fd = talk_fd(),
                           .events = POLLIN | (talk_wants_to_write() ? POLLOUT : 0)};
        uint64_t left = until - now;
        if (poll(&p, 1, (int)(left < SAY_MS ? left : SAY_MS)) < 0 && errno != EINTR)
            break;
        int r = talk_flush();
        if (greeted(r == 0 ? talk_read() : r)) {
            state = UPSTREAM_THERE;
            return;
        }
        say_waiting(started, "the warden's go-ahead");
    }
    speak_cannot("the warden did not give its go-ahead in time", 0);
}

/* ---- losing it, and coming back ---- */

bool upstream_is_there(void)
{
    return state == UPSTREAM_THERE;
}

/* Into a log only: on a terminal it would stand in the agent's picture, and each refusal says it.
 */
static void say_aside(const char *text)
{
    if (!isatty(2))
        speak(text, "");
}

static int lose(const char **ret_why)
{
    bool was_there = state == UPSTREAM_THERE;
    if (!lasting) {
        *ret_why = "the warden is gone";
        return -EPIPE;
    }
    talk_close();
    state = UPSTREAM_GONE;
    due = clock_ms() + AGAIN_MS;
    if (was_there) {
        verdict_warden_lost();
        say_aside("the warden is gone: every program is refused until it is back");
        told_loss = false;
    }
    return 0;
}

static int be_welcomed(const char **ret_why)
{
    struct gatewire_head h;
    const uint8_t *body;
    int error = 0;
    bool there;
    while ((there = talk_next(&h, &body)) && take_covers(&h, &error) && error == 0)
        ;
    if (!there)
        return 0;
    if (error < 0 || !take_welcome(&h, body)) {
        if (h.type == GATEWIRE_REFUSED && !told_loss && !isatty(2))
            say_refusal(body, h.len);
        told_loss = true;
        return lose(ret_why);
    }
    state = UPSTREAM_THERE;
    due = UINT64_MAX;
    say_aside("the warden is back");
    return 0;
}

static int hear(const char **ret_why)
{
    struct gatewire_head h;
    const uint8_t *body;
    int r = 0;
    while (r == 0 && talk_next(&h, &body))
        if (take_covers(&h, &r))
            *ret_why = "the warden said something of covers that makes no sense";
        else if (!take_welcome(&h, body))
            r = verdict_answer(&h, body, ret_why);
    return r;
}

int upstream_ready(uint32_t events, const char **ret_why)
{
    int r = 0, error = talk_flush();
    if (error == 0 && (events & ~(uint32_t)EPOLLOUT))
        error = talk_read();
    if (state == UPSTREAM_GREETING)
        r = be_welcomed(ret_why);
    if (r == 0 && state == UPSTREAM_THERE)
        r = hear(ret_why);
    if (r < 0)
        return r;
    return error < 0 && talk_fd() >= 0 ? lose(ret_why) : 0;
}

void upstream_tick(uint64_t now)
{
    const char *why = NULL;
    if (now < due)
        return;
    due = now + AGAIN_MS;
    if (state == UPSTREAM_GREETING) {
        (void)lose(&why); /* it did not answer */
        return;
    }
    int fd = reach();
    if (fd < 0)
        return;
    if (peer_uid(fd) != warden_uid) {
        close(fd);
        return; /* somebody else's: not the one that we were started under */
    }
    if (talk_init(fd) < 0 || upstream_watch(fd) < 0 || say_hello() < 0) {
        talk_close();
        return;
    }
    state = UPSTREAM_GREETING;
    due = now + GREET_MS;
}

uint64_t upstream_next(void)
{
    return due;
}
