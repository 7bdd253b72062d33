/*
 * The C client (libzookeeper_mt), unmodified, through a session of what it can do.
 *
 * Started as `session HOST:PORT`; prints a JSON object per case, like the other sessions.
 */

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

#define PATIENCE_S 60
#define EVENTS_MAX 64

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char events[EVENTS_MAX][256];
static int event_count;
static const char *address;
static char root[64];
static char failure[512];

static void on_event(zhandle_t *zh, int type, int state, const char *path, void *context) {
  (void)zh, (void)state, (void)context;
  if (type == ZOO_SESSION_EVENT) return;
  pthread_mutex_lock(&mutex);
  if (event_count < EVENTS_MAX) snprintf(events[event_count++], sizeof events[0], "%d %s", type, path);
  pthread_mutex_unlock(&mutex);
}

static int events_so_far(void) {
  pthread_mutex_lock(&mutex);
  int count = event_count;
  pthread_mutex_unlock(&mutex);
  return count;
}

static zhandle_t *open_session(const clientid_t *id) {
  zhandle_t *zh = zookeeper_init(address, on_event, 20000, id, NULL, 0);
  for (int i = 0; i < PATIENCE_S * 100 && zoo_state(zh) != ZOO_CONNECTED_STATE; i++) usleep(10000);
  return zh;
}

/* Notes the first thing that was not as it should be. */
static int expect(int holds, const char *format, ...) {
  if (holds || failure[0] != 0) return holds;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(failure, sizeof failure, format, arguments);
  va_end(arguments);
  return holds;
}

static void expect_code(int code, int wanted, const char *what) {
  expect(code == wanted, "%s: %s, wanted %s", what, zerror(code), zerror(wanted));
}

static const char *below_root(const char *name) {
  static char paths[8][128];
  static int next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", root, name);
  return path;
}

static int create(zhandle_t *zh, const char *path, const char *data, int mode, char *made, int made_length) {
  return zoo_create(zh, path, data, (int)strlen(data), &ZOO_OPEN_ACL_UNSAFE, mode, made, made_length);
}

static void values_and_versions(zhandle_t *zh) {
  char data[16];
  int length = sizeof data;
  struct Stat stat;
  expect_code(create(zh, root, "one", ZOO_PERSISTENT, NULL, 0), ZOK, "create");
  expect_code(zoo_set2(zh, root, "two", 3, 0, &stat), ZOK, "set");
  expect(stat.version == 1, "version %d", stat.version);
  expect_code(zoo_set(zh, root, "x", 1, 0), ZBADVERSION, "set with an old version");
  expect_code(zoo_get(zh, root, 0, data, &length, &stat), ZOK, "get");
  expect(length == 3 && memcmp(data, "two", 3) == 0, "%d bytes", length);
  expect_code(create(zh, root, "", ZOO_PERSISTENT, NULL, 0), ZNODEEXISTS, "create again");
  expect_code(zoo_exists(zh, below_root("none"), 0, &stat), ZNONODE, "exists of nothing");
}

static void null_data(zhandle_t *zh) {
  char data[16];
  int length = sizeof data;
  expect_code(zoo_create(zh, below_root("null"), NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK, "create");
  expect_code(zoo_get(zh, below_root("null"), 0, data, &length, NULL), ZOK, "get");
  expect(length == -1, "length %d, wanted -1", length);
}

static void sequence(zhandle_t *zh) {
  for (int i = 0; i < 3; i++) {
    char made[128], wanted[128];
    expect_code(create(zh, below_root("s-"), "", ZOO_PERSISTENT_SEQUENTIAL, made, sizeof made), ZOK, "create");
    snprintf(wanted, sizeof wanted, "%s/s-%010d", root, i + 1); /* The znode "null" was the first child. */
    expect(strcmp(made, wanted) == 0, "%s, wanted %s", made, wanted);
  }
}

static void ephemerals(zhandle_t *zh) {
  zhandle_t *other = open_session(NULL);
  struct Stat stat;
  expect_code(create(other, below_root("e"), "", ZOO_EPHEMERAL, NULL, 0), ZOK, "create");
  expect_code(zoo_exists(zh, below_root("e"), 0, &stat), ZOK, "exists");
  expect(stat.ephemeralOwner == zoo_client_id(other)->client_id, "another owner");
  expect_code(create(zh, below_root("e/x"), "", 0, NULL, 0), ZNOCHILDRENFOREPHEMERALS, "create below it");
  zookeeper_close(other);
  expect_code(zoo_exists(zh, below_root("e"), 0, &stat), ZNONODE, "exists after close");
}

static void watches(zhandle_t *zh) {
  struct Stat stat;
  struct String_vector names;
  char wanted[3][256];
  int from = events_so_far();
  expect_code(zoo_wexists(zh, below_root("w"), on_event, NULL, &stat), ZNONODE, "exists");
  expect_code(zoo_wget_children(zh, root, on_event, NULL, &names), ZOK, "children");
  deallocate_String_vector(&names);
  expect_code(create(zh, below_root("w"), "", 0, NULL, 0), ZOK, "create");
  expect_code(zoo_wexists(zh, below_root("w"), on_event, NULL, &stat), ZOK, "exists");
  expect_code(zoo_set(zh, below_root("w"), "1", 1, -1), ZOK, "set");
  expect_code(zoo_set(zh, below_root("w"), "2", 1, -1), ZOK, "set again");
  for (int i = 0; i < PATIENCE_S * 100 && events_so_far() < from + 3; i++) usleep(10000);
  snprintf(wanted[0], sizeof wanted[0], "%d %s", ZOO_CREATED_EVENT, below_root("w"));
  snprintf(wanted[1], sizeof wanted[1], "%d %s", ZOO_CHILD_EVENT, root);
  snprintf(wanted[2], sizeof wanted[2], "%d %s", ZOO_CHANGED_EVENT, below_root("w"));
  for (int i = 0; i < 3; i++) {
    expect(strcmp(events[from + i], wanted[i]) == 0, "event %d is %s, wanted %s", i, events[from + i], wanted[i]);
  }
  expect(events_so_far() == from + 3, "%d events", events_so_far() - from);
}

static void multi(zhandle_t *zh) {
  zoo_op_t ops[3];
  zoo_op_result_t results[3];
  char made[128];
  struct Stat stat;
  zoo_create_op_init(&ops[0], below_root("t"), "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made);
  zoo_set_op_init(&ops[1], below_root("t"), "y", 1, 0, &stat);
  zoo_check_op_init(&ops[2], below_root("t"), 1);
  expect_code(zoo_multi(zh, 3, ops, results), ZOK, "multi");
  zoo_delete_op_init(&ops[0], below_root("t"), -1);
  zoo_check_op_init(&ops[1], below_root("none"), -1);
  zoo_delete_op_init(&ops[2], below_root("t"), -1);
  expect_code(zoo_multi(zh, 3, ops, results), ZNONODE, "failing multi");
  expect(results[0].err == ZOK && results[1].err == ZNONODE && results[2].err == ZRUNTIMEINCONSISTENCY,
         "results %d %d %d", results[0].err, results[1].err, results[2].err);
  expect_code(zoo_exists(zh, below_root("t"), 0, &stat), ZOK, "exists after it");
}

static void acls(zhandle_t *zh) {
  zhandle_t *owner = open_session(NULL);
  struct ACL_vector acl;
  char data[8];
  int length = sizeof data;
  expect_code(zoo_add_auth(owner, "digest", "bob:pw", 6, NULL, NULL), ZOK, "add_auth");
  expect_code(zoo_create(owner, below_root("acl"), "", 0, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK, "create");
  expect_code(zoo_get(zh, below_root("acl"), 0, data, &length, NULL), ZNOAUTH, "get by a stranger");
  expect_code(zoo_get_acl(owner, below_root("acl"), &acl, NULL), ZOK, "get_acl");
  expect(acl.count == 1 && strcmp(acl.data[0].id.id, "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=") == 0, "another ACL");
  deallocate_ACL_vector(&acl);
  zookeeper_close(owner);
}

static const struct {
  const char *title;
  void (*play)(zhandle_t *);
} cases[] = {
    {"create, get, set, exists with versions", values_and_versions},
    {"data that is null stays null", null_data},
    {"sequential names count up", sequence},
    {"an ephemeral goes with its session, and has no children", ephemerals},
    {"watches fire once, in order", watches},
    {"a multi happens whole, or not at all, with a result per op", multi},
    {"ACLs keep strangers out", acls},
};

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  address = argv[1];
  snprintf(root, sizeof root, "/c-%d", (int)getpid());
  zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
  zhandle_t *zh = open_session(NULL);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    failure[0] = 0;
    cases[i].play(zh);
    const char *outcome = failure[0] == 0 ? "passed" : "failed";
    printf("{\"case\": \"%s\", \"outcome\": \"%s\", \"detail\": \"%s\"}\n", cases[i].title, outcome, failure);
    fflush(stdout);
  }
  zookeeper_close(zh);
  return 0;
}
