/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_AGENT_CALLS_H
#define CAISSON_GUEST_INIT_AGENT_CALLS_H

/*
 * One function for each call of common/proto/agent.proto, health.proto and trust.proto, listed in methods.c. request:
 * the decoded message, checked by nothing but the decoder: strings may be NULL, numbers anything.
 */

#include "guest-init/agent/agent.h"

void calls_create_container(struct agent *a, struct call *c, const void *request);
void calls_start_container(struct agent *a, struct call *c, const void *request);
void calls_remove_container(struct agent *a, struct call *c, const void *request);
void calls_exec_process(struct agent *a, struct call *c, const void *request);
void calls_update_container(struct agent *a, struct call *c, const void *request);
void calls_stats_container(struct agent *a, struct call *c, const void *request);
void calls_pause_container(struct agent *a, struct call *c, const void *request);
void calls_resume_container(struct agent *a, struct call *c, const void *request);

void calls_signal_process(struct agent *a, struct call *c, const void *request);
void calls_wait_process(struct agent *a, struct call *c, const void *request);
void calls_write_stdin(struct agent *a, struct call *c, const void *request);
void calls_read_stdout(struct agent *a, struct call *c, const void *request);
void calls_read_stderr(struct agent *a, struct call *c, const void *request);
void calls_close_stdin(struct agent *a, struct call *c, const void *request);
void calls_tty_win_resize(struct agent *a, struct call *c, const void *request);

void calls_update_interface(struct agent *a, struct call *c, const void *request);
void calls_update_routes(struct agent *a, struct call *c, const void *request);
void calls_list_interfaces(struct agent *a, struct call *c, const void *request);
void calls_list_routes(struct agent *a, struct call *c, const void *request);
void calls_add_arp_neighbors(struct agent *a, struct call *c, const void *request);

void calls_create_sandbox(struct agent *a, struct call *c, const void *request);
void calls_destroy_sandbox(struct agent *a, struct call *c, const void *request);
void calls_get_oom_event(struct agent *a, struct call *c, const void *request);

void calls_get_metrics(struct agent *a, struct call *c, const void *request);
void calls_online_cpu_mem(struct agent *a, struct call *c, const void *request);
void calls_reseed_random_dev(struct agent *a, struct call *c, const void *request);
void calls_get_guest_details(struct agent *a, struct call *c, const void *request);
void calls_set_guest_date_time(struct agent *a, struct call *c, const void *request);
void calls_copy_file(struct agent *a, struct call *c, const void *request);
void calls_check(struct agent *a, struct call *c, const void *request);
void calls_version(struct agent *a, struct call *c, const void *request);

void calls_get_agent_key(struct agent *a, struct call *c, const void *request);
void calls_get_evidence(struct agent *a, struct call *c, const void *request);
void calls_put_secret(struct agent *a, struct call *c, const void *request);

/* What containers may call, on a socket of their own. */
extern const struct agent_method agent_trust_methods[];
extern const size_t agent_trust_method_count;

#endif
