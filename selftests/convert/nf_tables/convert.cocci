// SPDX-License-Identifier: GPL-2.0
//
// Makes nf_tables allocate the transactions of a batch, and what it needs to commit the batch, from
// one private arena, and free them all at once. The arena ends with the batch: at the commit or the
// abort, or, if the batch deletes something, after the work that destroys it.
//
// For Linux 6.1 to 7.3: rules that match nothing in one of them are for another.

// The batch, beside the state of the network namespace. The header with that state belongs to other
// modules, too, and stays as it is.

@batch@
typedef bool, gfp_t;
@@
+/**
+ * struct nft_batch - the transactions of one batch
+ * @arena:	  has all transactions.
+ * @list:	  in the list of batches to destroy.
+ * @transactions: those that the work which destroys objects releases.
+ * @net:	  network namespace, with a reference while @list is in use.
+ * @last_size:	  bytes of the object that was allocated last.
+ * @first:	  first memory of @arena, enough for a small batch.
+ */
+struct nft_batch {
+	struct arena_private	arena;
+	struct list_head	list;
+	struct list_head	transactions;
+	struct net		*net;
+	size_t			last_size;
+	char			first[];
+};
+
+#define NFT_BATCH_SIZE	SZ_1K
+
+struct nft_batch_net {
+	struct nftables_pernet	pernet;
+	struct nft_batch	*batch;
+};
+
+static struct nft_batch **nft_batch(const struct net *net)
+{
+	return &container_of(nft_pernet(net), struct nft_batch_net, pernet)->batch;
+}
+
+static void *nft_batch_alloc(const struct net *net, size_t size, gfp_t gfp)
+{
+	struct nft_batch *batch = *nft_batch(net);
+
+	if (!batch) {
+		batch = kmalloc(NFT_BATCH_SIZE, gfp);
+		if (!batch)
+			return NULL;
+		arena_private_init(&batch->arena, batch->first,
+				   NFT_BATCH_SIZE - offsetof(struct nft_batch, first));
+		*nft_batch(net) = batch;
+	}
+	batch->last_size = size;
+	return arena_private_alloc(&batch->arena, size, gfp | __GFP_ZERO);
+}
+
+/* Give back an object if no other was allocated after it. */
+static bool nft_batch_undo(const struct net *net, void *object)
+{
+	struct nft_batch *batch = *nft_batch(net);
+
+	return arena_private_free_last(&batch->arena, object, batch->last_size);
+}
+
+static void nft_batch_free(struct nft_batch *batch)
+{
+	arena_private_destroy(&batch->arena);
+	kfree(batch);
+}
+
+/* Take the batch out of the network namespace. */
+static struct nft_batch *nft_batch_detach(const struct net *net)
+{
+	struct nft_batch *batch = *nft_batch(net);
+
+	*nft_batch(net) = NULL;
+	return batch;
+}
+
+static void nft_batch_end(const struct net *net)
+{
+	struct nft_batch *batch = nft_batch_detach(net);
+
+	if (batch)
+		nft_batch_free(batch);
+}
+
 static void nft_ctx_init(...) { ... }

@depends on batch@
@@
 #include <net/sock.h>
+#include <linux/arena_private.h>

@@
@@
-	sizeof(struct nftables_pernet)
+	sizeof(struct nft_batch_net)

// Transactions come from the batch, and nothing frees them one by one.

@@
identifier alloc =~ "^nft_trans_alloc(_gfp)?$", ctx;
expression size, gfp;
@@
 alloc(const struct nft_ctx *ctx, ...)
 {
 <...
-	kzalloc(size, gfp)
+	nft_batch_alloc(ctx->net, size, gfp)
 ...>
 }

// An element that exists already needs no transaction. Without this rule, a batch of many such
// elements would take memory for each.

@@
identifier ctx;
struct nft_trans *trans;
@@
 nft_add_set_elem(struct nft_ctx *ctx, ...)
 {
 <...
-	kfree(trans);
+	nft_batch_undo(ctx->net, trans);
 ...>
 }

@@
struct nft_trans *trans;
@@
-	kfree(trans);

// The work that destroys objects gets batches.

@@
identifier trans;
@@
 nft_commit_release(struct nft_trans *trans)
 {
 ...
-	if (trans->put_net)
-		put_net(...);
 }

@@
iterator name list_for_each_entry_safe;
identifier trans, next, head;
@@
 nf_tables_trans_destroy_work(...)
 {
+	struct nft_batch *batch;
+	struct nft_batch *next_batch;
	...
-	list_for_each_entry_safe(trans, next, &head, list) {
-		nft_trans_list_del(trans);
-		nft_commit_release(trans);
-	}
+	list_for_each_entry_safe(batch, next_batch, &head, list) {
+		list_for_each_entry_safe(trans, next, &batch->transactions, list)
+			nft_commit_release(trans);
+		put_net(batch->net);
+		nft_batch_free(batch);
+	}
	...
 }

@@
symbol true;
identifier net, nft_net, trans;
expression destroy_list;
@@
 nf_tables_commit_release(struct net *net)
 {
	struct nftables_pernet *nft_net = ...;
-	struct nft_trans *trans;
+	struct nft_batch *batch;
 ...
	if (list_empty(&nft_net->commit_list)) {
+		nft_batch_end(net);
		...
	}
-	trans = list_last_entry(...);
-	get_net(...);
-	WARN_ON_ONCE(...);
-	trans->put_net = true;
+	batch = nft_batch_detach(net);
+	batch->net = get_net(net);
+	INIT_LIST_HEAD(&batch->transactions);
+	list_splice_init(&nft_net->commit_list, &batch->transactions);
	spin_lock(...);
-	list_splice_tail_init(&nft_net->commit_list, destroy_list);
+	list_add_tail(&batch->list, destroy_list);
 ...
 }

// The batch ends without that work if it changed nothing, or is aborted.

@@
identifier net, nft_net;
@@
 nf_tables_commit(struct net *net, ...)
 {
 ...
	if (list_empty(&nft_net->commit_list)) {
+		nft_batch_end(net);
		...
	}
 ...
 }

@@
identifier net, nft_net;
@@
 nf_tables_abort(struct net *net, ...)
 {
 ...
	WARN_ON_ONCE(!list_empty(&nft_net->commit_list));
+	nft_batch_end(net);
 ...
 }

// The records for the audit log live as long as the batch.

@@
identifier adl, adp;
@@
 nf_tables_commit_audit_alloc(
+	const struct net *net,
	struct list_head *adl, ...)
 {
	struct nft_audit_data *adp;
 <...
(
-	kzalloc(sizeof(*adp), GFP_KERNEL)
+	nft_batch_alloc(net, sizeof(*adp), GFP_KERNEL)
|
-	kzalloc_obj(*adp)
+	nft_batch_alloc(net, sizeof(*adp), GFP_KERNEL)
)
 ...>
 }

@@
identifier net;
@@
 nf_tables_commit(struct net *net, ...)
 {
 <...
 nf_tables_commit_audit_alloc(
+	net,
	...)
 ...>
 }

@@
@@
-	nf_tables_commit_audit_free(...);

@@
@@
-nf_tables_commit_audit_free(...) { ... }

@@
struct nft_audit_data *record;
@@
-	kfree(record);

// 7.3 merges the transactions of neighbouring elements: the first one grows where it is.

@@
typedef bool;
@@
+/* Free @last, which was allocated last, and let the object below it grow into its memory. */
+static bool nft_batch_join(const struct net *net, void *below, size_t old, size_t new, void *last)
+{
+	if (below + old != last || !nft_batch_undo(net, last))
+		return false;
+	return arena_private_resize(&(*nft_batch(net))->arena, below, old, new);
+}
+
 static bool nft_trans_collapse_set_elem_allowed(...) { ... }

@@
identifier nft_net, tail, trans, new_trans, nelems, old_nelems;
@@
 nft_trans_collapse_set_elem(struct nftables_pernet *nft_net, struct nft_trans_elem *tail,
			     struct nft_trans_elem *trans)
 {
	...
-	struct nft_trans_elem *new_trans;
+	struct nft_trans_one_elem elem = trans->elems[0];
	...
-	list_del_init(&tail->nft_trans.list);
-	new_trans = krealloc(...);
-	if (!new_trans) { ... }
-	new_trans->nelems = nelems;
-	new_trans->elems[old_nelems] = trans->elems[0];
-	list_add_tail(&new_trans->nft_trans.list, &nft_net->commit_list);
+	if (!nft_batch_join(trans->nft_trans.net, tail, struct_size(tail, elems, old_nelems),
+			    struct_size(tail, elems, nelems), trans))
+		return false;
+	tail->nelems = nelems;
+	tail->elems[old_nelems] = elem;
	...
 }

// 7.3 has a record for each hook to remove.

@@
identifier hook, record;
@@
 nft_trans_delhook(
+	const struct net *net,
	struct nft_hook *hook, ...)
 {
 <...
	record =
-	kmalloc_obj(*record)
+	nft_batch_alloc(net, sizeof(*record), GFP_KERNEL)
 ...>
 }

@@
identifier f, ctx;
@@
 f(struct nft_ctx *ctx, ...)
 {
 <...
 nft_trans_delhook(
+	ctx->net,
	...)
 ...>
 }

@@
struct nft_trans_hook *record;
@@
-	kfree(record);
