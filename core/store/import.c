#include "core/store/import.h"

#include <string.h>
#include <sys/stat.h>
#include "core/base/file.h"
#include "core/base/hash.h"

#define IMPORT_LIMIT (256u << 20)

bool pb_import_is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool pb_import_higher_is_better(const char *metric)
{
	static const char *const starts[] = { "ppl", "nll", "loss", "bits_per_byte", "kld", "delta_nll", "delta_p_", "likelihood_diff", "pct_stereotype", "ter", "relative_", "proxy_error", "brier" };

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (strncmp(metric, starts[i], strlen(starts[i])) == 0)
			return false;
	return true;
}

enum pb_status pb_rows_import_bytes(struct pb_rows *rows, const char *name, const char *data, size_t size, struct pb_error *err)
{
	char hash[PB_HASH_HEX];
	size_t i = 0;

	pb_hash_of_bytes(data, size, hash);
	if (size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) {
		data += 3;
		size -= 3;
	}
	while (i < size && strchr(" \t\r\n", data[i]) && data[i])
		i++;
	return i < size && (data[i] == '{' || data[i] == '[') ? pb_import_lm_eval(rows, name, hash, data, size, err) : pb_import_csv(rows, name, hash, data, size, err);
}

enum pb_status pb_rows_import(struct pb_rows *rows, const char *path, struct pb_error *err)
{
	char *data;
	size_t size;
	enum pb_status st = pb_file_read(path, IMPORT_LIMIT, &data, &size, err);

	if (st)
		return st;
	st = pb_rows_import_bytes(rows, path, data, size, err);
	pb_free(data);
	return st;
}
