// SPDX-License-Identifier: GPL-2.0
//
// Makes overlayfs allocate the entries of a directory cache from a private arena, which frees them
// together. Applies to fs/overlayfs of Linux 6.1 and 7.3.
//
// Each list of entries gets an arena beside it. A function that adds an entry knows the list, so
// it finds the arena by container_of(), and no function needs a further parameter for it. The owner
// of the arena is the task that holds the lock of the directory's inode or, where the list is a
// local variable, the task that runs the function.

@ header @
@@
+struct ovl_entries {
+	struct list_head list;
+	struct arena_private arena;
+};
+
+static inline struct arena_private *ovl_arena(struct list_head *list)
+{
+	return &container_of(list, struct ovl_entries, list)->arena;
+}
+
 void ovl_cache_free(struct list_head *list);

@ include depends on header @
@@
 #include <linux/uuid.h>
+#include <linux/arena_private.h>

// Lists that are local variables.

@ vars @
declarer name LIST_HEAD;
iterator name with_ovl_creds;
identifier f, l;
@@
 f(...)
 {
 	...
-	LIST_HEAD(l);
+	struct ovl_entries names = { LIST_HEAD_INIT(names.list) };
 	...
 	ovl_cache_free(&l);
 	...
 }

@@
identifier vars.f, vars.l;
@@
 f(...)
 {
 	<...
-	&l
+	&names.list
 	...>
 }

// The cache of a directory. The entries of a small directory fit into the first buffer.

@ cache @
@@
 struct ovl_dir_cache {
 	...
-	struct list_head entries;
+	struct ovl_entries names;
 	struct rb_root root;
+	char first[1536];
 };

@@
struct ovl_dir_cache *c;
@@
-c->entries
+c->names.list

@ create @
struct ovl_dir_cache *c;
statement S;
@@
(
 c = kzalloc(sizeof(struct ovl_dir_cache), GFP_KERNEL);
|
 c = kzalloc_obj(struct ovl_dir_cache);
)
 if (!c) S
+arena_private_init(&c->names.arena, c->first, sizeof(c->first));

// Entries are allocated from the arena, and freed with it.

@@
identifier p, size;
@@
 ovl_cache_entry_new(struct ovl_readdir_data *rdd, ...)
 {
 	<...
-	p = kmalloc(size, GFP_KERNEL);
+	p = arena_private_alloc(ovl_arena(rdd->list), size, GFP_KERNEL);
 	...>
 }

@@
identifier p, c_name, c_len, nm;
expression N;
@@
 ovl_cache_entry_new(struct ovl_readdir_data *rdd, const char *nm, int len, const char *c_name,
		     int c_len, ...)
 {
+	size_t c_room = c_name && c_name != nm ? c_len + 1 : 0;
 	<...
-	p = kmalloc_flex(*p, name, N);
+	p = arena_private_alloc(ovl_arena(rdd->list), struct_size(p, name, N + c_room), GFP_KERNEL);
 	...>
 }

@ frees @
identifier list, p, n;
iterator name list_for_each_entry_safe;
statement S;
@@
 ovl_cache_free(struct list_head *list)
 {
-	struct ovl_cache_entry *p;
-	struct ovl_cache_entry *n;
-
-	list_for_each_entry_safe(p, n, list, l_node) S
+	arena_private_destroy(ovl_arena(list));
 	...
 }

@@
struct ovl_cache_entry *p;
@@
 list_del(&p->l_node);
(
-kfree(p);
|
-ovl_cache_entry_free(p);
)

@@
@@
-static void ovl_cache_entry_free(struct ovl_cache_entry *p)
-{ ... }

// Since Linux 6.18, an entry can have a second name, in lower case: it lies behind the first one.
// An arena cannot take it back if the entry turns out to exist already, so it is put together in a
// buffer, and copied into the new entry.

@ casefold @
identifier cf_name, cf_len, dst;
@@
 ovl_casefold(struct ovl_readdir_data *rdd, ..., char **dst)
 {
 	...
-	char *cf_name;
+	char *cf_name = rdd->cf_name;
 	...
-	cf_name = kmalloc(NAME_MAX + 1, GFP_KERNEL);
-	if (!cf_name) { ... }
 	...
 	if (cf_len > 0)
 		*dst = cf_name;
-	else
-		kfree(cf_name);
 	...
 }

@ depends on casefold @
@@
 struct ovl_readdir_data {
 	...
 	bool in_xwhiteouts_dir;
+	char cf_name[NAME_MAX + 1];
 };

@ depends on casefold @
@@
 ovl_cache_entry_new(...)
 {
 	<...
-	p->c_name = c_name;
+	p->c_name = memcpy(p->name + len + 1, c_name, c_len + 1);
 	...>
 }

@ depends on casefold @
@@
 ovl_fill_merge(...)
 {
 	<...
-	if (ret != 1 && c_name != name)
-		kfree(c_name);
 	...>
 }

// Most entries of an impure directory are dropped again, after a look at each of them. So they lie
// in an arena that is freed at once, and those that stay are copied.

@ impure @
identifier path, list, root, rdd;
@@
-ovl_dir_read_impure(const struct path *path, struct list_head *list, struct rb_root *root)
+ovl_dir_read_impure(const struct path *path, struct list_head *all, struct list_head *list,
+		    struct rb_root *root)
 {
 	...
 	struct ovl_readdir_data rdd = {
 		...,
-		.list = list,
+		.list = all,
 		...,
 	};
 	...
 }

@ impure_loop @
identifier impure.list, impure.rdd, p, n;
iterator name list_for_each_entry_safe;
@@
 ovl_dir_read_impure(...)
 {
 	<+...
-	list_for_each_entry_safe(p, n, list, l_node) {
+	rdd.list = list;
+	list_for_each_entry_safe(p, n, all, l_node) {
 	...
 	if (p->ino == p->real_ino) {
 		...
 	} else {
+		u64 ino = p->ino;
 		...
+		p = ovl_cache_entry_new(&rdd, p->name, p->len, p->real_ino, p->type);
+		if (!p)
+			return -ENOMEM;
+		p->ino = ino;
+		list_add_tail(&p->l_node, list);
 		rb_link_node(...);
 		...
 	}
 	}
 	...+>
 }

@ depends on casefold @
identifier rdd;
struct ovl_cache_entry *p;
@@
 ovl_cache_entry_new(&rdd, p->name,
-		     p->len, p->real_ino,
+		     p->len, NULL, 0, p->real_ino,
 		     p->type)

@@
expression l, root;
identifier path, res;
struct ovl_dir_cache *c;
@@
 ovl_cache_get_impure(...)
 {
+	struct ovl_entries all = { LIST_HEAD_INIT(all.list) };
 	...
-	res = ovl_dir_read_impure(path, l, root);
+	res = ovl_dir_read_impure(path, &all.list, l, root);
+	ovl_cache_free(&all.list);
 	...
 	if (list_empty(...)) {
 		...
+		ovl_cache_free(l);
 		kfree(c);
 		...
 	}
 	...
 }
