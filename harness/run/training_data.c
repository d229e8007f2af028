#include "harness/run/training_data.h"

#include <string.h>
#include "core/base/file.h"
#include "core/base/text.h"
#include "tasks/world/world.h"

#define TEXT_LIMIT ((size_t)4 << 30)

static enum pb_status add_document(struct pb_training_data *d, const char *text, size_t n, struct pb_ids *ids, struct pb_error *err)
{
	int32_t first = pb_tokenizer_bos(d->tokenizer) >= 0 ? pb_tokenizer_bos(d->tokenizer) : pb_tokenizer_eos(d->tokenizer);
	enum pb_status st = first >= 0 ? pb_ids_add(ids, first, err) : PB_OK;

	return st ? st : pb_tokenizer_encode(d->tokenizer, text, n, PB_SPECIAL_NONE, ids, err);
}

static enum pb_status add_text(struct pb_training_data *d, const char *text, size_t n, enum pb_documents documents, struct pb_ids *ids, struct pb_error *err)
{
	const char *end = text + n;
	enum pb_status st = PB_OK;

	if (documents == PB_DOCUMENTS_WHOLE)
		return add_document(d, text, n, ids, err);
	while (!st && text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;

		if (stop > text)
			st = add_document(d, text, (size_t)(stop - text), ids, err);
		text = stop + 1;
	}
	return st;
}

static enum pb_status add_file(struct pb_training_data *d, const char *path, enum pb_documents documents, struct pb_ids *ids, struct pb_error *err)
{
	char *text = NULL;
	size_t size = 0;
	enum pb_status st = pb_file_read_data(path, TEXT_LIMIT, &text, &size, err);

	if (!st)
		st = add_text(d, text, size, documents, ids, err);
	pb_free(text);
	return st;
}

static enum pb_status read_world(struct pb_training_data *d, const struct pb_training_recipe *r, uint32_t n_vocab, struct pb_error *err)
{
	struct pb_world world = {0};
	const struct pb_text *file;
	enum pb_status st = pb_world_make(&world, r->world_seed, pb_world_size_find(r->world), err);

	if (st)
		return st;
	file = pb_world_file(&world, "tokenizer.json");
	pb_text_bytes(&d->tokenizer_file, file->data, file->length);
	st = pb_text_check(&d->tokenizer_file, err);
	if (!st)
		st = pb_tokenizer_parse(&d->tokenizer, "tokenizer.json of the world", file->data, file->length, n_vocab, err);
	file = pb_world_file(&world, "train.txt");
	if (!st)
		st = add_text(d, file->data, file->length, PB_DOCUMENTS_LINES, &d->train, err);
	file = pb_world_file(&world, "validation.txt");
	if (!st)
		st = add_text(d, file->data, file->length, PB_DOCUMENTS_LINES, &d->validation, err);
	pb_world_free(&world);
	return st;
}

static enum pb_status read_tokenizer(struct pb_training_data *d, const char *path, uint32_t n_vocab, struct pb_error *err)
{
	char *bytes = NULL;
	size_t size = 0;
	enum pb_status st = pb_file_read(path, (size_t)1 << 30, &bytes, &size, err);

	if (!st) {
		pb_text_bytes(&d->tokenizer_file, bytes, size);
		st = pb_text_check(&d->tokenizer_file, err);
	}
	if (!st)
		st = pb_tokenizer_parse(&d->tokenizer, path, bytes, size, n_vocab, err);
	pb_free(bytes);
	return st;
}

static enum pb_status read_files(struct pb_training_data *d, const struct pb_training_recipe *r, const struct pb_model *from, struct pb_error *err)
{
	char *beside = NULL;
	enum pb_status st = r->tokenizer ? PB_OK : pb_model_find_tokenizer(from, &beside, err);

	if (!st)
		st = read_tokenizer(d, r->tokenizer ? r->tokenizer : beside, from ? from->config.n_vocab : r->config.n_vocab, err);
	pb_free(beside);
	if (!st)
		st = add_file(d, r->train_file, r->documents, &d->train, err);
	if (!st && r->validation_file)
		st = add_file(d, r->validation_file, r->documents, &d->validation, err);
	return st;
}

enum pb_status pb_training_data_read(struct pb_training_data *out, const struct pb_training_recipe *r, const struct pb_model *from, struct pb_error *err)
{
	struct pb_training_data d = {0};
	uint32_t n_vocab = from ? from->config.n_vocab : r->config.n_vocab;
	enum pb_status st = r->world ? read_world(&d, r, n_vocab, err) : read_files(&d, r, from, err);
	struct pb_hash *hash = NULL;

	if (!st && n_vocab && pb_tokenizer_size(d.tokenizer) > n_vocab)
		st = pb_fail(err, PB_USAGE, "%s: the tokenizer has %u pieces, the model a vocabulary of %u", r->file, pb_tokenizer_size(d.tokenizer), n_vocab);
	if (!st && !(hash = pb_hash_new()))
		st = pb_out_of_memory(err, "a hash");
	if (st) {
		pb_training_data_free(&d);
		return st;
	}
	pb_hash_string(hash, pb_tokenizer_hash(d.tokenizer));
	pb_hash_bytes(hash, d.train.data, d.train.n * sizeof *d.train.data);
	pb_hash_string(hash, "validation");
	pb_hash_bytes(hash, d.validation.data, d.validation.n * sizeof *d.validation.data);
	pb_hash_finish(hash, d.hash);
	*out = d;
	return PB_OK;
}

void pb_training_data_free(struct pb_training_data *d)
{
	pb_tokenizer_free(d->tokenizer);
	pb_text_free(&d->tokenizer_file);
	pb_ids_free(&d->train);
	pb_ids_free(&d->validation);
}

enum pb_status pb_training_data_write_tokenizer(const struct pb_training_data *d, const char *folder, struct pb_error *err)
{
	char *path = pb_path_join(folder, pb_tokenizer_file_name(d->tokenizer));
	enum pb_status st = path ? pb_file_write(path, d->tokenizer_file.data, d->tokenizer_file.length, err) : pb_out_of_memory(err, "a path");

	pb_free(path);
	return st;
}
