/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_SOFTHV_EVENTFD_H
#define CAISSON_VMM_SOFTHV_EVENTFD_H

/* Eventfds of the client, as the kernel's eventfd_ctx functions treat them. Any thread; no state. */

#include <stdbool.h>

/*
 * What eventfd_ctx_fdget says: 0, -EBADF for no open descriptor, -EINVAL for one that is no eventfd. Nothing is read or
 * written.
 */
int softhv_eventfd_check(int fd);

/* Add 1. Does not block: an eventfd at its limit stays there, as with eventfd_signal. */
void softhv_eventfd_signal(int fd);

/* Take the counter, or 1 from a semaphore, without blocking. False if it was 0. */
bool softhv_eventfd_drain(int fd);

/* True if the counter is not 0. */
bool softhv_eventfd_readable(int fd);

/* True if both descriptors are the same eventfd. False on errors. */
bool softhv_eventfd_same(int a, int b);

/* A descriptor of our own for the same eventfd, close-on-exec; the caller closes it. -ENOMEM: there are too many. */
int softhv_eventfd_keep(int fd);

#endif
