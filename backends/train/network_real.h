/* The declarations of network.h for one kind of number: included with PB_REAL and PB_R set, once for each. */

/* c (m, n) = start + a b, k terms each; start NULL: 0. start has c's stride and may be c. */
struct PB_R(product) {
	uint32_t m, n, k;
	bool a_transposed, b_transposed;        /* a is (k, m), b is (n, k) */
	const PB_REAL *a, *b, *start;
	PB_REAL *c;
	size_t a_stride, b_stride, c_stride;
};

/* Arithmetic of the passes, attention's products apart; made for several instruction sets from kernels.inc, all with the same bits.
 * Rows of a (n, width) array are consecutive unless a stride is given. */
struct PB_R(kernels) {
	/* out = x * scale * weight, scale[t] = 1 / sqrt(mean of x^2 + eps) */
	void (*norm)(const PB_REAL *x, const PB_REAL *weight, uint32_t n, uint32_t dim, PB_REAL eps, PB_REAL *out, PB_REAL *scale);
	/* dx += of the norm; dweight is set to the sum over these n tokens. */
	void (*norm_back)(const PB_REAL *x, const PB_REAL *weight, const PB_REAL *scale, const PB_REAL *dout, uint32_t n, uint32_t dim, PB_REAL *dx,
		PB_REAL *dweight);
	/* y = (y - mean) * scale, scale = 1 / sqrt(variance + 1e-5), of one vector; returns scale. */
	PB_REAL (*layernorm)(PB_REAL *y, uint32_t n);
	/* d becomes the gradient before it; y: its result. */
	void (*layernorm_back)(const PB_REAL *y, PB_REAL scale, uint32_t n, PB_REAL *d);
	/* Rotates one head; sign -1 rotates back. */
	void (*rotate)(PB_REAL *x, const PB_REAL *cosine, const PB_REAL *sine, uint32_t head_dim, bool interleaved, PB_REAL sign);
	/* Row i has keys [0, before + i]; what is above, up to before + n, becomes 0. Scores become probabilities. */
	void (*soften)(PB_REAL *scores, size_t stride, uint32_t n, uint32_t before, PB_REAL *log_sum);
	void (*soften_again)(PB_REAL *scores, size_t stride, uint32_t n, uint32_t before, const PB_REAL *log_sum);
	/* d = p * (d - delta) * scale */
	void (*soften_back)(const PB_REAL *p, PB_REAL *d, uint32_t n, PB_REAL delta, PB_REAL scale);
	PB_REAL (*dot)(const PB_REAL *a, const PB_REAL *b, size_t n);
	/* out = silu(gate) * up; rows of gate_up are gate then up, of `hidden` each. */
	void (*gate)(const PB_REAL *gate_up, uint32_t n, uint32_t hidden, PB_REAL *out);
	void (*gate_back)(const PB_REAL *gate_up, const PB_REAL *dout, uint32_t n, uint32_t hidden, PB_REAL *dgate_up);
	/* -ln of the target's probability; d = scale * (probabilities - one at the target). target -1: 0, and d = 0. */
	double (*cross_entropy)(const PB_REAL *logits, uint32_t n_vocab, int32_t target, PB_REAL scale, PB_REAL *d);
	void (*add)(PB_REAL *x, const PB_REAL *y, size_t n);
	/* NULL, or a product of at most PB_PRODUCT_ROWS x PB_PRODUCT_COLS elements, b not transposed; scratch: (PB_PRODUCT_SCRATCH). An
	 * element's terms are added in their order, each with one rounding, from 0 in every block of terms; the blocks' sums are
	 * added to start. While there are two blocks left the next is PB_PRODUCT_TERMS long; what is then left over, when above
	 * that, is halved, the first half rounded up to a multiple of 16. So does OpenBLAS 0.3.21 for AVX-512, to the bit. */
	void (*product)(const struct PB_R(product) *f, PB_REAL *scratch);
};

/* How the weights that run are made from the ones that are trained. The hooks are called in parallel for different
 * matrices; `matrix` has the shape, the layer and the slot. */
struct PB_R(transform) {
	void *arg;
	enum pb_post post;              /* of every matrix's output */
	pb_transform_size_fn n_parameters;
	/* First values of the transform's parameters, from weights that were not trained with it; the latent weights may get other
	 * values too. Called once. */
	void (*start)(void *arg, const struct pb_parameter *matrix, PB_REAL *latent, PB_REAL *parameters);
	void (*forward)(void *arg, const struct pb_parameter *matrix, const PB_REAL *latent, const PB_REAL *parameters, PB_REAL *used);
	/* Optional: of what forward made, what runs in a step of training, where noise stands for the rounding. rng: of step and matrix. */
	void (*disturb)(void *arg, const struct pb_parameter *matrix, const PB_REAL *latent, const PB_REAL *parameters, struct pb_rng *rng, PB_REAL *used);
	/* used: what ran. gradient: of the used weights, becomes that of the latent ones. parameter_gradient: is set. */
	void (*backward)(void *arg, const struct pb_parameter *matrix, const PB_REAL *latent, const PB_REAL *parameters, const PB_REAL *used,
		PB_REAL *gradient, PB_REAL *parameter_gradient);
};

/* A loss beside the cross-entropy, such as one against a teacher. Hooks may be NULL; they return what they add to the loss
 * and add its gradient to d (NULL: only the loss is wanted). Tokens are rows [first, first + n) of the batch. */
struct PB_R(extra_loss) {
	void *arg;
	double target_weight;           /* factor of the cross-entropy against the targets */
	double (*logits)(void *arg, uint32_t first, uint32_t n, const PB_REAL *logits, PB_REAL *d);
	/* State 0 is the embedding, state l the output of layer l - 1; (tokens, dim). */
	double (*state)(void *arg, uint32_t state, const PB_REAL *x, PB_REAL *d);
};

/* What the backward pass of one layer needs. */
struct PB_R(activations) {
	PB_REAL *normed1, *scale1, *qkv, *log_sum, *attended, *middle, *normed2, *scale2, *gate_up, *gated;
	PB_REAL *o, *down, *post_scale; /* with a layernorm after the matrices: outputs of these, scales (tokens, PB_SLOTS) */
};

struct PB_R(network) {
	struct pb_config config;
	struct pb_layout layout;
	const struct PB_R(kernels) *kernels;
	const struct PB_R(transform) *transform;
	struct pb_pool *pool;
	uint32_t sequences, length, n;  /* n = sequences * length: tokens of a batch */
	bool recompute;                 /* one layer's activations are kept at a time, and made again for the backward pass */
	PB_REAL *parameters, *gradient; /* (layout.total) */
	PB_REAL *used;                  /* the weights that run; `parameters` itself without a transform */
	PB_REAL *transposed;            /* of the last pass: each group of matrices with one input, and the head, as (cols, rows) */
	PB_REAL *states;                /* (n_layers + 1, n, dim) */
	struct PB_R(activations) *activations;
	/* private */
	PB_REAL *memory, *cosine, *sine;
	PB_REAL *normed, *scale;        /* of the last state */
	PB_REAL *logits, *dlogits;      /* (loss_rows, n_vocab) */
	PB_REAL *dx, *dnormed, *dqkv, *dattended, *dgate_up, *dgated, *dmiddle, *dnorm_parts;
	PB_REAL *dbranch_down, *dbranch_o; /* with a layernorm: what is before it */
	PB_REAL *scratch;               /* (threads, scratch_size) */
	double *losses;                 /* (n) */
	uint32_t loss_rows;
	size_t scratch_size;
	uint64_t bytes;                 /* all memory of the network */
};

enum pb_status PB_R(network_open)(struct PB_R(network) **out, const struct pb_config *config, uint32_t sequences, uint32_t length, bool recompute,
	const struct PB_R(transform) *transform, struct pb_pool *pool, struct pb_error *err) PB_MUST_CHECK;
void PB_R(network_close)(struct PB_R(network) *net);        /* NULL is fine */

/* First values of the transform's parameters, where there is one. */
void PB_R(network_start)(struct PB_R(network) *net);
/* Makes the used weights; to be called whenever parameters have changed. */
void PB_R(network_prepare)(struct PB_R(network) *net);
/* Behind prepare, in training: noise in place of rounding, where the transform has it. */
void PB_R(network_disturb)(struct PB_R(network) *net, uint64_t seed, uint64_t step);
/* Gradients begin at 0. */
void PB_R(network_clear)(struct PB_R(network) *net);
/* Forward pass of (sequences, length) tokens, and the sum over targets (same shape, -1: none) of scale times the loss, and
 * the extra loss. backward: adds the gradient with respect to the used weights. extra: or NULL. */
double PB_R(network_run)(struct PB_R(network) *net, const int32_t *tokens, const int32_t *targets, double scale, bool backward,
	const struct PB_R(extra_loss) *extra);
/* The forward pass alone, up to the states: for a network that others are compared with. */
void PB_R(network_forward)(struct PB_R(network) *net, const int32_t *tokens);
/* Logits of tokens [first, first + n) of the last pass, into (n, n_vocab). */
void PB_R(network_logits)(struct PB_R(network) *net, uint32_t first, uint32_t n, PB_REAL *out);
/* Turns gradients of the used weights into those of the parameters; once, after the last run that adds to them. */
void PB_R(network_finish)(struct PB_R(network) *net);
