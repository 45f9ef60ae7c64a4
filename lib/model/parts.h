/* SPDX-License-Identifier: MIT */
/* What a model consists of: the one list of its tensors, made from its configuration. Whoever goes through a model's
 * matrices (formats, bits, statistics, resume, provenance, listings) goes through this list; nothing else knows which
 * there are. */
#ifndef NB_PARTS_H
#define NB_PARTS_H

#include "model/config.h"

/* What a tensor is. The numbers are those of .nbl files (FORMAT.md): new ones are added at the end. */
typedef enum nb_role {
  NB_EMBED,          /* (V, D) */
  NB_ATTN_NORM,      /* (D) before attention; in a parallel block before both branches */
  NB_Q,              /* (H head_dim, D) */
  NB_K,              /* (KV heads head_dim, D) */
  NB_V,              /* (KV heads head_dim, D) */
  NB_O,              /* (D, H head_dim) */
  NB_FFN_NORM,       /* (D) before the feed-forward block */
  NB_GATE,           /* (F, D) */
  NB_UP,             /* (F, D) */
  NB_DOWN,           /* (D, F) */
  NB_FINAL_NORM,     /* (D) */
  NB_HEAD,           /* (V, D) */
  NB_ROUTER,         /* (experts, D) */
  NB_POST_ATTN_NORM, /* (D) after attention, before it is added: sandwich blocks */
  NB_POST_FFN_NORM,  /* (D) likewise after the feed-forward block */
  NB_Q_NORM,         /* (head_dim) over each query head */
  NB_K_NORM,         /* (head_dim) */
  NB_ATTN_NORM_BIAS, /* the biases of layer norms */
  NB_FFN_NORM_BIAS,
  NB_FINAL_NORM_BIAS,
  NB_Q_NORM_BIAS,
  NB_K_NORM_BIAS,
  NB_Q_BIAS, /* and of matrices: as many as these have rows */
  NB_K_BIAS,
  NB_V_BIAS,
  NB_O_BIAS,
  NB_GATE_BIAS,
  NB_UP_BIAS,
  NB_DOWN_BIAS,
  NB_HEAD_BIAS,
  NB_ROLES
} nb_role;

/* "embed", "attn_norm", "q", ... and back (NB_ROLES when there is none of that name). */
const char *nb_role_name(nb_role r);
nb_role nb_role_parse(const char *name, size_t n);

/* The places whose values are the inputs of matrices. Those of experts follow: see nb_parts_sites. */
typedef enum nb_site {
  NB_SITE_ATTN, /* the normed states: q, k, v; in a parallel block gate and up, too */
  NB_SITE_O,    /* the attention's outputs */
  NB_SITE_FFN,  /* the normed states: gate, up; the router */
  NB_SITE_DOWN, /* the inner states of the feed-forward block */
  NB_SITES
} nb_site;

/* One tensor. A vector has N = 1 and K elements. */
typedef struct nb_part {
  nb_role role;
  int layer;   /* -1: outside of the layers */
  int expert;  /* -1: none */
  bool matrix; /* else a vector: a norm or a bias */
  size_t N, K;
  size_t site; /* of a matrix: where its inputs come from, below nb_parts_sites; the embedding has none (0) */
} nb_part;

/* The list: all tensors in the order of the forward pass, which is the order in a .nbl file. The matrices are numbered:
 * those of layer 0, of layer 1, ..., then the embedding, then the head when it is one of its own. */
typedef struct nb_parts {
  nb_part *part; /* (n) */
  size_t n;
  size_t *matrix; /* (n_matrices) which part each is */
  size_t n_matrices;
  uint32_t roles;     /* bit r: there is a tensor of role r */
  size_t per_layer;   /* matrices of a layer: layer l has the numbers l * per_layer and on */
  size_t embed, head; /* their numbers; head is embed when they are tied */
} nb_parts;

/* Ends with nb_parts_free. The configuration has been checked. */
nb_status nb_parts_create(const nb_config *c, nb_parts *out, nb_err *err);
void nb_parts_free(nb_parts *p);

/* Whether there is a tensor of this role. */
static inline bool nb_parts_has(const nb_parts *p, nb_role r) { return p->roles >> r & 1; }
/* Matrix i < n_matrices. */
const nb_part *nb_parts_matrix(const nb_parts *p, size_t i);
/* The number of a layer's first matrix. */
size_t nb_parts_first(const nb_parts *p, size_t layer);

/* How many sites a layer has: NB_SITES, and two for each expert: NB_SITES + 2 e feeds the gate and up of expert e,
 * NB_SITES + 2 e + 1 its down. (With experts NB_SITE_FFN feeds the router alone, and NB_SITE_DOWN nothing.) */
size_t nb_parts_sites(const nb_config *c);
/* Inputs of a site. */
size_t nb_parts_site_inputs(const nb_config *c, size_t site);
/* The expert of a site, or -1. */
int nb_parts_site_expert(size_t site);

/* "layer 3 up", "layer 3 expert 2 up", "the embedding": for messages. */
char *nb_part_describe(const nb_part *p, char out[64]);
/* "layers.3.up", "layers.3.experts.2.up", "embed": for listings. */
char *nb_part_path(const nb_part *p, char out[64]);

/* What tensors are summed up by in listings: "q, k, v", "experts' gate, up", "norms", ...; all of them, and a part's.
 */
enum { NB_PART_CLASSES = 11 };
extern const char *const nb_part_class_names[NB_PART_CLASSES];
size_t nb_part_class(const nb_part *p);

#endif
