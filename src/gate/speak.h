/* SPDX-License-Identifier: MIT */
/* Words of the gate itself, on standard error, each line beginning with "clawrden:". */
#pragma once

enum { SPEAK_EXIT_CANNOT = 125 };

void speak(const char *a, const char *b);
void speak_errno(const char *a, int error); /* errno, of either sign */
/* Says it and leaves with 125; `error` 0: none. */
_Noreturn void speak_cannot(const char *a, int error);
