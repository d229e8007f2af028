/* Group files. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/counters/provider.h"

#define GROUP_FILE_LIMIT (1 << 20)

enum pb_status pb_groups_new(struct pb_groups **out, struct pb_error *err)
{
	struct pb_groups *g = pb_alloc_zero(1, sizeof(*g));

	if (g)
		g->arena = pb_arena_new();
	if (!g || !g->arena) {
		pb_free(g);
		return pb_out_of_memory(err, "counter groups");
	}
	*out = g;
	return PB_OK;
}

void pb_groups_free(struct pb_groups *g)
{
	if (!g)
		return;
	pb_arena_free(g->arena);
	pb_free(g);
}

/* One file being read. */
struct group_file {
	struct pb_groups *groups;
	struct pb_group *group;         /* the one we are in */
	const char *name;
	unsigned line;
	unsigned seen[PB_MAX_GROUPS];   /* line of the group's header in this file; 0: none yet */
	struct pb_error *err;
};

#define fail_at(f, ...) fail_at(f, __VA_ARGS__)
static enum pb_status fail_at(struct group_file *f, const char *format, ...) PB_PRINTF(2, 3);
static enum pb_status fail_at(struct group_file *f, const char *format, ...)
{
	char why[256];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	return pb_fail(f->err, PB_FORMAT, "%s:%u: %s", f->name, f->line, why);
}

/* Cuts blanks off both ends, in place. */
static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r");
	n = strlen(s);
	while (n && strchr(" \t\r", s[n - 1]))
		s[--n] = '\0';
	return s;
}

static bool is_word(const char *s)
{
	if (!*s || strlen(s) > 31)
		return false;
	for (; *s; s++)
		if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '_')
			return false;
	return true;
}

/* "[group base]", with the title that its comment gives. */
static enum pb_status parse_header(struct group_file *f, char *line, const char *comment)
{
	struct pb_groups *g = f->groups;
	char *end = strchr(line, ']'), *name;
	unsigned i;

	if (strncmp(line, "[group ", 7) != 0 || !end || end[1])
		return fail_at(f, "a group begins with '[group NAME]'");
	*end = '\0';
	name = trim(line + 7);
	if (!is_word(name))
		return fail_at(f, "'%.40s' is no name for a group: lower case letters, digits and '_', at most 31", name);
	for (i = 0; i < g->n && strcmp(g->groups[i].name, name) != 0; i++)
		;
	if (i == PB_MAX_GROUPS)
		return fail_at(f, "more than %d groups", PB_MAX_GROUPS);
	if (f->seen[i])
		return fail_at(f, "group '%s' is here already, in line %u", name, f->seen[i]);
	f->seen[i] = f->line;
	f->group = &g->groups[i];
	if (i < g->n)
		return PB_OK;
	comment += strspn(comment, " \t");
	if (strncmp(comment, "title:", 6) == 0)
		comment += 6 + strspn(comment + 6, " \t");
	*f->group = (struct pb_group){ .name = pb_arena_strdup(g->arena, name), .title = pb_arena_strdup(g->arena, comment), .help = "" };
	if (!f->group->name || !f->group->title)
		return pb_out_of_memory(f->err, "counter groups");
	g->n++;
	return PB_OK;
}

static enum pb_status add_rungs(struct group_file *f, struct pb_group_event *e, char *list)
{
	for (char *next = list; next;) {
		char *rung = next;

		next = strchr(rung, '|');
		if (next)
			*next++ = '\0';
		rung = trim(rung);
		if (!*rung || strpbrk(rung, " \t") || strlen(rung) > 80)
			return fail_at(f, "'%.80s' is no name of an event", rung);
		if (e->n_rungs == PB_MAX_RUNGS)
			return fail_at(f, "more than %d rungs", PB_MAX_RUNGS);
		if (!(e->rungs[e->n_rungs] = pb_arena_strdup(f->groups->arena, rung)))
			return pb_out_of_memory(f->err, "counter groups");
		e->n_rungs++;
	}
	return PB_OK;
}

static enum pb_status find_hardware(struct group_file *f, const char *name, int *quantity)
{
	const char *names[PB_MAX_QUANTITIES], *near;
	size_t n = 0;

	*quantity = pb_quantity_find(name);
	if (*quantity >= 0 && pb_quantity_is_hardware(&pb_quantities[*quantity]))
		return PB_OK;
	for (unsigned i = 0; i < pb_n_quantities; i++)
		if (pb_quantity_is_hardware(&pb_quantities[i]))
			names[n++] = pb_quantities[i].name;
	near = pb_nearest(name, names, n);
	return near ? fail_at(f, "no quantity '%.40s'; did you mean '%s'?", name, near) : fail_at(f, "no quantity '%.40s'", name);
}

static enum pb_status parse_event(struct group_file *f, char *name, char *value)
{
	struct pb_group *g = f->group;
	enum pb_status st;
	unsigned i;
	int q;

	if ((st = find_hardware(f, name, &q)))
		return st;
	for (unsigned k = 0; k < f->groups->n; k++)
		for (i = 0; &f->groups->groups[k] != g && i < f->groups->groups[k].n_events; i++)
			if (f->groups->groups[k].events[i].quantity == q)
				return fail_at(f, "'%s' is in group '%s' already", name, f->groups->groups[k].name);
	for (i = 0; i < g->n_events && g->events[i].quantity != q; i++)
		;
	if (i == g->n_events) {
		g->events[i] = (struct pb_group_event){ .quantity = q };
		g->n_events++;
	}
	return add_rungs(f, &g->events[i], value);
}

static bool group_has(const struct pb_group *g, int quantity)
{
	for (unsigned i = 0; i < g->n_events; i++)
		if (g->events[i].quantity == quantity)
			return true;
	return false;
}

/* ipc "instructions per cycle" = instructions / cycles */
static enum pb_status parse_metric(struct group_file *f, char *left, char *value)
{
	struct pb_groups *g = f->groups;
	char *title = strchr(left, '"'), *end = title ? strchr(title + 1, '"') : NULL, *slash = strchr(value, '/');
	struct pb_group_metric m;
	enum pb_status st;

	if (!end || *trim(end + 1))
		return fail_at(f, "a metric is: metric NAME \"title\" = quantity / quantity");
	*title = *end = '\0';
	left = trim(left);
	if (!is_word(left) || pb_quantity_find(left) >= 0)
		return fail_at(f, "'%.40s' is no name for a metric", left);
	for (unsigned i = 0; i < g->n_metrics; i++)
		if (strcmp(g->metrics[i].name, left) == 0)
			return fail_at(f, "metric '%s' is there already", left);
	if (!slash)
		return fail_at(f, "a metric is one quantity over another: a / b");
	*slash = '\0';
	if ((st = find_hardware(f, trim(value), &m.above)) || (st = find_hardware(f, trim(slash + 1), &m.below)))
		return st;
	if (!group_has(f->group, m.above) || !group_has(f->group, m.below))
		return fail_at(f, "metric '%s': both quantities must be events of group '%s', above this line", left, f->group->name);
	if (g->n_metrics == PB_MAX_METRICS)
		return fail_at(f, "more than %d metrics", PB_MAX_METRICS);
	m.name = pb_arena_strdup(g->arena, left);
	m.title = pb_arena_strdup(g->arena, title + 1);
	if (!m.name || !m.title)
		return pb_out_of_memory(f->err, "counter groups");
	g->metrics[g->n_metrics++] = m;
	return PB_OK;
}

static enum pb_status parse_line(struct group_file *f, char *line)
{
	char *comment = strchr(line, ';'), *value;

	if (comment)
		*comment++ = '\0';
	line = trim(line);
	if (!*line)
		return PB_OK;
	if (*line == '[')
		return parse_header(f, line, comment ? trim(comment) : "");
	if (!f->group)
		return fail_at(f, "a line before the first '[group NAME]'");
	value = strchr(line, '=');
	if (!value)
		return fail_at(f, "expected 'event', 'metric' or 'help', with '='");
	*value++ = '\0';
	line = trim(line);
	value = trim(value);
	if (strncmp(line, "event ", 6) == 0)
		return parse_event(f, trim(line + 6), value);
	if (strncmp(line, "metric ", 7) == 0)
		return parse_metric(f, trim(line + 7), value);
	if (strcmp(line, "help") != 0)
		return fail_at(f, "'%.40s': expected 'event', 'metric' or 'help'", line);
	f->group->help = pb_arena_strdup(f->groups->arena, value);
	return f->group->help ? PB_OK : pb_out_of_memory(f->err, "counter groups");
}

enum pb_status pb_groups_parse(struct pb_groups *g, const char *file, const char *text, struct pb_error *err)
{
	struct group_file f = { .groups = g, .name = file, .err = err };
	enum pb_status st = PB_OK;

	while (!st && *text) {
		size_t n = strcspn(text, "\n");
		char *line = pb_arena_strndup(g->arena, text, n);

		f.line++;
		st = line ? parse_line(&f, line) : pb_out_of_memory(err, "counter groups");
		text += n + (text[n] == '\n');
	}
	return st;
}

static enum pb_status read_file(struct pb_groups *g, const char *path, struct pb_error *err)
{
	char *data = NULL;
	size_t size;
	enum pb_status st = pb_file_read(path, GROUP_FILE_LIMIT, &data, &size, err);

	if (!st)
		st = strlen(data) == size ? pb_groups_parse(g, path, data, err) : pb_fail(err, PB_FORMAT, "%s: not a text file", path);
	pb_free(data);
	return st;
}

/* generic.txt comes before all others. */
static int by_file(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	int gx = strcmp(x, "generic.txt") == 0, gy = strcmp(y, "generic.txt") == 0;

	return gx != gy ? gy - gx : strcmp(x, y);
}

enum pb_status pb_groups_read(struct pb_groups *g, const char *folder, struct pb_error *err)
{
	const char *names[64];
	size_t n = 0;
	DIR *d = opendir(folder);
	struct dirent *e;
	enum pb_status st = PB_OK;

	if (!d)
		return pb_fail(err, PB_MISSING, "%s: %s", folder, strerror(errno));
	while (!st && n < 64 && (e = readdir(d)))
		if (e->d_name[0] != '.' && pb_path_has_suffix(e->d_name, ".txt") && !(names[n++] = pb_arena_strdup(g->arena, e->d_name)))
			st = pb_out_of_memory(err, "counter groups");
	closedir(d);
	if (!st && n > 1)
		qsort(names, n, sizeof(names[0]), by_file);
	for (size_t i = 0; !st && i < n; i++) {
		const char *path = pb_arena_printf(g->arena, "%s/%s", folder, names[i]);

		st = path ? read_file(g, path, err) : pb_out_of_memory(err, "counter groups");
	}
	return st;
}
