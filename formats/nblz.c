/* SPDX-License-Identifier: MIT */
#include "formats/nblz.h"

#include "base/little.h"
#include "base/mem.h"
#include "formats/explain.h"
#include "formats/mapfile.h"
#include "formats/nbl.h"
#include "formats/outfile.h"
#include "formats/zstd.h"

#include <string.h>
#include <xxhash.h>

enum {
  HEAD = 64,
  SEGMENT = 16, /* bytes of one in the list */
  MAX_SEGMENTS = 1 << 22,
  RAW_CHUNK = 1 << 20,  /* bytes of the file */
  CODE_CHUNK = 1 << 17, /* bytes of the file for each bit: 128 KiB to 1 MiB */
  MOST = 1 << 20,       /* bytes of a chunk's stream: of 5 bits, 8 / 5 of 640 KiB */
};
static const char magic[8] = "NBLZ\0\0\0\1";

/* A stretch of the file: bytes as they are (bits 0), or blocks of codes of so many bits. */
typedef struct segment {
  uint64_t bytes;
  unsigned bits;
} segment;

static size_t chunk_of(const segment *s, uint64_t left) {
  return (size_t)nb_min(s->bits ? (uint64_t)CODE_CHUNK * s->bits : (uint64_t)RAW_CHUNK, left);
}

/* ---- streams of codes ---- */

/* How a block of 16 x 32 codes becomes bytes: codes of 3 and 4 bits two together, since a byte is the least that
 * Zstandard's Huffman codes look at, others one by one. */
static size_t block_stream(unsigned bits) { return bits <= 4 ? NB_TILE * NB_BLOCK / 2 : NB_TILE * NB_BLOCK; }

static size_t stream_of(const segment *s, size_t n) { return s->bits ? n / (64 * s->bits) * block_stream(s->bits) : n; }

static void to_stream(unsigned bits, const uint8_t *in, size_t n, uint8_t *out) {
  uint8_t code[NB_TILE * NB_BLOCK];
  if (!bits) {
    memcpy(out, in, n);
    return;
  }
  for (size_t at = 0; at < n; at += 64 * bits, out += block_stream(bits)) {
    nb_qmat_unpack_block(in + at, bits, code, NB_BLOCK);
    if (bits > 4) memcpy(out, code, sizeof code);
    else
      for (size_t i = 0; i < sizeof code / 2; i++) out[i] = (uint8_t)(code[2 * i] | code[2 * i + 1] << bits);
  }
}

/* The inverse. False: a code has more than `bits` bits. */
static bool from_stream(unsigned bits, const uint8_t *in, size_t n, uint8_t *out) {
  uint8_t code[NB_TILE * NB_BLOCK];
  unsigned seen = 0;
  if (!bits) {
    memcpy(out, in, n);
    return true;
  }
  for (size_t at = 0; at < n; at += 64 * bits, in += block_stream(bits)) {
    if (bits > 4) memcpy(code, in, sizeof code);
    else
      for (size_t i = 0; i < sizeof code / 2; i++)
        code[2 * i] = in[i] & ((1 << bits) - 1), code[2 * i + 1] = in[i] >> bits;
    for (size_t i = 0; i < sizeof code; i++) seen |= code[i];
    if (seen >> bits) return false;
    nb_qmat_pack_block(code, NB_BLOCK, bits, out + at);
  }
  return true;
}

/* ---- packing ---- */

typedef struct packing {
  nb_outfile out;
  nb_zstd *z;
  uint8_t *chunk, *stream, *packed; /* (MOST) each, and what that may become at worst */
  segment *segment;
  size_t n_segments;
  const nb_progress *progress;
} packing;

static void add_segment(packing *p, uint64_t bytes, unsigned bits) {
  if (!bytes) return;
  if (!bits && p->n_segments && !p->segment[p->n_segments - 1].bits) p->segment[p->n_segments - 1].bytes += bytes;
  else p->segment[p->n_segments++] = (segment){bytes, bits};
}

/* The codes of each coded tensor are a segment, all between them others. */
static nb_status list_segments(packing *p, const nb_nbl *f, nb_err *err) {
  uint64_t at = 0;
  NB_TRY(nb_new(&p->segment, 2 * nb_nbl_count(f) + 1, sizeof *p->segment, "the segments", err));
  for (size_t i = 0; i < nb_nbl_count(f); i++) {
    const nb_nbl_tensor *t = nb_nbl_at(f, i);
    nb_qmat m;
    nb_qmat_layout l;
    if (!t->coded) continue;
    NB_TRY(nb_qmat_plan(t->part.N, t->part.K, t->fmt, &m, &l, err));
    add_segment(p, t->offset + l.codes - at, 0);
    uint64_t codes = (uint64_t)m.n_tiles * m.n_blocks * t->fmt.bits * 64;
    add_segment(p, codes, t->fmt.bits);
    at = t->offset + l.codes + codes;
  }
  add_segment(p, nb_nbl_file_bytes(f) - at, 0);
  return NB_OK;
}

/* Of the whole file, also when it lies in parts. */
static nb_status hash_file(const nb_nbl *f, XXH128_canonical_t *hash, nb_err *err) {
  XXH3_state_t *s = XXH3_createState();
  if (!s) return nb_fail(err, NB_ERR_MEMORY, "out of memory: packing");
  XXH3_128bits_reset(s);
  size_t n;
  for (uint64_t at = 0; at < nb_nbl_file_bytes(f); at += n) {
    const void *data = nb_nbl_run(f, at, &n);
    XXH3_128bits_update(s, data, n);
  }
  XXH128_canonicalFromHash(hash, XXH3_128bits_digest(s));
  XXH3_freeState(s);
  return NB_OK;
}

static nb_status write_head(packing *p, const nb_nbl *f, nb_err *err) {
  uint8_t head[HEAD] = {0}, s[SEGMENT];
  XXH128_canonical_t hash;
  NB_TRY(hash_file(f, &hash, err));
  memcpy(head, magic, sizeof magic);
  nb_little_put(head + 8, nb_nbl_file_bytes(f), 8);
  nb_little_put(head + 16, p->n_segments, 8);
  memcpy(head + 24, hash.digest, 16);
  NB_TRY(nb_outfile_write(&p->out, head, sizeof head, err));
  for (size_t i = 0; i < p->n_segments; i++) {
    memset(s, 0, sizeof s);
    nb_little_put(s, p->segment[i].bytes, 8);
    nb_little_put(s + 8, p->segment[i].bits, 8);
    NB_TRY(nb_outfile_write(&p->out, s, sizeof s, err));
  }
  return NB_OK;
}

static nb_status write_chunk(packing *p, unsigned bits, const uint8_t *data, size_t n, size_t stream, nb_err *err) {
  uint8_t size[4];
  size_t packed = 0;
  to_stream(bits, data, n, p->stream);
  NB_TRY(nb_zstd_pack(p->z, p->stream, stream, p->packed, &packed, err));
  nb_little_put(size, packed, 4);
  NB_TRY(nb_outfile_write(&p->out, size, sizeof size, err));
  return nb_outfile_write(&p->out, p->packed, packed, err);
}

/* n bytes of the file from `at` on, together: out of `room` where they lie in two parts. */
static const uint8_t *chunk_at(const nb_nbl *f, uint64_t at, size_t n, uint8_t *room) {
  size_t have;
  const uint8_t *data = nb_nbl_run(f, at, &have);
  if (have >= n) return data;
  for (size_t i = 0; i < n; i += have) {
    data = nb_nbl_run(f, at + i, &have);
    have = nb_min(have, n - i);
    memcpy(room + i, data, have);
  }
  return room;
}

static nb_status write_chunks(packing *p, const nb_nbl *f, nb_err *err) {
  uint64_t at = 0;
  for (size_t i = 0; i < p->n_segments; i++) {
    const segment *s = &p->segment[i];
    for (uint64_t left = s->bytes; left;) {
      size_t n = chunk_of(s, left);
      NB_TRY(write_chunk(p, s->bits, chunk_at(f, at, n, p->chunk), n, stream_of(s, n), err));
      at += n, left -= n;
      NB_TRY(nb_progress_step(p->progress, at, nb_nbl_file_bytes(f), err));
    }
  }
  return NB_OK;
}

nb_status nb_nblz_pack(const char *path, const char *out, int threads, const nb_progress *progress,
                       uint64_t *packed_bytes, nb_err *err) {
  packing p = {.progress = progress};
  nb_nbl *f = NULL;
  nb_status st;
  NB_GOTO(nb_zstd_create(out, &p.z, err));
  NB_GOTO(nb_nbl_open(path, true, threads, &f, err));
  NB_GOTO(nb_outfile_create(out, &p.out, err));
  NB_GOTO(list_segments(&p, f, err));
  NB_GOTO(nb_new(&p.stream, MOST, 1, "packing", err));
  NB_GOTO(nb_new(&p.packed, nb_zstd_bound(MOST), 1, "packing", err));
  NB_GOTO(nb_new(&p.chunk, MOST, 1, "packing", err));
  NB_GOTO(write_head(&p, f, err));
  NB_GOTO(write_chunks(&p, f, err));
  *packed_bytes = p.out.size;
  st = nb_outfile_commit(&p.out, err);
fail:
  nb_outfile_abort(&p.out);
  nb_zstd_free(p.z);
  nb_free(p.stream), nb_free(p.chunk), nb_free(p.packed), nb_free(p.segment);
  nb_nbl_close(f);
  return st;
}

/* ---- unpacking ---- */

static segment segment_at(const nb_nblz *z, size_t i) {
  const uint8_t *p = z->data + HEAD + i * SEGMENT;
  uint64_t bits = nb_little_get(p + 8, 8);
  return (segment){nb_little_get(p, 8), bits > 8 ? 99 : (unsigned)bits};
}

nb_status nb_nblz_open_memory(const void *data, size_t n, const char *name, nb_nblz *out, nb_err *err) {
  const uint8_t *p = data;
  uint64_t sum = 0;
  *out = (nb_nblz){.data = p, .n = n, .name = name};
  if (n < HEAD || memcmp(p, magic, 4))
    return nb_explain_bytes(name, data, n, NB_FILE_NBLZ,
                            nb_fail(err, NB_ERR_FORMAT, "%s is not a packed .nbl file", name), err);
  if (memcmp(p, magic, sizeof magic))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s was packed by a newer nibble: update this one", name);
  out->file_bytes = nb_little_get(p + 8, 8);
  uint64_t segments = nb_little_get(p + 16, 8);
  memcpy(out->hash, p + 24, sizeof out->hash);
  if (segments > MAX_SEGMENTS || segments > (n - HEAD) / SEGMENT)
    return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: it has %zu bytes but %llu segments", name, n,
                   (unsigned long long)segments);
  out->n_segments = (size_t)segments;
  out->at = HEAD + out->n_segments * SEGMENT;
  for (size_t i = 0; i < out->n_segments; i++) {
    segment s = segment_at(out, i);
    bool legal = s.bits == 0 || (s.bits >= 3 && s.bits <= 8 && s.bytes % (64 * s.bits) == 0);
    if (!legal || !s.bytes || __builtin_add_overflow(sum, s.bytes, &sum))
      return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: its segment %zu is not possible", name, i);
  }
  if (sum == out->file_bytes) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: its segments have %llu bytes, its file %llu", name,
                 (unsigned long long)sum, (unsigned long long)out->file_bytes);
}

typedef struct unpacking {
  const nb_nblz *z;
  size_t at;
  nb_zstd *zstd;
  uint8_t *stream, *bytes; /* (MOST) each */
  XXH3_state_t *hash;
} unpacking;

static nb_status damaged(const unpacking *u, nb_err *err) {
  return nb_fail(err, NB_ERR_FORMAT, "%s is damaged near byte %zu", u->z->name, u->at);
}

/* The next chunk, n bytes of the file, into u->bytes. */
static nb_status read_chunk(unpacking *u, const segment *s, size_t n, nb_err *err) {
  const nb_nblz *z = u->z;
  size_t stream = stream_of(s, n);
  if (z->n - u->at < 4) return damaged(u, err);
  size_t packed = (size_t)nb_little_get(z->data + u->at, 4);
  if (packed > z->n - u->at - 4) return damaged(u, err);
  if (!nb_zstd_unpack(u->zstd, z->data + u->at + 4, packed, u->stream, stream) ||
      !from_stream(s->bits, u->stream, n, u->bytes))
    return damaged(u, err);
  u->at += 4 + packed;
  XXH3_128bits_update(u->hash, u->bytes, n);
  return NB_OK;
}

static nb_status check_end(const unpacking *u, nb_err *err) {
  XXH128_canonical_t hash;
  XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(u->hash));
  if (u->at != u->z->n) return damaged(u, err);
  if (!memcmp(hash.digest, u->z->hash, sizeof u->z->hash)) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: what it expands to has another hash", u->z->name);
}

nb_status nb_nblz_expand(const nb_nblz *z, nb_status (*put)(void *ctx, const void *data, size_t n, nb_err *err),
                         void *ctx, nb_err *err) {
  unpacking u = {.z = z, .at = z->at, .hash = XXH3_createState()};
  nb_status st;
  NB_GOTO(nb_zstd_create(z->name, &u.zstd, err));
  if (!u.hash) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "out of memory unpacking"));
  NB_GOTO(nb_new(&u.stream, MOST, 1, "unpacking", err));
  NB_GOTO(nb_new(&u.bytes, MOST, 1, "unpacking", err));
  XXH3_128bits_reset(u.hash);
  for (size_t i = 0; i < z->n_segments; i++) {
    segment s = segment_at(z, i);
    for (uint64_t left = s.bytes; left;) {
      size_t n = chunk_of(&s, left);
      NB_GOTO(read_chunk(&u, &s, n, err));
      NB_GOTO(put(ctx, u.bytes, n, err));
      left -= n;
    }
  }
  st = check_end(&u, err);
fail:
  nb_zstd_free(u.zstd);
  XXH3_freeState(u.hash);
  nb_free(u.stream), nb_free(u.bytes);
  return st;
}

typedef struct writing {
  nb_outfile out;
  const nb_progress *progress;
  uint64_t total;
} writing;

static nb_status write_bytes(void *ctx, const void *data, size_t n, nb_err *err) {
  writing *w = ctx;
  NB_TRY(nb_outfile_write(&w->out, data, n, err));
  return nb_progress_step(w->progress, w->out.size, w->total, err);
}

nb_status nb_nblz_unpack(const char *path, const char *out, const nb_progress *progress, uint64_t *file_bytes,
                         nb_err *err) {
  nb_mapfile file = {.size = 0};
  writing w = {.progress = progress};
  nb_nblz z;
  nb_status st;
  NB_TRY(nb_mapfile_open(path, &file, err));
  NB_GOTO(nb_nblz_open_memory(file.data, file.size, path, &z, err));
  w.total = *file_bytes = z.file_bytes;
  NB_GOTO(nb_outfile_create(out, &w.out, err));
  NB_GOTO(nb_nblz_expand(&z, write_bytes, &w, err));
  st = nb_outfile_commit(&w.out, err);
fail:
  nb_outfile_abort(&w.out);
  nb_mapfile_close(&file);
  return st;
}
