/* The plugin interface of quantizers: weights of one matrix in, an encoded matrix out; or, for methods that are trained,
 * latent weights in, the weights that run out, in every step of a training (struct pb_qat).
 *
 * A plugin is one file that ends in one constant struct. Hooks return a status and put one sentence
 * into err (without the matrix's name: the caller adds it); they do not print, read files, the clock
 * or the environment; they take random numbers from the context. */
#ifndef PB_QUANTIZERS_QUANTIZER_H
#define PB_QUANTIZERS_QUANTIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/options.h"
#include "core/base/pool.h"
#include "core/base/rng.h"
#include "core/base/status.h"
#include "core/model/encoded.h"
#include "core/model/model.h"
#include "backends/train/distill.h"
#include "backends/train/train.h"

#define PB_QUANTIZER_ABI 6

/* What a quantizer wants to know of the data; a sum of these. */
enum pb_needs {
	PB_NEEDS_NOTHING = 0,
	PB_NEEDS_ACTIVATIONS = 1,   /* second_moment and mean_abs of each matrix's inputs */
	PB_NEEDS_GRADIENTS = 2,     /* gradient_sq of each weight */
	PB_NEEDS_SEQUENTIAL = 4,    /* with ACTIVATIONS: inputs are those of a model whose earlier layers are quantized already */
	PB_NEEDS_TRAINING = 8,      /* the whole model is trained by `qat`; alone */
	PB_NEEDS_STEPWISE = 16,     /* with SEQUENTIAL: inside of a layer too: q, k, v, then o, then gate, up, then down */
	PB_NEEDS_CROSS = 32         /* with SEQUENTIAL: cross_moment */
};
/* Of these, what calibration measures. */
#define PB_NEEDS_CALIBRATION (PB_NEEDS_ACTIVATIONS | PB_NEEDS_GRADIENTS)

/* One matrix to quantize. */
struct pb_quantize_job {
	const char *name;           /* "model.layers.0.self_attn.q_proj" */
	uint32_t layer, n_layers;
	enum pb_slot slot;
	uint32_t rows, cols;        /* out, in features */
	const float *weights;       /* (rows, cols), finite */
	enum pb_dtype source_dtype; /* of the weights in the model's file */
	/* std of each row of the matrix whose outputs are this matrix's inputs (cols), or NULL when there is none
	 * that maps one to one: down_proj gets up_proj's, o_proj gets v_proj's when n_heads = n_kv_heads. */
	const float *input_row_std;
	const float *second_moment; /* (cols, cols) mean of x x^T over the calibration tokens, with ACTIVATIONS; else NULL */
	const float *cross_moment;  /* (cols, cols) mean of (x' - x) x^T, x' the inputs in the full-precision model, with CROSS; else NULL */
	const float *mean_abs;      /* (cols) mean of |x|, with ACTIVATIONS; else NULL */
	const float *gradient_sq;   /* (rows, cols) mean over samples of the squared gradient of a sample's mean loss, with GRADIENTS; else NULL */
	struct pb_rng rng;          /* stream of this matrix */
	struct pb_pool *pool;       /* for work inside of the matrix, which it must not change by a bit; NULL: there are no other threads */
};

/* A method that is trained. In every step the weights that run are made of latent ones (backends/train/network.h); what runs
 * in the end is what is stored. */
struct pb_qat {
	struct pb_transform_f32 transform;  /* its arg is the options; whoever uses it sets that */
	/* Optional: the transform's `post` with these options, and the kinds of parameters that are not trained (a sum of 1 << enum
	 * pb_parameter_kind). Both are none before. */
	void (*vary)(const void *options, enum pb_post *post, unsigned *frozen);
	/* The options' budget as a recipe for a model with that context. What it does not set has its default; the seed is the
	 * caller's. Required. */
	enum pb_status (*recipe)(const void *options, uint32_t context, struct pb_recipe *recipe, struct pb_error *err);
	/* Optional: losses against the model before training; false: with these options there are none. */
	bool (*teacher)(const void *options, struct pb_distillation *out);
	/* The matrix to store, whose decoding is what `forward` gives; required. The numbers may be anything. */
	enum pb_status (*encode)(const void *options, const struct pb_parameter *matrix, const float *latent, const float *parameters,
		struct pb_encoded **out, struct pb_error *err);
};

/* A program of the user's own that the harness runs on each matrix; harness/run/external.h says how. */
struct pb_program {
	const char *path, *arg;     /* arg: given to it last; "": none */
	double seconds;             /* for one matrix; then it is killed */
};

struct pb_quantizer {
	const char *name;           /* [a-z0-9_]+ */
	const char *title;          /* "Round to nearest" */
	const char *source;         /* "arXiv:2212.09720"; where the method is defined */
	const char *family;         /* "full precision", "k-bit", "ParetoQ", "OneBit", "SqueezeLLM", "VPTQ", "other": colour and marker */
	const char *help;           /* two or three sentences */
	unsigned abi;
	unsigned version;           /* raised when numbers change */
	unsigned (*needs)(const void *options); /* a sum of enum pb_needs; NULL: nothing */
	const struct pb_option *options;
	size_t options_size;
	/* The nominal bit width of these options (4, 1.58, 16, ...) for weights that come as source_dtype; NaN: the weights decide.
	 * Required. */
	double (*wbits)(const void *options, enum pb_dtype source_dtype);
	/* Bytes that quantize will store for a matrix of that shape, before any work; required. Options that do not fit
	 * (together, or with this shape) are PB_USAGE or PB_UNSUPPORTED. */
	enum pb_status (*plan)(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err);
	/* One matrix; called in parallel for different matrices; required, or `qat` or `program` in its place. *out is owned by the caller. */
	enum pb_status (*quantize)(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err);
	/* Optional: plan for one matrix, when the bytes depend on more than its shape. Of the job's numbers it may only ask
	 * which there are (NULL or not); weights may be NULL. Without this hook plan holds for every matrix. */
	enum pb_status (*plan_job)(const void *options, const struct pb_quantize_job *job, uint64_t *bytes, struct pb_error *err);
	/* Optional: whether with these options the planned bytes are the most that can be stored, because counts follow from the
	 * numbers. Without this hook they are what is stored. */
	bool (*plan_is_bound)(const void *options);
	const struct pb_qat *qat;   /* of a method that is trained; else NULL */
	/* Optional: bytes of a whole model by the rule of size of the method's paper, which may leave out what is stored. */
	double (*paper_bytes)(const void *options, const struct pb_config *config);
	/* Of a method that is a program: which one. Weights that it gives are stored as f32, and their size is what the program claims. */
	struct pb_program (*program)(const void *options);
};

/* The registry: sorted by name. */
extern const struct pb_quantizer *const pb_quantizers[];
extern const size_t pb_n_quantizers;

/* Built in and loaded ones. NULL: unknown, with the nearest name in err. */
const struct pb_quantizer *pb_quantizer_find(const char *name, struct pb_error *err);
size_t pb_quantizer_count(void);
const struct pb_quantizer *pb_quantizer_at(size_t i);          /* built in first, then loaded, in order */
/* Hooks present, ABI, names, options sound. */
enum pb_status pb_quantizer_check(const struct pb_quantizer *q, struct pb_error *err) PB_MUST_CHECK;
/* Opens a shared object with the symbol `pb_plugin` (const struct pb_quantizer); checked, then part of the list for the
 * life of the process. Not for several threads at once, nor beside a look-up. */
enum pb_status pb_quantizer_load(const char *path, struct pb_error *err) PB_MUST_CHECK;

/* What it needs with these options. */
unsigned pb_quantizer_needs(const struct pb_quantizer *q, const void *options);

/* A quantizer with its options. */
struct pb_quantizer_use {
	const struct pb_quantizer *quantizer;
	void *options;              /* pb_free'd by pb_quantizer_use_free */
};
/* "NAME" or "NAME:opt=value,opt=value" */
enum pb_status pb_quantizer_use_parse(struct pb_quantizer_use *out, const char *text, struct pb_error *err) PB_MUST_CHECK;
void pb_quantizer_use_free(struct pb_quantizer_use *use);

/* Bytes of one matrix, before any work: plan_job where there is one, else plan. */
enum pb_status pb_quantizer_plan(const struct pb_quantizer_use *use, const struct pb_quantize_job *job, uint64_t *bytes, struct pb_error *err) PB_MUST_CHECK;
/* Whether that is only the most it can be: plan_is_bound where there is one, else false. */
bool pb_quantizer_plan_is_bound(const struct pb_quantizer_use *use);
/* One matrix through plan, quantize and the checks that hold for all: weights finite, what it needs is there, result of
 * the right shape, pb_encoded_check, bytes as planned (not more, where the plan is a bound). A method that is trained: as it
 * is before the first step. The message names neither quantizer nor matrix. */
enum pb_status pb_quantizer_run(const struct pb_quantizer_use *use, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err) PB_MUST_CHECK;
/* The same, and the same checks, with another function in place of the hook, that gets arg in place of the options. */
typedef enum pb_status (*pb_quantize_fn)(const void *arg, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err);
enum pb_status pb_quantizer_run_by(const struct pb_quantizer_use *use, pb_quantize_fn quantize, const void *arg, const struct pb_quantize_job *job,
	struct pb_encoded **out, struct pb_error *err) PB_MUST_CHECK;
/* The transform of a trained method with these options, which outlive it. */
struct pb_transform_f32 pb_quantizer_transform(const struct pb_quantizer_use *use);
/* Kinds of parameters that it does not train with these options. */
unsigned pb_quantizer_frozen(const struct pb_quantizer_use *use);
/* A matrix after training: encode and the same checks, and that its decoding is what forward gives. latent: (rows, cols) in place of
 * job->weights; parameters: as many as the transform has for it. */
enum pb_status pb_quantizer_encode(const struct pb_quantizer_use *use, const struct pb_quantize_job *job, const float *latent, const float *parameters,
	struct pb_encoded **out, struct pb_error *err) PB_MUST_CHECK;

/* For methods with one scale a block and one code a weight: makes the matrix, sets its groups, gives `fill` room for
 * pb_encoded_blocks(m) scales and rows * cols codes, and frees what is not handed out. */
typedef enum pb_status (*pb_fill_fn)(const void *options, const float *weights, struct pb_encoded *m, float *scales, uint8_t *codes,
	struct pb_error *err);
enum pb_status pb_quantize_blocks(const struct pb_quantize_job *job, int64_t group_size, pb_fill_fn fill, const void *options,
	struct pb_encoded **out, struct pb_error *err) PB_MUST_CHECK;

#endif
