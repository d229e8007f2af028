/* Scaling laws of what was measured: for each setting that was run on enough sizes of one model family, its loss as a power law
 * of the parameters, its accuracy as a saturating curve of the model's bits; for each method that was run at several widths, how
 * its loss rises above full precision's. */
#ifndef PB_REPORTS_SCALING_H
#define PB_REPORTS_SCALING_H

#include "reports/front.h"
#include "reports/section.h"
#include "reports/stats/fit.h"

#define PB_SCALING_SIZES 4          /* fewer different sizes: no fit */
#define PB_SCALING_RESAMPLES 200
#define PB_SCALING_MANY 150         /* of more settings of a front, those are fitted that have a point on it */

/* Name of the model family: the model's name without what tells its size ("micro-xxs": micro; "llama-3.2-1b": llama-3.2;
 * "micro-s-long": micro-long; "stories260K": stories). */
void pb_model_family(const char *model, struct pb_text *out);

enum pb_law { PB_LAW_LOSS, PB_LAW_ACCURACY, PB_LAW_DEGRADATION, PB_LAW_DEGRADATION_EXP };

struct pb_law_fit {
	enum pb_law law;
	const struct pb_front *front;
	const char *family, *label;         /* of degradations: the method, without its width */
	const struct pb_form *form;
	size_t n, n_sizes, n_left_out;      /* points; different sizes; points without params, or whose loss did not rise */
	size_t n_on_front;                  /* points that are on the front of sizes */
	const struct pb_point **points;     /* n, by params, then value */
	double *x, *y, *errors;             /* (n, n_variables), (n), (n): standard errors, NaN when there are none */
	const char *reason;                 /* why there is no fit, or NULL */
	/* With a fit: */
	struct pb_fit fit;
	double *thetas;                     /* resamples (PB_SCALING_RESAMPLES, n_parameters) */
	double boot_low[PB_FORM_PARAMETERS], boot_high[PB_FORM_PARAMETERS];
	size_t n_boot_failed;
	struct pb_held_out held, held_straight; /* n is 0: not done. straight: by a line in log-log, of losses */
	double aicc, aicc_straight;         /* NaN: too few points. Of degradations, aicc alone */
	double effective_params, effective_per_bit; /* of losses: see pb_effective_parameters, geometric mean; the second times 16 / bits; NaN */
};

struct pb_scaling {
	struct pb_arena *arena;             /* of the caller */
	struct pb_law_fit *fits;            /* by front, law, family, label */
	size_t n;
};

/* The fronts must outlive it. */
enum pb_status pb_scaling_make(struct pb_scaling *out, const struct pb_fronts *fronts, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
void pb_scaling_free(struct pb_scaling *scaling);
/* fits.csv: a line for each parameter of each fit; one with a reason where there is none. */
enum pb_status pb_scaling_csv(const struct pb_scaling *scaling, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* What it needs later is copied into its arena, the scaling's; the scaling must outlive it all the same. */
void pb_scaling_section(struct pb_section *out, const struct pb_scaling *scaling);

#endif
