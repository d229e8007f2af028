/* Data files from hostile bytes. The first byte chooses the format and the pre-processing, the rest is the file. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "core/base/memory.h"
#include "tasks/data.h"
#include "tasks/process.h"
#include "tasks/wikitext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pb_records records = {0};
	struct pb_source source = {0};
	struct pb_text text = {0};
	struct pb_error err = {0};
	unsigned format, process;
	char *copy;

	if (!size)
		return 0;
	format = data[0] % 6;
	process = data[0] / 6;
	source.format = (enum pb_data_format)format;
	copy = pb_alloc(size, 1);
	records.file = pb_strdup("data");
	if (copy && records.file) {
		memcpy(copy, data + 1, size - 1);
		copy[size - 1] = '\0';
		if (pb_records_parse(&records, records.file, copy, size - 1, &source, &err) == PB_OK) {
			if (format == PB_DATA_TEXT && size < 4096 && pb_wikitext_detokenize(copy, size - 1, &text, &err))
				pb_text_clear(&text);
			if (process < pb_n_processes && pb_processes[process].apply(&records, &err))
				pb_records_free(&records);
		}
	}
	pb_text_free(&text);
	pb_records_free(&records);
	pb_free(copy);
	return 0;
}
