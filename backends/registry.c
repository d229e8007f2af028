/* The backends, sorted by name: one line a plugin; and what is checked of each. */
#include <string.h>
#include "core/base/memory.h"
#include "core/base/text.h"
#include "backends/backend.h"

extern const struct pb_backend pb_backend_blas, pb_backend_reference;

const struct pb_backend *const pb_backends[] = {
	&pb_backend_blas,
	&pb_backend_reference,
};
const size_t pb_n_backends = sizeof pb_backends / sizeof *pb_backends;

const struct pb_backend *pb_backend_find(const char *name, struct pb_error *err)
{
	const char *names[sizeof pb_backends / sizeof *pb_backends], *near;
	struct pb_text list = { 0 };

	for (size_t i = 0; i < pb_n_backends; i++) {
		names[i] = pb_backends[i]->name;
		if (!strcmp(names[i], name))
			return pb_backends[i];
	}
	near = pb_nearest(name, names, pb_n_backends);
	if (near) {
		(void)pb_fail(err, PB_USAGE, "backend '%.60s': there is none of that name\ndid you mean '%s'?", name, near);
		return NULL;
	}
	for (size_t i = 0; i < pb_n_backends; i++)
		pb_text_printf(&list, "%s%s", i ? ", " : "", names[i]);
	(void)pb_fail(err, PB_USAGE, "backend '%.60s': there is none of that name\nthere are: %s", name, pb_text_c(&list));
	pb_text_free(&list);
	return NULL;
}

enum pb_status pb_backend_use_parse(struct pb_backend_use *out, const char *text, struct pb_error *err)
{
	const char *colon = strchr(text, ':');
	char *name = pb_strndup(text, colon ? (size_t)(colon - text) : strlen(text));
	const struct pb_backend *b;
	void *options;
	enum pb_status st;

	if (!name)
		return pb_out_of_memory(err, "the name of a backend");
	b = pb_backend_find(name, err);
	pb_free(name);
	if (!b)
		return PB_USAGE;
	options = pb_alloc_zero(1, b->options_size);
	if (!options)
		return pb_out_of_memory(err, "the options of a backend");
	pb_options_default(b->options, options);
	st = pb_options_parse(b->options, options, b->name, colon ? colon + 1 : NULL, err);
	if (st) {
		pb_free(options);
		return st;
	}
	*out = (struct pb_backend_use){ b, options };
	return PB_OK;
}

void pb_backend_use_free(struct pb_backend_use *use)
{
	pb_free(use->options);
	*use = (struct pb_backend_use){ 0 };
}

enum pb_status pb_backend_check(const struct pb_backend *b, struct pb_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	const struct { const char *name; bool present; } needed[] = {
		{ "title", b->title }, { "help", b->help }, { "open", b->open }, { "score", b->score }, { "logits", b->logits },
		{ "kernel", b->kernel }, { "close", b->close }, { "options", b->options },
	};

	if (!b->name || !*b->name || strspn(b->name, allowed) != strlen(b->name))
		return pb_fail(err, PB_FAILED, "backend '%.60s': the name is not made of a-z, 0-9 and _", b->name ? b->name : "");
	if (b->abi != PB_BACKEND_ABI)
		return pb_fail(err, PB_UNSUPPORTED, "backend %s: made for interface %u, this program has %u", b->name, b->abi, PB_BACKEND_ABI);
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!needed[i].present)
			return pb_fail(err, PB_FAILED, "backend %s: %s is missing", b->name, needed[i].name);
	if (b->version < 1)
		return pb_fail(err, PB_FAILED, "backend %s: version is 0", b->name);
	return pb_options_check(b->options, b->name, err);
}
