/* The study of trained methods: from rows to settings over seeds, to comparisons, to verdicts on what the ParetoQ paper found.
 *
 * A setting is all rows of one model and label on one backend; its numbers are means over seeds. Trained settings differ by chance;
 * how much is the standard deviation over seeds, s, pooled over all settings with several seeds and as many tokens, or over all with
 * several seeds where there is none such. A mean over n seeds has the standard error s / sqrt(n), and what is not trained has none. A
 * difference of two means is clear when it is larger than two of its standard errors; where s is not known, none is.
 * A finding is a set of comparisons of one form. It is seen when none is clearly against it and at least half are clearly for it; not seen
 * when at least one is clearly against it and no fewer than are for it; else unclear. */
#ifndef PB_REPORTS_STUDY_H
#define PB_REPORTS_STUDY_H

#include "core/store/row.h"
#include "reports/section.h"

enum pb_study_grid { PB_GRID_AUTO, PB_GRID_SEQ, PB_GRID_LSQ };

struct pb_study_number {
	size_t n;                       /* seeds, or seeds and tasks */
	double mean, squares;           /* of deviations from the mean, summed */
};
struct pb_study_setting {
	const char *model, *label, *backend, *quantizer;
	const char *recipe;             /* the sweep has trained the model by it; "": it has not */
	double params, bits, weight_bytes;
	double tokens;                  /* trained on by the method; 0: it is not trained */
	double tokens_before;           /* of the recipe's training; NaN: none */
	enum pb_study_grid grid;
	bool trains, init_mse;          /* of paretoq */
	bool per_row;                   /* one scale a row, or fewer */
	struct pb_study_number nll, movement, accuracy, chance;
	double nll_error, movement_error;   /* standard errors; 0: not trained; NaN: not known */
	double accuracy_variance;       /* sum over tasks and seeds */
};
struct pb_study {
	struct pb_arena *arena;
	struct pb_study_setting *settings;  /* in the order of rows */
	size_t n;
	const char *task;               /* of nll */
	double deviation;               /* s of nll over all settings with several seeds; NaN: there is none */
};

/* Strings are the rows'. Rows that are not ok do not count. */
enum pb_status pb_study_read(struct pb_study *out, const struct pb_rows *rows, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
/* Whether there is a study in it: paretoq trained at three widths or more on some model. */
bool pb_study_is_there(const struct pb_study *study);

/* ---- what is looked up ---- */

/* paretoq as published, on a model that is there: trained, its own grid, the paper's first scales, most tokens. NULL: none. */
const struct pb_study_setting *pb_study_main(const struct pb_study *study, const char *model, double bits);
/* The same with so many tokens; of any quantizer. */
const struct pb_study_setting *pb_study_at(const struct pb_study *study, const char *model, const char *quantizer, double bits, double tokens);
/* Rounding alone: paretoq's grid with the scales of the least squared error. */
const struct pb_study_setting *pb_study_rounded(const struct pb_study *study, const char *model, double bits);
/* Full precision as it is. */
const struct pb_study_setting *pb_study_full(const struct pb_study *study, const char *model);
/* Names of models that are there, by size. */
size_t pb_study_models(const struct pb_study *study, const char **names, size_t most);

/* ---- findings ---- */

enum pb_study_verdict { PB_STUDY_SEEN, PB_STUDY_NOT_SEEN, PB_STUDY_UNCLEAR };
struct pb_study_finding {
	const char *part, *text;        /* "a", what the paper found */
	size_t n_for, n_against, n_open;
	double worst;                   /* the comparison most against it, as a difference in its favour */
	const char *unit;               /* of that */
	const char *where;              /* and its place */
};
enum pb_study_verdict pb_study_judge(const struct pb_study_finding *finding);
extern const char *const pb_study_verdict_names[];
#define PB_STUDY_FINDINGS 16
/* Those with any comparison. Texts are constants or in the study's arena. */
size_t pb_study_findings(const struct pb_study *study, struct pb_study_finding out[PB_STUDY_FINDINGS]);

/* The part of a report. The study must outlive it. */
void pb_study_section(struct pb_section *out, const struct pb_study *study);

#endif
