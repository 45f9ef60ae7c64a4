/* SPDX-License-Identifier: MIT */
/* For the command-line tests: reads one JSON value from standard input, which must hold nothing else, and prints what
 * stands at a path such as "total.accuracy" or "questions.0.id" (strings bare, the rest as JSON).
 * usage: jsonq [PATH]   exit 1 when the input is no JSON or the path is not there */
#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_all(FILE *f) {
  size_t n = 0, cap = 1 << 16, got;
  char *text = malloc(cap), *more;
  while (text && (got = fread(text + n, 1, cap - n - 1, f)) > 0) {
    n += got;
    if (n <= cap / 2) continue;
    if (!(more = realloc(text, cap *= 2))) free(text);
    text = more;
  }
  if (text) text[n] = 0;
  return text;
}

/* Prints what stands at the path, which is cut to pieces; 0, or 1 when it is not there. */
static int print_at(const cJSON *j, char *path) {
  for (char *key = strtok(path, "."); key; key = strtok(NULL, ".")) {
    j = cJSON_IsArray(j) ? cJSON_GetArrayItem(j, atoi(key)) : cJSON_GetObjectItemCaseSensitive(j, key);
    if (!j) return fprintf(stderr, "jsonq: no '%s'\n", key), 1;
  }
  char *text = cJSON_IsString(j) ? NULL : cJSON_Print(j);
  puts(text ? text : j->valuestring);
  cJSON_free(text);
  return 0;
}

int main(int argc, char **argv) {
  const char *end = NULL;
  char *text = read_all(stdin);
  cJSON *j = text ? cJSON_ParseWithOpts(text, &end, 1) : NULL;
  int code = j ? 0 : 1;
  if (!j) fprintf(stderr, "jsonq: not JSON near: %.40s\n", end ? end : "");
  else if (argc > 1) code = print_at(j, argv[1]);
  cJSON_Delete(j);
  free(text);
  return code;
}
