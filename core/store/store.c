#include "core/store/store.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/file.h>
#include <fcntl.h>
#include <unistd.h>
#include "core/base/file.h"
#include "core/base/json.h"

#define STORE_SCHEMA "paretobench-store-1"
#define STORE_FILE "results.db"

struct pb_store {
	sqlite3 *db;
	char *path;
	int lock;               /* descriptor of the lock file; -1 when reading */
	bool has_clusters;      /* of items; an older record does not */
};

/* `row` holds the exported fields of a row; `data` is its JSON object, so that the columns that queries want are
 * columns and nothing is lost when fields are added. */
static const char schema_sql[] =
	"CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE cell (cell TEXT PRIMARY KEY, place INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE row (cell TEXT NOT NULL REFERENCES cell(cell), number INTEGER NOT NULL, model TEXT, quantizer TEXT,"
	" label TEXT, task TEXT, metric TEXT, value REAL, stderr REAL, model_bytes INTEGER, data TEXT NOT NULL,"
	" PRIMARY KEY (cell, number)) WITHOUT ROWID;"
	"CREATE TABLE item (cell TEXT NOT NULL REFERENCES cell(cell), task TEXT NOT NULL, number INTEGER NOT NULL,"
	" weight REAL NOT NULL, gold INTEGER NOT NULL, chosen INTEGER NOT NULL, chosen_norm INTEGER NOT NULL,"
	" loglikelihoods BLOB NOT NULL, cluster INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (cell, task, number)) WITHOUT ROWID;";

static enum pb_status store_fail(struct pb_store *s, struct pb_error *err)
{
	int code = sqlite3_errcode(s->db);
	enum pb_status status = code == SQLITE_NOMEM ? PB_MEMORY : code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? PB_FORMAT : PB_IO;

	return pb_fail(err, status, "%s: %s", s->path, sqlite3_errmsg(s->db));
}

static enum pb_status store_exec(struct pb_store *s, const char *sql, struct pb_error *err)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? PB_OK : store_fail(s, err);
}

static enum pb_status store_prepare(struct pb_store *s, const char *sql, sqlite3_stmt **stmt, struct pb_error *err)
{
	return sqlite3_prepare_v2(s->db, sql, -1, stmt, NULL) == SQLITE_OK ? PB_OK : store_fail(s, err);
}

/* Steps a statement that returns no rows and makes it ready for the next bindings. */
static enum pb_status store_step(struct pb_store *s, sqlite3_stmt *stmt, struct pb_error *err)
{
	int rc = sqlite3_step(stmt);

	if (rc != SQLITE_DONE)
		return store_fail(s, err);
	sqlite3_reset(stmt);
	return PB_OK;
}

/* One writer: a lock that the kernel drops with the process, however it ends. */
static enum pb_status store_lock(struct pb_store *s, const char *folder, struct pb_error *err)
{
	char *path = pb_path_join(folder, ".lock");

	if (!path)
		return pb_out_of_memory(err, "a path");
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (s->lock < 0)
		pb_fail(err, PB_IO, "%s: cannot write: %s", path, strerror(errno));
	pb_free(path);
	if (s->lock < 0)
		return PB_IO;
	if (flock(s->lock, LOCK_EX | LOCK_NB) != 0)
		return pb_fail(err, PB_FAILED, "%s: another run is writing here\nwait for it, or choose another folder with -o", folder);
	return PB_OK;
}

/* Tables of the file, and whether the one of facts is among them. */
static enum pb_status count_tables(struct pb_store *s, int *n, bool *facts, struct pb_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum pb_status st = store_prepare(s, "SELECT count(*), coalesce(sum(name = 'fact'), 0) FROM sqlite_master", &stmt, err);

	if (st)
		return st;
	if (sqlite3_step(stmt) == SQLITE_ROW) {
		*n = sqlite3_column_int(stmt, 0);
		*facts = sqlite3_column_int(stmt, 1) > 0;
	} else {
		st = store_fail(s, err);
	}
	sqlite3_finalize(stmt);
	return st;
}

/* Whether items have clusters; a writer gives them to an older record. */
static enum pb_status find_clusters(struct pb_store *s, bool create, struct pb_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum pb_status st = store_prepare(s, "SELECT count(*) FROM pragma_table_info('item') WHERE name = 'cluster'", &stmt, err);

	if (st)
		return st;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		s->has_clusters = sqlite3_column_int(stmt, 0) > 0;
	else
		st = store_fail(s, err);
	sqlite3_finalize(stmt);
	if (!st && create && !s->has_clusters && !(st = store_exec(s, "ALTER TABLE item ADD COLUMN cluster INTEGER NOT NULL DEFAULT 0", err)))
		s->has_clusters = true;
	return st;
}

static enum pb_status store_check_schema(struct pb_store *s, bool create, struct pb_error *err)
{
	struct pb_arena *arena = NULL;
	const char *schema = "";
	int n = 0;
	bool facts = false;
	enum pb_status st = count_tables(s, &n, &facts, err);

	if (st)
		return st;
	/* Without tables it is new, or a run was killed before its first write. */
	if (n > 0 ? !facts : !create)
		return pb_fail(err, PB_FORMAT, n ? "%s: not the record of a run" : "%s: nothing is in it; a run ended before its first write", s->path);
	if (n == 0) {
		if ((st = store_exec(s, "BEGIN IMMEDIATE", err)) || (st = store_exec(s, schema_sql, err)) ||
		    (st = pb_store_set(s, "schema", STORE_SCHEMA, err)))
			return st;
		return store_exec(s, "COMMIT", err);
	}
	arena = pb_arena_new();
	if (!arena)
		return pb_out_of_memory(err, "the record");
	st = pb_store_get(s, arena, "schema", &schema, err);
	if (!st && strcmp(schema, STORE_SCHEMA) != 0)
		st = pb_fail(err, PB_FORMAT, "%s: schema '%s', this program reads '%s'", s->path, schema, STORE_SCHEMA);
	pb_arena_free(arena);
	return st;
}

enum pb_status pb_store_open(struct pb_store **out, const char *folder, bool create, struct pb_error *err)
{
	struct pb_store *s = pb_alloc_zero(1, sizeof(*s));
	enum pb_status st = PB_OK;

	if (!s)
		return pb_out_of_memory(err, "the record");
	s->lock = -1;
	s->path = pb_path_join(folder, STORE_FILE);
	if (!s->path) {
		st = pb_out_of_memory(err, "a path");
		goto fail;
	}
	if (!create && !pb_file_exists(s->path)) {
		st = pb_fail(err, PB_MISSING, "%s: no results.db here; is it the folder of a run?", folder);
		goto fail;
	}
	if (create && ((st = pb_folder_make(folder, err)) || (st = store_lock(s, folder, err))))
		goto fail;
	if (sqlite3_open_v2(s->path, &s->db, create ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK &&
	    (create || (sqlite3_close(s->db), sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READONLY, NULL)) != SQLITE_OK)) {
		st = s->db ? store_fail(s, err) : pb_out_of_memory(err, "the record");
		goto fail;
	}
	sqlite3_busy_timeout(s->db, 10000);
	/* The rollback journal, not WAL: one file that can be copied, also on network file systems. */
	if (create && ((st = store_exec(s, "PRAGMA journal_mode=DELETE", err)) || (st = store_exec(s, "PRAGMA synchronous=FULL", err))))
		goto fail;
	st = store_check_schema(s, create, err);
	if (!st)
		st = find_clusters(s, create, err);
	if (st)
		goto fail;
	*out = s;
	return PB_OK;
fail:
	pb_store_close(s);
	return st;
}

enum pb_status pb_store_is_there(const char *folder, bool *there, struct pb_error *err)
{
	char *path = pb_path_join(folder, STORE_FILE);

	if (!path)
		return pb_out_of_memory(err, "a path");
	*there = pb_file_exists(path);
	pb_free(path);
	return PB_OK;
}

void pb_store_close(struct pb_store *s)
{
	if (!s)
		return;
	sqlite3_close(s->db);
	if (s->lock >= 0)
		close(s->lock);
	pb_free(s->path);
	pb_free(s);
}

enum pb_status pb_store_set(struct pb_store *s, const char *key, const char *value, struct pb_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum pb_status st = store_prepare(s, "INSERT OR REPLACE INTO fact VALUES (?1, ?2)", &stmt, err);

	if (st)
		return st;
	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
	st = store_step(s, stmt, err);
	sqlite3_finalize(stmt);
	return st;
}

enum pb_status pb_store_get(struct pb_store *s, struct pb_arena *arena, const char *key, const char **value, struct pb_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum pb_status st = store_prepare(s, "SELECT value FROM fact WHERE key = ?1", &stmt, err);
	const char *copy = "";
	int rc;

	if (st)
		return st;
	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		copy = pb_arena_strdup(arena, (const char *)sqlite3_column_text(stmt, 0));
		st = copy ? PB_OK : pb_out_of_memory(err, "the record");
	} else if (rc != SQLITE_DONE) {
		st = store_fail(s, err);
	}
	sqlite3_finalize(stmt);
	if (!st)
		*value = copy;
	return st;
}

static void bind_number(sqlite3_stmt *stmt, int i, double v)
{
	if (isfinite(v))
		sqlite3_bind_double(stmt, i, v);
	else
		sqlite3_bind_null(stmt, i);
}

static enum pb_status put_rows(struct pb_store *s, const char *cell, const struct pb_row *rows, size_t n_rows, struct pb_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum pb_status st = store_prepare(s, "INSERT INTO row VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)", &stmt, err);

	for (size_t i = 0; !st && i < n_rows; i++) {
		const struct pb_row *r = &rows[i];
		json_t *object = pb_row_json(r);
		char *data = object ? pb_json_canonical(object) : NULL;

		json_decref(object);
		if (!data) {
			st = pb_out_of_memory(err, "a row");
			break;
		}
		sqlite3_bind_text(stmt, 1, cell, -1, SQLITE_STATIC);
		sqlite3_bind_int64(stmt, 2, (sqlite3_int64)i);
		sqlite3_bind_text(stmt, 3, r->model, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 4, r->quantizer, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 5, r->label, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 6, r->task, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 7, r->metric, -1, SQLITE_STATIC);
		bind_number(stmt, 8, r->value);
		bind_number(stmt, 9, r->stderr_value);
		if (r->model_bytes == PB_ABSENT)
			sqlite3_bind_null(stmt, 10);
		else
			sqlite3_bind_int64(stmt, 10, r->model_bytes);
		sqlite3_bind_text(stmt, 11, data, -1, SQLITE_STATIC);
		st = store_step(s, stmt, err);
		pb_free(data);
	}
	sqlite3_finalize(stmt);
	return st;
}

static enum pb_status put_items(struct pb_store *s, const char *cell, const struct pb_stored_task *task, struct pb_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum pb_status st = store_prepare(s, "INSERT INTO item VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)", &stmt, err);

	for (size_t i = 0; !st && i < task->n_items; i++) {
		const struct pb_stored_item *it = &task->items[i];

		sqlite3_bind_text(stmt, 1, cell, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 2, task->task, -1, SQLITE_STATIC);
		sqlite3_bind_int64(stmt, 3, it->index);
		sqlite3_bind_double(stmt, 4, it->weight);
		sqlite3_bind_int(stmt, 5, it->gold);
		sqlite3_bind_int(stmt, 6, it->chosen);
		sqlite3_bind_int(stmt, 7, it->chosen_norm);
		sqlite3_bind_blob64(stmt, 8, it->n_values ? (const void *)it->values : (const void *)"", it->n_values * sizeof(double), SQLITE_STATIC);
		sqlite3_bind_int64(stmt, 9, it->cluster);
		st = store_step(s, stmt, err);
	}
	sqlite3_finalize(stmt);
	return st;
}

static enum pb_status clear_cell(struct pb_store *s, const char *cell, struct pb_error *err)
{
	static const char *const sql[] = { "DELETE FROM item WHERE cell = ?1", "DELETE FROM row WHERE cell = ?1", "DELETE FROM cell WHERE cell = ?1" };

	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
		sqlite3_stmt *stmt = NULL;
		enum pb_status st = store_prepare(s, sql[i], &stmt, err);

		if (st)
			return st;
		sqlite3_bind_text(stmt, 1, cell, -1, SQLITE_STATIC);
		st = store_step(s, stmt, err);
		sqlite3_finalize(stmt);
		if (st)
			return st;
	}
	return PB_OK;
}

static enum pb_status put_cell(struct pb_store *s, const char *cell, uint64_t order, const struct pb_row *first, struct pb_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum pb_status st = store_prepare(s, "INSERT INTO cell VALUES (?1,?2,?3,?4)", &stmt, err);

	if (st)
		return st;
	sqlite3_bind_text(stmt, 1, cell, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 2, (sqlite3_int64)order);
	sqlite3_bind_text(stmt, 3, pb_row_status_name(first->status), -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 4, first->reason, -1, SQLITE_STATIC);
	st = store_step(s, stmt, err);
	sqlite3_finalize(stmt);
	return st;
}

/* The row that decides a cell's status: the first that is not ok, else the first. */
static const struct pb_row *deciding_row(const struct pb_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].status != PB_ROW_OK)
			return &rows[i];
	return &rows[0];
}

enum pb_status pb_store_put(struct pb_store *s, const char *cell, uint64_t order, const struct pb_row *rows, size_t n_rows,
	const struct pb_stored_task *tasks, size_t n_tasks, struct pb_error *err)
{
	enum pb_status st;

	if (n_rows == 0)
		return pb_fail(err, PB_FAILED, "%s: a cell without rows cannot be kept", s->path);
	if ((st = store_exec(s, "BEGIN IMMEDIATE", err)))
		return st;
	st = clear_cell(s, cell, err);
	if (!st)
		st = put_cell(s, cell, order, deciding_row(rows, n_rows), err);
	if (!st)
		st = put_rows(s, cell, rows, n_rows, err);
	for (size_t i = 0; !st && i < n_tasks; i++)
		st = put_items(s, cell, &tasks[i], err);
	if (!st)
		st = store_exec(s, "COMMIT", err);
	if (st)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return st;
}

enum pb_status pb_store_status(struct pb_store *s, const char *cell, enum pb_row_status *status, struct pb_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum pb_status st = store_prepare(s, "SELECT status FROM cell WHERE cell = ?1", &stmt, err);
	enum pb_row_status found = PB_ROW_RUNNING;
	int rc;

	if (st)
		return st;
	sqlite3_bind_text(stmt, 1, cell, -1, SQLITE_STATIC);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		if (!pb_row_status_parse((const char *)sqlite3_column_text(stmt, 0), &found))
			st = pb_fail(err, PB_FORMAT, "%s: unknown status of cell %s", s->path, cell);
	} else if (rc != SQLITE_DONE) {
		st = store_fail(s, err);
	}
	sqlite3_finalize(stmt);
	if (!st)
		*status = found;
	return st;
}

/* The keys as a table of the connection, for the statements after it in the same transaction. */
static enum pb_status put_planned(struct pb_store *s, const char *const *keys, size_t n, struct pb_error *err)
{
	sqlite3_stmt *insert = NULL;
	enum pb_status st = store_exec(s, "CREATE TEMP TABLE IF NOT EXISTS planned (cell TEXT PRIMARY KEY); DELETE FROM planned", err);

	if (!st)
		st = store_prepare(s, "INSERT OR IGNORE INTO planned VALUES (?1)", &insert, err);
	for (size_t i = 0; !st && i < n; i++) {
		sqlite3_bind_text(insert, 1, keys[i], -1, SQLITE_STATIC);
		st = store_step(s, insert, err);
	}
	sqlite3_finalize(insert);
	return st;
}

/* One transaction over the planned cells; *changed: what the last statement changed. */
static enum pb_status change_planned(struct pb_store *s, const char *const *keys, size_t n, const char *before, const char *sql, uint64_t *changed, struct pb_error *err)
{
	enum pb_status st = store_exec(s, "BEGIN IMMEDIATE", err);

	if (st)
		return st;
	st = put_planned(s, keys, n, err);
	if (!st)
		st = store_exec(s, before, err);
	if (!st)
		st = store_exec(s, sql, err);
	if (!st) {
		uint64_t n_changed = (uint64_t)sqlite3_changes(s->db);

		if (!(st = store_exec(s, "COMMIT", err)))
			*changed = n_changed;
	}
	if (st)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return st;
}

enum pb_status pb_store_mark_stale(struct pb_store *s, const char *const *keys, size_t n, uint64_t *marked, struct pb_error *err)
{
	static const char forget[] =
		"CREATE TEMP TABLE IF NOT EXISTS useless (cell TEXT PRIMARY KEY); DELETE FROM useless;"
		"INSERT INTO useless SELECT cell FROM cell WHERE cell NOT IN (SELECT cell FROM planned)"
		" AND NOT EXISTS (SELECT 1 FROM row WHERE row.cell = cell.cell AND json_extract(row.data, '$.status') = 'ok');"
		"DELETE FROM item WHERE cell IN (SELECT cell FROM useless);"
		"DELETE FROM row WHERE cell IN (SELECT cell FROM useless);"
		"DELETE FROM cell WHERE cell IN (SELECT cell FROM useless)";

	return change_planned(s, keys, n, forget, "UPDATE cell SET status = 'stale', reason = 'not in the plan of the last run'"
		" WHERE status <> 'stale' AND cell NOT IN (SELECT cell FROM planned)", marked, err);
}

enum pb_status pb_store_revive(struct pb_store *s, const char *const *keys, size_t n, uint64_t *revived, struct pb_error *err)
{
	/* As in deciding_row. */
	return change_planned(s, keys, n, "", "UPDATE cell SET"
		" status = coalesce((SELECT json_extract(data, '$.status') FROM row WHERE row.cell = cell.cell"
		" AND json_extract(data, '$.status') <> 'ok' ORDER BY number LIMIT 1), 'ok'),"
		" reason = coalesce((SELECT json_extract(data, '$.reason') FROM row WHERE row.cell = cell.cell"
		" AND json_extract(data, '$.status') <> 'ok' ORDER BY number LIMIT 1), '')"
		" WHERE status = 'stale' AND cell IN (SELECT cell FROM planned)", revived, err);
}

static enum pb_status add_row(struct pb_store *s, struct pb_rows *rows, sqlite3_stmt *stmt, struct pb_error *err)
{
	const char *data = (const char *)sqlite3_column_text(stmt, 0);
	const char *status = (const char *)sqlite3_column_text(stmt, 1);
	json_t *object = NULL;
	enum pb_status st = pb_json_parse(&object, s->path, data ? data : "", data ? strlen(data) : 0, err);

	if (st)
		return st;
	st = pb_row_from_json(rows, object, err);
	json_decref(object);
	if (st)
		pb_fail_prefix(err, "%s", s->path);
	/* A stale cell's rows stay as they were written: the cell's status is what counts. */
	if (!st && status && strcmp(status, "stale") == 0) {
		struct pb_row *r = &rows->rows[rows->n - 1];

		r->status = PB_ROW_STALE;
		r->reason = pb_rows_string(rows, (const char *)sqlite3_column_text(stmt, 2));
		r->value = r->stderr_value = NAN;
		r->n = PB_ABSENT;
		if (!r->reason)
			st = pb_out_of_memory(err, "rows");
	}
	return st;
}

enum pb_status pb_store_rows(struct pb_store *s, struct pb_rows *rows, struct pb_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum pb_status st = store_prepare(s, "SELECT row.data, cell.status, cell.reason FROM row JOIN cell USING (cell) ORDER BY cell.place, row.cell, row.number", &stmt, err);
	int rc = SQLITE_DONE;

	while (!st && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		st = add_row(s, rows, stmt, err);
	if (!st && rc != SQLITE_DONE)
		st = store_fail(s, err);
	sqlite3_finalize(stmt);
	if (!st)
		pb_rows_sort(rows);
	return st;
}

static enum pb_status read_item(struct pb_store *s, struct pb_arena *arena, sqlite3_stmt *stmt, struct pb_stored_item *it, struct pb_error *err)
{
	size_t bytes = (size_t)sqlite3_column_bytes(stmt, 5);
	double *values = pb_arena_alloc(arena, bytes / sizeof(double), sizeof(double));

	if (bytes % sizeof(double) != 0)
		return pb_fail(err, PB_FORMAT, "%s: log-likelihoods of an item have %zu bytes", s->path, bytes);
	if (!values)
		return pb_out_of_memory(err, "items");
	if (bytes)
		memcpy(values, sqlite3_column_blob(stmt, 5), bytes);
	*it = (struct pb_stored_item){ .index = (uint32_t)sqlite3_column_int64(stmt, 0), .n_values = (uint32_t)(bytes / sizeof(double)), .values = values,
		.weight = sqlite3_column_double(stmt, 1), .gold = sqlite3_column_int(stmt, 2), .chosen = sqlite3_column_int(stmt, 3),
		.chosen_norm = sqlite3_column_int(stmt, 4), .cluster = (uint32_t)sqlite3_column_int64(stmt, 6) };
	return PB_OK;
}

static enum pb_status count_items(struct pb_store *s, const char *cell, const char *task, size_t *n, struct pb_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum pb_status st = store_prepare(s, "SELECT count(*) FROM item WHERE cell = ?1 AND task = ?2", &stmt, err);

	if (st)
		return st;
	sqlite3_bind_text(stmt, 1, cell, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, task, -1, SQLITE_STATIC);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		*n = (size_t)sqlite3_column_int64(stmt, 0);
	else
		st = store_fail(s, err);
	sqlite3_finalize(stmt);
	return st;
}

enum pb_status pb_store_items(struct pb_store *s, struct pb_arena *arena, const char *cell, const char *task,
	struct pb_stored_item **items, size_t *n, struct pb_error *err)
{
	sqlite3_stmt *stmt = NULL;
	struct pb_stored_item *list = NULL;
	size_t count = 0, i = 0;
	enum pb_status st = count_items(s, cell, task, &count, err);
	int rc = SQLITE_DONE;

	if (st)
		return st;
	list = pb_arena_alloc(arena, count, sizeof(*list));
	if (!list)
		return pb_out_of_memory(err, "items");
	st = store_prepare(s, s->has_clusters ? "SELECT number, weight, gold, chosen, chosen_norm, loglikelihoods, cluster FROM item WHERE cell = ?1 AND task = ?2 ORDER BY number"
		: "SELECT number, weight, gold, chosen, chosen_norm, loglikelihoods, 0 FROM item WHERE cell = ?1 AND task = ?2 ORDER BY number", &stmt, err);
	if (st)
		return st;
	sqlite3_bind_text(stmt, 1, cell, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, task, -1, SQLITE_STATIC);
	while (!st && i < count && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		st = read_item(s, arena, stmt, &list[i++], err);
	if (!st && rc != SQLITE_ROW && rc != SQLITE_DONE)
		st = store_fail(s, err);
	sqlite3_finalize(stmt);
	if (!st) {
		*items = list;
		*n = i;
	}
	return st;
}
