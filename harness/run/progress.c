#include "harness/run/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/text.h"

#define REPAINT_SECONDS 0.25
#define HEARTBEAT_SECONDS 60.0

static struct pb_progress *painted;     /* whose status line is on the screen */

static void clear_painted(void)
{
	if (painted)
		pb_progress_clear(painted);
}

static bool colour_wanted(enum pb_when when)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (when != PB_AUTO)
		return when == PB_ALWAYS;
	return isatty(STDERR_FILENO) && !(no && no[0]) && term && term[0] && strcmp(term, "dumb") != 0 && strcmp(term, "unknown") != 0;
}

void pb_progress_begin(struct pb_progress *p, size_t total, size_t finished, double cost_total, unsigned jobs, enum pb_when show, enum pb_when colour)
{
	memset(p, 0, sizeof(*p));
	p->enabled = show != PB_NEVER;
	p->terminal = show == PB_ALWAYS || (show == PB_AUTO && isatty(STDERR_FILENO));
	p->colour = colour_wanted(colour);
	p->total = total;
	p->finished = finished;
	p->cost_total = cost_total;
	p->jobs = jobs;
	p->started = p->painted = pb_clock_seconds();
	pb_log_before(clear_painted);
}

void pb_progress_clear(struct pb_progress *p)
{
	if (p->on_screen)
		fputs("\r\033[K", stderr);
	p->on_screen = false;
	painted = NULL;
}

void pb_progress_one_line(struct pb_text *t, size_t from)
{
	for (size_t i = from; i < t->length; i++) {
		unsigned char c = (unsigned char)t->data[i];

		if (c < 0x20 || c == 0x7F)
			t->data[i] = ' ';
	}
}

void pb_progress_cell(struct pb_progress *p, const char *line, bool bad)
{
	if (!p->enabled)
		return;
	pb_progress_clear(p);
	fprintf(stderr, p->colour && bad ? "\033[31m%s\033[0m\n" : "%s\n", line);
}

double pb_progress_eta(const struct pb_progress *p)
{
	double rest = p->cost_total - p->cost_done;

	if (p->cost_measured <= 0 || p->seconds_measured <= 0)
		return -1;
	return rest <= 0 ? 0 : rest * p->seconds_measured / p->cost_measured / p->jobs;
}

/* Cuts the text to `columns` characters, at a character. */
static void fit(struct pb_text *t, size_t columns)
{
	const char *s = pb_text_c(t), *end = s + t->length;
	size_t n = 0;

	while (s < end && n < columns) {
		pb_utf8_next(&s, end);
		n++;
	}
	if (s < end) {
		t->length = (size_t)(s - t->data);
		t->data[t->length] = '\0';
	}
}

void pb_progress_status(struct pb_progress *p, const char *what)
{
	double now = pb_clock_seconds(), eta = pb_progress_eta(p);
	struct pb_text t = {0};
	char elapsed[32], left[32] = "-";
	struct winsize size;

	if (!p->enabled || now - p->painted < (p->terminal ? REPAINT_SECONDS : HEARTBEAT_SECONDS))
		return;
	p->painted = now;
	pb_format_duration(elapsed, now - p->started);
	if (eta >= 0 && now - p->started >= 3)
		pb_format_duration(left, eta);
	pb_text_printf(&t, "[%3zu/%zu] %s | %s | eta %s", p->finished, p->total, what, elapsed, left);
	if (p->failed)
		pb_text_printf(&t, " | %zu failed", p->failed);
	if (p->terminal) {
		fit(&t, ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79);
		fprintf(stderr, "\r\033[K%s", pb_text_c(&t));
		p->on_screen = true;
		painted = p;
	} else {
		fprintf(stderr, "%s\n", pb_text_c(&t));
	}
	pb_text_free(&t);
}
