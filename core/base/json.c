#include "core/base/json.h"

#include <math.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/text.h"

/* jansson says "out of memory" in few of the places where it is, and its reader goes on with a byte less when the text
 * of a token cannot grow. */
static _Thread_local bool ran_out;

static void *alloc_bytes(size_t n)
{
	void *p = pb_alloc(n, 1);
	if (p == NULL)
		ran_out = true;
	return p;
}

/* Before main, since it may not happen while another thread uses jansson. */
__attribute__((constructor)) static void use_our_memory(void)
{
	json_set_alloc_funcs(alloc_bytes, pb_free);
}

enum pb_status pb_json_parse(json_t **out, const char *name, const char *data, size_t size, struct pb_error *err)
{
	json_error_t why;
	ran_out = false;
	json_t *value = json_loadb(data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (value != NULL && ran_out) {
		json_decref(value);
		value = NULL;
	}
	if (value == NULL) {
		if (ran_out)
			return pb_out_of_memory(err, name);
		/* The text may quote the input, with its line feeds. */
		for (char *p = why.text; *p != '\0'; p++)
			if ((unsigned char)*p < 0x20)
				*p = ' ';
		return pb_fail(err, PB_FORMAT, "%s:%d:%d: %s", name, why.line < 1 ? 1 : why.line, why.column < 1 ? 1 : why.column, why.text);
	}
	*out = value;
	return PB_OK;
}

enum pb_status pb_json_read(json_t **out, const char *path, size_t limit, struct pb_error *err)
{
	char *data;
	size_t size;
	enum pb_status status = pb_file_read(path, limit, &data, &size, err);
	if (status != PB_OK)
		return status;
	status = pb_json_parse(out, path, data, size, err);
	pb_free(data);
	return status;
}

json_t *pb_json_number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

json_t *pb_json_text(const char *s)
{
	size_t n = strlen(s);
	if (pb_utf8_valid(s, n))
		return json_stringn(s, n);
	struct pb_text clean = { 0 };
	for (const char *p = s, *end = s + n; p < end;) {
		char bytes[4];
		pb_text_bytes(&clean, bytes, pb_utf8_put(bytes, pb_utf8_next(&p, end)));
	}
	json_t *out = clean.failed ? NULL : json_string(pb_text_c(&clean));
	pb_text_free(&clean);
	return out;
}

static int append(const char *bytes, size_t n, void *text)
{
	pb_text_bytes(text, bytes, n);
	return 0;
}

/* Not json_dumps: when its buffer cannot grow it may leave bytes out and give the rest. */
static char *dump(const json_t *value, size_t flags, const char *end)
{
	struct pb_text text = { 0 };
	int failed = json_dump_callback(value, append, &text, flags | JSON_SORT_KEYS | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
	pb_text_string(&text, end);
	if (failed || text.failed) {
		pb_text_free(&text);
		return NULL;
	}
	return text.data;
}

char *pb_json_canonical(const json_t *value)
{
	return dump(value, JSON_COMPACT, "");
}

char *pb_json_pretty(const json_t *value)
{
	return dump(value, JSON_INDENT(2), "\n");
}
