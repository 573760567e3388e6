/* SPDX-License-Identifier: MIT */
/* The commands, one cmd-*.c each; their rows, options and help stand in commands.c. Each returns
 * an enum cli_exit and has printed what there is to say. */
#pragma once

#include "cli/cli.h"

int cmd_status(struct cli *c, const struct args *a);
int cmd_queue(struct cli *c, const struct args *a);
int cmd_approve(struct cli *c, const struct args *a);
int cmd_deny(struct cli *c, const struct args *a);
int cmd_running(struct cli *c, const struct args *a);
int cmd_history(struct cli *c, const struct args *a);
int cmd_story(struct cli *c, const char *typed);   /* cmd_history() with an ID */
int cmd_kill(struct cli *c, const struct args *a); /* cmd-kill.c: */
int cmd_pause(struct cli *c, const struct args *a);
int cmd_resume(struct cli *c, const struct args *a);
int cmd_panic(struct cli *c, const struct args *a);
int cmd_jails_list(struct cli *c, const struct args *a); /* cmd-jails.c: */
int cmd_jails_get(struct cli *c, const struct args *a);
int cmd_jails_create(struct cli *c, const struct args *a);
int cmd_jails_set(struct cli *c, const struct args *a);
int cmd_jails_delete(struct cli *c, const struct args *a);
int cmd_policy_check(struct cli *c, const struct args *a);
int cmd_policy_explain(struct cli *c, const struct args *a);
int cmd_policy_reload(struct cli *c, const struct args *a);
int cmd_policy_show(struct cli *c, const struct args *a);
int cmd_run(struct cli *c, const struct args *a); /* returns the agent's exit status */
int cmd_doctor(struct cli *c, const struct args *a);
int cmd_init(struct cli *c, const struct args *a);
int cmd_token_create(struct cli *c, const struct args *a);
int cmd_token_list(struct cli *c, const struct args *a);
int cmd_token_revoke(struct cli *c, const struct args *a);
int cmd_user_add(struct cli *c, const struct args *a);
int cmd_user_list(struct cli *c, const struct args *a);
int cmd_user_passwd(struct cli *c, const struct args *a);
int cmd_user_role(struct cli *c, const struct args *a);
int cmd_user_delete(struct cli *c, const struct args *a);
int cmd_session_list(struct cli *c, const struct args *a);
int cmd_session_revoke(struct cli *c, const struct args *a);
int cmd_link(struct cli *c, const struct args *a);
int cmd_login(struct cli *c, const struct args *a);
int cmd_logout(struct cli *c, const struct args *a);
int cmd_context_list(struct cli *c, const struct args *a);
int cmd_context_use(struct cli *c, const struct args *a);
int cmd_audit_verify(struct cli *c, const struct args *a);
int cmd_audit_tail(struct cli *c, const struct args *a);
int cmd_audit_export(struct cli *c, const struct args *a);
int cmd_audit_reindex(struct cli *c, const struct args *a);
int cmd_completion(struct cli *c, const struct args *a);
