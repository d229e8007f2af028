#include "harness/run/external.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/base/text.h"
#include "core/model/safetensors.h"

#define SAID_MAX 300
/* Beside what the weights take twice: for files of its own. */
#define FILE_BYTES (64ull << 20)

enum pb_status pb_external_check(const struct pb_quantizer_use *use, struct pb_error *err)
{
	struct pb_program program = use->quantizer->program(use->options);
	struct stat about;

	if (!*program.path)
		return pb_fail(err, PB_USAGE, "%s: no program\nname one: %s:program=PATH", use->quantizer->name, use->quantizer->name);
	if (stat(program.path, &about))
		return pb_fail(err, PB_MISSING, "%s: program %s: %s", use->quantizer->name, program.path, strerror(errno));
	if (!S_ISREG(about.st_mode) || access(program.path, X_OK))
		return pb_fail(err, PB_USAGE, "%s: program %s: not a file that may be executed", use->quantizer->name, program.path);
	return PB_OK;
}

/* One run of the program. */
struct run {
	const struct pb_program *program;
	char *folder, *in, *out;        /* the folder is its own */
	uint64_t file_bytes;            /* the largest file that it may write */
	pid_t pid;
	int said;                       /* reads its standard error; -1: closed */
	struct pb_text text;            /* of it, the last bytes */
};

/* ---- files ---- */

static const char *temporary(void)
{
	const char *base = getenv("TMPDIR");

	return base && *base ? base : "/tmp";
}

#define PREFIX_BYTES 128

/* How the names of a process's folders begin; the machine's name, as machines may share the folder above. */
static void put_prefix(char out[PREFIX_BYTES], pid_t process)
{
	char host[65] = "";

	(void)!gethostname(host, sizeof(host) - 1);
	snprintf(out, PREFIX_BYTES, "paretobench-external-%s-%d-", host, (int)process);
}

static enum pb_status make_folder(struct run *r, struct pb_error *err)
{
	char name[PREFIX_BYTES + 6], *folder;

	put_prefix(name, getpid());
	strcat(name, "XXXXXX");
	folder = pb_path_join(temporary(), name);
	if (!folder)
		return pb_out_of_memory(err, "a path");
	if (!mkdtemp(folder)) {
		enum pb_status st = pb_fail(err, PB_IO, "%s: %s", folder, strerror(errno));

		pb_free(folder);
		return st;
	}
	r->folder = folder;
	r->in = pb_path_join(folder, "in.safetensors");
	r->out = pb_path_join(folder, "out.safetensors");
	return r->in && r->out ? PB_OK : pb_out_of_memory(err, "a path");
}

/* With the files in it; what the program put into folders there stays. */
static void remove_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			if (unlinkat(dirfd(dir), entry->d_name, 0))
				(void)unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	if (dir)
		closedir(dir);
	(void)rmdir(folder);
}

void pb_external_clean(pid_t process)
{
	char prefix[PREFIX_BYTES];
	DIR *dir = opendir(temporary());
	const struct dirent *entry;

	put_prefix(prefix, process);
	while (dir && (entry = readdir(dir))) {
		char *folder = strncmp(entry->d_name, prefix, strlen(prefix)) == 0 ? pb_path_join(temporary(), entry->d_name) : NULL;

		if (folder)
			remove_folder(folder);
		pb_free(folder);
	}
	if (dir)
		closedir(dir);
}

static struct pb_named_tensor tensor_of(const char *name, const float *data, uint32_t rows, uint32_t cols)
{
	struct pb_tensor t = { .dtype = PB_F32, .n_dims = rows ? 2 : 1, .data = data, .bytes = (rows ? rows : 1) * (uint64_t)cols * sizeof(float) };

	t.shape[0] = rows ? rows : cols;
	t.shape[1] = rows ? cols : 0;
	return (struct pb_named_tensor){ name, t };
}

static enum pb_status write_in(const struct run *r, const struct pb_quantize_job *job, struct pb_error *err)
{
	struct pb_named_tensor tensors[4] = { tensor_of("weight", job->weights, job->rows, job->cols) };
	struct pb_rng rng = job->rng;
	char layer[16], n_layers[16], seed[24];
	const char *const metadata[] = { "matrix", job->name, "layer", layer, "n_layers", n_layers, "seed", seed, NULL };
	size_t n = 1;

	if (job->second_moment)
		tensors[n++] = tensor_of("second_moment", job->second_moment, job->cols, job->cols);
	if (job->mean_abs)
		tensors[n++] = tensor_of("mean_abs", job->mean_abs, 0, job->cols);
	if (job->gradient_sq)
		tensors[n++] = tensor_of("gradient_sq", job->gradient_sq, job->rows, job->cols);
	snprintf(layer, sizeof(layer), "%" PRIu32, job->layer);
	snprintf(n_layers, sizeof(n_layers), "%" PRIu32, job->n_layers);
	snprintf(seed, sizeof(seed), "%" PRIu32, pb_rng_u32(&rng));
	return pb_safetensors_write(r->in, tensors, n, metadata, err);
}

/* ---- the process ---- */

/* Between fork and exec, with threads around: system calls alone. */
static void become_program(const struct run *r, char *const *argv, int said, pid_t parent)
{
	struct rlimit limit = { r->file_bytes, r->file_bytes };
	int nothing = open("/dev/null", O_RDWR);
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0 || dup2(said, STDERR_FILENO) < 0)
		_exit(127);
	setrlimit(RLIMIT_FSIZE, &limit);
	/* Threads of a pool take no signals. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	execv(argv[0], argv);
	dprintf(STDERR_FILENO, "%s\n", strerror(errno));
	_exit(127);
}

static enum pb_status start(struct run *r, struct pb_error *err)
{
	const char *argv[] = { r->program->path, r->in, r->out, *r->program->arg ? r->program->arg : NULL, NULL };
	pid_t parent = getpid();
	int said[2];

	if (pipe2(said, O_CLOEXEC))
		return pb_fail(err, PB_IO, "cannot start %s: %s", r->program->path, strerror(errno));
	r->pid = fork();
	if (r->pid == 0)
		become_program(r, (char *const *)argv, said[1], parent);
	close(said[1]);
	r->said = said[0];
	if (r->pid < 0)
		return pb_fail(err, PB_IO, "cannot start %s: %s", r->program->path, strerror(errno));
	/* Here too, whichever of the two comes first. */
	setpgid(r->pid, r->pid);
	return PB_OK;
}

/* What is there now; of it the end is kept. */
static void listen_to(struct run *r)
{
	char buffer[4096];
	ssize_t n = read(r->said, buffer, sizeof(buffer));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		close(r->said);
		r->said = -1;
		return;
	}
	if (r->text.length > 2 * sizeof(buffer)) {
		r->text.length -= sizeof(buffer);
		memmove(r->text.data, r->text.data + sizeof(buffer), r->text.length);
	}
	pb_text_bytes(&r->text, buffer, (size_t)n);
}

/* Its last line. */
static void put_said(struct run *r, struct pb_text *out)
{
	const char *last;

	while (r->text.length && strchr("\r\n ", r->text.data[r->text.length - 1]))
		r->text.data[--r->text.length] = '\0';
	if (!r->text.length)
		return;
	last = strrchr(r->text.data, '\n');
	pb_text_string(out, "; it said: ");
	for (const char *p = last ? last + 1 : r->text.data, *end = r->text.data + r->text.length; p < end && out->length < SAID_MAX + 100;) {
		char bytes[4];
		uint32_t c = pb_utf8_next(&p, end);

		pb_text_bytes(out, bytes, pb_utf8_put(bytes, c < ' ' ? ' ' : c));
	}
}

/* Waits for its end, or makes it; false: it took too long. */
static bool wait_for(struct run *r, int *status)
{
	double end = pb_clock_seconds() + r->program->seconds;
	bool ended = false;

	while (!ended && pb_clock_seconds() < end) {
		struct pollfd fd = { .fd = r->said, .events = POLLIN };
		double left = end - pb_clock_seconds();

		/* Its pipe is closed when it ends; a program that closes it before is looked at every few milliseconds. */
		if (poll(&fd, 1, r->said < 0 ? 5 : left < 0.1 ? 5 : 100) > 0)
			listen_to(r);
		ended = waitpid(r->pid, status, WNOHANG) == r->pid;
	}
	kill(-r->pid, SIGKILL);
	while (!ended && waitpid(r->pid, status, 0) < 0 && errno == EINTR)
		;
	/* What it said last, if nothing that it started holds the pipe. */
	if (r->said >= 0) {
		fcntl(r->said, F_SETFL, O_NONBLOCK);
		for (int i = 0; r->said >= 0 && i < 64; i++)
			listen_to(r);
	}
	return ended;
}

static enum pb_status check_end(struct run *r, bool ended, int status, struct pb_error *err)
{
	struct pb_text t = {0};
	enum pb_status st;
	char limit[32];

	pb_text_printf(&t, "%s ", r->program->path);
	if (!ended) {
		pb_format_duration(limit, r->program->seconds);
		pb_text_printf(&t, "took longer than %s", limit);
	} else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ) {
		pb_text_printf(&t, "wrote a file of more than %" PRIu64 " bytes", r->file_bytes);
	} else if (WIFSIGNALED(status)) {
		pb_text_printf(&t, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	} else if (WEXITSTATUS(status)) {
		pb_text_printf(&t, "ended with exit code %d", WEXITSTATUS(status));
	} else {
		pb_text_free(&t);
		return PB_OK;
	}
	put_said(r, &t);
	st = pb_fail(err, ended ? PB_FAILED : PB_LIMIT, "%s", pb_text_c(&t));
	pb_text_free(&t);
	return st;
}

/* ---- what it gave ---- */

static enum pb_status take_weights(const struct pb_safetensors *file, const struct pb_quantize_job *job, struct pb_encoded *m, struct pb_error *err)
{
	const struct pb_tensor *t = pb_safetensors_find(file, "weight");
	uint64_t n = (uint64_t)job->rows * job->cols, bad;
	float *w;
	enum pb_status st;

	if (!t)
		return pb_fail(err, PB_FORMAT, "there is no tensor 'weight' in it");
	if (t->dtype != PB_F32 && t->dtype != PB_F16 && t->dtype != PB_BF16)
		return pb_fail(err, PB_FORMAT, "weight is %s; F32, F16 or BF16 is expected", pb_dtype_name(t->dtype));
	if (t->n_dims != 2 || t->shape[0] != job->rows || t->shape[1] != job->cols)
		return pb_fail(err, PB_FORMAT, "weight has %u dimensions, %" PRIu64 " x %" PRIu64 "; the matrix is %" PRIu32 " x %" PRIu32, t->n_dims, t->n_dims ? t->shape[0] : 0,
			t->n_dims > 1 ? t->shape[1] : 1, job->rows, job->cols);
	w = pb_alloc(n, sizeof(*w));
	if (!w)
		return pb_out_of_memory(err, "weights");
	pb_float_read(t->dtype, t->data, 0, n, w);
	bad = pb_count_not_finite(w, n);
	st = bad ? pb_fail(err, PB_NUMERIC, "%" PRIu64 " of %" PRIu64 " weights in it are not finite", bad, n) : pb_encoded_set_dense(m, w, PB_F32, err);
	pb_free(w);
	return st;
}

static enum pb_status take_bytes(const struct pb_safetensors *file, struct pb_encoded *m, struct pb_error *err)
{
	const char *text = pb_safetensors_metadata(file, "bytes");
	uint64_t most = (uint64_t)m->rows * m->cols * sizeof(float);
	int64_t bytes = 0;

	if (!text)
		return pb_fail(err, PB_FORMAT, "its metadata do not say `bytes`, the size that is claimed");
	if (!pb_parse_int64(text, &bytes) || bytes < 1 || (uint64_t)bytes > most)
		return pb_fail(err, PB_FORMAT, "it claims '%.40s' bytes; a whole number from 1 to %" PRIu64 ", 4 a weight, is expected", text, most);
	m->claimed_bytes = (uint64_t)bytes;
	return PB_OK;
}

static const struct pb_tensor *find_part(void *file, const char *part)
{
	return pb_safetensors_find(file, part);
}

/* Parts, whose size is counted. */
static enum pb_status take_parts(struct pb_safetensors *file, const char *encoding, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	struct pb_encoded *m = NULL;
	json_t *description = NULL;
	enum pb_status st = pb_json_parse(&description, "encoding", encoding, strlen(encoding), err);

	if (!st)
		st = pb_encoded_copy(&m, description, find_part, file, err);
	json_decref(description);
	if (!st && (m->claimed_bytes || pb_safetensors_metadata(file, "bytes")))
		st = pb_fail(err, PB_FORMAT, "it has an encoding, whose bytes are counted, and claims bytes");
	if (!st && (m->rows != job->rows || m->cols != job->cols))
		st = pb_fail(err, PB_FORMAT, "the encoding is of %" PRIu32 " x %" PRIu32 "; the matrix is %" PRIu32 " x %" PRIu32, m->rows, m->cols, job->rows, job->cols);
	if (st)
		pb_encoded_free(m);
	else
		*out = m;
	return st;
}

static enum pb_status take_claim(const struct pb_safetensors *file, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	struct pb_encoded *m = NULL;
	enum pb_status st = pb_encoded_new(&m, job->rows, job->cols, err);

	if (!st)
		st = take_weights(file, job, m, err);
	if (!st)
		st = take_bytes(file, m, err);
	if (st)
		pb_encoded_free(m);
	else
		*out = m;
	return st;
}

static enum pb_status read_out(const struct run *r, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	struct pb_safetensors *file = NULL;
	const char *encoding;
	struct stat about;
	enum pb_status st;

	if (lstat(r->out, &about))
		return pb_fail(err, PB_FAILED, "%s ended well and wrote no output", r->program->path);
	if (!S_ISREG(about.st_mode))
		return pb_fail(err, PB_FORMAT, "the output of %s is not a file", r->program->path);
	st = pb_safetensors_open(&file, r->out, err);
	if (!st && (encoding = pb_safetensors_metadata(file, "encoding")))
		st = take_parts(file, encoding, job, out, err);
	else if (!st)
		st = take_claim(file, job, out, err);
	pb_safetensors_close(file);
	return st ? pb_fail_prefix(err, "the output of %s", r->program->path) : PB_OK;
}

static enum pb_status run_program(const void *arg, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	struct run r = { .program = arg, .said = -1, .file_bytes = FILE_BYTES + 2 * sizeof(float) * (uint64_t)job->rows * job->cols };
	int status = 0;
	bool ended;
	enum pb_status st = make_folder(&r, err);

	if (!st)
		st = write_in(&r, job, err);
	if (!st)
		st = start(&r, err);
	if (!st) {
		ended = wait_for(&r, &status);
		st = check_end(&r, ended, status, err);
	}
	if (!st)
		st = read_out(&r, job, out, err);
	if (r.said >= 0)
		close(r.said);
	pb_text_free(&r.text);
	if (r.folder)
		remove_folder(r.folder);
	pb_free(r.folder);
	pb_free(r.in);
	pb_free(r.out);
	return st;
}

enum pb_status pb_external_run(const struct pb_quantizer_use *use, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	struct pb_program program = use->quantizer->program(use->options);

	return pb_quantizer_run_by(use, run_program, &program, job, out, err);
}
