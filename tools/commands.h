/* SPDX-License-Identifier: MIT */
/* The commands: each lives in tools/cmd_<name>.c and has one line in nibble.c's table. */
#ifndef NB_COMMANDS_H
#define NB_COMMANDS_H

/* argv[0] is the command's name. Returns the exit code. */
int cmd_bench(int argc, char **argv);
int cmd_calibrate(int argc, char **argv);
int cmd_chat(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_gate(int argc, char **argv);
int cmd_generate(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_join(int argc, char **argv);
int cmd_kld(int argc, char **argv);
int cmd_merge(int argc, char **argv);
int cmd_pack(int argc, char **argv);
int cmd_ppl(int argc, char **argv);
int cmd_probe(int argc, char **argv);
int cmd_quantize(int argc, char **argv);
int cmd_reproduce(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_split(int argc, char **argv);
int cmd_tokenize(int argc, char **argv);
int cmd_unpack(int argc, char **argv);
int cmd_verify(int argc, char **argv);

#endif
