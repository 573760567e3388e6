/* SPDX-License-Identifier: MIT */
#include "gate/speak.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mirror/phrase.h"

void speak(const char *a, const char *b)
{
    char text[1024];
    struct phrase p = PHRASE(text);
    text[0] = 0;
    phrase_add(&p, "clawrden: ");
    phrase_add(&p, a);
    phrase_add(&p, b);
    phrase_add(&p, "\n");
    (void)!write(2, text, strlen(text));
}

void speak_errno(const char *a, int error)
{
    char text[256];
    struct phrase p = PHRASE(text);
    text[0] = 0;
    phrase_add(&p, a);
    phrase_add(&p, ": ");
    phrase_add_errno(&p, error < 0 ? -error : error);
    speak(text, "");
}

_Noreturn void speak_cannot(const char *a, int error)
{
    if (error)
        speak_errno(a, error);
    else
        speak(a, "");
    exit(SPEAK_EXIT_CANNOT);
}
