#include "quantizers/quantizer.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/text.h"
#include "core/model/tensor.h"

/* The loaded plugins; their shared objects stay open. */
static const struct pb_quantizer **loaded;
static size_t n_loaded;

size_t pb_quantizer_count(void)
{
	return pb_n_quantizers + n_loaded;
}

const struct pb_quantizer *pb_quantizer_at(size_t i)
{
	if (i < pb_n_quantizers)
		return pb_quantizers[i];
	return i - pb_n_quantizers < n_loaded ? loaded[i - pb_n_quantizers] : NULL;
}

static const struct pb_quantizer *find_exact(const char *name)
{
	for (size_t i = 0; i < pb_quantizer_count(); i++)
		if (!strcmp(pb_quantizer_at(i)->name, name))
			return pb_quantizer_at(i);
	return NULL;
}

const struct pb_quantizer *pb_quantizer_find(const char *name, struct pb_error *err)
{
	const struct pb_quantizer *found = find_exact(name);
	if (found)
		return found;

	size_t n = pb_quantizer_count();
	const char **names = pb_alloc(n, sizeof *names);
	if (!names) {
		(void)pb_out_of_memory(err, "the names of the quantizers");
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		names[i] = pb_quantizer_at(i)->name;
	const char *near = pb_nearest(name, names, n);
	if (near) {
		(void)pb_fail(err, PB_USAGE, "unknown quantizer '%.60s'; did you mean '%s'?", name, near);
	} else {
		struct pb_text list = { 0 };
		for (size_t i = 0; i < n; i++)
			pb_text_printf(&list, "%s%s", i ? ", " : "", names[i]);
		(void)pb_fail(err, PB_USAGE, "unknown quantizer '%.60s'; the quantizers are %s", name, pb_text_c(&list));
		pb_text_free(&list);
	}
	pb_free(names);
	return NULL;
}

/* ---- checks of a plugin ---- */

static bool name_is_sound(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	size_t n = strlen(name);
	return n >= 1 && n <= 40 && strspn(name, allowed) == n;
}

static bool family_is_known(const char *family)
{
	static const char *const families[] = { "full precision", "k-bit", "ParetoQ", "OneBit", "SqueezeLLM", "VPTQ", "other" };
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if (!strcmp(family, families[i]))
			return true;
	return false;
}

static size_t option_bytes(enum pb_option_type type)
{
	switch (type) {
	case PB_OPTION_INT: return sizeof(int64_t);
	case PB_OPTION_REAL: return sizeof(double);
	case PB_OPTION_BOOL: return sizeof(bool);
	case PB_OPTION_CHOICE: return sizeof(int);
	case PB_OPTION_TEXT: return PB_OPTION_TEXT_BYTES;
	}
	return 0;
}

static enum pb_status check_options(const struct pb_quantizer *q, struct pb_error *err)
{
	if (!q->options)
		return pb_fail(err, PB_FAILED, "%s: no table of options (an empty one is PB_OPT_END alone)", q->name);
	for (const struct pb_option *o = q->options; o->name; o++) {
		size_t size = option_bytes(o->type);
		if (size == 0)
			return pb_fail(err, PB_FAILED, "%s: option %s: type %d is not known", q->name, o->name, (int)o->type);
		if (o->offset > q->options_size || size > q->options_size - o->offset || (o->type != PB_OPTION_TEXT && o->offset % size))
			return pb_fail(err, PB_FAILED, "%s: option %s: offset %zu does not fit a struct of %zu bytes",
				q->name, o->name, o->offset, q->options_size);
	}
	return pb_options_check(q->options, q->name, err);
}

static const char *missing_of_qat(const struct pb_qat *qat)
{
	const struct pb_transform_f32 *t = &qat->transform;
	return !t->n_parameters ? "qat.transform.n_parameters" : !t->start ? "qat.transform.start" : !t->forward ? "qat.transform.forward" :
		!t->backward ? "qat.transform.backward" : !qat->recipe ? "qat.recipe" : !qat->encode ? "qat.encode" : NULL;
}

enum pb_status pb_quantizer_check(const struct pb_quantizer *q, struct pb_error *err)
{
	/* First: behind another number the other members may mean something else. */
	if (q->abi != PB_QUANTIZER_ABI)
		return pb_fail(err, PB_UNSUPPORTED, "the plugin was made for ABI %u, this program has ABI %u\ncompile it again with this program's headers",
			q->abi, (unsigned)PB_QUANTIZER_ABI);
	if (!q->name || !*q->name)
		return pb_fail(err, PB_FAILED, "the plugin has no name");
	if (!name_is_sound(q->name))
		return pb_fail(err, PB_FAILED, "'%.60s': a name is 1 to 40 of a-z, 0-9 and _", q->name);

	const struct {
		const char *what, *text;
	} texts[] = { { "title", q->title }, { "source", q->source }, { "family", q->family }, { "help", q->help } };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (!texts[i].text || !*texts[i].text)
			return pb_fail(err, PB_FAILED, "%s: no %s", q->name, texts[i].what);
	if (!family_is_known(q->family))
		return pb_fail(err, PB_FAILED, "%s: family '%.40s' is not known; 'other' is for everything else", q->name, q->family);
	if (q->version == 0)
		return pb_fail(err, PB_FAILED, "%s: version 0; versions count from 1", q->name);

	const char *missing = !q->wbits ? "wbits" : !q->plan ? "plan" : q->qat ? missing_of_qat(q->qat) :
		!q->quantize && !q->program ? "quantize" : NULL;
	if (missing)
		return pb_fail(err, PB_FAILED, "%s: no hook %s", q->name, missing);
	if (!!q->qat + !!q->quantize + !!q->program > 1)
		return pb_fail(err, PB_FAILED, "%s: quantize, qat and program are ways for one thing; one of them is needed", q->name);
	return check_options(q, err);
}

/* ---- loading ---- */

/* The symbol's size tells a plugin from something else of that name, and keeps reads inside of it. */
static enum pb_status check_symbol_size(void *symbol, struct pb_error *err)
{
	Dl_info info;
	const ElfW(Sym) *entry = NULL;
	if (!dladdr1(symbol, &info, (void **)&entry, RTLD_DL_SYMENT) || !entry)
		return PB_OK;
	size_t needed = offsetof(struct pb_quantizer, abi) + sizeof(unsigned);
	const struct pb_quantizer *q = symbol;
	if (entry->st_size >= needed && q->abi == PB_QUANTIZER_ABI)
		needed = sizeof *q;
	if (entry->st_size < needed)
		return pb_fail(err, PB_FORMAT, "its symbol pb_plugin has %" PRIu64 " bytes; a struct pb_quantizer has %zu",
			(uint64_t)entry->st_size, sizeof *q);
	return PB_OK;
}

static enum pb_status add_plugin(void *object, struct pb_error *err)
{
	void *symbol = dlsym(object, "pb_plugin");
	if (!symbol)
		return pb_fail(err, PB_FORMAT, "there is no symbol pb_plugin in it");
	enum pb_status status = check_symbol_size(symbol, err);
	if (status != PB_OK)
		return status;
	const struct pb_quantizer *q = symbol;
	status = pb_quantizer_check(q, err);
	if (status != PB_OK)
		return status;
	if (find_exact(q->name))
		return pb_fail(err, PB_USAGE, "a quantizer named '%s' is there already", q->name);

	const struct pb_quantizer **grown = pb_realloc(loaded, n_loaded + 1, sizeof *grown);
	if (!grown)
		return pb_out_of_memory(err, "the list of plugins");
	loaded = grown;
	loaded[n_loaded++] = q;
	return PB_OK;
}

enum pb_status pb_quantizer_load(const char *path, struct pb_error *err)
{
	struct pb_error why;
	if (!pb_file_exists(path))
		return pb_fail(err, PB_MISSING, "plugin %s: there is no such file", path);
	/* Without a slash dlopen would look in the system's folders instead. */
	char *file = strchr(path, '/') ? pb_strdup(path) : pb_path_join("./", path);
	if (!file)
		return pb_out_of_memory(err, "the path of a plugin");
	void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	enum pb_status status;
	if (!object) {
		const char *text = dlerror();
		size_t n = strlen(file);
		if (!strncmp(text, file, n) && !strncmp(text + n, ": ", 2))
			text += n + 2;
		status = pb_fail(&why, PB_FORMAT, "it does not load: %s", text);
	} else {
		status = add_plugin(object, &why);
	}
	pb_free(file);
	if (status == PB_OK)
		return PB_OK;
	if (object)
		dlclose(object);
	return pb_fail(err, status, "plugin %s: %s", path, why.text);
}

/* ---- use ---- */

enum pb_status pb_quantizer_use_parse(struct pb_quantizer_use *out, const char *text, struct pb_error *err)
{
	const char *colon = strchr(text, ':');
	char *name = pb_strndup(text, colon ? (size_t)(colon - text) : strlen(text));
	if (!name)
		return pb_out_of_memory(err, "the name of a quantizer");
	struct pb_error why;
	const struct pb_quantizer *q = NULL;
	if (!*name)
		(void)pb_fail(&why, PB_USAGE, "quantizer '%.60s': no name; it reads NAME or NAME:option=value,...", text);
	else
		q = pb_quantizer_find(name, &why);
	pb_free(name);
	if (!q)
		return pb_fail(err, why.status, "%s", why.text);

	void *options = pb_alloc_zero(1, q->options_size);
	if (!options)
		return pb_out_of_memory(err, "the options of a quantizer");
	pb_options_default(q->options, options);
	enum pb_status status = pb_options_parse(q->options, options, q->name, colon ? colon + 1 : NULL, err);
	if (status != PB_OK) {
		pb_free(options);
		return status;
	}
	out->quantizer = q;
	out->options = options;
	return PB_OK;
}

void pb_quantizer_use_free(struct pb_quantizer_use *use)
{
	pb_free(use->options);
	use->options = NULL;
	use->quantizer = NULL;
}

/* A hook's sentence, or one in its place when it gave none. */
static enum pb_status pass_on(struct pb_error *err, enum pb_status status, const struct pb_error *why)
{
	return pb_fail(err, status, "%s", *why->text ? why->text : "the plugin failed and gave no reason");
}

enum pb_status pb_quantizer_plan(const struct pb_quantizer_use *use, const struct pb_quantize_job *job, uint64_t *bytes, struct pb_error *err)
{
	const struct pb_quantizer *q = use->quantizer;
	if (job->rows == 0 || job->cols == 0)
		return pb_fail(err, PB_UNSUPPORTED, "a matrix of %" PRIu32 " x %" PRIu32 " has no weights", job->rows, job->cols);
	struct pb_error why = { PB_OK, "" };
	uint64_t planned = 0;
	enum pb_status status = q->plan_job ? q->plan_job(use->options, job, &planned, &why) :
		q->plan(use->options, job->rows, job->cols, job->source_dtype, &planned, &why);
	if (status != PB_OK)
		return pass_on(err, status, &why);
	*bytes = planned;
	return PB_OK;
}

bool pb_quantizer_plan_is_bound(const struct pb_quantizer_use *use)
{
	return use->quantizer->plan_is_bound && use->quantizer->plan_is_bound(use->options);
}

unsigned pb_quantizer_needs(const struct pb_quantizer *q, const void *options)
{
	return q->needs ? q->needs(options) : PB_NEEDS_NOTHING;
}

static enum pb_status check_inputs(unsigned needs, const struct pb_quantize_job *job, struct pb_error *why)
{
	uint64_t n = (uint64_t)job->rows * job->cols;
	uint64_t bad = pb_count_not_finite(job->weights, n);
	if (bad)
		return pb_fail(why, PB_NUMERIC, "%" PRIu64 " of %" PRIu64 " weights are not finite", bad, n);
	if (needs & PB_NEEDS_ACTIVATIONS && !(job->second_moment && job->mean_abs))
		return pb_fail(why, PB_UNSUPPORTED, "it needs second moments of the inputs and was given none");
	if (needs & PB_NEEDS_CROSS && !job->cross_moment)
		return pb_fail(why, PB_UNSUPPORTED, "it needs moments across to the full-precision model and was given none");
	if (needs & PB_NEEDS_GRADIENTS && !job->gradient_sq)
		return pb_fail(why, PB_UNSUPPORTED, "it needs squared gradients and was given none");
	return PB_OK;
}

static enum pb_status check_result(const struct pb_quantizer_use *use, const struct pb_encoded *m, const struct pb_quantize_job *job, uint64_t planned,
	struct pb_error *why)
{
	const struct pb_quantizer *q = use->quantizer;
	bool is_bound = pb_quantizer_plan_is_bound(use);
	if (!m)
		return pb_fail(why, PB_FAILED, "the plugin said ok and gave no matrix");
	if (m->rows != job->rows || m->cols != job->cols)
		return pb_fail(why, PB_FAILED, "the plugin gave a matrix of %" PRIu32 " x %" PRIu32 " for one of %" PRIu32 " x %" PRIu32,
			m->rows, m->cols, job->rows, job->cols);
	enum pb_status status = pb_encoded_check(m, why);
	if (status != PB_OK)
		return pb_fail_prefix(why, "the plugin gave a matrix that is not sound");
	if (m->claimed_bytes && !q->program)
		return pb_fail(why, PB_FAILED, "the plugin claims a size of its own; sizes are counted");
	uint64_t bytes = pb_encoded_bytes(m);
	if (is_bound ? bytes > planned : bytes != planned)
		return pb_fail(why, PB_FAILED, "the plugin planned %s%" PRIu64 " bytes and stored %" PRIu64, is_bound ? "at most " : "", planned, bytes);
	return PB_OK;
}

/* ---- methods that are trained ---- */

struct pb_transform_f32 pb_quantizer_transform(const struct pb_quantizer_use *use)
{
	const struct pb_qat *qat = use->quantizer->qat;
	struct pb_transform_f32 transform = qat->transform;
	unsigned frozen = 0;
	transform.arg = use->options;
	if (qat->vary)
		qat->vary(use->options, &transform.post, &frozen);
	return transform;
}

unsigned pb_quantizer_frozen(const struct pb_quantizer_use *use)
{
	const struct pb_qat *qat = use->quantizer->qat;
	enum pb_post post = PB_POST_NONE;
	unsigned frozen = 0;
	if (qat->vary)
		qat->vary(use->options, &post, &frozen);
	return frozen;
}

static struct pb_parameter parameter_of(const struct pb_quantize_job *job)
{
	struct pb_parameter p = { .kind = PB_PARAMETER_MATRIX, .layer = job->layer, .slot = job->slot, .rows = job->rows, .cols = job->cols,
		.n = (size_t)job->rows * job->cols };
	snprintf(p.name, sizeof p.name, "%s", job->name);
	return p;
}

static enum pb_status check_finite(const char *what, const float *values, uint64_t n, struct pb_error *why)
{
	uint64_t bad = pb_count_not_finite(values, n);
	return bad ? pb_fail(why, PB_NUMERIC, "%" PRIu64 " of %" PRIu64 " %s are not finite", bad, n, what) : PB_OK;
}

/* What was trained is what is stored. */
static enum pb_status check_decoding(const struct pb_encoded *m, const float *trained, float *row, struct pb_error *why)
{
	for (uint32_t r = 0; r < m->rows; r++) {
		pb_encoded_decode(m, r, 1, row);
		for (uint32_t c = 0; c < m->cols; c++) {
			float there = trained[(size_t)r * m->cols + c];
			if (row[c] != there)
				return pb_fail(why, PB_FAILED, "the plugin stores %.9g in row %" PRIu32 ", column %" PRIu32 ", where %.9g was trained",
					(double)row[c], r, c, (double)there);
		}
	}
	return PB_OK;
}

static enum pb_status check_trained(const struct pb_transform_f32 *t, const struct pb_parameter *matrix, const float *latent, const float *parameters,
	const struct pb_encoded *m, struct pb_error *why)
{
	float *trained = pb_alloc(matrix->n, sizeof *trained), *row = pb_alloc(matrix->cols, sizeof *row);
	enum pb_status status = PB_OK;
	if (trained && row) {
		t->forward(t->arg, matrix, latent, parameters, trained);
		status = check_decoding(m, trained, row, why);
	} else {
		status = pb_out_of_memory(why, "weights");
	}
	pb_free(trained);
	pb_free(row);
	return status;
}

enum pb_status pb_quantizer_encode(const struct pb_quantizer_use *use, const struct pb_quantize_job *job, const float *latent, const float *parameters,
	struct pb_encoded **out, struct pb_error *err)
{
	struct pb_transform_f32 t = pb_quantizer_transform(use);
	struct pb_parameter matrix = parameter_of(job);
	struct pb_encoded *m = NULL;
	struct pb_error why = { PB_OK, "" };
	uint64_t planned = 0;
	enum pb_status status = pb_quantizer_plan(use, job, &planned, err);
	if (status != PB_OK)
		return status;
	status = check_finite("latent weights", latent, matrix.n, &why);
	if (status == PB_OK)
		status = check_finite("trained parameters (scales)", parameters, t.n_parameters(t.arg, matrix.layer, matrix.slot, matrix.rows, matrix.cols), &why);
	if (status == PB_OK)
		status = use->quantizer->qat->encode(use->options, &matrix, latent, parameters, &m, &why);
	if (status == PB_OK)
		status = check_result(use, m, job, planned, &why);
	if (status == PB_OK)
		status = check_trained(&t, &matrix, latent, parameters, m, &why);
	if (status != PB_OK) {
		pb_encoded_free(m);
		return pass_on(err, status, &why);
	}
	*out = m;
	return PB_OK;
}

/* As the matrix is before the first step. */
static enum pb_status encode_first(const struct pb_quantizer_use *use, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	struct pb_transform_f32 t = pb_quantizer_transform(use);
	struct pb_parameter matrix = parameter_of(job);
	float *latent = pb_alloc(matrix.n, sizeof *latent);
	float *parameters = pb_alloc_zero(t.n_parameters(t.arg, matrix.layer, matrix.slot, matrix.rows, matrix.cols), sizeof *parameters);
	enum pb_status status;
	if (latent && parameters) {
		memcpy(latent, job->weights, matrix.n * sizeof *latent);
		t.start(t.arg, &matrix, latent, parameters);
		status = pb_quantizer_encode(use, job, latent, parameters, out, err);
	} else {
		status = pb_out_of_memory(err, "weights");
	}
	pb_free(latent);
	pb_free(parameters);
	return status;
}

static enum pb_status run_nothing(const void *arg, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	(void)arg;
	(void)job;
	(void)out;
	return pb_fail(err, PB_UNSUPPORTED, "it is a program, which the harness runs");
}

enum pb_status pb_quantizer_run(const struct pb_quantizer_use *use, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	const struct pb_quantizer *q = use->quantizer;
	if (!q->qat)
		return pb_quantizer_run_by(use, q->program ? run_nothing : q->quantize, use->options, job, out, err);
	enum pb_status status = check_inputs(PB_NEEDS_NOTHING, job, err);
	return status == PB_OK ? encode_first(use, job, out, err) : status;
}

enum pb_status pb_quantizer_run_by(const struct pb_quantizer_use *use, pb_quantize_fn quantize, const void *arg, const struct pb_quantize_job *job,
	struct pb_encoded **out, struct pb_error *err)
{
	struct pb_error why = { PB_OK, "" };
	struct pb_encoded *m = NULL;
	uint64_t planned = 0;
	enum pb_status status = pb_quantizer_plan(use, job, &planned, err);
	if (status == PB_OK)
		status = check_inputs(pb_quantizer_needs(use->quantizer, use->options), job, err);
	if (status != PB_OK)
		return status;
	status = quantize(arg, job, &m, &why);
	if (status != PB_OK)
		return pass_on(err, status, &why);
	status = check_result(use, m, job, planned, &why);
	if (status != PB_OK) {
		pb_encoded_free(m);
		return pass_on(err, status, &why);
	}
	*out = m;
	return PB_OK;
}

enum pb_status pb_quantize_blocks(const struct pb_quantize_job *job, int64_t group_size, pb_fill_fn fill, const void *options,
	struct pb_encoded **out, struct pb_error *err)
{
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, job->rows, job->cols, err);
	if (status != PB_OK)
		return status;
	pb_encoded_set_groups(m, group_size);
	float *scales = pb_alloc(pb_encoded_blocks(m), sizeof *scales);
	uint8_t *codes = pb_alloc((size_t)job->rows * job->cols, 1);
	status = scales && codes ? fill(options, job->weights, m, scales, codes, err) : pb_out_of_memory(err, "codes");
	pb_free(scales);
	pb_free(codes);
	if (status != PB_OK)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}
