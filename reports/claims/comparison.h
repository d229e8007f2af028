/* How a run tests a claim: settings of which one should be better than the other on the same model (`run: {compare: ...}`). */
#ifndef PB_REPORTS_CLAIMS_COMPARISON_H
#define PB_REPORTS_CLAIMS_COMPARISON_H

#include "core/base/yaml.h"
#include "core/store/row.h"

/* {better: SETTING, worse: SETTING, same: [names], metric: [names], bits_within: number, equivalent: yes}. A setting is {quantizer: names,
 * OPTION: values, ...}; wbits is an option, too. Names in `same` are options or wbits that both must have alike. */
struct pb_claim_comparison {
	const struct pb_yaml *better, *worse, *same, *metric;
	double bits_within;         /* of effective bits; infinite: any */
	bool equivalent;            /* neither should be worse by more than the margin */
};
/* `run` of a claim: {how: text, compare: ...}. *has: whether it has a comparison. */
enum pb_status pb_claim_comparison_parse(struct pb_claim_comparison *out, bool *has, const struct pb_yaml *run, struct pb_error *err) PB_MUST_CHECK;

/* Whether the row is of the setting, or of a metric that is compared. options: of the row, an object. */
bool pb_setting_fits(const struct pb_yaml *setting, const struct pb_row *row, const json_t *options);
bool pb_claim_comparison_has_metric(const struct pb_claim_comparison *c, const char *metric);
/* Whether two rows are alike in what `same` names. */
bool pb_claim_comparison_alike(const struct pb_claim_comparison *c, const struct pb_row *a, const json_t *a_options, const struct pb_row *b, const json_t *b_options);

/* What measured rows say of a claim. */
enum pb_reproduction { PB_NOT_MEASURED, PB_REPRODUCED, PB_UNDERPOWERED, PB_PROTOCOL_DIFFERS, PB_OFF_BY, PB_CONTRADICTED, PB_REPRODUCTIONS };
const char *pb_reproduction_name(enum pb_reproduction r);   /* "REPRODUCED", ... */
struct pb_measured_line {
	enum pb_reproduction verdict;
	const char *what;
};
struct pb_measured {
	enum pb_reproduction verdict;
	const char *reason;
	struct pb_measured_line *lines; /* one a pair of settings or a published number that has a counterpart */
	size_t n;
};

#endif
