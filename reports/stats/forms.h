/* Scaling-law forms: what a loss, a degradation or an accuracy is as a function of parameters, tokens and bits.
 *
 * A form predicts one number from at most three variables and a few parameters, with its gradient in the parameters. Most
 * forms predict the natural logarithm of what was measured, so that residuals are relative errors; `formula` is what is
 * stored with a fit, since printed laws differ in terms that change their predictions (a sign, an offset, a chance level). */
#ifndef PB_REPORTS_STATS_FORMS_H
#define PB_REPORTS_STATS_FORMS_H

#include <stdbool.h>
#include <stddef.h>

#define PB_FORM_VARIABLES 3
#define PB_FORM_PARAMETERS 6

/* How a variable enters: the optimizer sees the transformed one. */
enum pb_transform { PB_PLAIN, PB_LN, PB_LOG2, PB_LN_LOG2 };

struct pb_form_variable {
	const char *name;               /* "params", "tokens", "bits", "total_bits", "chance", "group_size" */
	enum pb_transform transform;
};

struct pb_form_parameter {
	const char *name;               /* as in the formula: "A" */
	bool is_log;                    /* the optimizer's parameter is ln of it; bounds are of the optimizer's */
	double lower, upper;
};

/* What starts and bounds are made from. */
struct pb_form_data {
	size_t n;
	const double *x;                /* (n, n_variables), transformed */
	const double *target;           /* n: ln of the measured value, or the value */
};

struct pb_form {
	const char *name, *formula, *source;
	unsigned n_variables, n_parameters;
	struct pb_form_variable variables[PB_FORM_VARIABLES];
	struct pb_form_parameter parameters[PB_FORM_PARAMETERS];
	bool is_log;                    /* predicts ln of the value */
	/* x: transformed. gradient (n_parameters) may be NULL. */
	double (*predict)(const double *theta, const double *x, double *gradient);
	size_t n_starts;
	void (*start)(const struct pb_form_data *data, size_t index, double *theta);
	void (*bounds)(const struct pb_form_data *data, double *lower, double *upper);  /* NULL: those of the table */
};

extern const struct pb_form *const pb_forms[];  /* by name */
extern const size_t pb_n_forms;
const struct pb_form *pb_form_find(const char *name);               /* NULL when there is none */

/* The variable as the optimizer sees it; NaN when it has no logarithm. */
double pb_form_transform(enum pb_transform transform, double value);
/* A parameter as the formula shows it. */
double pb_form_shown(const struct pb_form *form, unsigned parameter, double theta);

/* Parameters and tokens that give the least loss of the form "chinchilla" for compute = 6 N D. */
void pb_chinchilla_optimum(const double *theta, double compute, double *params, double *tokens);
/* Factor on the parameters of a full-precision model that would have the loss, by the form "power": (A / (loss - E))^(1/alpha) / N.
 * NaN when the loss is not above E. */
double pb_effective_parameters(const double *theta, double params, double loss);
/* N_eff / N of the forms "precision" and "precision_data" at so many bits. */
double pb_precision_share(const struct pb_form *form, const double *theta, double bits);

#endif
