/* SPDX-License-Identifier: MIT */
#include "formats/csv.h"
#include "test.h"

static nb_err err;

/* All rows as "field|field\n..." with the line of each row in front; the bytes are copied to a block of
 * exactly their size. NULL on failure. The caller frees it. */
static char *rows(const char *bytes, size_t n) {
  char *exact = malloc(n ? n : 1), *out = calloc(1, 16 * n + 64);
  memcpy(exact, bytes, n);
  nb_csv c;
  bool more = true;
  nb_status st = nb_csv_open(exact, n, "f.csv", &c, &err);
  while (st == NB_OK && (st = nb_csv_next(&c, &more, &err)) == NB_OK && more) {
    sprintf(out + strlen(out), "%zu:", c.row_line);
    for (size_t i = 0; i < c.n_fields; i++) sprintf(out + strlen(out), "%s%s", i ? "|" : "", c.fields[i]);
    strcat(out, "\n");
  }
  nb_csv_close(&c);
  free(exact);
  if (st == NB_OK) return out;
  free(out);
  return NULL;
}

static void gives(const char *bytes, size_t n, const char *want) {
  char *have = rows(bytes, n);
  CHECK_MSG(have != NULL, "%s", err.msg);
  if (have) CHECK_STR(have, want);
  free(have);
}
#define GIVES(bytes, want) gives(bytes, sizeof(bytes) - 1, want)

static void refused(const char *bytes, size_t n, const char *message) {
  char *have = rows(bytes, n);
  CHECK_MSG(!have, "accepted %s", bytes);
  if (!have) CHECK_STR(err.msg, message);
  free(have);
}
#define REFUSED(bytes, message) refused(bytes, sizeof(bytes) - 1, message)

TEST(rows_and_fields) {
  GIVES("", "");
  GIVES("a", "1:a\n");
  GIVES("a,b\nc,d\n", "1:a|b\n2:c|d\n");
  GIVES("a,b\r\nc,d\r\n", "1:a|b\n2:c|d\n");
  GIVES("a,b\rc,d", "1:a|b\n2:c|d\n");
  GIVES("a,,b,\n,\n", "1:a||b|\n2:|\n");
  GIVES("\n\r\na\n\n\nb\n\n", "3:a\n6:b\n");
  GIVES("\xef\xbb\xbf"
        "a,b",
        "1:a|b\n");
  GIVES(" a , b ", "1: a | b \n");
  GIVES("\"\"", "1:\n");
}

TEST(quotes) {
  GIVES("\"a,b\",\"c\"", "1:a,b|c\n");
  GIVES("\"he said \"\"no\"\"\",x", "1:he said \"no\"|x\n");
  GIVES("\"\"\"\"", "1:\"\n");
  GIVES("a\"b\",c", "1:a\"b\"|c\n"); /* as Python's csv has it */
  GIVES("\"l1\nl2\r\nl3\",x\ny\n", "1:l1\nl2\r\nl3|x\n4:y\n");
  GIVES("\"\",\"\"\n", "1:|\n");
}

TEST(refuses) {
  REFUSED("a,b\nc,\"d\n\ne", "f.csv:2: a quoted field begins here and never ends");
  REFUSED("a\n\"b\"c,d", "f.csv:2: text behind the closing quote of a field (double the quotes inside it)");
  REFUSED("a,b\0c", "f.csv:1: a NUL byte");
  REFUSED("x\n\"a\nb\0c\"", "f.csv:3: a NUL byte");
  REFUSED("\"", "f.csv:1: a quoted field begins here and never ends");
}

TEST(fields_live_until_the_end) {
  nb_csv c;
  bool more;
  CHECK_OK(nb_csv_open("a,b\nlonger text,d\n", 18, "f.csv", &c, &err));
  CHECK_OK(nb_csv_next(&c, &more, &err));
  const char *a = c.fields[0], *b = c.fields[1];
  CHECK_OK(nb_csv_next(&c, &more, &err));
  CHECK(more && !strcmp(a, "a") && !strcmp(b, "b") && !strcmp(c.fields[0], "longer text"));
  CHECK_OK(nb_csv_next(&c, &more, &err));
  CHECK(!more);
  CHECK_OK(nb_csv_next(&c, &more, &err));
  CHECK(!more && c.n_fields == 0);
  nb_csv_close(&c);
  nb_csv_close(&c);
}

/* Whatever rows are written, with every field quoted or not, is read back. */
TEST(random_round_trip) {
  static const char alphabet[] = "ab\",\n\r x";
  unsigned seed = (unsigned)test_seed(3);
  for (int round = 0; round < 3000; round++) {
    char text[4096], want[4096];
    size_t n = 0, w = 0, line = 1;
    seed = seed * 1664525 + 1013904223;
    int n_rows = 1 + (int)(seed >> 8) % 4;
    for (int r = 0; r < n_rows; r++) {
      w += (size_t)sprintf(want + w, "%zu:", line);
      int n_fields = 2 + (int)(seed >> 12) % 3;
      for (int f = 0; f < n_fields; f++) {
        if (f) text[n++] = ',', want[w++] = '|';
        text[n++] = '"';
        for (int k = (int)(seed >> (4 + f)) % 9; k > 0; k--) {
          seed = seed * 1664525 + 1013904223;
          char ch = alphabet[(seed >> 10) % (sizeof alphabet - 1)];
          if (ch == '"') text[n++] = '"';
          bool joins = ch == '\n' && n && text[n - 1] == '\r'; /* CRLF is one break */
          if ((ch == '\n' && !joins) || ch == '\r') line++;
          text[n++] = ch, want[w++] = ch;
        }
        text[n++] = '"';
      }
      text[n++] = '\n', want[w++] = '\n', line++;
    }
    want[w] = 0;
    gives(text, n, want);
  }
}

TEST(survives_anything) {
  static const char alphabet[] = "a\",\n\r\0";
  unsigned seed = (unsigned)test_seed(5);
  for (int round = 0; round < 50000; round++) {
    char text[24];
    size_t n = (size_t)(round % 24);
    for (size_t i = 0; i < n; i++) {
      seed = seed * 1664525 + 1013904223;
      text[i] = alphabet[(seed >> 9) % (sizeof alphabet - (round % 2))];
    }
    free(rows(text, n));
  }
}

int main(void) {
  RUN(rows_and_fields);
  RUN(quotes);
  RUN(refuses);
  RUN(fields_live_until_the_end);
  RUN(random_round_trip);
  RUN(survives_anything);
  return test_end();
}
