/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "vmm/x86/block.h"

#include "common/mapping.h"
#include "vmm/x86/mmu.h"

#define HASH_SIZE         16384
#define PAGE_HASH_SIZE    4096
#define WRITES_UNTIL_DROP 32
/* Arena bytes one block can take. */
#define BLOCK_MAX (sizeof(struct x86_block) + (X86_BLOCK_INSNS + 1) * sizeof(struct x86_insn) + X86_BLOCK_BYTES + 64)

/* A guest page with blocks. */
struct x86_codepage {
    uint64_t gpa;
    struct x86_block *blocks;
    struct x86_codepage *next;
    unsigned writes; /* since code was last decoded here */
};

struct x86_cache {
    uint8_t *arena;
    size_t size, used;
    struct x86_codepage *pages[PAGE_HASH_SIZE];
    struct x86_block *hash[HASH_SIZE];
    struct x86_block *jumps[X86_JUMP_SIZE];
    uint64_t code_bits[1024];  /* filter in front of pages: 65,536 bits by page number */
    struct x86_block *scratch; /* for what cannot be cached: instructions across two pages or behind callbacks */
    uint8_t scratch_bytes[X86_INSN_MAX + 1];
    uint8_t bytes[X86_BLOCK_BYTES]; /* copy of the code a block is made from */
};

/* ---- Life ---- */

struct x86_cache *x86_cache_new(size_t bytes)
{
    void *cache, *arena;
    size_t size = bytes < 4 * BLOCK_MAX ? 4 * BLOCK_MAX : bytes;
    if (mapping_new(sizeof(struct x86_cache), 0, &cache) < 0)
        return NULL;
    if (mapping_new(size, MAPPING_SPARSE, &arena) < 0) {
        mapping_free(cache, sizeof(struct x86_cache));
        return NULL;
    }
    struct x86_cache *k = cache;
    k->size = size;
    k->arena = arena;
    return k;
}

void x86_cache_free(struct x86_cache *k)
{
    if (k == NULL)
        return;
    mapping_free(k->arena, k->size);
    mapping_free(k, sizeof(*k));
}

struct x86_block **x86_cache_jumps(struct x86_cache *k)
{
    return k->jumps;
}

void x86_cache_clear(struct x86_cpu *c)
{
    struct x86_cache *k = c->cache;
    k->used = 0;
    k->scratch = NULL;
    c->cur = NULL;
    memset(k->pages, 0, sizeof(k->pages));
    memset(k->hash, 0, sizeof(k->hash));
    memset(k->jumps, 0, sizeof(k->jumps));
    memset(k->code_bits, 0, sizeof(k->code_bits));
}

static void *arena_take(struct x86_cache *k, size_t bytes)
{
    void *p = k->arena + k->used;
    k->used += (bytes + 15) & ~(size_t)15;
    return p;
}

/* ---- Pages with code ---- */

static unsigned page_slot(uint64_t gpa)
{
    uint64_t n = gpa >> 12;
    return (unsigned)(n ^ n >> 12) & (PAGE_HASH_SIZE - 1);
}

static unsigned filter_bit(uint64_t gpa)
{
    uint64_t n = gpa >> 12;
    return (unsigned)(n ^ n >> 16) & 0xffff;
}

static struct x86_codepage *page_find(const struct x86_cache *k, uint64_t gpa)
{
    unsigned bit = filter_bit(gpa);
    if (!(k->code_bits[bit >> 6] >> (bit & 63) & 1))
        return NULL;
    struct x86_codepage *p = k->pages[page_slot(gpa)];
    while (p != NULL && p->gpa != gpa)
        p = p->next;
    return p;
}

bool x86_code_page(const struct x86_cpu *c, uint64_t gpa)
{
    const struct x86_codepage *p = page_find(c->cache, gpa & X86_PAGE_MASK);
    return p != NULL && p->blocks != NULL;
}

static unsigned block_slot(uint64_t gpa, uint32_t key)
{
    uint64_t h = gpa ^ gpa >> 14 ^ (uint64_t)key << 9;
    return (unsigned)h & (HASH_SIZE - 1);
}

static void unlink_block(struct x86_cache *k, struct x86_block *b)
{
    struct x86_block **at = &k->hash[block_slot(b->gpa, b->key)];
    while (*at != NULL && *at != b)
        at = &(*at)->hash_next;
    if (*at == b)
        *at = b->hash_next;
    b->ctx = 0;
}

/*
 * A write of this cpu hit a page with decoded code. The bytes are compared at every entry anyway, so nothing has to be
 * dropped for correctness; but a page that is only written gets its blocks dropped, so that its stores become fast
 * again.
 */
void x86_code_written(struct x86_cpu *c, uint64_t gpa)
{
    struct x86_codepage *p = page_find(c->cache, gpa & X86_PAGE_MASK);
    if (p == NULL || ++p->writes < WRITES_UNTIL_DROP)
        return;
    for (struct x86_block *b = p->blocks; b != NULL; b = b->page_next)
        unlink_block(c->cache, b);
    p->blocks = NULL;
}

static void page_add(struct x86_cpu *c, struct x86_block *b)
{
    struct x86_cache *k = c->cache;
    uint64_t page = b->gpa & X86_PAGE_MASK;
    struct x86_codepage *p = page_find(k, page);
    if (p == NULL) {
        p = arena_take(k, sizeof(*p));
        struct x86_codepage **slot = &k->pages[page_slot(page)];
        *p = (struct x86_codepage){.gpa = page, .next = *slot};
        *slot = p;
        unsigned bit = filter_bit(page);
        k->code_bits[bit >> 6] |= UINT64_C(1) << (bit & 63);
    }
    if (p->blocks == NULL)
        x86_mmu_forget_writes(c, page);
    p->writes = 0;
    b->page_next = p->blocks;
    p->blocks = b;
}

/* ---- Building ---- */

/* Behind the last instruction of a block that falls through. Not an instruction: undoes its count. */
static int do_block_end(struct x86_cpu *c, const struct x86_insn *in)
{
    c->insns--;
    return x86_jump(c, x86_next_rip(c, in));
}

static int do_too_long(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    return x86_gp0(c);
}

static int do_undefined(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    return x86_ud(c);
}

static void bind_insn(const struct x86_cpu *c, struct x86_insn *in, enum x86_dec_result r)
{
    if (r == X86_DEC_OK)
        in->fn = x86_bind(c, in, c->key);
    else
        in->fn = r == X86_DEC_LONG ? do_too_long : do_undefined;
}

/*
 * Does the block have to end behind this operation? Far transfers and state changes return X86_LEAVE themselves when
 * reached.
 */
static bool ends_block(const struct x86_insn *in, enum x86_dec_result r)
{
    if (r != X86_DEC_OK)
        return true;
    switch (in->op) {
    case X86_OP_JMP:
    case X86_OP_JMP_IND:
    case X86_OP_CALL:
    case X86_OP_CALL_IND:
    case X86_OP_RET:
    case X86_OP_LOOP:
    case X86_OP_LOOPE:
    case X86_OP_LOOPNE:
    case X86_OP_JCXZ:
    case X86_OP_JMP_FAR:
    case X86_OP_JMP_FAR_IND:
    case X86_OP_CALL_FAR:
    case X86_OP_CALL_FAR_IND:
    case X86_OP_RET_FAR:
    case X86_OP_IRET:
    case X86_OP_SYSCALL:
    case X86_OP_SYSRET:
    case X86_OP_SYSENTER:
    case X86_OP_SYSEXIT:
    case X86_OP_INT:
    case X86_OP_INT3:
    case X86_OP_INT1:
    case X86_OP_HLT:
    case X86_OP_UD2: return true;
    default: return in->op >= X86_OP_JO && in->op <= X86_OP_JG;
    }
}

static void add_end(struct x86_insn *in, uint16_t end, unsigned mode)
{
    *in = (struct x86_insn){.fn = do_block_end, .end = end, .op = X86_OP_NOP};
    in->flags = (mode & X86_DEC_BITS) == X86_DEC_64 ? X86_IF_M64 : 0;
}

/* Remember the bytes: whole words, then a last word that overlaps or is masked so that no access leaves the page. */
static void keep_bytes(struct x86_cache *k, struct x86_block *b)
{
    unsigned n = b->bytes, words = (n - 1) / 8;
    b->raw = arena_take(k, words * 8 + 8);
    b->words = (uint8_t)words;
    b->last_val = 0;
    memcpy(b->raw, k->bytes, words * 8);
    memcpy(&b->last_val, k->bytes + (n >= 8 ? n - 8 : 0), n >= 8 ? 8 : n);
    if (n >= 8) {
        b->last_off = (int16_t)(n - 8);
        b->last_mask = UINT64_MAX;
    } else if ((b->gpa & 0xfff) <= X86_PAGE_SIZE - 8) {
        b->last_off = 0;
        b->last_mask = UINT64_MAX >> (64 - 8 * n);
    } else {
        b->last_off = (int16_t)((int)n - 8);
        b->last_mask = UINT64_MAX << (64 - 8 * n);
        b->last_val <<= 64 - 8 * n;
    }
}

/*
 * Decode up to `room` bytes at b->code. They are copied first: another processor may write there meanwhile, and what is
 * decoded has to be what later entries compare with. Returns instructions decoded; 0 when the first crosses the page.
 */
static unsigned decode_run(struct x86_cpu *c, struct x86_block *b, unsigned room)
{
    unsigned max = c->key & X86_KEY_SINGLE ? 1 : X86_BLOCK_INSNS, n = 0, off = 0;
    uint8_t *bytes = c->cache->bytes;
    room = room < X86_BLOCK_BYTES ? room : X86_BLOCK_BYTES;
    memcpy(bytes, b->code, room);
    while (n < max && off < X86_BLOCK_BYTES - X86_INSN_MAX) {
        struct x86_insn *in = &b->insn[n];
        enum x86_dec_result r = x86_decode(bytes + off, room - off, c->dec_mode, in);
        if (r == X86_DEC_SHORT)
            break;
        if (r != X86_DEC_OK && in->len == 0)
            in->len = 1;
        off += in->len;
        in->end = (uint16_t)off;
        bind_insn(c, in, r);
        n++;
        if (ends_block(in, r))
            break;
    }
    b->bytes = (uint16_t)off;
    return n;
}

static void insert(struct x86_cpu *c, struct x86_block *b)
{
    struct x86_block **slot = &c->cache->hash[block_slot(b->gpa, b->key)];
    b->hash_next = *slot;
    *slot = b;
    page_add(c, b);
}

static struct x86_block *build(struct x86_cpu *c, const struct x86_xlat *x)
{
    struct x86_cache *k = c->cache;
    if (k->size - k->used < BLOCK_MAX + sizeof(struct x86_codepage)) {
        x86_cache_clear(c);
    }
    size_t mark = k->used;
    struct x86_block *b = arena_take(k, 0);
    unsigned room = X86_PAGE_SIZE - (unsigned)(x->gpa & 0xfff);
    *b = (struct x86_block){.code = x->host, .gpa = x->gpa, .key = c->key};
    unsigned n = decode_run(c, b, room);
    if (n == 0) {
        k->used = mark;
        return NULL;
    }
    b->n = (uint8_t)n;
    add_end(&b->insn[n], b->bytes, c->dec_mode);
    arena_take(k, sizeof(*b) + (n + 1) * sizeof(struct x86_insn));
    keep_bytes(k, b);
    insert(c, b);
    return b;
}

/* ---- Instructions that cannot be cached ---- */

/* Bytes left in CS at RIP + off; its limit is judged before the page is looked up. */
static uint64_t code_room(const struct x86_cpu *c, unsigned off)
{
    uint64_t at = (uint64_t)(uint32_t)c->rip + off, limit = c->seg[X86_CS].limit;
    if (c->long64 || (c->key & X86_KEY_FLAT))
        return X86_INSN_MAX;
    return at > limit ? 0 : limit - at + 1;
}

/*
 * Fetch up to 15 bytes at lin; stops where a fetch faults. Returns how many; *fault_step is the step that stopped it.
 */
static unsigned fetch_bytes(struct x86_cpu *c, uint64_t lin, uint8_t *out, int *stop)
{
    unsigned got = 0;
    *stop = X86_NEXT;
    while (got < X86_INSN_MAX) {
        struct x86_xlat x;
        uint64_t at = c->long64 ? lin + got : (uint32_t)(lin + got);
        if (c->long64 && !x86_canonical(at)) {
            *stop = x86_gp0(c);
            break;
        }
        uint64_t room = code_room(c, got);
        *stop = room == 0 ? x86_gp0(c) : x86_mmu_fetch(c, at, &x);
        if (x86_failed(*stop))
            break;
        unsigned n = X86_PAGE_SIZE - (unsigned)(at & 0xfff);
        n = n > X86_INSN_MAX - got ? X86_INSN_MAX - got : n;
        n = n > room ? (unsigned)room : n;
        if (x.host != NULL) {
            memcpy(out + got, x.host, n);
        } else {
            struct x86_mem_access a = {.gpa = x.gpa, .gva = at, .len = n, .kind = X86_ACCESS_FETCH, .has_gva = true};
            *stop = x86_from_cb(c, c->ops->read(c->opaque, &a, out + got), X86_GP);
            if (x86_failed(*stop))
                break;
        }
        got += n;
    }
    return got;
}

static int scratch_block(struct x86_cpu *c, uint64_t lin, struct x86_block **out)
{
    struct x86_cache *k = c->cache;
    uint8_t bytes[X86_INSN_MAX + 1] = {0};
    int stop;
    unsigned got = fetch_bytes(c, lin, bytes, &stop);
    if (k->scratch == NULL) {
        if (k->size - k->used < BLOCK_MAX)
            x86_cache_clear(c);
        k->scratch = arena_take(k, sizeof(struct x86_block) + 2 * sizeof(struct x86_insn));
        k->scratch->lin = 0;
        k->scratch->key = UINT32_MAX;
    }
    struct x86_block *b = k->scratch;
    if (b->key == c->key && b->bytes <= got && memcmp(k->scratch_bytes, bytes, b->bytes) == 0) {
        *out = b;
        return X86_NEXT;
    }
    b->key = UINT32_MAX;
    struct x86_insn *in = &b->insn[0];
    enum x86_dec_result r = x86_decode(bytes, got, c->dec_mode, in);
    if (r == X86_DEC_SHORT)
        return stop;
    if (in->len == 0)
        in->len = 1;
    in->end = in->len;
    bind_insn(c, in, r);
    add_end(&b->insn[1], in->end, c->dec_mode);
    b->n = 1;
    b->bytes = in->len;
    b->key = c->key;
    memcpy(k->scratch_bytes, bytes, sizeof(bytes));
    *out = b;
    return X86_NEXT;
}

/*
 * Outside 64-bit mode with a CS that has limits: the block must lie inside. A lone instruction that does not is a #GP.
 */
static int check_cs(struct x86_cpu *c, uint64_t lin, struct x86_block **b)
{
    uint64_t eip = (uint32_t)c->rip, limit = c->seg[X86_CS].limit;
    if (eip + (*b)->bytes - 1 <= limit)
        return X86_NEXT;
    if (eip > limit)
        return x86_gp0(c);
    int r = scratch_block(c, lin, b);
    if (x86_failed(r))
        return r;
    return eip + (*b)->bytes - 1 > limit ? x86_gp0(c) : X86_NEXT;
}

/* ---- Finding ---- */

int x86_block_get(struct x86_cpu *c, uint64_t lin, struct x86_block **out)
{
    struct x86_xlat x;
    if (c->long64 && !x86_canonical(lin))
        return x86_gp0(c);
    if (code_room(c, 0) == 0)
        return x86_gp0(c);
    int r = x86_mmu_fetch(c, lin, &x);
    if (x86_failed(r))
        return r;
    struct x86_block *b = NULL;
    if (x.host != NULL) {
        struct x86_cache *k = c->cache;
        b = k->hash[block_slot(x.gpa, c->key)];
        while (b != NULL && (b->gpa != x.gpa || b->key != c->key || b->code != x.host))
            b = b->hash_next;
        if (b != NULL && !x86_block_current(b)) {
            unlink_block(k, b);
            b = NULL;
        }
        if (b == NULL)
            b = build(c, &x);
    }
    if (b == NULL)
        r = scratch_block(c, lin, &b);
    if (x86_failed(r))
        return r;
    if (!c->long64 && !(c->key & X86_KEY_FLAT)) {
        r = check_cs(c, lin, &b);
        if (x86_failed(r))
            return r;
    } else if (b != c->cache->scratch) {
        b->lin = lin;
        b->ctx = c->ctx;
        c->cache->jumps[x86_jump_slot(lin)] = b;
    }
    *out = b;
    return X86_NEXT;
}

size_t x86_cpu_insn_bytes(struct x86_cpu *c, uint8_t out[15])
{
    struct x86_event saved = c->fault;
    int stop;
    x86_mmu_heed_flush(c);
    uint64_t lin = c->long64 ? c->rip : (uint32_t)(c->rip + c->segbase[X86_CS]);
    size_t n = fetch_bytes(c, lin, out, &stop);
    c->fault = saved;
    return n;
}
