/* SPDX-License-Identifier: MIT */
/* The handlers of the route table (api.c), one file per resource. Each answers its exchange, now or
 * later. `arg` is a struct call. */
#pragma once

#include "http/router.h"

route_fn health_live, health_ready, health_status;                        /* health.c */
route_fn queue_list, queue_one, queue_approve, queue_deny, queue_running; /* queue.c */
route_fn feed_events, feed_socket;                                        /* feed.c */
route_fn export_history;                                                  /* export.c */
route_fn history_page, history_rebuild;                                   /* history.c */
route_fn story_show;                                                      /* story.c */
route_fn kill_requests, kill_pause, kill_resume;                          /* kill.c */
route_fn rules_show, rules_text, rules_loads, rules_reload;               /* rules.c */
route_fn jails_list, jails_one, jails_create, jails_change, jails_delete; /* jails.c */
route_fn containers_list;                                                 /* containers.c */
route_fn figures_show;                                                    /* figures.c */
route_fn why_explain;                                                     /* why.c */
route_fn bearers_list, bearers_create, bearers_revoke;                    /* bearers.c */
route_fn sso_there, sso_back, sso_ways;                                   /* sso.c */
route_fn users_list, users_create, users_change, users_delete;            /* users.c */
route_fn websessions_list, websessions_revoke;                            /* websessions.c */
route_fn signin_login, signin_link, signin_show, signin_logout;           /* signin.c */
route_fn webfiles_login, webfiles_dashboard, webfiles_asset;              /* webfiles.c */
route_fn prometheus_metrics;                                              /* prometheus.c */
