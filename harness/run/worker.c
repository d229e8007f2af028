#include "harness/run/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "core/base/clock.h"
#include "core/base/json.h"
#include "harness/run/wire.h"

struct reply {
	int fd;
	double last;            /* when progress was sent */
};

static enum pb_status send_line(int fd, json_t *object, struct pb_error *err)
{
	char *text = object ? pb_json_canonical(object) : NULL;
	size_t n = text ? strlen(text) : 0, sent = 0;

	json_decref(object);
	if (!text)
		return pb_out_of_memory(err, "a reply");
	text[n++] = '\n'; /* in place of the NUL */
	while (sent < n) {
		ssize_t w = write(fd, text + sent, n - sent);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			pb_free(text);
			return pb_fail(err, PB_IO, "the runner is gone: %s", strerror(errno));
		}
		sent += (size_t)w;
	}
	pb_free(text);
	return PB_OK;
}

static int send_stage(void *arg, const char *stage, double done)
{
	struct reply *reply = arg;
	double now = pb_clock_seconds();

	if (now - reply->last < 0.2)
		return 0;
	reply->last = now;
	return send_line(reply->fd, json_pack("{s:s, s:f}", "stage", stage, "done", done), NULL) != PB_OK;
}

static enum pb_status run_line(struct pb_workspace *w, struct reply *reply, const char *line, size_t n, struct pb_error *err)
{
	json_t *object = NULL;
	struct pb_arena *arena = pb_arena_new();
	struct pb_cell cell;
	struct pb_cell_result result;
	enum pb_status st = arena ? pb_json_parse(&object, "runner", line, n, err) : pb_out_of_memory(err, "a cell");

	if (!st)
		st = pb_wire_read_cell(object, arena, &cell, err);
	json_decref(object);
	if (!st)
		st = pb_workspace_run(w, &cell, send_stage, reply, &result, err);
	if (!st) {
		st = send_line(reply->fd, pb_wire_result(&result), err);
		pb_cell_result_free(&result);
	}
	pb_arena_free(arena);
	return st;
}

enum pb_status pb_worker_main(struct pb_pool *pool, const struct pb_data_path *data, struct pb_error *err)
{
	struct reply reply = { .fd = dup(STDOUT_FILENO) };
	struct pb_workspace *w = NULL;
	char *line = NULL;
	size_t capacity = 0;
	ssize_t n;
	enum pb_status st;

	/* A runner that dies takes its workers along. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	if (reply.fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return pb_fail(err, PB_IO, "worker: %s", strerror(errno));
	st = pb_workspace_new(&w, pool, data, err);
	while (!st && (n = getline(&line, &capacity, stdin)) > 0)
		st = run_line(w, &reply, line, (size_t)n - (line[n - 1] == '\n'), err);
	free(line);
	pb_workspace_free(w);
	return st;
}
