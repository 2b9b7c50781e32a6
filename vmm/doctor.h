/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_DOCTOR_H
#define CAISSON_VMM_DOCTOR_H

/*
 * `caisson doctor`: what this host offers. Three steps that know nothing of each other's inside:
 *
 *     doctor_probe (doctor_probe.c)    asks the host; what it answers is understood in doctor_parse.c
 *     doctor_judge (doctor_judge.c)    struct doctor_facts -> struct doctor_report, pure
 *     doctor_print_* (doctor_print.c)  struct doctor_report -> text or JSON, pure
 *
 * Only doctor_probe touches the machine, so tests feed made-up facts to the rest. /dev/kvm is never opened.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "policy/jail/jail.h"

struct cli_io;

enum doctor_hypervisor {
    DOCTOR_HYPERVISOR_NONE,
    DOCTOR_HYPERVISOR_MSHV_ROOT,
    DOCTOR_HYPERVISOR_MSHV_L1VH,
    DOCTOR_HYPERVISOR_MSHV_ISOLATED,
    DOCTOR_HYPERVISOR_MSHV_CHILD,
    DOCTOR_HYPERVISOR_KVM,
    DOCTOR_HYPERVISOR_VMWARE,
    DOCTOR_HYPERVISOR_XEN,
    DOCTOR_HYPERVISOR_OTHER,
};

#define DOCTOR_HYPERVISOR_COUNT (DOCTOR_HYPERVISOR_OTHER + 1)

struct doctor_cpuid {
    uint32_t eax, ebx, ecx, edx;
};

/* What is mounted, and which controllers it has, as words separated by spaces. */
struct doctor_cgroups {
    bool v1;
    bool v2;
    char v1_controllers[256];
    char v2_controllers[256];
    char v2_mount_point[256];
};

/* An int without further words is 0 for "works" or the negative errno of the attempt. */
struct doctor_facts {
    int mshv_open; /* /dev/mshv, O_RDWR */
    enum doctor_hypervisor hypervisor;
    char hypervisor_vendor[13]; /* CPUID 0x40000000, as it stands there; "" on bare metal */
    char kernel_release[65];    /* utsname.release; "" if unknown */
    int landlock_abi;           /* 1 or more, or a negative errno */
    int seccomp_filter;
    int seccomp_notify;
    struct doctor_cgroups cgroups;
    int tun_open; /* /dev/net/tun, O_RDWR */
    int user_namespace;
    int memfd_sealing;
    int jail[JAIL_STEPS]; /* as jail_probe has it: 1 for what was not tried */
    bool softhv;          /* the software hypervisor is in this build */
};

enum doctor_status {
    DOCTOR_OK,
    DOCTOR_MISSING,
    DOCTOR_NOTE, /* works, with a limit that is worth knowing */
};

/* One subject. id is stable and meant for programs. */
struct doctor_check {
    const char *id;
    const char *title;
    const char *why;
};

struct doctor_finding {
    const struct doctor_check *check;
    enum doctor_status status;
    char found[640];
    const char *what_to_do; /* NULL when there is nothing to do */
};

#define DOCTOR_CHECK_COUNT 11

enum doctor_port {
    DOCTOR_PORT_NONE,
    DOCTOR_PORT_KERNEL,
    DOCTOR_PORT_SOFTHV,
};

struct doctor_report {
    struct doctor_finding findings[DOCTOR_CHECK_COUNT];
    enum doctor_port port; /* what a VM started now would run on */
    bool can_run;          /* there is a port, and what caisson cannot do without is there */
};

/* Ask the host. Forks (to try a user namespace, and the jail). Never fails: what cannot be found out is a fact too. */
void doctor_probe(struct doctor_facts *facts);

/*
 * Which hypervisor is underneath, from CPUID. query: gives a leaf's registers; context: passed to it. vendor: gets the
 * 12 letters of leaf 0x40000000 and a NUL, "" on bare metal. Source: TLFS, "Feature and Interface Discovery"; Linux
 * drivers/hv/hv_common.c decides root and L1VH by the same bits.
 */
enum doctor_hypervisor doctor_identify_hypervisor(void (*query)(void *context, uint32_t leaf, struct doctor_cpuid *out),
                                                  void *context, char vendor[13]);

/* Find the cgroup mounts in the text of /proc/self/mounts; v2_controllers stays empty (a file of that mount has it). */
void doctor_parse_mounts(const char *mounts, struct doctor_cgroups *out);

/* Judge the facts. report: written as a whole; keeps no pointer into facts. */
void doctor_judge(const struct doctor_facts *facts, struct doctor_report *report);

/* For people: at most 100 columns, aligned. For programs: one JSON object. Errors stay with the stream. */
void doctor_print_text(FILE *out, const struct doctor_report *report);
void doctor_print_json(FILE *out, const struct doctor_report *report);

/* The sub-command: see cli.h for the arguments. Returns 0 if caisson can run here, 1 if not, 2 for a bad option. */
int doctor_main(const struct cli_io *io, int argc, char **argv);
extern const char doctor_help[];

#endif
