/* SPDX-License-Identifier: MIT */
/* Unpacking the pages of a Parquet file. Snappy is short enough to be here (github.com/google/snappy,
 * format_description.txt); gzip is zlib's, zstd libzstd's. */
#include "base/little.h"
#include "formats/parquet_impl.h"
#include "formats/zstd.h"

#include <zlib.h>

enum { NONE, SNAPPY, GZIP, LZO, BROTLI, LZ4, ZSTD, LZ4_RAW }; /* CompressionCodec */

const char *nb_parquet_codec_name(int codec) {
  static const char *const names[] = {"none", "Snappy", "gzip", "LZO", "brotli", "LZ4", "zstd", "LZ4"};
  return codec >= NONE && codec <= LZ4_RAW ? names[codec] : NULL;
}

/* The length in front, then pieces: bytes as they are, or a copy of bytes that were put out before. */
static bool snappy(const uint8_t *in, size_t n, uint8_t *out, size_t size) {
  const uint8_t *end = in + n;
  uint64_t announced = 0;
  size_t made = 0;
  unsigned shift = 0;
  do {
    if (in == end || shift > 28) return false;
    announced |= (uint64_t)(*in & 127) << shift;
    shift += 7;
  } while (*in++ & 128);
  if (announced != size) return false;
  while (in < end) {
    uint8_t tag = *in++;
    size_t kind = tag & 3, length = tag >> 2, back = 0;
    size_t extra = kind == 0 ? (length >= 60 ? length - 59 : 0) : kind == 1 ? 1 : kind == 2 ? 2 : 4;
    if (extra > (size_t)(end - in)) return false;
    size_t v = (size_t)nb_little_get(in, extra);
    in += extra;
    if (kind == 0) {
      length = (extra ? v : length) + 1;
      if (length > (size_t)(end - in) || length > size - made) return false;
      memcpy(out + made, in, length);
      in += length, made += length;
      continue;
    }
    if (kind == 1) back = (size_t)(tag >> 5) << 8 | v, length = (length & 7) + 4;
    else back = v, length++;
    if (!back || back > made || length > size - made) return false;
    for (size_t i = 0; i < length; i++, made++) out[made] = out[made - back]; /* may overlap: a run */
  }
  return made == size;
}

static bool gzip(const uint8_t *in, size_t n, uint8_t *out, size_t size) {
  z_stream z = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)n, .next_out = out, .avail_out = (uInt)size};
  if (n > NB_PARQUET_MAX_PAGE || size > NB_PARQUET_MAX_PAGE || inflateInit2(&z, 32 + MAX_WBITS) != Z_OK) return false;
  int r;
  do r = inflate(&z, Z_FINISH); /* several streams may follow one another */
  while (r == Z_STREAM_END && z.avail_in && inflateReset(&z) == Z_OK);
  inflateEnd(&z);
  return r == Z_STREAM_END && !z.avail_out;
}

nb_status nb_parquet_codec_unpack(int codec, const uint8_t *in, size_t n, uint8_t *out, size_t size, const char *where,
                                  nb_err *err) {
  bool done;
  nb_zstd *z;
  switch (codec) {
  case NONE:
    done = n == size;
    if (done && n) memcpy(out, in, n);
    break;
  case SNAPPY: done = snappy(in, n, out, size); break;
  case GZIP: done = gzip(in, n, out, size); break;
  case ZSTD:
    NB_TRY(nb_zstd_create(where, &z, err));
    done = nb_zstd_unpack(z, in, n, out, size);
    nb_zstd_free(z);
    break;
  default:
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: compressed with %s, which is not read (want Snappy, gzip or zstd)",
                   where, nb_parquet_codec_name(codec));
  }
  return done ? NB_OK
              : nb_fail(err, NB_ERR_FORMAT, "%s: the %s data of a page are damaged", where,
                        nb_parquet_codec_name(codec));
}
