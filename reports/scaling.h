/* Scaling laws of what was measured: for each setting that was run on enough sizes of one model family, its loss as a power law
 * of the parameters, its accuracy as a saturating curve of the model's bits (of the parameters where sizes are not known); for each
 * method that was run at several widths, its loss by parameters and bits, and how it rises above full precision's. */
#ifndef PB_REPORTS_SCALING_H
#define PB_REPORTS_SCALING_H

#include "reports/scaling_items.h"
#include "reports/section.h"
#include "reports/stats/fit.h"

#define PB_SCALING_SIZES 4          /* fewer different sizes: no fit */
#define PB_SCALING_RESAMPLES 200
#define PB_SCALING_MANY 150         /* of more settings of a front, those are fitted that have a point on it */

/* Those of data are of families that have models of one size trained on different numbers of tokens. */
enum pb_law {
	PB_LAW_LOSS, PB_LAW_ACCURACY, PB_LAW_PRECISION, PB_LAW_DEGRADATION, PB_LAW_DEGRADATION_EXP,
	PB_LAW_DATA, PB_LAW_PRECISION_DATA, PB_LAW_DEGRADATION_DATA, PB_LAW_DEGRADATION_DATA_EXP, PB_LAWS
};
bool pb_law_is_of_method(enum pb_law law);  /* all widths of a method in one fit; else of one setting */
bool pb_law_is_of_precision(enum pb_law law);
bool pb_law_is_of_data(enum pb_law law);

/* A share of the parameters, of a setting over its sizes: those of a full-precision model with as low a loss, over its own. */
struct pb_multiplier {
	double share;                       /* geometric mean over the sizes; NaN: no law of full precision, or a loss below what it can reach */
	double low, high;                   /* 95 %, by resampled laws of full precision and normal errors of the losses */
	double least, most;                 /* over the sizes */
	double per_bit;                     /* geometric mean of share * 16 / bits: above 1 when full precision of equal weight memory is worse */
	double bits;                        /* effective, mean over the sizes */
};

struct pb_law_fit {
	enum pb_law law;
	const struct pb_front *front;
	const char *family, *label;         /* of a law of a method: the method, without its width */
	const struct pb_form *form;
	bool is_full;                       /* of full precision */
	size_t n, n_sizes, n_left_out;      /* points; different sizes; points without a variable, or whose loss did not rise */
	size_t n_full;                      /* of a law of precision: points of full precision among them */
	size_t n_on_front;                  /* points that are on the front of sizes */
	const struct pb_scaling_item **items;   /* n, by params, then value */
	double *x, *y, *errors;             /* (n, n_variables), (n), (n): standard errors, NaN when there are none */
	const char *reason;                 /* why there is no fit, or NULL */
	/* With a fit: */
	struct pb_fit fit;
	double *thetas;                     /* resamples (PB_SCALING_RESAMPLES, n_parameters) */
	double boot_low[PB_FORM_PARAMETERS], boot_high[PB_FORM_PARAMETERS];
	size_t n_boot_failed;
	struct pb_held_out held, held_straight; /* without the largest size; n is 0: not done. straight: by a line or a plane in the logarithms, of losses */
	double aicc, aicc_straight;         /* NaN: too few points. Of degradations and accuracies, aicc alone */
	struct pb_multiplier effective;     /* of PB_LAW_LOSS */
};

struct pb_scaling {
	struct pb_arena *arena;             /* of the caller */
	struct pb_law_fit *fits;            /* by front, law, family, label */
	size_t n;
};

/* Whether a front has laws, and its law of settings. Losses: nll, and perplexities of tasks that have no nll when nothing has one.
 * Accuracies: the mean, or all when there is none. */
bool pb_scaling_is_wanted(const struct pb_fronts *fronts, const struct pb_front *front, enum pb_law *law);
/* The fronts must outlive it. */
enum pb_status pb_scaling_make(struct pb_scaling *out, const struct pb_fronts *fronts, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
void pb_scaling_free(struct pb_scaling *scaling);
/* Fills `effective` of the n fits of one front's losses. */
void pb_scaling_multipliers(struct pb_law_fit *fits, size_t n);
/* The law of precision of the setting's method; NULL: none is fitted. */
const struct pb_law_fit *pb_scaling_precision_of(const struct pb_scaling *scaling, const struct pb_law_fit *setting);
/* What the law of precision says of it at so many bits, with its interval by the resamples. */
void pb_scaling_share(const struct pb_law_fit *precision, double bits, double *share, double *low, double *high);
/* fits.csv: a line for each parameter of each fit; one with a reason where there is none. */
enum pb_status pb_scaling_csv(const struct pb_scaling *scaling, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* Where the loss is least for a compute of 6 N D, with 95 % of the resampled laws; of a law of full precision by parameters and tokens,
 * or of precision with tokens, whose bits are then taken as enough. */
struct pb_optimum {
	double params[3], tokens[3], ratio[3]; /* estimate, low, high; ratio: tokens a parameter */
	double loss;
};
struct pb_optimum pb_scaling_optimum(const struct pb_law_fit *data, double compute);
/* Whether the law has one: it is fitted, no parameter is at the end of its range, and all are identified. */
bool pb_scaling_has_optimum(const struct pb_law_fit *f);
/* Computes at which the optimum is told: that of the largest of its models, ten and a hundred times as much. FLOP. */
#define PB_SCALING_COMPUTES 3
void pb_scaling_computes(const struct pb_law_fit *data, double computes[PB_SCALING_COMPUTES]);
/* optimum.csv: a line for each compute of each law that has an optimum. */
enum pb_status pb_optimum_csv(const struct pb_scaling *scaling, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* multipliers.csv: a line for each setting that has one. */
enum pb_status pb_multipliers_csv(const struct pb_scaling *scaling, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* What it needs later is copied into its arena, the scaling's; the scaling must outlive it all the same. */
void pb_scaling_section(struct pb_section *out, const struct pb_scaling *scaling);

#endif
