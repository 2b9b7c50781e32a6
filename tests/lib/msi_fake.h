/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A hypervisor that only remembers: which number means which message, which eventfd fires it, and where doorbells are.
 * It ends the program when it is asked for what a real one must never be: a number out of range, two eventfds for one
 * number, an eventfd for a number without a route.
 */
#ifndef CAISSON_TESTS_LIB_MSI_FAKE_H
#define CAISSON_TESTS_LIB_MSI_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/msi.h"

#define MSI_FAKE_GSIS      64u /* from MSI_FAKE_FIRST */
#define MSI_FAKE_FIRST     32u
#define MSI_FAKE_DOORBELLS 16u

struct msi_fake {
    struct {
        bool routed;
        uint64_t address;
        uint32_t data;
        int eventfd; /* 0: none */
    } gsi[MSI_FAKE_GSIS];
    struct {
        uint64_t gpa;
        int eventfd;
    } doorbell[MSI_FAKE_DOORBELLS];
    unsigned doorbells;
    unsigned routes, unroutes, attaches;                      /* how often each was asked for */
    int route_fails, unroute_fails, attach_fails, bell_fails; /* negative errno to return; 0: none */
};

/* Of a zeroed one. */
struct msi_port msi_fake_port(struct msi_fake *fake);

/* How often the number was fired since the last call. */
uint64_t msi_fake_take(struct msi_fake *fake, uint32_t gsi);
/* Does the number mean this message? */
bool msi_fake_means(const struct msi_fake *fake, uint32_t gsi, uint64_t address, uint32_t data);
/* The guest stores to this address: true if a doorbell heard it. */
bool msi_fake_store(const struct msi_fake *fake, uint64_t gpa);

#endif
