/*
 * entry.c - the record of a stored response, byte by byte.
 *
 *     head | one pair of numbers for each field | key, reason, vary, names and values, body
 *
 * The checksum is over everything behind it.  A known field keeps its id beside its name, so that a
 * hit looks no name up; ids are positions in a list that may change with the program, therefore
 * the record says to which list they belong and is read by name where that is another one.
 */
#include "breakwater/cache/entry.h"

#include "breakwater/base/check.h"
#include "breakwater/cache/block.h"

#include <stdatomic.h>

struct head {
    uint64_t checksum;
    uint8_t version;
    uint8_t kind;
    uint8_t frequency_log2;
    uint8_t inlined;
    uint32_t length; /* of the whole record */
    uint64_t objid;
    uint64_t body_len;
    uint64_t vary_id;
    uint8_t primary[16];
    int64_t asked_ms;
    int64_t answered_ms;
    int64_t date_s;
    int64_t age_s;
    int64_t lifetime_s;
    int64_t swr_s;
    int64_t sie_s;
    uint32_t flags;
    int32_t status;
    uint32_t fetch_ms;
    uint32_t names; /* which list of field names the ids belong to */
    uint32_t key_len;
    uint32_t reason_len;
    uint32_t vary_len;
    uint32_t inline_len;
    uint32_t fields;
    uint32_t reserved; /* 0 */
};
_Static_assert(sizeof(struct head) == 152, "no padding: this is a format");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is that of the machine");

struct pair {
    uint32_t name; /* id << 24 | length */
    uint32_t value;
};
enum { NAME_BITS = 24 };
_Static_assert(BW_F_COUNT <= 256, "an id has eight bits");

/* Changes whenever a name is added to the list of known ones or moves in it. */
static uint32_t names_stamp(void)
{
    static _Atomic uint32_t cached; /* computed twice at worst */
    uint32_t stamp = atomic_load_explicit(&cached, memory_order_relaxed);

    if (BW_LIKELY(stamp != 0))
        return stamp;
    uint64_t h = BW_F_COUNT;
    for (unsigned id = 1; id < BW_F_COUNT; id++)
        h = h * UINT64_C(0x100000001B3) ^ bw_hash_64(bw_field_name((enum bw_field_id)id));
    stamp = (uint32_t)(h >> 32) | 1;
    atomic_store_explicit(&cached, stamp, memory_order_relaxed);
    return stamp;
}

static uint64_t checksum(struct bw_slice record)
{
    const size_t skip = sizeof(uint64_t);

    return bw_hash_64(bw_slice(record.base + skip, record.len - skip));
}

static struct head head_of(const struct bw_entry *e)
{
    struct head h = {
        .version = BW_ENTRY_VERSION,
        .kind = (uint8_t)e->kind,
        .frequency_log2 = e->frequency_log2,
        .inlined = e->inline_body.base != NULL,
        .objid = e->objid,
        .body_len = e->body_len,
        .vary_id = e->vary_id,
        .asked_ms = e->terms.asked_ms,
        .answered_ms = e->terms.answered_ms,
        .date_s = e->terms.date_s,
        .age_s = e->terms.age_s,
        .lifetime_s = e->terms.lifetime_s,
        .swr_s = e->terms.swr_s,
        .sie_s = e->terms.sie_s,
        .flags = e->terms.flags,
        .status = e->terms.status,
        .fetch_ms = e->fetch_ms,
        .names = names_stamp(),
        .key_len = (uint32_t)e->key.len,
        .reason_len = (uint32_t)e->reason.len,
        .vary_len = (uint32_t)e->vary.len,
        .inline_len = (uint32_t)e->inline_body.len,
        .fields = (uint32_t)e->fields.n,
    };

    memcpy(h.primary, e->primary.bytes, sizeof(h.primary));
    return h;
}

void bw_entry_encode(const struct bw_entry *e, struct bw_buf *out)
{
    struct head h = head_of(e);
    size_t start = out->len;

    BW_ASSERT(e->objid != 0 && e->objid >> 48 == 0 && e->fields.n <= BW_ENTRY_FIELDS_MAX);
    BW_ASSERT(e->inline_body.base == NULL || e->inline_body.len == e->body_len);
    bw_buf_append(out, &h, sizeof(h));
    for (size_t i = 0; i < e->fields.n; i++) {
        const struct bw_field *f = &e->fields.v[i];
        BW_ASSERT(f->name.len < 1U << NAME_BITS && f->value.len <= UINT32_MAX);
        struct pair p = {(uint32_t)f->id << NAME_BITS | (uint32_t)f->name.len,
                         (uint32_t)f->value.len};
        bw_buf_append(out, &p, sizeof(p));
    }
    bw_buf_slice(out, e->key);
    bw_buf_slice(out, e->reason);
    bw_buf_slice(out, e->vary);
    for (size_t i = 0; i < e->fields.n; i++) {
        bw_buf_slice(out, e->fields.v[i].name);
        bw_buf_slice(out, e->fields.v[i].value);
    }
    bw_buf_slice(out, e->inline_body);

    BW_ASSERT(out->len - start <= UINT32_MAX);
    h.length = (uint32_t)(out->len - start);
    memcpy(out->base + start, &h, sizeof(h));
    h.checksum = checksum(bw_slice(out->base + start, out->len - start));
    memcpy(out->base + start, &h, sizeof(h.checksum));
}

/* The head, if the record is long enough for it and for what it says of its lengths. */
static bool read_head(struct bw_slice bytes, struct head *h)
{
    if (bytes.len < sizeof(*h))
        return false;
    memcpy(h, bytes.base, sizeof(*h));
    return h->version == BW_ENTRY_VERSION && h->kind <= BW_ENTRY_LANGUAGE &&
           h->length == bytes.len && h->objid != 0 && h->objid >> 48 == 0 &&
           h->fields <= BW_ENTRY_FIELDS_MAX &&
           h->body_len <= (uint64_t)BW_ENTRY_CHUNKS_MAX * BW_CHUNK_SIZE &&
           bytes.len - sizeof(*h) >= h->fields * sizeof(struct pair) &&
           (h->inlined ? h->inline_len == h->body_len : h->inline_len == 0);
}

/* Takes `len` bytes off the front; false: there are fewer. */
static bool take(struct bw_slice *rest, size_t len, struct bw_slice *out)
{
    if (len > rest->len)
        return false;
    *out = bw_slice(rest->base, len);
    rest->base += len;
    rest->len -= len;
    return true;
}

static bool take_field(struct bw_slice *rest, const struct pair *p, bool ids, struct bw_field *f)
{
    uint32_t id = p->name >> NAME_BITS;

    if (!take(rest, p->name & ((1U << NAME_BITS) - 1), &f->name) ||
        !take(rest, p->value, &f->value))
        return false;
    if (ids && id >= BW_F_COUNT)
        return false;
    f->id = ids ? (enum bw_field_id)id : bw_field_lookup(f->name);
    return true;
}

static bool take_fields(struct bw_slice pairs, const struct head *h, struct bw_slice *rest,
                        struct bw_field *fields)
{
    bool ids = h->names == names_stamp();

    for (size_t i = 0; i < h->fields; i++) {
        struct pair p;
        memcpy(&p, pairs.base + i * sizeof(p), sizeof(p));
        if (!take_field(rest, &p, ids, &fields[i]))
            return false;
    }
    return true;
}

static void write_numbers(const struct head *h, struct bw_entry *out)
{
    out->kind = (enum bw_entry_kind)h->kind;
    out->objid = h->objid;
    out->body_len = h->body_len;
    out->vary_id = h->vary_id;
    out->fetch_ms = h->fetch_ms;
    out->frequency_log2 = h->frequency_log2;
    memcpy(out->primary.bytes, h->primary, sizeof(h->primary));
    out->terms = (struct bw_terms){
        .asked_ms = h->asked_ms,
        .answered_ms = h->answered_ms,
        .date_s = h->date_s,
        .age_s = h->age_s,
        .lifetime_s = h->lifetime_s,
        .swr_s = h->swr_s,
        .sie_s = h->sie_s,
        .flags = h->flags,
        .status = h->status,
    };
}

bool bw_entry_decode(struct bw_slice bytes, struct bw_field *fields, size_t max, bool verify,
                     struct bw_entry *out)
{
    struct head h;
    struct bw_slice rest = bytes, front, pairs, body;

    if (!read_head(bytes, &h) || h.fields > max || (verify && h.checksum != checksum(bytes)))
        return false;
    if (!take(&rest, sizeof(h), &front) || !take(&rest, h.fields * sizeof(struct pair), &pairs) ||
        !take(&rest, h.key_len, &out->key) || !take(&rest, h.reason_len, &out->reason) ||
        !take(&rest, h.vary_len, &out->vary) || !take_fields(pairs, &h, &rest, fields) ||
        !take(&rest, h.inline_len, &body) || rest.len != 0)
        return false;
    write_numbers(&h, out);
    out->fields = (struct bw_fields){fields, h.fields};
    out->inline_body = h.inlined ? body : bw_slice(NULL, 0);
    return true;
}

size_t bw_entry_fields_in(struct bw_slice bytes)
{
    struct head h;

    return read_head(bytes, &h) ? h.fields : SIZE_MAX;
}

uint64_t bw_entry_objid_in(struct bw_slice bytes)
{
    struct head h;

    return read_head(bytes, &h) ? h.objid : 0;
}

bool bw_entry_patch(char *bytes, size_t len, uint32_t flags, uint8_t frequency_log2)
{
    struct head h;

    if (!read_head(bw_slice(bytes, len), &h))
        return false;
    h.flags |= flags;
    h.frequency_log2 = frequency_log2;
    memcpy(bytes, &h, sizeof(h));
    h.checksum = checksum(bw_slice(bytes, len));
    memcpy(bytes, &h, sizeof(h.checksum));
    return true;
}

uint32_t bw_entry_chunks(uint64_t body_len)
{
    return body_len <= BW_ENTRY_INLINE_MAX
               ? 0
               : (uint32_t)((body_len + BW_CHUNK_SIZE - 1) / BW_CHUNK_SIZE);
}
