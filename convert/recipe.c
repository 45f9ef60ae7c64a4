/* SPDX-License-Identifier: MIT */
#include "convert/recipe.h"

#include "base/mem.h"
#include "formats/json.h"

#include <stdlib.h>
#include <string.h>

const nb_recipe nb_recipe_default = {.codes = "trellis",
                                     .n = {-1, -1, -1, -1},
                                     .bits = 4,
                                     .group = 64,
                                     .sweeps = 2,
                                     .fisher_tokens = -1,
                                     .damp = 0.01,
                                     .tune_rate = 5e-4};

bool nb_recipe_has_budget(const nb_recipe *r) { return r->budget || r->preset || r->linear_bpw > 0; }

bool nb_recipe_reads_text(const nb_recipe *r) { return !r->stats && (!r->fast || nb_recipe_has_budget(r)); }

/* ---- what may be asked for ---- */

/* The file's bytes: 1.8 GiB, and 1.8 GB. */
static const struct { const char *name, *budget; } presets[] = {{"phone", "1932735283"}, {"phone-small", "1800000000"}};

static const char *preset_budget(const char *name) {
  for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
    if (!strcmp(presets[i].name, name)) return presets[i].budget;
  return NULL;
}

static bool within(int x, int least, int most) { return x >= least && x <= most; }

nb_status nb_recipe_check(const nb_recipe *r, nb_err *err) {
  const nb_calib_numbers *n = &r->n;
  if (!within(r->bits, NB_RECIPE_MIN_BITS, NB_RECIPE_MAX_BITS)) return nb_fail(err, NB_ERR_ARG, "--bits is 3 to 8");
  if (!within(r->group, NB_RECIPE_MIN_GROUP, NB_RECIPE_MAX_GROUP) || (r->group & (r->group - 1)))
    return nb_fail(err, NB_ERR_ARG, "--group is 32, 64, 128 or 256");
  if (n->tokens != -1 && !within(n->tokens, 1, NB_RECIPE_MAX_TOKENS))
    return nb_fail(err, NB_ERR_ARG, "--tokens is 1 to %d", NB_RECIPE_MAX_TOKENS);
  if (n->seq != -1 && !within(n->seq, NB_RECIPE_MIN_SEQ, NB_RECIPE_MAX_SEQ))
    return nb_fail(err, NB_ERR_ARG, "--seq is %d to %d", NB_RECIPE_MIN_SEQ, NB_RECIPE_MAX_SEQ);
  if (r->linear_bpw != 0 && !(r->linear_bpw >= NB_RECIPE_MIN_BITS && r->linear_bpw <= NB_RECIPE_MAX_BITS))
    return nb_fail(err, NB_ERR_ARG, "--linear-bpw is 3 to 8");
  if (r->preset && !preset_budget(r->preset))
    return nb_fail(err, NB_ERR_ARG, "--preset is one of " NB_RECIPE_PRESETS ", not '%s'", r->preset);
  if (!!r->budget + !!r->preset + (r->linear_bpw > 0) > 1)
    return nb_fail(err, NB_ERR_ARG, "--budget, --preset and --linear-bpw exclude each other: give one of them");
  if (r->fast && (r->n_calib || r->stats) && !nb_recipe_has_budget(r))
    return nb_fail(err, NB_ERR_ARG, "--fast makes no use of %s: leave one of them out",
                   r->n_calib ? "--calib" : "--stats");
  if (r->fast && r->tune) return nb_fail(err, NB_ERR_ARG, "--tune needs calibration: leave --fast out");
  for (size_t i = 0; i < r->n_calib && r->n_calib > 1; i++)
    if (!strcmp(r->calib[i], "self"))
      return nb_fail(err, NB_ERR_ARG, "--calib self stands alone: leave the other texts out");
  return NB_OK;
}

/* ---- formats ---- */

/* In the order of NB_UNIFORM, NB_TABLE, NB_TRELLIS. */
static const char *const codes_names[NB_QKINDS + 1] = {"uniform", "table", "trellis", NULL};

/* What codes of so many bits mean: what is asked for, or the nearest to it that there is. */
static nb_qkind codes_kind(const nb_recipe *r, uint8_t bits) {
  unsigned kind = NB_QKINDS - 1;
  while (kind > 0 && strcmp(codes_names[kind], r->codes) != 0) kind--;
  while (!nb_qfmt_valid((nb_qfmt){bits, (uint8_t)kind, NB_QA_GROUP})) kind--; /* all bits can be uniform */
  return (nb_qkind)kind;
}

/* "t4g64", "6" (bits, with the other options' codes and group), "dense". */
static nb_status parse_format(const char *s, const nb_recipe *r, nb_qfmt *f, nb_err *err) {
  if (!strcmp(s, "dense")) {
    *f = (nb_qfmt){0, 0, 0};
    return NB_OK;
  }
  if (s[0] >= '3' && s[0] <= '8' && !s[1]) {
    uint8_t bits = (uint8_t)(s[0] - '0');
    *f = (nb_qfmt){bits, (uint8_t)codes_kind(r, bits), (uint16_t)r->group};
    return NB_OK;
  }
  return nb_qfmt_parse(s, f, err);
}

/* "[LAYER.]MATRIX=FORMAT" */
static nb_status apply_set(const char *s, const nb_recipe *r, const nb_parts *parts, nb_qfmt *f, nb_err *err) {
  const char *eq = strchr(s, '='), *p = s;
  char *end;
  long layer = -1;
  bool found = false;
  nb_qfmt q = {0, 0, 0};
  if (*p >= '0' && *p <= '9') {
    layer = strtol(p, &end, 10);
    p = *end == '.' ? end + 1 : end;
  }
  nb_role role = eq ? nb_role_parse(p, (size_t)(eq - p)) : NB_ROLES;
  for (size_t i = 0; i < parts->embed && role != NB_ROLES; i++) {
    const nb_part *x = nb_parts_matrix(parts, i);
    if (x->role != role || (layer >= 0 && x->layer != layer)) continue;
    if (!found) NB_TRY(parse_format(eq + 1, r, &q, err));
    found = true;
    f[i] = q;
  }
  if (found) return NB_OK;
  return nb_fail(err, NB_ERR_ARG,
                 "'%s' is not [LAYER.]MATRIX=FORMAT with a matrix of this model: q, k, v, o, gate, up, down or router",
                 s);
}

/* Routers decide between experts by small differences, and are small: 8 bits. */
static const nb_qfmt router_format = {8, 0, 64};

nb_status nb_recipe_formats(const nb_recipe *r, const nb_parts *parts, nb_qfmt *f, nb_err *err) {
  char bits[2] = {(char)('0' + r->bits), 0};
  nb_qfmt all;
  NB_TRY(parse_format(bits, r, &all, err));
  for (size_t i = 0; i < parts->embed; i++) f[i] = nb_parts_matrix(parts, i)->role == NB_ROUTER ? router_format : all;
  NB_TRY(parse_format(r->head ? r->head : "u6g64", r, &f[parts->head], err));
  NB_TRY(parse_format(r->embed ? r->embed : "4", r, &f[parts->embed], err)); /* the head's, too, when they are tied */
  for (size_t i = 0; i < r->n_set; i++) NB_TRY(apply_set(r->set[i], r, parts, f, err));
  return NB_OK;
}

/* ---- the budget ---- */

/* What the budget may be spent on: what the options leave open. out->fixed is released with nb_free. */
nb_status nb_recipe_budget(const nb_recipe *r, const nb_parts *parts, nb_allocate_opts *out, nb_err *err) {
  size_t n = parts->n_matrices;
  bool linears = r->linear_bpw > 0;
  nb_qfmt *probe = NULL;
  nb_status st;
  *out = (nb_allocate_opts){.trellis = codes_kind(r, NB_RECIPE_MIN_BITS) == NB_TRELLIS,
                            .probe_tokens = (size_t)r->n.probe_tokens,
                            .probe_layers = (size_t)r->n.probe_layers,
                            .measured = r->stats};
  const char *text = r->preset ? preset_budget(r->preset) : r->budget;
  if (linears) out->linear_bpw = r->linear_bpw;
  else NB_TRY(nb_allocate_parse(text, parts, &out->budget, err));
  NB_GOTO(nb_new(&out->fixed, n, sizeof *out->fixed, "the formats", err));
  NB_GOTO(nb_new(&probe, n, sizeof *probe, "the formats", err));
  for (size_t i = 0; i < n; i++) probe[i].bits = 255;
  for (size_t i = 0; i < r->n_set; i++) NB_GOTO(apply_set(r->set[i], r, parts, probe, err));
  for (size_t i = 0; i < n; i++) out->fixed[i] = probe[i].bits != 255 || nb_parts_matrix(parts, i)->role == NB_ROUTER;
  if (parts->head != parts->embed) out->fixed[parts->head] = linears || r->head;
  out->fixed[parts->embed] = linears || r->embed;
fail:
  nb_free(probe);
  return st;
}

/* ---- what is remembered ---- */

cJSON *nb_recipe_print(const nb_recipe *r) {
  cJSON *out = cJSON_CreateObject();
  cJSON_AddStringToObject(out, "method", r->fast ? "plain" : r->no_gptq ? "search" : "gptq");
  cJSON_AddNumberToObject(out, "bits", r->bits);
  cJSON_AddNumberToObject(out, "group", r->group);
  cJSON_AddStringToObject(out, "codes", r->codes);
  if (r->embed) cJSON_AddStringToObject(out, "embed", r->embed);
  if (r->head) cJSON_AddStringToObject(out, "head", r->head);
  if (r->budget) cJSON_AddStringToObject(out, "budget", r->budget);
  if (r->preset) cJSON_AddStringToObject(out, "preset", r->preset);
  if (nb_recipe_has_budget(r)) {
    if (r->linear_bpw > 0) cJSON_AddNumberToObject(out, "linear_bpw", r->linear_bpw);
    cJSON_AddNumberToObject(out, "probe_tokens", r->n.probe_tokens);
    cJSON_AddNumberToObject(out, "probe_layers", r->n.probe_layers);
  }
  cJSON *set = cJSON_AddArrayToObject(out, "set");
  for (size_t i = 0; i < r->n_set; i++) cJSON_AddItemToArray(set, cJSON_CreateString(r->set[i]));
  if (r->fast) return out;
  cJSON_AddNumberToObject(out, "damp", r->damp);
  cJSON_AddNumberToObject(out, "sweeps", r->sweeps);
  cJSON_AddNumberToObject(out, "fisher_tokens", r->fisher_tokens);
  cJSON_AddBoolToObject(out, "tables", !r->no_tables);
  cJSON_AddBoolToObject(out, "head_calibrated", !r->no_head);
  cJSON_AddBoolToObject(out, "sequential", r->sequential);
  cJSON_AddBoolToObject(out, "fold", !r->no_fold);
  if (r->tune) cJSON_AddStringToObject(out, "tune", r->tune);
  if (r->tune) cJSON_AddNumberToObject(out, "tune_rate", r->tune_rate);
  return out;
}

/* ---- what was remembered ---- */

static nb_status read_set(const cJSON *json, const char *name, nb_recipe *r, const char ***set, nb_err *err) {
  const cJSON *list, *i;
  NB_TRY(nb_json_array(json, name, "set", &list, err));
  NB_TRY(nb_new(set, (size_t)cJSON_GetArraySize(list) + 1, sizeof **set, "the recipe", err));
  cJSON_ArrayForEach(i, list) {
    if (!cJSON_IsString(i)) return nb_fail(err, NB_ERR_FORMAT, "%s: \"set\" holds more than strings", name);
    (*set)[r->n_set++] = i->valuestring;
  }
  r->set = *set;
  return NB_OK;
}

/* A switch that is remembered by its contrary. */
static nb_status read_switch(const cJSON *json, const char *name, const char *key, bool contrary, bool *out,
                             nb_err *err) {
  bool x;
  NB_TRY(nb_json_bool(json, name, key, &x, err));
  *out = x != contrary;
  return NB_OK;
}

/* Options of earlier versions that are no more (docs/quantization.md): a file that was made without them can be made
 * again. */
static nb_status check_removed(const cJSON *json, const char *name, nb_err *err) {
  double alpha = 0;
  bool rotate = false;
  NB_TRY(nb_json_optional_f64(json, name, "alpha", &alpha, err));
  NB_TRY(nb_json_optional_bool(json, name, "rotate", &rotate, err));
  if (alpha == 0 && !rotate) return NB_OK;
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "%s was made with --%s, which this version no longer has: it cannot make the file again", name,
                 rotate ? "rotate" : "alpha");
}

static nb_status read_solver(const cJSON *json, const char *name, nb_recipe *r, nb_err *err) {
  size_t sweeps, fisher_tokens = 0; /* files of before: rows were rounded alone */
  NB_TRY(check_removed(json, name, err));
  NB_TRY(nb_json_f64(json, name, "damp", &r->damp, err));
  if (!(r->damp >= 0 && r->damp <= 1)) return nb_fail(err, NB_ERR_FORMAT, "%s: \"damp\" is not 0 to 1", name);
  NB_TRY(nb_json_size(json, name, "sweeps", 0, 20, &sweeps, err));
  NB_TRY(nb_json_optional_size(json, name, "fisher_tokens", 0, NB_RECIPE_MAX_TOKENS, &fisher_tokens, err));
  r->sweeps = (int)sweeps, r->fisher_tokens = (int)fisher_tokens;
  NB_TRY(read_switch(json, name, "tables", true, &r->no_tables, err));
  NB_TRY(read_switch(json, name, "head_calibrated", true, &r->no_head, err));
  NB_TRY(read_switch(json, name, "fold", true, &r->no_fold, err));
  NB_TRY(read_switch(json, name, "sequential", false, &r->sequential, err));
  NB_TRY(nb_json_optional_string(json, name, "tune", &r->tune, err));
  return nb_json_optional_f64(json, name, "tune_rate", &r->tune_rate, err);
}

nb_status nb_recipe_read(const cJSON *json, const char *name, nb_recipe *out, const char ***set, nb_err *err) {
  static const char *const methods[] = {"plain", "search", "gptq", NULL};
  unsigned method, code;
  size_t bits, group, tokens = 0, layers = 0;
  *set = NULL;
  *out = nb_recipe_default;
  NB_TRY(nb_json_word(json, name, "method", methods, &method, err));
  NB_TRY(nb_json_word(json, name, "codes", codes_names, &code, err));
  NB_TRY(nb_json_size(json, name, "bits", NB_RECIPE_MIN_BITS, NB_RECIPE_MAX_BITS, &bits, err));
  NB_TRY(nb_json_size(json, name, "group", NB_RECIPE_MIN_GROUP, NB_RECIPE_MAX_GROUP, &group, err));
  out->fast = method == 0, out->no_gptq = method == 1;
  out->codes = codes_names[code], out->bits = (int)bits, out->group = (int)group;
  NB_TRY(nb_json_optional_string(json, name, "embed", &out->embed, err));
  NB_TRY(nb_json_optional_string(json, name, "head", &out->head, err));
  NB_TRY(nb_json_optional_string(json, name, "budget", &out->budget, err));
  NB_TRY(nb_json_optional_string(json, name, "preset", &out->preset, err));
  NB_TRY(nb_json_optional_f64(json, name, "linear_bpw", &out->linear_bpw, err));
  if (nb_recipe_has_budget(out)) {
    NB_TRY(nb_json_size(json, name, "probe_tokens", 0, NB_RECIPE_MAX_TOKENS, &tokens, err));
    NB_TRY(nb_json_size(json, name, "probe_layers", 0, NB_RECIPE_MAX_TOKENS, &layers, err));
    out->n.probe_tokens = (int)tokens, out->n.probe_layers = (int)layers;
  }
  NB_TRY(read_set(json, name, out, set, err));
  return out->fast ? NB_OK : read_solver(json, name, out, err);
}
