/*
 * A client of the benchmark for corosync, over its closed process groups (libcpg). It does the same work as the client
 * of the library in src/cli/bench/member.ts, is told the same lines and answers in the same (src/cli/bench/task.ts).
 *
 *     cpgbench probe                               can one connect? exit code 0 if so
 *     cpgbench member MEMBERS TALKERS SIZE WINDOW  a member of a group, with so many own messages in flight
 *     cpgbench visitor                             enters the group of the members, and leaves it, as it is told
 *     cpgbench crowd SESSIONS MEMBERS              so many processes in one group
 */

#define _GNU_SOURCE

#include <corosync/cpg.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROBE = 0, LOAD = 1, FAREWELL = 2 };
enum { HEAD_BYTES = 16, MOST_ORIGINS = 64, MOST_VIEWS = 256, BUCKETS = 4096, MOST_LINE = 1024 };

static double now_micros(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void fail(const char *what, int code)
{
	printf("{\"type\":\"failed\",\"why\":\"%s: error %d of cpg\"}\n", what, code);
	fflush(stdout);
	exit(1);
}

/* What it keeps of every message. */

struct origin {
	uint32_t node, pid;
	uint32_t hash;
	uint32_t next;
	uint64_t messages, at_window;
	bool own;
};

struct view {
	char name[MOST_LINE];
	uint64_t messages;
	uint32_t hash;
};

static struct origin origins[MOST_ORIGINS];
static int origin_count;
static struct origin *last_origin;
static struct view views[MOST_VIEWS];
static int view_count;
static uint64_t messages, bytes, gaps, farewells, own_received;

static uint32_t histogram_own[BUCKETS], histogram_cross[BUCKETS], histogram_marked[BUCKETS];

static void count_time(uint32_t *histogram, double micros)
{
	int bucket = micros <= 1 ? 0 : (int)lround(log(micros) / log(1.01));
	histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static void print_histogram(const char *name, const uint32_t *histogram)
{
	const char *before = "";
	printf(",\"%s\":[", name);
	for (int i = 0; i < BUCKETS; i++) {
		if (histogram[i] == 0)
			continue;
		printf("%s[%d,%u]", before, i, histogram[i]);
		before = ",";
	}
	printf("]");
}

static uint32_t roll(uint32_t hash, uint32_t sender, uint32_t sequence)
{
	return (((hash ^ sender) + sequence) * 0x9e3779b1u) ^ (hash >> 15);
}

/* This process. */

static cpg_handle_t handle;
static uint32_t own_node, own_pid;
static int want_members, talkers;
static bool ready, sampling, talks, stopping, said_farewell, finished;
static double marked_from = INFINITY, marked_to = INFINITY;
static char *payload;
static size_t size;
static uint32_t accepted;
static uint64_t window_messages;

static struct origin *origin_of(uint32_t node, uint32_t pid)
{
	if (last_origin != NULL && last_origin->node == node && last_origin->pid == pid)
		return last_origin;
	for (int i = 0; i < origin_count; i++) {
		if (origins[i].node == node && origins[i].pid == pid)
			return last_origin = &origins[i];
	}
	if (origin_count == MOST_ORIGINS)
		fail("too many senders", 0);
	struct origin *it = &origins[origin_count++];
	it->node = node;
	it->pid = pid;
	it->hash = node * 0x01000193u ^ pid;
	it->own = node == own_node && pid == own_pid;
	return last_origin = it;
}

static void deliver(cpg_handle_t h, const struct cpg_name *group, uint32_t node, uint32_t pid, void *data, size_t length)
{
	const unsigned char *head = data;
	struct origin *origin = origin_of(node, pid);
	struct view *view = &views[view_count == 0 ? 0 : view_count - 1];
	uint32_t sequence;

	if (length < HEAD_BYTES)
		fail("a message without its head", 0);
	memcpy(&sequence, head + 4, sizeof(sequence));
	if (sequence != origin->next)
		gaps++;
	origin->next = sequence + 1;
	origin->messages++;
	view->hash = roll(view->hash, origin->hash, sequence);
	view->messages++;
	messages++;
	bytes += length;
	if (origin->own)
		own_received++;
	if (head[0] == FAREWELL) {
		farewells++;
	} else if (sampling && head[0] == PROBE) {
		double sent, took;
		memcpy(&sent, head + 8, sizeof(sent));
		took = now_micros() - sent;
		if (sent >= marked_from) {
			if (sent < marked_to && !origin->own)
				count_time(histogram_marked, took);
		} else {
			count_time(origin->own ? histogram_own : histogram_cross, took);
		}
	}
}

static void change(cpg_handle_t h, const struct cpg_name *group, const struct cpg_address *members, size_t count,
		   const struct cpg_address *left, size_t left_count, const struct cpg_address *joined,
		   size_t joined_count)
{
	double at = now_micros();

	if (view_count == 0 || views[view_count - 1].messages > 0) {
		if (view_count == MOST_VIEWS)
			fail("too many views", 0);
		view_count++;
	}
	struct view *view = &views[view_count - 1];
	size_t used = 0;
	memset(view, 0, sizeof(*view));
	for (size_t i = 0; i < count && used < sizeof(view->name) - 32; i++)
		used += snprintf(view->name + used, sizeof(view->name) - used, "%u.%u ", members[i].nodeid, members[i].pid);
	if (at > marked_from && at < marked_to)
		marked_to = at;
	if (ready) {
		printf("{\"type\":\"view\",\"members\":%zu,\"at\":%.3f}\n", count, at);
	} else if (count == (size_t)want_members) {
		ready = true;
		printf("{\"type\":\"ready\"}\n");
	}
	fflush(stdout);
}

static cpg_handle_t open_handle(cpg_deliver_fn_t on_message, cpg_confchg_fn_t on_change)
{
	cpg_callbacks_t callbacks = { .cpg_deliver_fn = on_message, .cpg_confchg_fn = on_change };
	cpg_handle_t made;
	cs_error_t error;

	while ((error = cpg_initialize(&made, &callbacks)) == CS_ERR_TRY_AGAIN)
		usleep(1000);
	if (error != CS_OK)
		fail("cpg_initialize", error);
	return made;
}

static void join(cpg_handle_t h, const char *name)
{
	struct cpg_name group;
	cs_error_t error;

	group.length = strlen(name);
	memcpy(group.value, name, group.length);
	while ((error = cpg_join(h, &group)) == CS_ERR_TRY_AGAIN)
		usleep(1000);
	if (error != CS_OK)
		fail("cpg_join", error);
}

static int fd_of(cpg_handle_t h)
{
	int fd;
	cs_error_t error = cpg_fd_get(h, &fd);
	if (error != CS_OK)
		fail("cpg_fd_get", error);
	return fd;
}

/* True if it was accepted. */
static bool offer(int kind, double sent_at)
{
	struct iovec part = { .iov_base = payload, .iov_len = size };
	cs_error_t error;

	payload[0] = (char)kind;
	memcpy(payload + 4, &accepted, sizeof(accepted));
	memcpy(payload + 8, &sent_at, sizeof(sent_at));
	error = cpg_mcast_joined(handle, CPG_TYPE_AGREED, &part, 1);
	if (error == CS_ERR_TRY_AGAIN)
		return false;
	if (error != CS_OK)
		fail("cpg_mcast_joined", error);
	accepted++;
	return true;
}

/* Work, in the order of time. */

static double rate, due, measure_at = INFINITY, measured_at = INFINITY, window_began, measure_seconds;
static bool is_probe;
static uint64_t window_from_messages, window_from_bytes;
static uint32_t window_from_accepted;

static void begin_window(double now)
{
	sampling = true;
	window_began = now;
	measure_at = INFINITY;
	measured_at = now + measure_seconds * 1e6;
	window_from_messages = messages;
	window_from_bytes = bytes;
	window_from_accepted = accepted;
	for (int i = 0; i < origin_count; i++)
		origins[i].at_window = origins[i].messages;
	printf("{\"type\":\"began\"}\n");
	fflush(stdout);
}

static void end_window(double now)
{
	sampling = false;
	measured_at = INFINITY;
	printf("{\"type\":\"measured\",\"seconds\":%.6f,\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"sent\":%u,\"bySender\":[",
	       (now - window_began) / 1e6, messages - window_from_messages, bytes - window_from_bytes,
	       accepted - window_from_accepted);
	for (int i = 0; i < origin_count; i++)
		printf("%s%" PRIu64, i == 0 ? "" : ",", origins[i].messages - origins[i].at_window);
	printf("]");
	print_histogram("own", histogram_own);
	print_histogram("cross", histogram_cross);
	print_histogram("marked", histogram_marked);
	printf("}\n");
	fflush(stdout);
}

static void finish(void)
{
	const char *before = "";
	finished = true;
	printf("{\"type\":\"finished\",\"accepted\":%u,\"received\":%" PRIu64 ",\"gaps\":%" PRIu64 ",\"views\":[", accepted,
	       messages, gaps);
	for (int i = 0; i < view_count; i++) {
		if (views[i].messages == 0)
			continue;
		printf("%s{\"view\":\"%s\",\"messages\":%" PRIu64 ",\"hash\":%u}", before, views[i].name, views[i].messages,
		       views[i].hash);
		before = ",";
	}
	printf("]}\n");
	fflush(stdout);
}

static void obey(char *line)
{
	double first, warm;
	int probe;

	if (strncmp(line, "quit", 4) == 0) {
		exit(0);
	} else if (strncmp(line, "stop", 4) == 0) {
		stopping = true;
	} else if (strncmp(line, "end", 3) == 0) {
		if (measured_at != INFINITY)
			measured_at = now_micros();
	} else if (sscanf(line, "mark %lf", &marked_from) == 1) {
		printf("{\"type\":\"marked\"}\n");
		fflush(stdout);
	} else if (sscanf(line, "work %lf %d %lf %lf %lf", &rate, &probe, &first, &warm, &measure_seconds) == 5) {
		is_probe = probe == 1;
		talks = rate >= 0;
		due = first;
		measure_at = now_micros() + warm * 1e6;
	} else {
		fail("a line that it does not understand", 0);
	}
}

/* Standard input does not block; a line may come in parts. */
static void read_lines(void (*use)(char *))
{
	static char line[MOST_LINE];
	static size_t used;
	ssize_t got = read(0, line + used, sizeof(line) - 1 - used);
	char *end;

	if (got == 0)
		exit(0);
	if (got < 0)
		return;
	used += got;
	line[used] = 0;
	while ((end = strchr(line, '\n')) != NULL) {
		*end = 0;
		use(line);
		used -= end + 1 - line;
		memmove(line, end + 1, used + 1);
	}
}

/*
 * Sends what there is to send now; false if nothing can be sent before something was received, or is due. What was due
 * while there was no room is timed from when it was due.
 */
static bool talk(double now)
{
	static double full_until;
	bool has_room = accepted - own_received < window_messages;

	if (!talks || said_farewell)
		return false;
	if (stopping) {
		said_farewell = has_room && offer(FAREWELL, 0);
		return said_farewell;
	}
	if (rate == 0)
		return has_room && offer(LOAD, 0);
	if (due > now)
		return false;
	if (!has_room || !offer(is_probe ? PROBE : LOAD, is_probe ? (due < full_until ? due : now) : 0)) {
		full_until = now;
		return false;
	}
	due += 1e6 / rate;
	return true;
}

static void run_member(void)
{
	int flags = fcntl(0, F_GETFL);
	bool open_for_more = false;

	own_pid = getpid();
	handle = open_handle(deliver, change);
	if (cpg_local_get(handle, &own_node) != CS_OK)
		fail("cpg_local_get", 0);
	fcntl(0, F_SETFL, flags | O_NONBLOCK);
	join(handle, "bench");
	struct pollfd fds[2] = { { .fd = fd_of(handle), .events = POLLIN }, { .fd = 0, .events = POLLIN } };
	for (;;) {
		struct timespec wait = { 0, 0 };
		double now = now_micros();
		cs_error_t error;

		if (!open_for_more) {
			double next = fmin(measure_at, measured_at);
			bool wants = talks && !said_farewell && (rate == 0 || stopping || due <= now);
			if (talks && !said_farewell && !wants)
				next = fmin(next, due);
			/* Refused for the moment, not for want of a window: try again soon. */
			if (wants && accepted - own_received < window_messages)
				next = fmin(next, now + 100);
			double micros = fmax(0, fmin(next - now, 1e5));
			wait.tv_nsec = (long)(micros * 1e3);
		}
		if (ppoll(fds, 2, &wait, NULL) < 0 && errno != EINTR)
			fail("ppoll", errno);
		if (fds[0].revents != 0) {
			error = cpg_dispatch(handle, CS_DISPATCH_ALL);
			if (error != CS_OK && error != CS_ERR_TRY_AGAIN)
				fail("cpg_dispatch", error);
		}
		if (fds[1].revents != 0)
			read_lines(obey);
		now = now_micros();
		if (now >= measure_at)
			begin_window(now);
		if (now >= measured_at)
			end_window(now);
		/* A window at most, so that what comes is taken, too. */
		open_for_more = false;
		for (int i = 0; i < 300; i++) {
			open_for_more = talk(now_micros());
			if (!open_for_more)
				break;
		}
		if (stopping && !finished && farewells >= (uint64_t)talkers)
			finish();
	}
}

/* A client that enters and leaves, as often as it is told to. */

static void ignore_message(cpg_handle_t h, const struct cpg_name *group, uint32_t node, uint32_t pid, void *data,
			   size_t length)
{
}

static bool inside, is_used_up;

static void look_at_own(cpg_handle_t h, const struct cpg_name *group, const struct cpg_address *members, size_t count,
			const struct cpg_address *left, size_t left_count, const struct cpg_address *joined,
			size_t joined_count)
{
	printf("{\"type\":\"view\",\"members\":%zu,\"at\":%.3f}\n", count, now_micros());
	for (size_t i = 0; i < left_count; i++) {
		if (left[i].nodeid != own_node || left[i].pid != own_pid || !inside)
			continue;
		inside = false;
		is_used_up = true;
	}
	fflush(stdout);
}

static void visit(char *line)
{
	struct cpg_name group = { .length = 5, .value = "bench" };
	cs_error_t error = CS_OK;

	if (strncmp(line, "quit", 4) == 0)
		exit(0);
	printf("{\"type\":\"asked\",\"at\":%.3f}\n", now_micros());
	fflush(stdout);
	if (strncmp(line, "enter", 5) == 0) {
		inside = true;
		join(handle, "bench");
		return;
	}
	while ((error = cpg_leave(handle, &group)) == CS_ERR_TRY_AGAIN)
		usleep(1000);
	if (error != CS_OK)
		fail("cpg_leave", error);
}

static void run_visitor(void)
{
	own_pid = getpid();
	handle = open_handle(ignore_message, look_at_own);
	if (cpg_local_get(handle, &own_node) != CS_OK)
		fail("cpg_local_get", 0);
	struct pollfd fds[2] = { { .fd = fd_of(handle), .events = POLLIN }, { .fd = 0, .events = POLLIN } };
	printf("{\"type\":\"ready\"}\n");
	fflush(stdout);
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			fail("poll", errno);
		if (fds[0].revents != 0)
			cpg_dispatch(handle, CS_DISPATCH_ALL);
		/* For the daemon a connection stays in the group that it has left: the next join needs a new one. */
		if (is_used_up) {
			is_used_up = false;
			cpg_finalize(handle);
			handle = open_handle(ignore_message, look_at_own);
			fds[0].fd = fd_of(handle);
			printf("{\"type\":\"left\"}\n");
			fflush(stdout);
		}
		if (fds[1].revents != 0)
			read_lines(visit);
	}
}

/* Clients that only come in: a process each, as a process can be in a group once only. */

static bool in_whole_view;

static void look_at_change(cpg_handle_t h, const struct cpg_name *group, const struct cpg_address *members, size_t count,
			   const struct cpg_address *left, size_t left_count, const struct cpg_address *joined,
			   size_t joined_count)
{
	if (count == (size_t)want_members)
		in_whole_view = true;
}

static void wait_for_line(void)
{
	char line[MOST_LINE];
	if (fgets(line, sizeof(line), stdin) == NULL || strncmp(line, "quit", 4) == 0)
		exit(0);
}

/* A byte to `done` when it has seen all; it stays until `over` is closed at the other end. */
static void run_session(int done, int over)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .fd = over, .events = POLLIN } };
	bool said = false;

	handle = open_handle(ignore_message, look_at_change);
	join(handle, "crowd");
	fds[0].fd = fd_of(handle);
	while (fds[1].revents == 0) {
		if (poll(fds, 2, -1) < 0)
			exit(1);
		if (fds[0].revents != 0)
			cpg_dispatch(handle, CS_DISPATCH_ALL);
		if (in_whole_view && !said)
			said = write(done, "x", 1) == 1;
	}
	exit(0);
}

static void run_crowd(int sessions)
{
	int done[2], over[2];
	char byte;

	printf("{\"type\":\"ready\"}\n");
	fflush(stdout);
	wait_for_line();
	if (pipe(done) != 0 || pipe(over) != 0)
		fail("pipe", errno);
	for (int i = 0; i < sessions; i++) {
		int child = fork();
		if (child < 0)
			fail("fork", errno);
		if (child == 0) {
			close(over[1]);
			run_session(done[1], over[0]);
		}
	}
	for (int i = 0; i < sessions; i++) {
		if (read(done[0], &byte, 1) != 1)
			fail("a session ended", errno);
	}
	printf("{\"type\":\"entered\",\"at\":%.3f}\n", now_micros());
	fflush(stdout);
	wait_for_line();
}

int main(int count, char **words)
{
	if (count == 2 && strcmp(words[1], "probe") == 0) {
		cpg_callbacks_t none = { 0 };
		return cpg_initialize(&handle, &none) == CS_OK ? 0 : 1;
	}
	if (count == 6 && strcmp(words[1], "member") == 0) {
		want_members = atoi(words[2]);
		talkers = atoi(words[3]);
		size = strtoul(words[4], NULL, 10);
		window_messages = strtoul(words[5], NULL, 10);
		if (size < HEAD_BYTES || window_messages == 0)
			return 2;
		payload = malloc(size);
		memset(payload, 65, size);
		run_member();
	}
	if (count == 2 && strcmp(words[1], "visitor") == 0)
		run_visitor();
	if (count == 4 && strcmp(words[1], "crowd") == 0) {
		want_members = atoi(words[3]);
		run_crowd(atoi(words[2]));
		return 0;
	}
	fprintf(stderr, "see the head of cpgbench.c for its arguments\n");
	return 2;
}
