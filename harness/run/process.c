#include "harness/run/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/base/json.h"
#include "core/base/log.h"
#include "harness/run/external.h"

#define SAID_MAX 300
/* Address space that OpenBLAS takes for each thread (up to 128 MiB) and hardly touches, with stack and heap arena. */
#define BLAS_RESERVE (192ull << 20)

/* paretobench worker --threads N [--data DIR]... [--plugin FILE]... ; the strings live in the arena. */
static const char **worker_arguments(struct pb_arena *arena, const struct pb_run_options *o)
{
	size_t n = 0;
	const char **argv = pb_arena_alloc(arena, 6 + 2 * (o->data->n + o->n_plugins), sizeof(*argv));

	if (!argv)
		return NULL;
	argv[n++] = "paretobench";
	argv[n++] = "worker";
	argv[n++] = "--threads";
	argv[n] = pb_arena_printf(arena, "%u", o->threads);
	if (!argv[n++])
		return NULL;
	for (size_t i = 0; i < o->data->n; i++) {
		argv[n++] = "--data";
		argv[n++] = o->data->folders[i];
	}
	for (size_t i = 0; i < o->n_plugins; i++) {
		argv[n++] = "--plugin";
		argv[n++] = o->plugins[i];
	}
	argv[n] = NULL;
	return argv;
}

static void become_worker(const char **argv, int in, int out, int err, uint64_t memory_bytes, uint64_t reserve)
{
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
		_exit(127);
	if (memory_bytes) {
		/* Private writable memory: what a program allocates; files mapped for reading do not count. The runner watches what
		 * is really held; this stops what grows faster than it looks. */
		struct rlimit limit = { memory_bytes + reserve, memory_bytes + reserve };

		setrlimit(RLIMIT_DATA, &limit);
	}
	/* The terminal's Ctrl-C is for the runner, from the first moment on. */
	signal(SIGINT, SIG_IGN);
	/* The library would start threads of its own and take a buffer for each, which no cell uses. */
	setenv("OPENBLAS_NUM_THREADS", "1", 1);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	execv("/proc/self/exe", (char *const *)argv);
	_exit(127);
}

static void close_pair(int fd[2])
{
	if (fd[0] >= 0)
		close(fd[0]);
	if (fd[1] >= 0)
		close(fd[1]);
}

enum pb_status pb_process_start(struct pb_process *p, const struct pb_run_options *o, uint64_t memory_bytes, struct pb_error *err)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, said[2] = { -1, -1 };
	struct pb_arena *arena = pb_arena_new();
	const char **argv = arena ? worker_arguments(arena, o) : NULL;
	pid_t pid = -1;

	memset(p, 0, sizeof(*p));
	p->in = p->out = p->err = -1;
	/* What a worker's programs have started comes here when its parents are gone. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (argv && pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(said, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0)
		become_worker(argv, in[0], out[1], said[1], memory_bytes, BLAS_RESERVE * o->threads);
	if (pid < 0) {
		enum pb_status st = argv ? pb_fail(err, PB_IO, "cannot start a worker: %s", strerror(errno)) : pb_out_of_memory(err, "a worker");

		close_pair(in);
		close_pair(out);
		close_pair(said);
		pb_arena_free(arena);
		return st;
	}
	pb_arena_free(arena);
	close(in[0]);
	close(out[1]);
	close(said[1]);
	p->pid = pid;
	p->in = in[1];
	p->out = out[0];
	p->err = said[0];
	fcntl(p->out, F_SETFL, O_NONBLOCK);
	fcntl(p->err, F_SETFL, O_NONBLOCK);
	return PB_OK;
}

enum pb_status pb_process_send(struct pb_process *p, json_t *object, struct pb_error *err)
{
	char *text = object ? pb_json_canonical(object) : NULL;
	size_t n = text ? strlen(text) : 0, sent = 0;

	json_decref(object);
	if (!text)
		return pb_out_of_memory(err, "a cell");
	text[n++] = '\n'; /* in place of the NUL */
	while (sent < n) {
		ssize_t w = write(p->in, text + sent, n - sent);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			/* It died before it was given work: its end is read as that of a cell. */
			break;
		}
		sent += (size_t)w;
	}
	pb_free(text);
	p->memory_seen = 0;
	pb_text_clear(&p->said);
	return PB_OK;
}

static int read_into(int fd, struct pb_text *t)
{
	char buffer[65536];
	ssize_t n = read(fd, buffer, sizeof(buffer));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	pb_text_bytes(t, buffer, (size_t)n);
	return t->failed ? -1 : 1;
}

int pb_process_read(struct pb_process *p)
{
	return read_into(p->out, &p->line);
}

void pb_process_read_said(struct pb_process *p)
{
	struct pb_text t = {0};
	int got;

	while ((got = read_into(p->err, &t)) > 0)
		;
	if (got < 0) {
		close(p->err);
		p->err = -1;
	}
	while (t.length && t.data[t.length - 1] == '\n')
		t.data[--t.length] = '\0';
	if (t.length) {
		const char *last = strrchr(t.data, '\n');

		pb_log(PB_LOG_DEBUG, "worker %d: %s", (int)p->pid, t.data);
		pb_text_clear(&p->said);
		pb_text_printf(&p->said, "%.*s", SAID_MAX, last ? last + 1 : t.data);
	}
	pb_text_free(&t);
}

bool pb_process_next_line(struct pb_process *p, struct pb_text *out)
{
	char *end = p->line.length ? memchr(p->line.data, '\n', p->line.length) : NULL;
	size_t n;

	if (!end)
		return false;
	n = (size_t)(end - p->line.data);
	pb_text_clear(out);
	pb_text_bytes(out, p->line.data, n);
	p->line.length -= n + 1;
	memmove(p->line.data, end + 1, p->line.length);
	p->line.data[p->line.length] = '\0';
	return true;
}

void pb_process_watch_memory(struct pb_process *p)
{
	char path[64], line[256];
	long long kib;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)p->pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %lld kB", &kib) == 1 && kib > 0)
			p->memory_seen = (uint64_t)kib * 1024;
	if (f)
		fclose(f);
}

/* Whether it is a child that no worker is: they stay in the program's process group, and external programs get groups of their own. */
static bool is_orphan(const char *pid)
{
	char path[64], line[512], *end;
	int parent = 0, group = 0;
	FILE *f;
	bool orphan;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	f = fopen(path, "re");
	/* PID (NAME) STATE PPID PGRP, with any bytes in NAME */
	orphan = f && fgets(line, sizeof(line), f) && (end = strrchr(line, ')')) && sscanf(end, ") %*c %d %d", &parent, &group) == 2 && parent == getpid() && group != getpgrp();
	if (f)
		fclose(f);
	return orphan;
}

/* Generation by generation: the children of those that end come next. */
static void end_orphans(void)
{
	const struct dirent *entry;
	bool more = true;

	while (more) {
		DIR *dir = opendir("/proc");

		more = false;
		while (dir && (entry = readdir(dir))) {
			if (!isdigit((unsigned char)*entry->d_name) || !is_orphan(entry->d_name))
				continue;
			pid_t pid = (pid_t)atoi(entry->d_name);

			kill(pid, SIGKILL);
			while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
				;
			more = true;
		}
		if (dir)
			closedir(dir);
	}
}

void pb_process_end(struct pb_process *p, struct pb_text *how)
{
	int status = 0;
	pid_t got;

	if (p->pid == 0)
		return;
	/* When its pipes are closed it has ended or is about to; give it a moment to do so by itself. */
	for (int i = 0; i < 20 && (got = waitpid(p->pid, &status, WNOHANG)) == 0; i++)
		if (how)
			poll(NULL, 0, 10);
		else
			break;
	if (got == 0) {
		kill(p->pid, SIGKILL);
		while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	end_orphans();
	pb_external_clean(p->pid);
	if (p->err >= 0)
		pb_process_read_said(p);
	if (how && WIFSIGNALED(status))
		pb_text_printf(how, "worker killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (how)
		pb_text_printf(how, "worker ended with exit code %d", WEXITSTATUS(status));
	if (how && p->said.length)
		pb_text_printf(how, "; it said: %s", pb_text_c(&p->said));
	if (p->in >= 0)
		close(p->in);
	if (p->out >= 0)
		close(p->out);
	if (p->err >= 0)
		close(p->err);
	pb_text_free(&p->line);
	pb_text_free(&p->said);
	memset(p, 0, sizeof(*p));
	p->in = p->out = p->err = -1;
}
