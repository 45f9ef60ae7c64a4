/* SPDX-License-Identifier: MIT */
/* For the command-line tests: reads one JSON value from standard input, which must hold nothing else, and prints what
 * stands at a path such as "total.accuracy" or "questions.0.id" (strings bare, the rest as JSON).
 * usage: jsonq [PATH]   exit 1 when the input is no JSON or the path is not there */
#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  size_t n = 0, cap = 1 << 16, got;
  char *text = malloc(cap), *path = argc > 1 ? argv[1] : NULL;
  while (text && (got = fread(text + n, 1, cap - n - 1, stdin)) > 0)
    if ((n += got) > cap / 2) text = realloc(text, cap *= 2);
  if (!text) return 1;
  text[n] = 0;
  const char *end = NULL;
  const cJSON *j = cJSON_ParseWithOpts(text, &end, 1);
  if (!j) {
    fprintf(stderr, "jsonq: not JSON near: %.40s\n", end ? end : "");
    return 1;
  }
  for (char *key = path ? strtok(path, ".") : NULL; key && j; key = strtok(NULL, ".")) {
    if (cJSON_IsArray(j)) j = cJSON_GetArrayItem(j, atoi(key));
    else j = cJSON_GetObjectItemCaseSensitive(j, key);
    if (!j) {
      fprintf(stderr, "jsonq: no '%s'\n", key);
      return 1;
    }
  }
  if (!path) return 0;
  puts(cJSON_IsString(j) ? j->valuestring : cJSON_Print(j));
  return 0;
}
