#include "core/base/text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"

static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* Makes the C locale that of the calling thread; returns the one to go back to. */
static locale_t enter_c_locale(void)
{
	pthread_once(&c_locale_once, make_c_locale);
	return uselocale(c_locale);
}

void pb_text_free(struct pb_text *t)
{
	pb_free(t->data);
	*t = (struct pb_text){ 0 };
}

void pb_text_clear(struct pb_text *t)
{
	t->length = 0;
	t->failed = false;
	if (t->data != NULL)
		t->data[0] = '\0';
}

/* Room for n more bytes and the NUL. */
static bool reserve(struct pb_text *t, size_t n)
{
	if (t->failed)
		return false;
	size_t need;
	if (__builtin_add_overflow(t->length, n, &need) || need > PTRDIFF_MAX / 2) {
		t->failed = true;
		return false;
	}
	if (need + 1 > t->capacity) {
		size_t capacity = t->capacity < 64 ? 64 : t->capacity;
		while (capacity < need + 1)
			capacity *= 2;
		char *data = pb_realloc(t->data, capacity, 1);
		if (data == NULL) {
			t->failed = true;
			return false;
		}
		t->data = data;
		t->capacity = capacity;
	}
	return true;
}

void pb_text_bytes(struct pb_text *t, const void *p, size_t n)
{
	if (!reserve(t, n))
		return;
	if (n > 0)
		memcpy(t->data + t->length, p, n);
	t->length += n;
	t->data[t->length] = '\0';
}

void pb_text_string(struct pb_text *t, const char *s)
{
	pb_text_bytes(t, s, strlen(s));
}

void pb_text_char(struct pb_text *t, char c)
{
	pb_text_bytes(t, &c, 1);
}

void pb_text_printf(struct pb_text *t, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	pb_text_vprintf(t, format, args);
	va_end(args);
}

void pb_text_vprintf(struct pb_text *t, const char *format, va_list args)
{
	if (!reserve(t, 127))
		return;
	va_list again;
	va_copy(again, args);
	locale_t before = enter_c_locale();
	size_t room = t->capacity - t->length;
	int n = vsnprintf(t->data + t->length, room, format, args);
	if (n >= 0 && (size_t)n >= room && reserve(t, (size_t)n))
		vsnprintf(t->data + t->length, (size_t)n + 1, format, again);
	uselocale(before);
	va_end(again);
	if (n < 0)
		t->failed = true;
	if (!t->failed)
		t->length += (size_t)n;
	t->data[t->length] = '\0';
}

const char *pb_text_c(const struct pb_text *t)
{
	return t->data == NULL ? "" : t->data;
}

enum pb_status pb_text_check(const struct pb_text *t, struct pb_error *err)
{
	return t->failed ? pb_out_of_memory(err, "text") : PB_OK;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Length of a decimal number without sign at s: digits, one point, at least one digit, and with `exponent` e[+-]digits. 0 when there is none. */
static size_t number_length(const char *s, bool exponent)
{
	size_t i = 0, digits = 0;
	for (; is_digit(s[i]); i++)
		digits++;
	if (s[i] == '.')
		for (i++; is_digit(s[i]); i++)
			digits++;
	if (digits == 0)
		return 0;
	if (exponent && (s[i] == 'e' || s[i] == 'E')) {
		size_t j = i + 1 + (s[i + 1] == '+' || s[i + 1] == '-');
		if (is_digit(s[j])) {
			for (i = j; is_digit(s[i]);)
				i++;
		}
	}
	return i;
}

static double c_strtod(const char *s, char **end)
{
	locale_t before = enter_c_locale();
	double value = strtod(s, end);
	uselocale(before);
	return value;
}

bool pb_parse_double(const char *s, double *out)
{
	size_t sign = *s == '-' || *s == '+', n = number_length(s + sign, true);
	if (n == 0 || s[sign + n] != '\0')
		return false;
	double value = c_strtod(s, NULL);
	if (!isfinite(value))
		return false;
	*out = value;
	return true;
}

bool pb_parse_int64(const char *s, int64_t *out)
{
	const char *p = s + (*s == '-' || *s == '+');
	if (!is_digit(*p))
		return false;
	while (is_digit(*p))
		p++;
	if (*p != '\0')
		return false;
	errno = 0;
	long long value = strtoll(s, NULL, 10);
	if (errno != 0)
		return false;
	*out = value;
	return true;
}

bool pb_parse_bytes(const char *s, uint64_t *out)
{
	static const struct { const char *name; double factor; } units[] = {
		{ "B", 1 }, { "KiB", 0x1p10 }, { "MiB", 0x1p20 }, { "GiB", 0x1p30 }, { "TiB", 0x1p40 },
		{ "kB", 1e3 }, { "KB", 1e3 }, { "MB", 1e6 }, { "GB", 1e9 }, { "TB", 1e12 },
	};
	size_t n = number_length(s, false);
	if (n == 0)
		return false;
	bool whole = memchr(s, '.', n) == NULL;
	double factor = 0;
	if (s[n] == '\0')
		factor = 1;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(s + n, units[i].name) == 0)
			factor = units[i].factor;
	if (factor == 0 || (factor == 1 && !whole))
		return false;
	if (whole) {
		errno = 0;
		unsigned long long count = strtoull(s, NULL, 10);
		uint64_t bytes;
		if (errno != 0 || __builtin_mul_overflow((uint64_t)count, (uint64_t)factor, &bytes))
			return false;
		*out = bytes;
		return true;
	}
	double bytes = round(c_strtod(s, NULL) * factor);
	if (!(bytes < 0x1p64))
		return false;
	*out = (uint64_t)bytes;
	return true;
}

bool pb_parse_seconds(const char *s, double *out)
{
	/* In falling order; each unit at most once. */
	static const struct { const char *name; double seconds; } units[] = { { "h", 3600 }, { "m", 60 }, { "s", 1 }, { "ms", 1e-3 } };
	double total = 0;
	if (pb_parse_double(s, &total)) {
		if (!is_digit(*s) && *s != '.')
			return false;
		*out = total;
		return true;
	}
	total = 0;
	size_t next_unit = 0;
	if (*s == '\0')
		return false;
	while (*s != '\0') {
		size_t n = number_length(s, false), letters = 0;
		if (n == 0)
			return false;
		double value = c_strtod(s, NULL);
		s += n;
		while (s[letters] >= 'a' && s[letters] <= 'z')
			letters++;
		size_t u = next_unit;
		while (u < 4 && !(strlen(units[u].name) == letters && memcmp(units[u].name, s, letters) == 0))
			u++;
		if (u == 4)
			return false;
		total += value * units[u].seconds;
		s += letters;
		next_unit = u + 1;
	}
	if (!isfinite(total))
		return false;
	*out = total;
	return true;
}

static void c_print(char *out, size_t size, const char *format, ...) PB_PRINTF(3, 4);
static void c_print(char *out, size_t size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	locale_t before = enter_c_locale();
	vsnprintf(out, size, format, args);
	uselocale(before);
	va_end(args);
}

void pb_format_number(char out[32], double value)
{
	c_print(out, 32, "%.17g", value);
}

void pb_format_short(char out[32], double value)
{
	/* 1000, not 1e+03 */
	if (value == trunc(value) && fabs(value) < 1e15) {
		c_print(out, 32, "%.0f", value);
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		c_print(out, 32, "%.*g", digits, value);
		if (c_strtod(out, NULL) == value)
			return;
	}
}

void pb_format_size(char out[32], double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	if (!isfinite(bytes)) {
		c_print(out, 32, "n/a");
		return;
	}
	const char *sign = bytes < 0 ? "-" : "";
	double v = fabs(bytes);
	if (v < 1023.5) {
		c_print(out, 32, "%s%.0f B", sign, v);
		return;
	}
	size_t unit = 0;
	/* Three digits: what would round to 1000 is 0.98 of the next unit. */
	while (unit < 6 && v >= 999.5) {
		v /= 1024;
		unit++;
	}
	if (v >= 1e6)
		c_print(out, 32, "%s%.3g %s", sign, v, units[unit]);
	else
		c_print(out, 32, "%s%.*f %s", sign, v < 0.9995 ? 3 : v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, units[unit]);
}

void pb_format_count(char out[32], double value, int digits)
{
	static const char *const units[] = { "", " k", " M", " B", " T" };
	if (!isfinite(value)) {
		c_print(out, 32, "n/a");
		return;
	}
	/* What rounds to 1000 is 1 of the next unit. */
	for (int unit = 0; unit < 5; unit++, value /= 1000) {
		c_print(out, 32, "%.*g", digits, value);
		if (unit == 4 || fabs(c_strtod(out, NULL)) < 1000) {
			strcat(out, units[unit]);
			return;
		}
	}
}

void pb_format_duration(char out[32], double seconds)
{
	if (!isfinite(seconds)) {
		c_print(out, 32, "n/a");
		return;
	}
	const char *sign = seconds < 0 ? "-" : "";
	double s = fabs(seconds);
	if (s == 0)
		c_print(out, 32, "0 s");
	else if (s < 0.00995)
		c_print(out, 32, "%s%.1f ms", sign, 1e3 * s);
	else if (s < 0.9995)
		c_print(out, 32, "%s%.0f ms", sign, 1e3 * s);
	else if (s < 59.95)
		c_print(out, 32, "%s%.1f s", sign, s);
	else if (s < 3599.5) {
		long whole = lround(s);
		c_print(out, 32, "%s%ldm%02lds", sign, whole / 60, whole % 60);
	} else if (s < 3.6e12) {
		long minutes = lround(s / 60);
		c_print(out, 32, "%s%ldh%02ldm", sign, minutes / 60, minutes % 60);
	} else
		c_print(out, 32, "%s%.3g h", sign, s / 3600);
}

/* Decimals that show `error` with two significant digits, or three when the first is a 1. */
static int error_decimals(double error)
{
	char text[32];
	c_print(text, sizeof text, "%.1e", error);
	int exponent = atoi(text + 4), decimals = 1 - exponent + (text[0] == '1');
	return decimals < 0 ? 0 : decimals > 12 ? 12 : decimals;
}

/* "-0.000" is 0.000. */
static const char *without_minus_zero(const char *text)
{
	return text[0] == '-' && strspn(text + 1, "0.") == strlen(text + 1) ? text + 1 : text;
}

void pb_format_value(char out[64], double value, double stderr_value)
{
	char number[32], error[32];
	if (!isfinite(value)) {
		c_print(out, 64, "n/a");
		return;
	}
	bool has_error = isfinite(stderr_value) && stderr_value >= 0;
	int decimals = has_error && stderr_value > 0 ? error_decimals(stderr_value) : 4;
	/* Too long for plain decimals: four digits each. */
	bool huge = fabs(value) >= 1e15 || (has_error && stderr_value >= 1e15);
	if (huge)
		decimals = 3;
	c_print(number, sizeof number, huge ? "%.*e" : "%.*f", decimals, value);
	if (!has_error) {
		c_print(out, 64, "%s", without_minus_zero(number));
		return;
	}
	c_print(error, sizeof error, huge ? "%.*e" : "%.*f", decimals, stderr_value);
	c_print(out, 64, "%s \xc2\xb1 %s", without_minus_zero(number), error);
}

uint32_t pb_utf8_next(const char **s, const char *end)
{
	const unsigned char *p = (const unsigned char *)*s;
	size_t left = (size_t)(end - *s), n;
	uint32_t c = p[0], least;
	*s += 1;
	if (c < 0x80)
		return c;
	if (c >= 0xC2 && c <= 0xDF) {
		n = 2;
		c &= 0x1F;
		least = 0x80;
	} else if ((c & 0xF0) == 0xE0) {
		n = 3;
		c &= 0x0F;
		least = 0x800;
	} else if (c >= 0xF0 && c <= 0xF4) {
		n = 4;
		c &= 0x07;
		least = 0x10000;
	} else {
		return 0xFFFD;
	}
	if (left < n)
		return 0xFFFD;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0xFFFD;
		c = c << 6 | (p[i] & 0x3F);
	}
	if (c < least || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
		return 0xFFFD;
	*s += n - 1;
	return c;
}

size_t pb_utf8_put(char out[4], uint32_t c)
{
	if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
		c = 0xFFFD;
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xC0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xE0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3F));
		out[2] = (char)(0x80 | (c & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3F));
	out[2] = (char)(0x80 | (c >> 6 & 0x3F));
	out[3] = (char)(0x80 | (c & 0x3F));
	return 4;
}

size_t pb_utf8_count(const char *s, size_t n)
{
	size_t count = 0;
	for (const char *end = s + n; s < end; count++)
		pb_utf8_next(&s, end);
	return count;
}

bool pb_utf8_valid(const char *s, size_t n)
{
	for (const char *end = s + n; s < end;) {
		const char *start = s;
		/* The real U+FFFD is three bytes long; a malformed byte advances by one. */
		if (pb_utf8_next(&s, end) == 0xFFFD && s - start == 1)
			return false;
	}
	return true;
}

bool pb_is_python_space(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
		(c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* Names longer than this are not compared letter by letter. */
#define LONGEST_WORD 128

static unsigned distance(const char *a, size_t n, const char *b, size_t m, bool fold)
{
	if (n > LONGEST_WORD || m > LONGEST_WORD)
		return (unsigned)(n > m ? n : m);
	/* Rows i-2, i-1 and i of the table of distances between prefixes. */
	unsigned rows[3][LONGEST_WORD + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];
	for (size_t j = 0; j <= m; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			char x = a[i - 1], y = b[j - 1];
			if (fold) {
				x = x >= 'A' && x <= 'Z' ? (char)(x + 32) : x;
				y = y >= 'A' && y <= 'Z' ? (char)(y + 32) : y;
			}
			unsigned best = last[j - 1] + (x != y);
			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		unsigned *t = before;
		before = last;
		last = now;
		now = t;
	}
	return last[m];
}

unsigned pb_edit_distance(const char *a, const char *b)
{
	return distance(a, strlen(a), b, strlen(b), false);
}

const char *pb_nearest(const char *word, const char *const *names, size_t n)
{
	const char *nearest = NULL;
	unsigned least = 0;
	size_t length = strlen(word);
	for (size_t i = 0; i < n; i++) {
		size_t name_length = strlen(names[i]), longer = length > name_length ? length : name_length;
		unsigned d = distance(word, length, names[i], name_length, true), allowed = 1 + (unsigned)length / 4;
		/* The beginning of a name counts as one slip. */
		if (length >= 3 && length < name_length && strncmp(word, names[i], length) == 0)
			d = 1;
		if (d <= allowed && d < longer && (nearest == NULL || d < least)) {
			nearest = names[i];
			least = d;
		}
	}
	return nearest;
}
