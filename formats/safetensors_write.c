/* SPDX-License-Identifier: MIT */
#include "formats/safetensors.h"

#include "base/little.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static nb_status check_spec(const nb_st_spec *t, size_t *n_bytes, nb_err *err) {
  for (const char *p = t->name; *p; p++) {
    if ((unsigned char)*p < 0x20 || *p == '"' || *p == '\\')
      return nb_fail(err, NB_ERR_ARG, "a tensor's name has a quote, a backslash or a control character: %s", t->name);
  }
  if (t->n_dims < 1 || t->n_dims > NB_MAX_DIMS)
    return nb_fail(err, NB_ERR_ARG, "tensor \"%s\": %u dimensions", t->name, t->n_dims);
  *n_bytes = nb_dtype_bytes(t->dtype);
  for (unsigned i = 0; i < t->n_dims; i++) {
    if (!nb_mul(*n_bytes, t->shape[i], n_bytes))
      return nb_fail(err, NB_ERR_ARG, "tensor \"%s\": the product of its shape overflows", t->name);
  }
  return NB_OK;
}

/* The entry of one tensor, its bytes lying at [begin, end) of the data. */
static void print_entry(FILE *f, const nb_st_spec *t, uint64_t begin, uint64_t end) {
  fprintf(f, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, nb_dtype_name(t->dtype));
  for (unsigned i = 0; i < t->n_dims; i++) fprintf(f, "%s%zu", i ? "," : "", t->shape[i]);
  fprintf(f, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin, end);
}

nb_status nb_safetensors_begin(nb_outfile *out, const nb_st_spec *tensors, size_t n, nb_st_writer *w, nb_err *err) {
  char *header = NULL;
  size_t header_bytes = 0, bytes = 0, total = 0;
  *w = (nb_st_writer){.out = out};
  FILE *f = open_memstream(&header, &header_bytes);
  if (!f) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory for the header", out->path);
  nb_status st = NB_OK;
  fprintf(f, "{\"__metadata__\":{\"format\":\"pt\",\"nibble\":\"%s\"}", NB_VERSION);
  for (size_t i = 0; i < n && st == NB_OK; i++) {
    size_t begin = total;
    st = check_spec(&tensors[i], &bytes, err);
    if (st == NB_OK && !nb_add(total, bytes, &total)) st = nb_fail(err, NB_ERR_ARG, "%s: too large", out->path);
    if (st == NB_OK) print_entry(f, &tensors[i], begin, total);
  }
  fprintf(f, "}");
  while (st == NB_OK && ftell(f) % 8) fputc(' ', f); /* the tensors begin aligned */
  bool printed = !ferror(f);
  if ((fclose(f) || !printed) && st == NB_OK)
    st = nb_fail(err, NB_ERR_MEMORY, "%s: out of memory for the header", out->path);
  if (st == NB_OK) {
    uint8_t size[8];
    nb_little_put(size, header_bytes, sizeof size);
    st = nb_outfile_reserve(out, (uint64_t)8 + header_bytes + total, err);
    if (st == NB_OK) st = nb_outfile_write(out, size, sizeof size, err);
    if (st == NB_OK) st = nb_outfile_write(out, header, header_bytes, err);
  }
  free(header);
  w->left = total;
  return st;
}

nb_status nb_safetensors_put(nb_st_writer *w, const void *data, size_t n, nb_err *err) {
  if (n > w->left)
    return nb_fail(err, NB_ERR_ARG, "%s: %zu bytes more than the header announces", w->out->path, n - (size_t)w->left);
  NB_TRY(nb_outfile_write(w->out, data, n, err));
  w->left -= n;
  return NB_OK;
}

nb_status nb_safetensors_end(const nb_st_writer *w, nb_err *err) {
  if (!w->left) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "%s: %" PRIu64 " bytes of its tensors are missing", w->out->path, w->left);
}
