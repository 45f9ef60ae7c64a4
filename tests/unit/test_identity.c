/* SPDX-License-Identifier: MIT */
/* A model's identity is its weights, wherever they lie and whatever the folder is called. */
#include "test.h"

#include "eval/identity.h"
#include "tempdir.h"

static nb_err err;

static nb_status facts(const char *path, nb_model_facts *out) {
  nb_opened m;
  NB_TRY(nb_open(path, NB_OPEN_NO_TOKENIZER, 1, &m, &err));
  nb_status st = nb_identity_make(path, &m, NB_KV_Q8, out, &err);
  nb_opened_free(&m);
  return st;
}

static char *copy_of(const char *from, const char *name) {
  char *to = temp_path(name), command[1500];
  snprintf(command, sizeof command, "cp -R '%s' '%s'", from, to);
  CHECK(system(command) == 0);
  return to;
}

TEST(weights_and_nothing_else) {
  const char *golden = "tests/golden/model/gqa_f16";
  nb_model_facts a, b;
  char *copy = copy_of(golden, "copy"), file[700];
  CHECK_OK(facts(golden, &a));
  CHECK_OK(facts(copy, &b));
  CHECK_STR(a.hash, b.hash);
  CHECK_STR(a.lineage, a.hash); /* a checkpoint's own */
  CHECK(strlen(a.hash) == 32 && a.file_bytes == b.file_bytes);
  CHECK_STR(a.kv, "q8");
  CHECK_STR(b.name, copy);
  CHECK(a.bits > 16 && a.bits < 17); /* 16 and the header */
  snprintf(file, sizeof file, "%s/model.safetensors", copy);
  FILE *f = fopen(file, "r+b");
  CHECK(f && fseek(f, -2, SEEK_END) == 0);
  int last = fgetc(f);
  CHECK(fseek(f, -2, SEEK_END) == 0 && fputc(last ^ 1, f) >= 0 && fclose(f) == 0);
  CHECK_OK(facts(copy, &b));
  CHECK(strcmp(a.hash, b.hash));
  CHECK_OK(facts("tests/golden/model/sharded", &b));
  CHECK(strcmp(a.hash, b.hash));
  free(copy);
}

int main(void) {
  RUN(weights_and_nothing_else);
  temp_remove();
  return test_end();
}
