/* SPDX-License-Identifier: MIT */
/* What `nibble quantize` does, apart from its options: from an open checkpoint to a .nbl file. */
#ifndef NB_QUANTIZE_H
#define NB_QUANTIZE_H

#include "quant/calib.h"
#include "formats/open.h"
#include "convert/resume.h"
#include "formats/safetensors.h"

#include <cJSON.h>

/* What the bits were chosen by, for the metadata: (n_matrices) each, by number. */
typedef struct nb_quantize_choice {
  double *probe_kl, *probe_error; /* as nb_sens_measure gives them */
  double *predicted;              /* KL divergence; -1: the format was given */
} nb_quantize_choice;

/* Tuning after quantizing; what became of it goes into the metadata. */
typedef struct nb_quantize_tune {
  size_t max_steps; /* as nb_tune_opts has them */
  double max_seconds, rate;
  size_t steps, kept; /* as nb_tuned has them */
  double before, after;
} nb_quantize_tune;

typedef struct nb_quantize_job {
  const nb_opened *model;     /* a checkpoint, with its tokenizer */
  const char *out;            /* the file */
  nb_qfmt *formats;           /* (n_matrices) by number; bits 0: left as it is */
  nb_calib_opts calib;        /* put, resume and ctx are set by nb_quantize_run */
  bool fast;                  /* no calibration: only calib's threads and progress count */
  struct nb_resume *resume;   /* where finished matrices are kept, or NULL */
  cJSON *recipe;              /* how it is done, for the metadata (borrowed) */
  const cJSON *origin;        /* what it is calibrated on, likewise; NULL: nothing */
  nb_quantize_choice *choice; /* NULL: no budget */
  nb_quantize_tune *tune;     /* NULL: none */
  char *untuned;              /* with tune: the file that nb_quantize_run writes, for nb_tune_file_run */
  nb_hash *hash;              /* (tensors of the checkpoint) where `hashed`: allocated and filled on the way; */
  bool *hashed;               /* the caller frees both */
  nb_quantized *report;       /* (n_matrices) filled with what became of each matrix (data and layer are NULL) */
  uint64_t file_bytes;        /* filled by nb_quantize_size */
} nb_quantize_job;

/* Hashes the whole checkpoint, each tensor that was not yet. */
nb_status nb_quantize_hash(nb_quantize_job *j, nb_err *err);
/* The provenance's "sources": name, size and hash of each file. Without j->hash zeros stand for the hashes. */
nb_status nb_quantize_sources(const nb_quantize_job *j, cJSON **out, nb_err *err);

/* The exact size of the file. */
nb_status nb_quantize_size(nb_quantize_job *j, nb_err *err);
/* What the result depends on, but for the formats: the recipe, the calibration tokens, the sources by their sizes,
 * times and pages of every tensor. */
void nb_quantize_signature(const nb_quantize_job *j, uint8_t out[16]);
/* Does it, but for tuning. */
nb_status nb_quantize_run(nb_quantize_job *j, nb_err *err);

/* The metadata with all numbers, of the planned size; released with free. */
nb_status nb_quantize_meta(const nb_quantize_job *j, char **out, nb_err *err);

/* Stored bits a weight over the linears of the layers. */
double nb_quantize_linear_bpw(const nb_parts *parts, const nb_qfmt *formats);

#endif
