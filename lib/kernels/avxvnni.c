/* SPDX-License-Identifier: MIT */
#include "kernels.h"

void nb_kernels_avxvnni(nb_kernels *k) { k->name = "avxvnni"; }
