/* SPDX-License-Identifier: MIT */
#include "model/parts.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static const char *const role_names[NB_ROLES] = {
    [NB_EMBED] = "embed",
    [NB_ATTN_NORM] = "attn_norm",
    [NB_Q] = "q",
    [NB_K] = "k",
    [NB_V] = "v",
    [NB_O] = "o",
    [NB_FFN_NORM] = "ffn_norm",
    [NB_GATE] = "gate",
    [NB_UP] = "up",
    [NB_DOWN] = "down",
    [NB_FINAL_NORM] = "norm",
    [NB_HEAD] = "head",
    [NB_ROUTER] = "router",
    [NB_POST_ATTN_NORM] = "post_attn_norm",
    [NB_POST_FFN_NORM] = "post_ffn_norm",
    [NB_Q_NORM] = "q_norm",
    [NB_K_NORM] = "k_norm",
    [NB_ATTN_NORM_BIAS] = "attn_norm_bias",
    [NB_FFN_NORM_BIAS] = "ffn_norm_bias",
    [NB_FINAL_NORM_BIAS] = "norm_bias",
    [NB_Q_NORM_BIAS] = "q_norm_bias",
    [NB_K_NORM_BIAS] = "k_norm_bias",
    [NB_Q_BIAS] = "q_bias",
    [NB_K_BIAS] = "k_bias",
    [NB_V_BIAS] = "v_bias",
    [NB_O_BIAS] = "o_bias",
    [NB_GATE_BIAS] = "gate_bias",
    [NB_UP_BIAS] = "up_bias",
    [NB_DOWN_BIAS] = "down_bias",
    [NB_HEAD_BIAS] = "head_bias",
};

const char *nb_role_name(nb_role r) { return (unsigned)r < NB_ROLES ? role_names[r] : "unknown"; }

nb_role nb_role_parse(const char *name, size_t n) {
  for (int r = 0; r < NB_ROLES; r++)
    if (strlen(role_names[r]) == n && !strncmp(role_names[r], name, n)) return (nb_role)r;
  return NB_ROLES;
}

/* ---- the list ---- */

static void add(nb_parts *p, nb_part x) {
  nb_assert(x.N > 0 && x.K > 0 && x.layer >= -1 && (x.layer >= 0 || x.expert < 0));
  if (p->part) p->part[p->n] = x;
  p->n++;
  p->roles |= (uint32_t)1 << x.role;
  if (x.matrix) {
    if (p->matrix) p->matrix[p->n_matrices] = p->n - 1;
    p->n_matrices++;
  }
}

static void vector(nb_parts *p, nb_role role, int layer, size_t K) {
  add(p, (nb_part){.role = role, .layer = layer, .expert = -1, .N = 1, .K = K});
}

static void norm(nb_parts *p, const nb_config *c, nb_role role, nb_role bias, int layer, size_t K) {
  vector(p, role, layer, K);
  if (c->norm == NB_NORM_LAYER) vector(p, bias, layer, K);
}

static void matrix(nb_parts *p, nb_role role, int layer, int expert, size_t N, size_t K, size_t site) {
  add(p, (nb_part){.role = role, .layer = layer, .expert = expert, .matrix = true, .N = N, .K = K, .site = site});
}

/* A layer's matrix of no expert and, where it has one, its bias. */
static void biased(nb_parts *p, nb_part m, nb_role bias, bool has) {
  matrix(p, m.role, m.layer, -1, m.N, m.K, m.site);
  if (has) vector(p, bias, m.layer, m.N);
}

static void feed_forward(nb_parts *p, const nb_config *c, int l) {
  size_t D = c->hidden, F = c->ffn, site = c->block == NB_BLOCK_PARALLEL ? NB_SITE_ATTN : NB_SITE_FFN;
  if (!c->experts) {
    if (c->gated)
      biased(p, (nb_part){.role = NB_GATE, .layer = l, .N = F, .K = D, .site = site}, NB_GATE_BIAS, c->ffn_bias);
    biased(p, (nb_part){.role = NB_UP, .layer = l, .N = F, .K = D, .site = site}, NB_UP_BIAS, c->ffn_bias);
    biased(p, (nb_part){.role = NB_DOWN, .layer = l, .N = D, .K = F, .site = NB_SITE_DOWN}, NB_DOWN_BIAS, c->ffn_bias);
    return;
  }
  matrix(p, NB_ROUTER, l, -1, c->experts, D, NB_SITE_FFN);
  for (size_t e = 0; e < c->experts; e++) {
    matrix(p, NB_GATE, l, (int)e, F, D, NB_SITES + 2 * e);
    matrix(p, NB_UP, l, (int)e, F, D, NB_SITES + 2 * e);
    matrix(p, NB_DOWN, l, (int)e, D, F, NB_SITES + 2 * e + 1);
  }
}

static void layer(nb_parts *p, const nb_config *c, int l) {
  size_t D = c->hidden, q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
  norm(p, c, NB_ATTN_NORM, NB_ATTN_NORM_BIAS, l, D);
  biased(p, (nb_part){.role = NB_Q, .layer = l, .N = q, .K = D, .site = NB_SITE_ATTN}, NB_Q_BIAS, c->qkv_bias);
  biased(p, (nb_part){.role = NB_K, .layer = l, .N = kv, .K = D, .site = NB_SITE_ATTN}, NB_K_BIAS, c->qkv_bias);
  biased(p, (nb_part){.role = NB_V, .layer = l, .N = kv, .K = D, .site = NB_SITE_ATTN}, NB_V_BIAS, c->qkv_bias);
  if (c->qk_norm) norm(p, c, NB_Q_NORM, NB_Q_NORM_BIAS, l, c->head_dim);
  if (c->qk_norm) norm(p, c, NB_K_NORM, NB_K_NORM_BIAS, l, c->head_dim);
  biased(p, (nb_part){.role = NB_O, .layer = l, .N = D, .K = q, .site = NB_SITE_O}, NB_O_BIAS, c->o_bias);
  if (c->block == NB_BLOCK_SANDWICH) vector(p, NB_POST_ATTN_NORM, l, D);
  if (c->block != NB_BLOCK_PARALLEL) norm(p, c, NB_FFN_NORM, NB_FFN_NORM_BIAS, l, D);
  feed_forward(p, c, l);
  if (c->block == NB_BLOCK_SANDWICH) vector(p, NB_POST_FFN_NORM, l, D);
}

static void list(nb_parts *p, const nb_config *c) {
  p->n = p->n_matrices = 0;
  matrix(p, NB_EMBED, -1, -1, c->vocab, c->hidden, 0);
  for (size_t l = 0; l < c->layers; l++) layer(p, c, (int)l);
  norm(p, c, NB_FINAL_NORM, NB_FINAL_NORM_BIAS, -1, c->hidden);
  if (!c->tie_embeddings) matrix(p, NB_HEAD, -1, -1, c->vocab, c->hidden, 0);
  if (c->head_bias) vector(p, NB_HEAD_BIAS, -1, c->vocab);
}

nb_status nb_parts_create(const nb_config *c, nb_parts *out, nb_err *err) {
  nb_status st;
  memset(out, 0, sizeof *out);
  list(out, c); /* counts */
  NB_GOTO(nb_new(&out->part, out->n, sizeof *out->part, "the list of tensors", err));
  NB_GOTO(nb_new(&out->matrix, out->n_matrices, sizeof *out->matrix, "the list of matrices", err));
  const size_t n = out->n, n_matrices = out->n_matrices;
  list(out, c);
  nb_assert(out->n == n && out->n_matrices == n_matrices && nb_parts_matrix(out, 0)->role == NB_EMBED);
  size_t layers = out->n_matrices - 1 - !c->tie_embeddings, embed = out->matrix[0];
  memmove(out->matrix, out->matrix + 1, layers * sizeof *out->matrix);
  out->matrix[layers] = embed; /* the embedding goes behind the layers */
  out->per_layer = layers / c->layers;
  nb_assert(layers == out->per_layer * c->layers);
  out->embed = layers, out->head = out->n_matrices - 1;
  return NB_OK;
fail:
  nb_parts_free(out);
  return st;
}

void nb_parts_free(nb_parts *p) {
  nb_free(p->part);
  nb_free(p->matrix);
  memset(p, 0, sizeof *p);
}

_Static_assert(NB_ROLES <= 32, "a bit of nb_parts.roles each");
const nb_part *nb_parts_matrix(const nb_parts *p, size_t i) {
  nb_assert(i < p->n_matrices);
  return &p->part[p->matrix[i]];
}
size_t nb_parts_first(const nb_parts *p, size_t layer) { return layer * p->per_layer; }

/* ---- sites ---- */

size_t nb_parts_sites(const nb_config *c) { return NB_SITES + 2 * c->experts; }

size_t nb_parts_site_inputs(const nb_config *c, size_t site) {
  nb_assert(site < nb_parts_sites(c));
  if (site == NB_SITE_O) return c->heads * c->head_dim;
  bool down = site == NB_SITE_DOWN || (site >= NB_SITES && (site - NB_SITES) % 2 == 1);
  return down ? c->ffn : c->hidden;
}

int nb_parts_site_expert(size_t site) { return site < NB_SITES ? -1 : (int)((site - NB_SITES) / 2); }

/* ---- words ---- */

char *nb_part_describe(const nb_part *p, char out[64]) {
  const char *name = p->role == NB_EMBED        ? "the embedding"
                     : p->role == NB_HEAD       ? "the head"
                     : p->role == NB_FINAL_NORM ? "the final norm"
                                                : nb_role_name(p->role);
  if (p->expert >= 0) snprintf(out, 64, "layer %d expert %d %s", p->layer, p->expert, name);
  else if (p->layer >= 0) snprintf(out, 64, "layer %d %s", p->layer, name);
  else snprintf(out, 64, "%s", name);
  return out;
}

char *nb_part_path(const nb_part *p, char out[64]) {
  const char *name = nb_role_name(p->role);
  if (p->expert >= 0) snprintf(out, 64, "layers.%d.experts.%d.%s", p->layer, p->expert, name);
  else if (p->layer >= 0) snprintf(out, 64, "layers.%d.%s", p->layer, name);
  else snprintf(out, 64, "%s", name);
  return out;
}

const char *const nb_part_class_names[NB_PART_CLASSES] = {
    "embedding",         "q, k, v",       "o",     "gate, up", "down", "router",
    "experts' gate, up", "experts' down", "norms", "biases",   "head"};

size_t nb_part_class(const nb_part *p) {
  switch (p->role) {
  case NB_EMBED: return 0;
  case NB_Q:
  case NB_K:
  case NB_V: return 1;
  case NB_O: return 2;
  case NB_GATE:
  case NB_UP: return p->expert < 0 ? 3 : 6;
  case NB_DOWN: return p->expert < 0 ? 4 : 7;
  case NB_ROUTER: return 5;
  case NB_HEAD: return 10;
  default: return p->role >= NB_ATTN_NORM_BIAS ? 9 : 8;
  }
}
