/* Distillation: a network in training learns from a teacher of the same shape, its full-precision model, which passes over the
 * same tokens. p, q: distributions of the next token of teacher and student; t_l, s_l: their states of a token (0: the
 * embedding, l: the output of layer l - 1), each divided by its length. The two forms of OneBit's losses:
 *
 *               logits                                          states
 *   CODE        sum over a sequence's tokens of KL(p || q),     sum over l = 0 .. L - 1 of the mean over the tokens of
 *               mean over the sequences                         |t_l - s_l|^2
 *   PAPER       mean over the tokens of -sum p ln q             sum over the tokens and l = 1 .. L of |t_l - s_l|^2
 *
 * Sequences and tokens are those of an update, all its micro-batches. Source: arXiv:2402.11295, equations 7 to 9, and
 * xuyuzhuang11/OneBit, kd.py, which is what made the published models and differs. */
#ifndef PB_BACKENDS_TRAIN_DISTILL_H
#define PB_BACKENDS_TRAIN_DISTILL_H

#include "backends/train/train.h"

enum pb_distillation_form { PB_DISTILL_CODE, PB_DISTILL_PAPER };

struct pb_distillation {
	enum pb_distillation_form form;
	double targets;                 /* factor of the cross-entropy against the text's own tokens */
	double logits, states;          /* factors of the two terms */
};

struct pb_distiller;

/* Gives the trainer its losses; the teacher's weights are read, the trainer is closed first. */
enum pb_status pb_distiller_open(struct pb_distiller **out, const struct pb_distillation *d, const struct pb_model *teacher, struct pb_trainer *student,
	struct pb_error *err) PB_MUST_CHECK;
void pb_distiller_close(struct pb_distiller *d);            /* NULL is fine */

#endif
