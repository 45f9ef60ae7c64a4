/* SPDX-License-Identifier: MIT */
/* Pages that need nothing but themselves: data/report/NAME.html with what they share (page.css, page.js) and numbers in
 * it. pages.c is made by the Makefile. */
#ifndef NB_PAGE_H
#define NB_PAGE_H

#include "base/text.h"

typedef struct nb_page {
  const char *name; /* "report", "inspect" */
  const unsigned char *text;
  size_t n;
} nb_page;

extern const nb_page nb_pages[];
extern const size_t nb_n_pages;

/* Appends a page with the JSON where it says @DATA@, in a way that nothing in the JSON ends the script element. */
nb_status nb_page_fill(const char *name, const char *json, size_t n, nb_text *out, nb_err *err);

#endif
