/* SPDX-License-Identifier: MIT */
/* What `nibble quantize` does, apart from its options: from an open checkpoint to a .nbl file. */
#ifndef NB_QUANTIZE_H
#define NB_QUANTIZE_H

#include "calib.h"
#include "open.h"
#include "resume.h"
#include "safetensors.h"

#include <cJSON.h>

/* What the bits were chosen by, for the metadata: (layers * NB_SLOTS + 2) each, the slices, the embedding, the head. */
typedef struct quantize_choice {
  double *probe_kl, *probe_error; /* as nb_sens_measure gives them */
  double *predicted;              /* KL divergence; -1: the format was given */
} quantize_choice;

/* Tuning after quantising; what became of it goes into the metadata. */
typedef struct quantize_tune {
  size_t max_steps; /* as nb_tune_opts has them */
  double max_seconds, rate;
  size_t steps, kept; /* as nb_tuned has them */
  double before, after;
} quantize_tune;

typedef struct quantize_job {
  const nb_opened *model; /* a checkpoint, with its tokenizer */
  const char *out;        /* the file */
  nb_formats formats;
  nb_calib_opts calib;     /* put, resume and ctx are set by quantize_run */
  bool fast;               /* no calibration: only calib's threads and progress count */
  struct resume *resume;   /* where finished layers are kept, or NULL */
  cJSON *recipe;           /* how it is done, for the metadata (borrowed) */
  const cJSON *origin;     /* what it is calibrated on, likewise; NULL: nothing */
  quantize_choice *choice; /* NULL: no budget */
  quantize_tune *tune;     /* NULL: none */
  char *untuned;           /* with tune: the file that quantize_run writes, for tune_run */
  nb_hash *hash; /* (tensors of the checkpoint) where `hashed`: allocated and filled on the way; the caller frees both */
  bool *hashed;
  nb_quantised *report;    /* (layers * NB_SLOTS + 2) filled with what became of each matrix (data is NULL): the slices,
                            * the embedding, the head */
  uint64_t file_bytes;     /* filled by quantize_size */
} quantize_job;

/* Hashes the whole checkpoint, each tensor that was not yet. */
nb_status quantize_hash(quantize_job *j, nb_err *err);
/* The provenance's "sources": name, size and hash of each file. Without j->hash zeros stand for the hashes. */
nb_status quantize_sources(const quantize_job *j, cJSON **out, nb_err *err);

/* The exact size of the file. */
nb_status quantize_size(quantize_job *j, nb_err *err);
/* What the result depends on, but for the formats: the recipe, the calibration tokens, the sources by their sizes, times
 * and pages of every tensor. */
void quantize_signature(const quantize_job *j, uint8_t out[16]);
/* Does it, but for tuning. */
nb_status quantize_run(quantize_job *j, nb_err *err);

/* The metadata with all numbers, of the planned size; released with free. */
nb_status quantize_meta(const quantize_job *j, char **out, nb_err *err);

/* Stored bits a weight over the linears of the layers. */
double quantize_linear_bpw(const nb_config *c, const nb_formats *f);

#endif
