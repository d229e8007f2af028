/* rounder IN OUT [HOW]: a program for the quantizer `external`. Rounds the weights of IN to multiples of 1/64, to halves, or fails as HOW
 * says; what it makes must be the same in every run. */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/model/safetensors.h"

static bool is(const char *how, const char *name)
{
	return strcmp(how, name) == 0;
}

static void fail_before(const char *how, const char *out)
{
	if (is(how, "exit")) {
		fprintf(stderr, "starting\ncannot do it:\tno\x01 reason\n");
		exit(3);
	}
	if (is(how, "crash"))
		raise(SIGKILL);
	if (is(how, "hang"))
		for (fprintf(stderr, "waiting\n");;)
			pause();
	if (is(how, "hang-closed"))
		for (close(STDERR_FILENO);;)
			pause();
	if (is(how, "chatty"))
		for (int i = 0; i < 100000; i++)
			fprintf(stderr, "line %d\n", i);
	if (is(how, "nothing"))
		exit(0);
	if (is(how, "huge")) {
		int file = creat(out, 0666);

		exit(file < 0 || ftruncate(file, 1ll << 40) ? 4 : 0);
	}
	if (is(how, "garbage")) {
		(void)!pb_file_write(out, "not safetensors", 15, NULL);
		exit(0);
	}
	if (is(how, "fifo")) {
		(void)!mkfifo(out, 0666);
		exit(0);
	}
	if (is(how, "folder")) {
		(void)!mkdir(out, 0777);
		exit(0);
	}
}

int main(int argc, char **argv)
{
	const char *how = argc > 3 ? argv[3] : "";
	const char *metadata[] = { "bytes", "512", NULL };
	struct pb_safetensors *in = NULL;
	struct pb_error err = {0};

	if (argc < 3 || argc > 4)
		return 2;
	fail_before(how, argv[2]);
	if (pb_safetensors_open(&in, argv[1], &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	const struct pb_tensor *from = pb_safetensors_find(in, "weight");
	uint64_t n = from->bytes / sizeof(float);
	float *w = pb_alloc(n, sizeof(*w));
	uint16_t *half = pb_alloc(n, sizeof(*half));
	struct pb_named_tensor to = { "weight", *from };

	pb_float_read(from->dtype, from->data, 0, n, w);
	for (uint64_t i = 0; i < n; i++)
		w[i] = rintf(w[i] * (is(how, "coarse") ? 2 : 64)) / (is(how, "coarse") ? 2 : 64);
	to.tensor.data = w;
	/* What it was told of the data must be there, and no more. */
	if (is(how, "needs") && (!pb_safetensors_find(in, "second_moment") || !pb_safetensors_find(in, "mean_abs") || !pb_safetensors_find(in, "gradient_sq")))
		return 5;
	if (is(how, "bare") && (pb_safetensors_count(in) != 1 || !pb_safetensors_metadata(in, "matrix") || !pb_safetensors_metadata(in, "seed")))
		return 6;
	if (is(how, "nan"))
		w[3] = NAN;
	if (is(how, "shape"))
		to.tensor.shape[0] *= 2, to.tensor.shape[1] /= 2;
	if (is(how, "flat"))
		to.tensor.n_dims = 1, to.tensor.shape[0] = n, to.tensor.shape[1] = 0;
	if (is(how, "type"))
		to.tensor.dtype = PB_I32;
	if (is(how, "name"))
		to.name = "weights";
	if (is(how, "silent"))
		metadata[0] = "size";
	if (is(how, "zero"))
		metadata[1] = "0";
	if (is(how, "negative"))
		metadata[1] = "-5";
	if (is(how, "words"))
		metadata[1] = "12 bytes";
	if (is(how, "greedy"))
		metadata[1] = "99999999999999999999";
	/* The same numbers as parts: multiples of 1/64 fit into 16 bits. */
	char encoding[256];
	if (strncmp(how, "parts", 5) == 0) {
		snprintf(encoding, sizeof(encoding), "{\"rows\": %d, \"cols\": %d, \"code\": \"dense\", \"dtype\": \"F16\"}", (int)from->shape[0], (int)from->shape[1] - is(how, "parts-shape"));
		metadata[0] = "encoding";
		metadata[1] = is(how, "parts-json") ? "{\"rows\": " : encoding;
		pb_float_write(PB_F16, w, n, half);
		to = (struct pb_named_tensor){ is(how, "parts-missing") ? "sparse" : "dense", *from };
		to.tensor.dtype = PB_F16;
		to.tensor.bytes = 2 * n;
		to.tensor.data = half;
		to.tensor.shape[1] -= is(how, "parts-shape");
		to.tensor.bytes -= is(how, "parts-shape") ? 2 * to.tensor.shape[0] : 0;
	}
	const char *both[] = { metadata[0], metadata[1], "bytes", "7", NULL };
	if (pb_safetensors_write(argv[2], &to, 1, is(how, "parts-both") ? both : metadata, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (is(how, "cut") && truncate(argv[2], (off_t)(n * 2)))
		return 7;
	pb_free(w);
	pb_free(half);
	pb_safetensors_close(in);
	return is(how, "late") ? 8 : 0;
}
