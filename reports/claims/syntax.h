/* The tree of an expression: between the parser, the evaluator and the functions. */
#ifndef PB_REPORTS_CLAIMS_SYNTAX_H
#define PB_REPORTS_CLAIMS_SYNTAX_H

#include "reports/claims/expression.h"

enum pb_node_kind {
	PB_NODE_NUMBER, PB_NODE_TEXT, PB_NODE_ROWS, PB_NODE_DEFINITION, PB_NODE_VARIABLE, PB_NODE_COLUMN, PB_NODE_SHAPE, PB_NODE_NEGATE, PB_NODE_NOT, PB_NODE_ADD,
	PB_NODE_SUBTRACT, PB_NODE_MULTIPLY, PB_NODE_DIVIDE, PB_NODE_POWER, PB_NODE_LESS, PB_NODE_AT_MOST, PB_NODE_MORE, PB_NODE_AT_LEAST, PB_NODE_AGREE, PB_NODE_DIFFER,
	PB_NODE_AND, PB_NODE_OR, PB_NODE_CALL, PB_NODE_BY, PB_NODE_ROOT
};

#define PB_BY_COLUMNS 8
#define PB_BY_NAMES 8

struct pb_expression {
	enum pb_node_kind kind;
	double number;
	const char *text;
	size_t index;                           /* of the selection, definition, variable, column or function */
	const struct pb_expression **parts;
	size_t n;
	/* BY: parts are the body and, if any, the condition. */
	size_t columns[PB_BY_COLUMNS], n_columns;
	size_t names[PB_BY_NAMES], n_names;     /* selections that stand for one row */
};

/* ---- evaluation ---- */

struct pb_evaluation {
	const struct pb_scope *scope;
	struct pb_arena *arena;
	struct pb_error *err;
	size_t work;                            /* entries made so far */
	const struct pb_number **bound;         /* of each selection: the row it stands for, or NULL */
	struct { size_t column; const char *text; } key[4 * PB_BY_COLUMNS]; /* which rows a list has */
	size_t n_key;
	bool whole;                             /* a name stands for all its rows */
	bool lacking;                           /* what is missing is a row of this key */
	double variables[8];
};

/* A value with room for n entries, of which the caller fills the array it gets. */
enum pb_status pb_value_new(struct pb_evaluation *ev, enum pb_value_kind kind, size_t n, struct pb_value *out, void *array) PB_MUST_CHECK;

struct pb_function {
	const char *name, *arguments, *help;
	size_t least, most;
	bool whole;                             /* its arguments are whole lists */
	bool free;                              /* ... whatever the key of a `by` around it */
	/* fn(ev, args, n, out) */
	enum pb_status (*fn)(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out);
};
extern const struct pb_function pb_functions[];
extern const size_t pb_n_functions;

/* Average bits a weight by the rule of VPTQ's appendix with scale, bias and permutation of every input counted (48 bits), from the
 * setting in the row's group and the shape of its model; by the mixes of llama.cpp's file types, of the whole model. */
enum pb_status pb_size_vptq(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out);
enum pb_status pb_size_vptq_label(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out);
enum pb_status pb_size_gguf(struct pb_evaluation *ev, const struct pb_value *args, size_t n, struct pb_value *out);

#endif
