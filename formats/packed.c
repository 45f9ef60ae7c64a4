/* SPDX-License-Identifier: MIT */
/* Finds what belongs to each packed matrix of a checkpoint, checks it, and puts the matrix in its place. The layouts
 * are those of GPTQModel's nn_modules/qlinear, AutoAWQ's utils/packing_utils.py, compressed_tensors' pack_quantized and
 * naive_quantized compressors, and MLX's mx.quantize. */
#include "formats/packed.h"

#include "base/little.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "formats/packed_matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRAIN = 16 /* rows that a thread takes at once */, NAME = 256 };

/* One matrix on its way. */
typedef struct module {
  const nb_packed_scheme *scheme;
  nb_safetensors *st;
  const char *path; /* of the shard with the codes */
  char name[NAME];  /* up to the parts' endings, without the dot */
  const nb_st_tensor *code;
  nb_packed_matrix m;
  size_t stored_bytes; /* of all parts */
  char what[16];       /* "gptq 4" */
  bool *used;          /* (st->n_tensors) parts that have found their matrix */
} module;

/* The endings that only parts of packed matrices have. ".weight", of MLX and int8, is one by its type. */
static const char *const endings[] = {
    ".qweight",           ".qzeros",       ".scales",       ".g_idx", ".weight_packed", ".weight_scale",
    ".weight_zero_point", ".weight_shape", ".weight_g_idx", ".biases"};

static bool ends_with(const char *name, const char *ending) {
  size_t n = strlen(name), m = strlen(ending);
  return n > m && !strcmp(name + n - m, ending);
}

/* ---- parts ---- */

static const nb_st_tensor *part(const module *x, const char *ending) {
  char name[NAME + 32];
  snprintf(name, sizeof name, "%s%s", x->name, ending);
  return nb_safetensors_lookup(x->st, name);
}

/* What a part must be. */
typedef struct wanted {
  const char *ending, *types; /* of its name; the types that it may have, words between spaces */
  size_t rows, cols;          /* cols 1 may be no dimension at all */
  bool optional;              /* it may be missing */
} wanted;

static nb_status wrong(const module *x, const nb_st_tensor *t, const wanted *w, nb_err *err) {
  return nb_fail(err, NB_ERR_FORMAT,
                 "%s: tensor \"%.100s%s\" is %s of (%zu, %zu), but the packed matrix needs %.*s of (%zu, %zu)", x->path,
                 x->name, w->ending, t->dtype, t->view.shape[0], t->view.n_dims > 1 ? t->view.shape[1] : 1,
                 (int)strlen(w->types) - 2, w->types + 1, w->rows, w->cols);
}

/* A part that belongs to the matrix. NULL in *out when it is not there and may be missing. */
static nb_status take(module *x, const wanted *w, const nb_st_tensor **out, nb_err *err) {
  const nb_st_tensor *t = *out = part(x, w->ending);
  char word[24];
  if (!t && w->optional) return NB_OK;
  if (!t)
    return nb_fail(err, NB_ERR_FORMAT,
                   "%s: \"%.100s\" has packed codes but no tensor \"%s\": the checkpoint is incomplete, download it "
                   "again",
                   x->path, x->name, w->ending + 1);
  snprintf(word, sizeof word, " %s ", t->dtype);
  bool type = strstr(w->types, word), dims = t->view.n_dims <= 2;
  if (!type || !dims || t->view.shape[0] != w->rows || t->view.shape[1] != w->cols) return wrong(x, t, w, err);
  x->used[t - x->st->tensors] = true;
  x->stored_bytes += t->n_bytes;
  return NB_OK;
}

#define FLOATS " F32 F16 BF16 "
#define WORDS " I32 U32 "

/* Every input's group is one of the matrix's. */
static nb_status take_groups(module *x, const char *ending, nb_err *err) {
  const nb_st_tensor *t;
  NB_TRY(take(x, &(wanted){ending, WORDS, x->m.K, 1, true}, &t, err));
  if (!t) return NB_OK;
  const uint8_t *g = t->data;
  size_t none = 0;
  for (size_t k = 0; k < x->m.K; k++) {
    uint32_t v = (uint32_t)nb_little_get(g + 4 * k, 4);
    none += v == UINT32_MAX; /* compressed-tensors: not in use */
    if (v >= x->m.groups && v != UINT32_MAX)
      return nb_fail(err, NB_ERR_FORMAT, "%s: \"%.100s%s\" puts input %zu into group %d of %zu", x->path, x->name,
                     ending, k, (int)(int32_t)v, x->m.groups);
  }
  if (none == x->m.K && x->scheme->kind == NB_PACKED_COMPRESSED) return NB_OK;
  if (none)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%.100s%s\" leaves %zu inputs without a group", x->path, x->name, ending,
                   none);
  x->m.g_idx = g;
  return NB_OK;
}

/* How many groups a row of K inputs has. */
static nb_status count_groups(module *x, size_t group, nb_err *err) {
  if (!group) group = x->m.K;
  if (!x->m.K || !group || x->m.K % group)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%.100s\" has %zu inputs, which are no whole groups of %zu", x->path,
                   x->name, x->m.K, group);
  x->m.groups = x->m.K / group;
  return NB_OK;
}

static size_t words(size_t numbers, size_t bits) { return (numbers * bits + 31) / 32; }

/* ---- the four kinds ---- */

/* qzeros and scales of GPTQ and AWQ, (groups, N). */
static nb_status take_columns(module *x, bool shuffled, nb_err *err) {
  nb_packed_matrix *m = &x->m;
  unsigned bits = m->code.bits;
  size_t cols = words(m->N, bits);
  const nb_st_tensor *scale, *zero;
  NB_TRY(take(x, &(wanted){".scales", FLOATS, m->groups, m->N, false}, &scale, err));
  NB_TRY(take(x, &(wanted){".qzeros", WORDS, m->groups, cols, false}, &zero, err));
  m->scale = scale->view, m->scale_row = 1, m->scale_group = m->N;
  m->zero = (nb_packed_numbers){
      .data = zero->data, .bits = bits, .word_step = 4, .line_step = 4 * cols, .shuffled = shuffled};
  m->zero_add = x->scheme->zero_less_one ? 1 : 0;
  return NB_OK;
}

static nb_status read_gptq(module *x, nb_err *err) {
  nb_packed_matrix *m = &x->m;
  const nb_st_tensor *code = x->code, *g_idx = part(x, ".g_idx"), *scale = part(x, ".scales");
  size_t rows = code->view.shape[0], bits = x->scheme->bits;
  m->N = code->view.shape[1];
  /* rows is bits * K / 32; K by the list of groups, by the scales, or by the bits */
  m->K = g_idx                                              ? g_idx->view.shape[0]
         : x->scheme->any_bits && x->scheme->group && scale ? scale->view.shape[0] * x->scheme->group
                                                            : rows * 32 / bits;
  if (x->scheme->any_bits && m->K) bits = rows * 32 / m->K;
  if ((bits != 2 && bits != 3 && bits != 4 && bits != 8) || !m->K || m->K % 32 || rows != words(m->K, bits) || !m->N)
    return nb_fail(err, NB_ERR_FORMAT,
                   "%s: tensor \"%.100s\" of (%zu, %zu) words does not hold %zu-bit codes of %zu inputs", x->path,
                   code->name, rows, m->N, bits, m->K);
  m->code = (nb_packed_numbers){
      .data = code->data, .bits = (unsigned)bits, .word_step = 4 * m->N, .line_step = 4, .by_row = true};
  NB_TRY(count_groups(x, x->scheme->group, err));
  NB_TRY(take_columns(x, false, err));
  NB_TRY(take_groups(x, ".g_idx", err));
  snprintf(x->what, sizeof x->what, "gptq %zu", bits);
  return NB_OK;
}

static nb_status read_awq(module *x, nb_err *err) {
  nb_packed_matrix *m = &x->m;
  size_t cols = x->code->view.shape[1];
  m->K = x->code->view.shape[0];
  if (!nb_mul(cols, 8, &m->N) || !m->N)
    return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%.100s\" is empty", x->path, x->code->name);
  m->code =
      (nb_packed_numbers){.data = x->code->data, .bits = 4, .word_step = 4, .line_step = 4 * cols, .shuffled = true};
  NB_TRY(count_groups(x, x->scheme->group, err));
  NB_TRY(take_columns(x, true, err));
  snprintf(x->what, sizeof x->what, "awq 4");
  return NB_OK;
}

/* The shape (N, K), and the bits among those of the configuration with which the codes fill their words. */
static nb_status shape_compressed(module *x, nb_err *err) {
  nb_packed_matrix *m = &x->m;
  const nb_st_tensor *shape;
  size_t cols = x->code->view.shape[1], bits = 0;
  NB_TRY(take(x, &(wanted){".weight_shape", " I64 I32 ", 2, 1, false}, &shape, err));
  size_t b = shape->n_bytes / 2;
  m->N = (size_t)nb_little_get(shape->data, b);
  m->K = (size_t)nb_little_get((const uint8_t *)shape->data + b, b);
  for (size_t k = 1; k <= 8; k++)
    if (x->scheme->bits >> k & 1 && m->K <= SIZE_MAX / 64 && words(m->K, k) == cols) bits = k;
  if (!bits || m->N != x->code->view.shape[0] || !m->N)
    return nb_fail(err, NB_ERR_FORMAT,
                   "%s: tensor \"%.100s\" of (%zu, %zu) words does not hold the codes of a matrix (%zu, %zu)", x->path,
                   x->code->name, x->code->view.shape[0], cols, m->N, m->K);
  m->code = (nb_packed_numbers){
      .data = x->code->data, .bits = (unsigned)bits, .word_step = 4, .line_step = 4 * cols, .by_row = true};
  return NB_OK;
}

static nb_status read_compressed(module *x, nb_err *err) {
  nb_packed_matrix *m = &x->m;
  bool packed = ends_with(x->code->name, ".weight_packed");
  const nb_st_tensor *scale = part(x, ".weight_scale"), *zero;
  m->N = x->code->view.shape[0], m->K = x->code->view.shape[1];
  m->code = (nb_packed_numbers){
      .data = x->code->data, .bits = 8, .word_step = 4, .line_step = m->K, .by_row = true, .flip = 128};
  if (packed) NB_TRY(shape_compressed(x, err));
  m->middle = 1u << (m->code.bits - 1);
  bool one = scale && scale->view.shape[0] == 1 && scale->view.n_dims < 2; /* of the whole matrix */
  size_t groups = scale && scale->view.n_dims == 2 ? scale->view.shape[1] : 1;
  if (!groups || !m->K || !m->N || m->K % groups)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%.100s\" has %zu inputs, which are no %zu groups", x->path, x->name, m->K,
                   groups);
  m->groups = groups;
  NB_TRY(take(x, &(wanted){".weight_scale", FLOATS, one ? 1 : m->N, groups, false}, &scale, err));
  m->scale = scale->view, m->scale_row = one ? 0 : groups, m->scale_group = 1;
  size_t lines = packed ? words(m->N, m->code.bits) : one ? 1 : m->N;
  NB_TRY(take(x, &(wanted){".weight_zero_point", packed ? WORDS : " I8 ", lines, groups, true}, &zero, err));
  if (zero && packed)
    m->zero = (nb_packed_numbers){.data = zero->data, .bits = m->code.bits, .word_step = 4 * groups, .line_step = 4};
  else if (zero)
    m->zero = (nb_packed_numbers){
        .data = zero->data, .bits = 8, .word_step = 4, .line_step = one ? 0 : groups, .by_row = true, .flip = 128};
  NB_TRY(take_groups(x, ".weight_g_idx", err));
  snprintf(x->what, sizeof x->what, "int%u", m->code.bits);
  return NB_OK;
}

static nb_status read_mlx(module *x, nb_err *err) {
  nb_packed_matrix *m = &x->m;
  size_t cols = x->code->view.shape[1], bits = x->scheme->bits, group = x->scheme->group;
  const nb_st_tensor *scale, *bias;
  const cJSON *own = cJSON_GetObjectItemCaseSensitive(x->scheme->modules, x->name);
  const cJSON *b = cJSON_GetObjectItemCaseSensitive(own, "bits"),
              *g = cJSON_GetObjectItemCaseSensitive(own, "group_size");
  if (cJSON_IsNumber(b) && b->valuedouble >= 1 && b->valuedouble <= 8) bits = (size_t)b->valuedouble;
  if (cJSON_IsNumber(g) && g->valuedouble >= 1 && g->valuedouble <= 1 << 20) group = (size_t)g->valuedouble;
  m->N = x->code->view.shape[0];
  if (!m->N || !cols || cols > SIZE_MAX / 64 || cols * 32 % bits)
    return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%.100s\" of (%zu, %zu) words does not hold %zu-bit codes", x->path,
                   x->code->name, m->N, cols, bits);
  m->K = cols * 32 / bits;
  m->code = (nb_packed_numbers){
      .data = x->code->data, .bits = (unsigned)bits, .word_step = 4, .line_step = 4 * cols, .by_row = true};
  NB_TRY(count_groups(x, group, err));
  NB_TRY(take(x, &(wanted){".scales", FLOATS, m->N, m->groups, false}, &scale, err));
  NB_TRY(take(x, &(wanted){".biases", FLOATS, m->N, m->groups, false}, &bias, err));
  if (scale->view.dtype != bias->view.dtype)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%.100s\" has scales of %s and biases of %s", x->path, x->name,
                   scale->dtype, bias->dtype);
  m->scale = scale->view, m->bias = bias->view, m->scale_row = m->groups, m->scale_group = 1;
  snprintf(x->what, sizeof x->what, "mlx %u", (unsigned)bits);
  return NB_OK;
}

/* ---- a matrix in its place ---- */

/* Whether t is a packed matrix's codes, with the length of its module's name. */
static bool is_code(const nb_packed_scheme *s, const nb_st_tensor *t, size_t *name) {
  const char *ending = s->kind != NB_PACKED_COMPRESSED && s->kind != NB_PACKED_MLX ? ".qweight" : ".weight";
  const char *type = s->kind == NB_PACKED_MLX ? "U32" : "I8";
  bool packed = s->kind == NB_PACKED_COMPRESSED && ends_with(t->name, ".weight_packed");
  if (packed) ending = ".weight_packed";
  if (!ends_with(t->name, ending)) return false;
  *name = strlen(t->name) - strlen(ending);
  return ending[1] == 'q' || packed || !strcmp(t->dtype, type);
}

typedef struct job {
  const nb_packed_matrix *m;
  uint8_t *out;
  size_t row_bytes;
} job;

static void unpack_rows(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  const job *j = ctx;
  for (size_t n = begin; n < end; n++) nb_packed_row(j->m, n, j->out + n * j->row_bytes);
}

/* The matrix as a tensor: out. */
static nb_status unpack(module *x, int threads, nb_st_tensor *out, nb_err *err) {
  static nb_status (*const readers[])(module *, nb_err *) = {[NB_PACKED_GPTQ] = read_gptq,
                                                             [NB_PACKED_AWQ] = read_awq,
                                                             [NB_PACKED_COMPRESSED] = read_compressed,
                                                             [NB_PACKED_MLX] = read_mlx};
  const nb_st_tensor *code = x->code;
  const char *ending = code->name + strlen(x->name);
  bool words_fit = !strcmp(code->dtype, "I32") || !strcmp(code->dtype, "U32") || !strcmp(code->dtype, "I8");
  size_t bytes;
  if (code->view.n_dims != 2 || !words_fit || (strcmp(ending, ".weight") && !strcmp(code->dtype, "I8")))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: packed codes \"%.100s\" are %s with %u dimensions, not words of two",
                   x->path, code->name, code->dtype, code->view.n_dims);
  if (strcmp(ending, ".weight") && part(x, ".weight"))
    return nb_fail(err, NB_ERR_FORMAT,
                   "%s: \"%.100s\" is there twice, as it is and packed: which one counts is not said", x->path,
                   x->name);
  x->used[code - x->st->tensors] = true;
  x->stored_bytes = code->n_bytes;
  NB_TRY(readers[x->scheme->kind](x, err));
  const nb_packed_matrix *m = &x->m;
  *out = (nb_st_tensor){.readable = true, .shard = code->shard, .begin = code->begin, .stored_bytes = x->stored_bytes};
  out->view = (nb_tensor){.dtype = m->scale.dtype, .n_dims = 2, .shape = {m->N, m->K, 1, 1}};
  size_t row_bytes = m->K * nb_dtype_bytes(m->scale.dtype);
  if (!nb_mul(m->N, row_bytes, &bytes))
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%.100s\" is too large", x->path, x->name);
  char name[NAME + 8];
  snprintf(name, sizeof name, "%s.weight", x->name);
  snprintf(out->dtype, sizeof out->dtype, "%s", x->what);
  NB_TRY(nb_new(&out->owned, bytes, 1, name, err));
  if (!(out->name = strdup(name))) {
    nb_free(out->owned);
    return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", x->path);
  }
  out->data = out->view.data = out->owned;
  out->n_bytes = out->view.n_bytes = bytes;
  job j = {m, out->owned, row_bytes};
  nb_parallel_for(threads, m->N, GRAIN, unpack_rows, &j);
  return NB_OK;
}

/* ---- the checkpoint ---- */

/* Scales of activations, which are not rounded here. */
static bool is_of_activations(const char *name) {
  static const char *const known[] = {".input_scale", ".input_zero_point", ".output_scale", ".output_zero_point",
                                      ".k_scale",     ".v_scale",          ".q_scale"};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (ends_with(name, known[i])) return true;
  return false;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const nb_st_tensor *)a)->name, ((const nb_st_tensor *)b)->name);
}

/* Drops the tensors that are used, adds the n of `made`, which it takes over. */
static nb_status replace(nb_safetensors *st, const bool *used, nb_st_tensor *made, size_t n, nb_err *err) {
  size_t kept = 0;
  NB_TRY(nb_grow(&st->tensors, &st->cap_tensors, st->n_tensors + n, sizeof *st->tensors, err));
  for (size_t i = 0; i < st->n_tensors; i++) {
    if (used[i]) free(st->tensors[i].name);
    else st->tensors[kept++] = st->tensors[i];
  }
  memcpy(st->tensors + kept, made, n * sizeof *made);
  memset(made, 0, n * sizeof *made);
  st->n_tensors = kept + n;
  qsort(st->tensors, st->n_tensors, sizeof *st->tensors, by_name);
  return NB_OK;
}

/* What no matrix has taken, though its name says that it belongs to one. */
static nb_status check_rest(const nb_safetensors *st, const bool *used, nb_err *err) {
  for (size_t i = 0; i < st->n_tensors; i++)
    for (size_t k = 0; !used[i] && k < sizeof endings / sizeof *endings; k++)
      if (ends_with(st->tensors[i].name, endings[k]))
        return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%.100s\" belongs to no packed matrix of the checkpoint",
                       st->shards[st->tensors[i].shard].path, st->tensors[i].name);
  return NB_OK;
}

static const char *const tools[] = {"", "GPTQ", "AWQ", "compressed-tensors", "MLX"};

static nb_status note(const nb_packed_scheme *s, const nb_st_tensor *made, size_t n, size_t activations, nb_text *notes,
                      nb_err *err) {
  char line[256], upper[32] = "";
  unsigned long least = 8, most = 0;
  for (size_t i = 0; i < n; i++) {
    unsigned long bits = strtoul(made[i].dtype + strcspn(made[i].dtype, "0123456789"), NULL, 10);
    least = nb_min(least, bits), most = nb_max(most, bits);
  }
  if (most > least) snprintf(upper, sizeof upper, " to %lu", most);
  snprintf(line, sizeof line,
           "%zu matrices are rounded already (%s, %lu%s bits): what is made of them loses a second time\n", n,
           tools[s->kind], least, upper);
  NB_TRY(nb_text_append_str(notes, line, err));
  if (!activations) return NB_OK;
  snprintf(line, sizeof line, "left out: %zu scales of activations, which are not rounded here\n", activations);
  return nb_text_append_str(notes, line, err);
}

nb_status nb_packed_unpack(const nb_packed_scheme *s, int threads, nb_safetensors *c, nb_text *notes, nb_err *err) {
  nb_st_tensor *made = NULL;
  bool *used = NULL;
  size_t n = 0, activations = 0, length;
  nb_status st;
  if (s->kind == NB_PACKED_NONE) return NB_OK;
  NB_GOTO(nb_new(&made, c->n_tensors, sizeof *made, "the matrices", err));
  NB_GOTO(nb_new(&used, c->n_tensors, sizeof *used, "the matrices", err));
  for (size_t i = 0; i < c->n_tensors; i++) {
    const nb_st_tensor *t = &c->tensors[i];
    if (is_of_activations(t->name)) used[i] = true, activations++;
    if (!is_code(s, t, &length)) continue;
    module x = {.scheme = s, .st = c, .path = c->shards[t->shard].path, .code = t, .used = used};
    if (length >= NAME) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: a tensor's name has %zu characters", x.path, length));
    snprintf(x.name, sizeof x.name, "%.*s", (int)length, t->name);
    NB_GOTO(unpack(&x, threads, &made[n], err));
    n++;
  }
  if (!n)
    NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: config.json says that it is quantized (%s), but no tensor is",
                    c->shards[0].path, tools[s->kind]));
  NB_GOTO(check_rest(c, used, err));
  NB_GOTO(note(s, made, n, activations, notes, err));
  st = replace(c, used, made, n, err);
fail:
  for (size_t i = 0; st != NB_OK && made && i < n; i++) free(made[i].name), nb_free(made[i].owned);
  nb_free(made);
  nb_free(used);
  return st;
}
