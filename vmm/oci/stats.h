/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_STATS_H
#define CAISSON_VMM_OCI_STATS_H

/*
 * A container's statistics as `events` prints them. Names of members are those that readers of runc's events know; what
 * the guest has no number for is 0 or absent.
 */

#include <jansson.h>

#include "agent.pb.h"

/*
 * {"type":"stats","id":...,"data":{...}}. The guest's texts are taken as they are; json_dumps escapes them. NULL: no
 * memory.
 */
json_t *oci_stats_to_json(const char *id, const grpc_StatsContainerResponse *stats);
/* {"type":"oom","id":...}. */
json_t *oci_oom_to_json(const char *id);

#endif
