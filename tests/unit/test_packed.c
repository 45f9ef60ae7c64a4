/* SPDX-License-Identifier: MIT */
/* Checkpoints packed by AutoGPTQ, AutoAWQ, compressed-tensors and MLX (tests/golden/make_packed_goldens.py) against the
 * matrices that those programs make of them; and damaged ones, each of which is refused by name. */
#include "formats/packed.h"
#include "base/mem.h"
#include "model/weights.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/golden/packed/"

static nb_err err;
static const char *const kinds[] = {"gptq4_sym",     "gptq4_act", "gptq4_v2",  "gptq3",       "gptq2",       "gptq8",
                                    "awq4",          "ct4_group", "ct4_zeros", "ct8_channel", "ct3_channel", "ct_int8",
                                    "ct_int8_zeros", "mlx4",      "mlx2",      "mlx3",        "mlx6"};
enum { KINDS = sizeof kinds / sizeof *kinds };

TEST(the_values_of_the_projects) {
  size_t matrices = 0;
  for (size_t i = 0; i < KINDS; i++) {
    char path[256];
    nb_safetensors packed, dense;
    nb_text notes = {0};
    snprintf(path, sizeof path, GOLDEN "%s", kinds[i]);
    CHECK_OK(nb_safetensors_open(path, &packed, &err));
    CHECK_OK(nb_packed_open(path, 2, &packed, &notes, &err));
    CHECK(notes.s && strstr(notes.s, "rounded already"));
    snprintf(path, sizeof path, GOLDEN "%s.safetensors", kinds[i]);
    CHECK_OK(nb_safetensors_open(path, &dense, &err));
    for (size_t k = 0; k < dense.n_tensors; k++) {
      const nb_st_tensor *want = &dense.tensors[k], *got = nb_safetensors_lookup(&packed, want->name);
      CHECK_MSG(got && got->readable && got->view.dtype == want->view.dtype && got->n_bytes == want->n_bytes &&
                    !memcmp(got->view.shape, want->view.shape, sizeof got->view.shape) &&
                    !memcmp(got->data, want->data, want->n_bytes),
                "%s: %s", kinds[i], want->name);
      CHECK(got && got->stored_bytes < want->n_bytes);
      matrices++;
    }
    for (size_t k = 0; k < packed.n_tensors; k++) /* nothing is left that only parts are called */
      CHECK_MSG(packed.tensors[k].readable, "%s: %s", kinds[i], packed.tensors[k].name);
    nb_text_free(&notes);
    nb_safetensors_close(&dense);
    nb_safetensors_close(&packed);
  }
  CHECK(matrices == 13 * 7 + 4 * 9);
}

/* ---- damage ---- */

typedef struct file {
  uint8_t *bytes; /* header and data */
  size_t n;
} file;

static file read_file(const char *path) {
  file f = {NULL, 0};
  FILE *in = fopen(path, "rb");
  CHECK(in);
  fseek(in, 0, SEEK_END);
  f.n = (size_t)ftell(in);
  rewind(in);
  f.bytes = malloc(f.n);
  CHECK(f.bytes && fread(f.bytes, 1, f.n, in) == f.n);
  fclose(in);
  return f;
}

/* Replaces a text in the header by one of the same length. */
static void edit(file *f, const char *from, const char *to) {
  size_t n = strlen(from);
  CHECK(n == strlen(to));
  for (size_t i = 8; i + n < f->n; i++)
    if (!memcmp(f->bytes + i, from, n)) {
      memcpy(f->bytes + i, to, n);
      return;
    }
  CHECK_MSG(false, "no %s", from);
}

static char *read_text(const char *path, size_t *n) {
  file f = read_file(path);
  *n = f.n;
  return (char *)f.bytes;
}

/* A byte of a tensor, put into the file by poke(). */
static const char *poke_tensor;
static size_t poke_at;
static uint8_t poke_value;

static void poke(file *f) {
  nb_safetensors c;
  CHECK_OK(nb_safetensors_open_memory(f->bytes, f->n, "m", &c, &err));
  const nb_st_tensor *t = nb_safetensors_lookup(&c, poke_tensor);
  CHECK(t && poke_at < t->n_bytes);
  if (t) f->bytes[(size_t)((const uint8_t *)t->data - f->bytes) + poke_at] = poke_value;
  nb_safetensors_close(&c);
}

/* What is said of a packed checkpoint with a text in its header replaced, its configuration as it is or `config`. */
static void refused(const char *kind, const char *from, const char *to, const char *config, const char *want) {
  char path[256];
  size_t n;
  nb_safetensors c;
  nb_packed_scheme s;
  nb_text notes = {0};
  snprintf(path, sizeof path, GOLDEN "%s/model.safetensors", kind);
  file f = read_file(path);
  if (from) edit(&f, from, to);
  if (poke_tensor) poke(&f);
  snprintf(path, sizeof path, GOLDEN "%s/config.json", kind);
  char *text = config ? strdup(config) : read_text(path, &n);
  if (config) n = strlen(config);
  CHECK_OK(nb_safetensors_open_memory(f.bytes, f.n, "m", &c, &err));
  nb_status st = nb_packed_scheme_parse(text, n, "config.json", &s, &err);
  if (st == NB_OK) st = nb_packed_unpack(&s, 1, &c, &notes, &err);
  CHECK_MSG(st != NB_OK && strstr(err.msg, want), "%s, %s: status %d, \"%s\", not \"%s\"", kind, to ? to : "", (int)st,
            err.msg, want);
  nb_text_free(&notes);
  nb_packed_scheme_free(&s);
  nb_safetensors_close(&c);
  free(text);
  free(f.bytes);
}

#define Q "layers.0.mlp.down_proj."
#define GPTQ(more) "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4," more "}}"
#define COMPRESSED(more)                                                                                               \
  "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\",\"config_groups\":" \
  "{" more "}}}"
#define METHOD(name) "{\"quantization_config\":{\"quant_method\":\"" name "\"}}"

TEST(parts_that_are_missing) {
  refused("gptq4_sym", Q "scales", Q "sceles", NULL, "no tensor \"scales\"");
  refused("gptq4_sym", Q "qzeros", Q "qzerox", NULL, "no tensor \"qzeros\"");
  refused("gptq4_sym", Q "qweight", Q "qweighx", NULL, "belongs to no packed matrix");
  refused("awq4", Q "scales", Q "sceles", NULL, "no tensor \"scales\"");
  refused("ct4_group", Q "weight_scale", Q "weight_scala", NULL, "no tensor \"weight_scale\"");
  refused("ct4_group", Q "weight_shape", Q "weight_shapa", NULL, "no tensor \"weight_shape\"");
  refused("mlx4", Q "biases", Q "biasez", NULL, "no tensor \"biases\"");
  refused("mlx4", Q "scales", Q "scalez", NULL, "no tensor \"scales\"");
  /* the matrix as it is, beside its codes */
  refused("gptq4_sym", Q "scales", Q "weight", NULL, "is there twice");
}

TEST(shapes_that_disagree) {
  refused("gptq4_sym", Q "qweight\":{\"dtype\":\"I32\",\"shape\":[8,32]",
          Q "qweight\":{\"dtype\":\"I32\",\"shape\":[32,8]", NULL, "does not hold 4-bit codes of 64 inputs");
  refused("gptq4_sym", Q "qzeros\":{\"dtype\":\"I32\",\"shape\":[2,4]", Q "qzeros\":{\"dtype\":\"I32\",\"shape\":[4,2]",
          NULL, "qzeros\" is I32 of (4, 2), but the packed matrix needs I32 U32 of (2, 4)");
  refused("gptq4_sym", Q "scales\":{\"dtype\":\"F16\"", Q "scales\":{\"dtype\":\"I16\"", NULL, "scales\" is I16");
  refused("awq4", Q "qweight\":{\"dtype\":\"I32\",\"shape\":[64,4]", Q "qweight\":{\"dtype\":\"I32\",\"shape\":[32,8]",
          NULL, "scales\" is F16 of (4, 32), but");
  refused("ct4_group", Q "weight_packed\":{\"dtype\":\"I32\",\"shape\":[32,8]",
          Q "weight_packed\":{\"dtype\":\"I32\",\"shape\":[8,32]", NULL,
          "does not hold the codes of a matrix (32, 64)");
  refused("mlx4", Q "scales\":{\"dtype\":\"BF16\",\"shape\":[32,2]", Q "scales\":{\"dtype\":\"BF16\",\"shape\":[2,32]",
          NULL, "scales\" is BF16 of (2, 32)");
  refused("mlx4", Q "scales\":{\"dtype\":\"BF16\"", Q "scales\":{\"dtype\":\"F16\" ", NULL,
          "scales of F16 and biases of BF16");
}

TEST(numbers_out_of_range) {
  poke_tensor = "model." Q "g_idx", poke_at = 4 * 7, poke_value = 4;
  refused("gptq4_act", NULL, NULL, NULL, "g_idx\" puts input 7 into group 4 of 4");
  poke_at = 4 * 7 + 3, poke_value = 0x80;
  refused("gptq4_act", NULL, NULL, NULL, "puts input 7 into group -");
  poke_tensor = "model." Q "weight_shape", poke_at = 0, poke_value = 31;
  refused("ct4_group", NULL, NULL, NULL, "the codes of a matrix (31, 64)");
  poke_at = 15, poke_value = 0x7F;
  refused("ct4_group", NULL, NULL, NULL, "does not hold the codes of a matrix");
  poke_tensor = NULL;
}

TEST(configurations) {
  refused("gptq4_sym", NULL, NULL, GPTQ("\"group_size\":0"), "\"group_size\"");
  refused("gptq4_sym", NULL, NULL, GPTQ("\"group_size\":24"), "no whole groups of 24");
  refused("gptq4_sym", NULL, NULL, GPTQ("\"group_size\":-1"), "needs F32 F16 BF16 of (1, 32)");
  refused("gptq4_sym", NULL, NULL, GPTQ("\"group_size\":32,\"checkpoint_format\":\"marlin\""),
          "GPTQ in the format \"marlin\"");
  refused("gptq3", NULL, NULL, GPTQ("\"group_size\":32"), "does not hold 4-bit codes");
  refused("awq4", NULL, NULL,
          "{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":16,\"version\":\"gemv\"}}",
          "AWQ in the layout \"gemv\"");
  refused("ct4_group", NULL, NULL, COMPRESSED("\"a\":{\"weights\":{\"num_bits\":8,\"type\":\"float\"}}"),
          "8-bit numbers of the type \"float\"");
  refused("ct4_group", NULL, NULL, COMPRESSED("\"a\":{\"weights\":{\"num_bits\":8}}"), "does not hold the codes");
  refused("ct4_group", NULL, NULL, COMPRESSED(""), "does not hold the codes");
  refused("mlx4", NULL, NULL, "{\"quantization\":{\"bits\":4,\"group_size\":32,\"mode\":\"mxfp4\"}}", "mode \"mxfp4\"");
  refused("mlx4", NULL, NULL, "{\"quantization\":{\"bits\":4,\"group_size\":24}}", "no whole groups of 24");
  refused("mlx4", NULL, NULL, METHOD("gptq"), "no tensor is");
  refused("mlx4", NULL, NULL, METHOD("fp8"), "quantized by FP8, which is not read");
  refused("mlx4", NULL, NULL, METHOD("hqq"), "quantized by HQQ");
  refused("mlx4", NULL, NULL, METHOD("never-heard-of"), "the method \"never-heard-of\"");
  refused("mlx4", NULL, NULL,
          "{\"quantization_config\":{\"quant_method\":\"bitsandbytes\",\"bnb_4bit_quant_type\":\"nf4\"}}",
          "bitsandbytes (nf4)");
  refused("mlx4", NULL, NULL, "{\"quantization_config\":{\"quant_method\":\"bitsandbytes\",\"load_in_8bit\":true}}",
          "bitsandbytes (int8)");
}

int main(void) {
  RUN(the_values_of_the_projects);
  RUN(parts_that_are_missing);
  RUN(shapes_that_disagree);
  RUN(numbers_out_of_range);
  RUN(configurations);
  return test_end();
}
