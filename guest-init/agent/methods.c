/* SPDX-License-Identifier: Apache-2.0 */
#include <google/protobuf/empty.pb.h>

#include "guest-init/agent/calls.h"
#include "health.pb.h"
#include "trust.pb.h"

/* Requests that decode into many small things, requests that carry bytes of somebody's, and the rest. */
#define SMALL  65536u
#define MEDIUM (1u << 20)
#define SECRET (SMALL + 4096u) /* as base64 in JWE, with its name */
#define LARGE  TTRPC_PAYLOAD_MAX

#define AGENT(name, message, max, function)                                                                            \
    {                                                                                                                  \
        "grpc.AgentService", name, grpc_##message##_fields, sizeof(grpc_##message), max, function                      \
    }
#define HEALTH(name, function)                                                                                         \
    {                                                                                                                  \
        "grpc.Health", name, grpc_CheckRequest_fields, sizeof(grpc_CheckRequest), SMALL, function                      \
    }
#define TRUST(name, message, max, function)                                                                            \
    {                                                                                                                  \
        "trust.Trust", name, message##_fields, sizeof(message), max, function                                          \
    }

const struct agent_method agent_methods[] = {
    AGENT("CreateContainer", CreateContainerRequest, MEDIUM, calls_create_container),
    AGENT("StartContainer", StartContainerRequest, SMALL, calls_start_container),
    AGENT("RemoveContainer", RemoveContainerRequest, SMALL, calls_remove_container),
    AGENT("ExecProcess", ExecProcessRequest, MEDIUM, calls_exec_process),
    AGENT("SignalProcess", SignalProcessRequest, SMALL, calls_signal_process),
    AGENT("WaitProcess", WaitProcessRequest, SMALL, calls_wait_process),
    AGENT("UpdateContainer", UpdateContainerRequest, SMALL, calls_update_container),
    AGENT("StatsContainer", StatsContainerRequest, SMALL, calls_stats_container),
    AGENT("PauseContainer", PauseContainerRequest, SMALL, calls_pause_container),
    AGENT("ResumeContainer", ResumeContainerRequest, SMALL, calls_resume_container),
    AGENT("WriteStdin", WriteStreamRequest, LARGE, calls_write_stdin),
    AGENT("ReadStdout", ReadStreamRequest, SMALL, calls_read_stdout),
    AGENT("ReadStderr", ReadStreamRequest, SMALL, calls_read_stderr),
    AGENT("CloseStdin", CloseStdinRequest, SMALL, calls_close_stdin),
    AGENT("TtyWinResize", TtyWinResizeRequest, SMALL, calls_tty_win_resize),
    AGENT("UpdateInterface", UpdateInterfaceRequest, SMALL, calls_update_interface),
    AGENT("UpdateRoutes", UpdateRoutesRequest, MEDIUM, calls_update_routes),
    AGENT("ListInterfaces", ListInterfacesRequest, SMALL, calls_list_interfaces),
    AGENT("ListRoutes", ListRoutesRequest, SMALL, calls_list_routes),
    AGENT("AddARPNeighbors", AddARPNeighborsRequest, MEDIUM, calls_add_arp_neighbors),
    AGENT("GetMetrics", GetMetricsRequest, SMALL, calls_get_metrics),
    AGENT("CreateSandbox", CreateSandboxRequest, SMALL, calls_create_sandbox),
    AGENT("DestroySandbox", DestroySandboxRequest, SMALL, calls_destroy_sandbox),
    AGENT("OnlineCPUMem", OnlineCPUMemRequest, SMALL, calls_online_cpu_mem),
    AGENT("ReseedRandomDev", ReseedRandomDevRequest, SMALL, calls_reseed_random_dev),
    AGENT("GetGuestDetails", GuestDetailsRequest, SMALL, calls_get_guest_details),
    AGENT("SetGuestDateTime", SetGuestDateTimeRequest, SMALL, calls_set_guest_date_time),
    AGENT("CopyFile", CopyFileRequest, LARGE, calls_copy_file),
    AGENT("GetOOMEvent", GetOOMEventRequest, SMALL, calls_get_oom_event),
    HEALTH("Check", calls_check),
    HEALTH("Version", calls_version),
    TRUST("GetAgentKey", google_protobuf_Empty, SMALL, calls_get_agent_key),
    TRUST("GetEvidence", trust_EvidenceRequest, SMALL, calls_get_evidence),
    TRUST("PutSecret", trust_SecretRequest, SECRET, calls_put_secret),
};
const size_t agent_method_count = sizeof(agent_methods) / sizeof(agent_methods[0]);
