/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/msi_fake.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void require(bool good)
{
    if (!good)
        abort();
}

static unsigned index_of(uint32_t gsi)
{
    require(gsi >= MSI_FAKE_FIRST && gsi - MSI_FAKE_FIRST < MSI_FAKE_GSIS);
    return gsi - MSI_FAKE_FIRST;
}

static int route(void *ctx, uint32_t gsi, uint64_t address, uint32_t data)
{
    struct msi_fake *fake = ctx;
    unsigned at = index_of(gsi);
    fake->routes++;
    if (fake->route_fails != 0 || address >> 20 != 0xfee)
        return fake->route_fails != 0 ? fake->route_fails : -EINVAL;
    fake->gsi[at].routed = true;
    fake->gsi[at].address = address;
    fake->gsi[at].data = data;
    return 0;
}

static int unroute(void *ctx, uint32_t gsi)
{
    struct msi_fake *fake = ctx;
    unsigned at = index_of(gsi);
    fake->unroutes++;
    if (fake->unroute_fails == 0)
        fake->gsi[at].routed = false;
    return fake->unroute_fails;
}

static int attach(void *ctx, int eventfd, uint32_t gsi)
{
    struct msi_fake *fake = ctx;
    unsigned at = index_of(gsi);
    fake->attaches++;
    if (fake->attach_fails != 0)
        return fake->attach_fails;
    require(fake->gsi[at].routed && fake->gsi[at].eventfd == 0);
    fake->gsi[at].eventfd = eventfd;
    return 0;
}

static int doorbell(void *ctx, gpa_t gpa, int eventfd)
{
    struct msi_fake *fake = ctx;
    if (fake->bell_fails != 0)
        return fake->bell_fails;
    require(fake->doorbells < MSI_FAKE_DOORBELLS);
    fake->doorbell[fake->doorbells].gpa = gpa.value;
    fake->doorbell[fake->doorbells++].eventfd = eventfd;
    return 0;
}

struct msi_port msi_fake_port(struct msi_fake *fake)
{
    static const struct msi_ops ops = {route, unroute, attach, doorbell};
    return (struct msi_port){.ops = &ops, .ctx = fake};
}

uint64_t msi_fake_take(struct msi_fake *fake, uint32_t gsi)
{
    uint64_t count = 0;
    int fd = fake->gsi[index_of(gsi)].eventfd;
    return fd != 0 && read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) ? count : 0;
}

bool msi_fake_means(const struct msi_fake *fake, uint32_t gsi, uint64_t address, uint32_t data)
{
    unsigned at = index_of(gsi);
    return fake->gsi[at].routed && fake->gsi[at].address == address && fake->gsi[at].data == data;
}

bool msi_fake_store(const struct msi_fake *fake, uint64_t gpa)
{
    const uint64_t one = 1;
    for (unsigned i = 0; i < fake->doorbells; i++)
        if (fake->doorbell[i].gpa == gpa)
            return write(fake->doorbell[i].eventfd, &one, sizeof(one)) == (ssize_t)sizeof(one);
    return false;
}
