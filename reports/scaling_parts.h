/* What the parts of the section on scaling laws share: groups of fits, cells of tables, lines and points of charts. */
#ifndef PB_REPORTS_SCALING_PARTS_H
#define PB_REPORTS_SCALING_PARTS_H

#include "reports/scaling.h"

/* Fits of one front and law follow one another. */
struct pb_law_group {
	const struct pb_law_fit *first;
	size_t n, n_fitted;
};
struct pb_law_group pb_law_group_at(const struct pb_scaling *scaling, size_t i);

/* Family, label and number of points; three columns. */
void pb_law_identity(struct pb_section_table *table, const struct pb_law_fit *f);
/* Estimate and interval of a parameter; an end that was not found is the end of the range for a plain one. */
void pb_law_parameter(struct pb_section_table *table, const struct pb_law_fit *f, unsigned k);
/* All parameters of all fits. */
void pb_law_parameters(struct pb_section *section, const struct pb_law_group *g);
void pb_law_number(struct pb_section_table *table, double value, const char *format);   /* "n/a" when it is not finite */
void pb_law_interval(struct pb_section_table *table, double value, double low, double high);
void pb_law_warnings(struct pb_section_table *table, unsigned warnings);
/* How well fits of losses do, beside their straight form (a "line", a "plane"); `what` they are of: "setting", "method". */
void pb_law_quality(struct pb_section *section, const struct pb_law_group *g, const char *what, const char *straight);
/* Why settings have no fit, each reason once with how many have it. */
void pb_law_reasons(struct pb_section *section, const struct pb_law_group *g);

/* A curve of a fit: its second variable stands still. */
struct pb_law_curve {
	const struct pb_law_fit *fit;
	double second;
	double wbits;                   /* points of this width alone; NaN: all */
	struct pb_chart_series style;   /* name, ink, shape */
};
/* The smallest and the largest x of its points. */
void pb_law_range(const struct pb_law_curve *curve, double *low, double *high);
/* Appends to series[*n]: the band of resamples (when asked for), the line over the points, its dashed continuation, and the points; or
 * the points' residuals alone. At most PB_LAW_SERIES. False when memory is out. */
#define PB_LAW_SERIES 4
bool pb_law_draw(struct pb_chart_series *series, size_t *n, const struct pb_law_curve *curve, bool band, bool residuals, struct pb_arena *arena);

/* Laws of methods of one front's losses by law, each a group or none: of precision, and both of degradation, which stand in the same order. */
void pb_law_methods(struct pb_section *section, const struct pb_scaling *scaling, const struct pb_law_group laws[PB_LAWS]);
/* The laws of data among them. */
void pb_law_with_data(struct pb_section *section, const struct pb_law_group laws[PB_LAWS]);

#endif
