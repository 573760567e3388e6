/* SPDX-License-Identifier: MIT */
/* The live feed: events of the core for whoever listens, over SSE and WebSocket. One ring holds the
 * last events, every reader has a place in it. A reader that is slower than the ring, or takes
 * nothing for STREAM_STALL_MS, is dropped: nobody waits for it, and nothing is kept for it. So is
 * one whose login ended meanwhile. */
#pragma once

#include <uv.h>

#include "api/api.h"
#include "http/exchange.h"

struct feed;

#define FEED_READERS_MAX 2048    /* in all */
#define FEED_READERS_OF_ONE 1100 /* of one login */
#define FEED_EVENTS_MAX 4096     /* in the ring */
#define FEED_BYTES_MAX (8u << 20)
#define FEED_HEARTBEAT_MS 15000
#define FEED_KEPT_MS 120000 /* the ring goes on for so long after the last reader has left */

struct api;
struct feed *feed_new(uv_loop_t *loop, struct api *a);
/* Hears nothing from here on; goes with its handles. Its readers go with the server. */
void feed_close(struct feed *f);
size_t feed_readers(const struct feed *f);
