#include "reports/labels.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"

#define WORST 10
#define KEY_COST 15.0

static const struct {
	double x, y;
} directions[8] = {
	{ 1, 0 }, { 0.7071, -0.7071 }, { 0.7071, 0.7071 }, { 0, -1 }, { 0, 1 }, { -1, 0 }, { -0.7071, -0.7071 }, { -0.7071, 0.7071 },
};
static const double distances[3] = { 8.0, 20.0, 36.0 };

static double overlap(const struct pb_box *a, const struct pb_box *b)
{
	double w = fmin(a->x + a->w, b->x + b->w) - fmax(a->x, b->x);
	double h = fmin(a->y + a->h, b->y + b->h) - fmax(a->y, b->y);
	return w > 0.0 && h > 0.0 ? w * h : 0.0;
}

/* Length of a horizontal or vertical line within a box. */
static double line_inside(const struct pb_box *box, double x1, double y1, double x2, double y2)
{
	double left = fmax(fmin(x1, x2), box->x), right = fmin(fmax(x1, x2), box->x + box->w);
	double top = fmax(fmin(y1, y2), box->y), bottom = fmin(fmax(y1, y2), box->y + box->h);
	return left <= right && top <= bottom ? fmax(right - left, bottom - top) : 0.0;
}

static bool is_inside(const struct pb_box *box, const struct pb_box *outer)
{
	return box->x >= outer->x && box->y >= outer->y && box->x + box->w <= outer->x + outer->w && box->y + box->h <= outer->y + outer->h;
}

/* The box in direction d at a distance: the side or corner that looks to the point lies there. */
static struct pb_box box_at(const struct pb_label *label, int d, double distance)
{
	double w = label->number ? label->key_w : label->w;
	double px = label->x + directions[d].x * distance, py = label->y + directions[d].y * distance;
	double left = directions[d].x > 0 ? 0.0 : directions[d].x < 0 ? 1.0 : 0.5;
	double above = directions[d].y > 0 ? 0.0 : directions[d].y < 0 ? 1.0 : 0.5;
	return (struct pb_box){ px - left * w, py - above * label->h, w, label->h };
}

/* How many other points' markers the leader of a label runs through. */
static double markers_crossed(const struct pb_label *label, int d, double distance, const struct pb_label_ground *g)
{
	double n = 0.0;
	for (size_t i = 0; i < g->n_markers; i++) {
		double dx = g->markers[2 * i] - label->x, dy = g->markers[2 * i + 1] - label->y;
		double along = dx * directions[d].x + dy * directions[d].y;
		double across = fabs(dx * directions[d].y - dy * directions[d].x);
		n += hypot(dx, dy) > 1.0 && along > 0.0 && along < distance && across < g->marker_radius;
	}
	return n;
}

/* Of the box alone. */
static double cost_of(const struct pb_box *box, size_t self, const struct pb_label *labels, size_t n_placed, const struct pb_label_ground *g)
{
	double cell = box->h * box->h / 2.0, texts = 0.0, markers = 0.0, lines = 0.0;
	for (size_t i = 0; i < n_placed; i++)
		if (i != self)
			texts += overlap(box, &labels[i].box);
	for (size_t i = 0; i < g->n_taken; i++)
		texts += overlap(box, &g->taken[i]);
	for (size_t i = 0; i < g->n_markers; i++) {
		double r = g->marker_radius;
		struct pb_box m = { g->markers[2 * i] - r, g->markers[2 * i + 1] - r, 2 * r, 2 * r };
		markers += overlap(box, &m);
	}
	for (size_t i = 0; i < g->n_bars; i++)
		markers += overlap(box, &g->bars[i]);
	for (size_t i = 0; i < g->n_lines; i++)
		lines += line_inside(box, g->lines[4 * i], g->lines[4 * i + 1], g->lines[4 * i + 2], g->lines[4 * i + 3]);
	return 10.0 * texts / cell + 6.0 * markers / cell + 3.0 * lines / box->h + (is_inside(box, &g->inside) ? 0.0 : 20.0);
}

static double leader_cost(const struct pb_label *label, int d, double distance, const struct pb_label_ground *g)
{
	return distance > distances[0] ? distance / 10.0 + 6.0 * markers_crossed(label, d, distance, g) : 0.0;
}

static void place_one(struct pb_label *labels, size_t i, size_t n_placed, const struct pb_label_ground *g)
{
	struct pb_label *label = &labels[i];
	label->cost = INFINITY;
	for (int k = 0; k < 3; k++)
		for (int d = 0; d < 8; d++) {
			struct pb_box box = box_at(label, d, distances[k]);
			double leader = leader_cost(label, d, distances[k], g);
			double cost = cost_of(&box, i, labels, n_placed, g) + leader;
			if (cost >= label->cost)
				continue;
			label->cost = cost;
			label->box = box;
			label->leader = k > 0;
			label->leader_x = label->x + directions[d].x * (distances[k] - 2.0);
			label->leader_y = label->y + directions[d].y * (distances[k] - 2.0);
			label->leader_cost = leader;
		}
}

/* The worst come first; equal costs by index. */
static void place_worst_again(struct pb_label *labels, size_t n, const struct pb_label_ground *grounds)
{
	size_t worst[WORST], n_worst = 0;
	double below = INFINITY;
	size_t after = 0;
	for (size_t i = 0; i < n; i++) /* what came later may cover a label now */
		labels[i].cost = cost_of(&labels[i].box, i, labels, n, &grounds[i]) + labels[i].leader_cost;
	while (n_worst < WORST && n_worst < n) {
		size_t best = n;
		for (size_t i = 0; i < n; i++) {
			bool left = labels[i].cost < below || (labels[i].cost == below && i > after);
			if (left && (best == n || labels[i].cost > labels[best].cost))
				best = i;
		}
		if (best == n)
			break;
		below = labels[best].cost;
		after = best;
		worst[n_worst++] = best;
	}
	for (size_t k = 0; k < n_worst; k++)
		place_one(labels, worst[k], n, &grounds[worst[k]]);
}

/* Makes the costliest text a number; false when none costs too much. */
static bool make_number(struct pb_label *labels, size_t n, const struct pb_label_ground *grounds)
{
	size_t worst = n;
	for (size_t i = 0; i < n; i++) {
		if (labels[i].number)
			continue;
		labels[i].cost = cost_of(&labels[i].box, i, labels, n, &grounds[i]) + labels[i].leader_cost;
		if (labels[i].cost > KEY_COST && (worst == n || labels[i].cost > labels[worst].cost))
			worst = i;
	}
	if (worst == n)
		return false;
	labels[worst].number = 1;
	place_one(labels, worst, n, &grounds[worst]);
	return true;
}

/* Everything that any place of the label or its leader can meet; the rest of the ground costs it nothing. */
static struct pb_box reach_of(const struct pb_label *label, double radius)
{
	const double far = distances[2] + radius + 1.0, w = fmax(label->w, label->key_w);
	return (struct pb_box){ label->x - far - w, label->y - far - label->h, 2.0 * (far + w), 2.0 * (far + label->h) };
}

static bool meets(const struct pb_box *reach, double left, double top, double right, double bottom)
{
	return left <= reach->x + reach->w && right >= reach->x && top <= reach->y + reach->h && bottom >= reach->y;
}

/* The part of the ground within reach, in `memory`, which has room for all of it. */
static struct pb_label_ground near_ground(const struct pb_label *label, const struct pb_label_ground *g, double **memory)
{
	const struct pb_box reach = reach_of(label, g->marker_radius);
	struct pb_label_ground part = *g;
	double *markers = *memory, *lines;
	struct pb_box *bars;
	part.n_markers = part.n_bars = part.n_lines = 0;
	for (size_t i = 0; i < g->n_markers; i++) {
		double x = g->markers[2 * i], y = g->markers[2 * i + 1], r = g->marker_radius;
		if (meets(&reach, x - r, y - r, x + r, y + r))
			memcpy(markers + 2 * part.n_markers++, g->markers + 2 * i, 2 * sizeof(double));
	}
	bars = (struct pb_box *)(markers + 2 * part.n_markers);
	for (size_t i = 0; i < g->n_bars; i++) {
		const struct pb_box *b = &g->bars[i];
		if (meets(&reach, b->x, b->y, b->x + b->w, b->y + b->h))
			bars[part.n_bars++] = *b;
	}
	lines = (double *)(bars + part.n_bars);
	for (size_t i = 0; i < g->n_lines; i++) {
		const double *l = g->lines + 4 * i;
		if (meets(&reach, fmin(l[0], l[2]), fmin(l[1], l[3]), fmax(l[0], l[2]), fmax(l[1], l[3])))
			memcpy(lines + 4 * part.n_lines++, l, 4 * sizeof(double));
	}
	part.markers = markers;
	part.bars = bars;
	part.lines = lines;
	*memory = lines + 4 * part.n_lines;
	return part;
}

static void place_all(struct pb_label *labels, size_t n, const struct pb_label_ground *grounds, bool numbers_only)
{
	for (size_t i = 0; i < n; i++) {
		labels[i].number = numbers_only ? (unsigned)i + 1 : 0;
		place_one(labels, i, i, &grounds[i]);
	}
	for (int pass = 0; pass < 2; pass++)
		place_worst_again(labels, n, grounds);
	/* The worst first, since a number gives room to its neighbours. */
	while (!numbers_only && make_number(labels, n, grounds))
		;
	unsigned number = 0;
	for (size_t i = 0; i < n; i++)
		if (labels[i].number)
			labels[i].number = ++number;
}

/* Room that the grounds of all labels take. */
static size_t near_room(const struct pb_label *labels, size_t n, const struct pb_label_ground *g)
{
	size_t room = 1;
	for (size_t k = 0; k < n; k++) {
		const struct pb_box reach = reach_of(&labels[k], g->marker_radius);
		const double r = g->marker_radius;
		for (size_t i = 0; i < g->n_markers; i++)
			room += meets(&reach, g->markers[2 * i] - r, g->markers[2 * i + 1] - r, g->markers[2 * i] + r, g->markers[2 * i + 1] + r) ? 2 : 0;
		room += 4 * (g->n_bars + g->n_lines);
	}
	return room;
}

bool pb_labels_place(struct pb_label *labels, size_t n, const struct pb_label_ground *ground)
{
	struct pb_label_ground *grounds = pb_alloc(n, sizeof *grounds);
	double *memory = pb_alloc(near_room(labels, n, ground), sizeof *memory), *next = memory;
	bool ok = grounds && memory;
	for (size_t i = 0; ok && i < n; i++)
		grounds[i] = near_ground(&labels[i], ground, &next);
	if (ok)
		place_all(labels, n, grounds, ground->numbers_only);
	pb_free(grounds);
	pb_free(memory);
	return ok;
}

/* Without its place in the column, label i would have its top here. Tops that are h apart at least are such heights that never fall. */
static double wanted_height(const struct pb_label *labels, size_t i)
{
	return labels[i].y - labels[i].h * ((double)i + 0.5);
}

/* The least squares among heights that never fall, by the formula of maxima of minima of means. */
static double fitted_height(const struct pb_label *labels, size_t n, size_t i)
{
	double highest = -INFINITY;
	for (size_t first = 0; first <= i; first++) {
		double sum = 0.0, least = INFINITY;
		for (size_t last = first; last < n; last++) {
			sum += wanted_height(labels, last);
			if (last >= i)
				least = fmin(least, sum / (double)(last - first + 1));
		}
		highest = fmax(highest, least);
	}
	return highest;
}

void pb_labels_column(struct pb_label *labels, size_t n, double x, double top, double bottom)
{
	for (size_t i = 0; i < n; i++) {
		struct pb_label *l = &labels[i];
		double height = fmax(fmin(fitted_height(labels, n, i), bottom - (double)n * l->h), top);
		l->box = (struct pb_box){ x, height + l->h * (double)i, l->number ? l->key_w : l->w, l->h };
		l->leader_x = x - 2.0;
		l->leader_y = l->box.y + 0.5 * l->h;
		l->leader = fabs(l->leader_y - l->y) > 1.0;
	}
}
