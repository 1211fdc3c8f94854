// SPDX-License-Identifier: GPL-2.0
/*
 * arena_consumer is an example of a module that uses an arena. The module parses JSON text and
 * answers queries about the text.
 *
 *	cat FILE >/sys/kernel/debug/arena_consumer/parse
 *	cat /sys/kernel/debug/arena_consumer/parse
 *	exec 3<>/sys/kernel/debug/arena_consumer/query
 *	echo /servers/0/name >&3; cat <&3
 *	exec 4<>/sys/kernel/debug/arena_consumer/compare
 *	cat FILE >&4; cat <&4
 *
 * parse:   One write of at most CONSUMER_TEXT_MAX bytes is one text. The module frees the tree of
 *	    the previous text and parses the new text. If the new text is not JSON, write() returns
 *	    EINVAL and the module has no text. Reading shows a summary of the tree, or what was
 *	    wrong in the text and at which byte.
 * query:   For each open file, one write of a path and one read of the value. The write returns
 *	    ENOENT if there is no such value, ENODATA if there is no text, EMSGSIZE if the value is
 *	    longer than a page.
 * compare: For each open file, one write of a text and one read of the results. The module parses
 *	    the text in each kind of memory (compare.c); reading shows how long that took, also if
 *	    the write returned EINVAL because the text is not JSON.
 * produce: Writes records into the arena of a program (produce.c).
 *
 * Locks: the module holds document_mutex while it parses a text and while it reads the tree, so no
 * query reads a tree whose arena has been reset.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "consumer.h"
#include "json.h"
#include "memory.h"

static DEFINE_MUTEX(document_mutex);	/* protects the next three variables */
static struct json_memory document = { .ops = &json_in_spans };
static struct json_parser parser;
static struct json_node *root;		/* NULL if there is no valid text */
static struct dentry *dir;

static const char * const type_names[] = {
	"null", "false", "true", "number", "string", "array", "object"
};

/* Copies the text of one write; the caller frees it by kvfree(). */
static char *take_text(const char __user *from, size_t size, loff_t pos)
{
	/* Each write must be a whole text, so refuse a second write at a later position. */
	if (pos)
		return ERR_PTR(-EINVAL);
	if (size > CONSUMER_TEXT_MAX)
		return ERR_PTR(-EFBIG);
	return vmemdup_user(from, size);
}

/* Parses a text. First, a reset of the arena frees the tree of the previous text. */
static int parse(const char *text, size_t size)
{
	int err;

	if (mutex_lock_interruptible(&document_mutex))
		return -EINTR;
	root = NULL;
	json_clear(&document, NULL);
	err = json_parse(&parser, &document, text, size);
	if (!err)
		root = parser.root;
	mutex_unlock(&document_mutex);
	return err;
}

static ssize_t parse_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	char *text = take_text(from, size, *pos);
	int err;

	if (IS_ERR(text))
		return PTR_ERR(text);
	err = parse(text, size);
	kvfree(text);
	if (err)
		return err;
	*pos += size;
	return size;
}

static int parse_show(struct seq_file *m, void *unused)
{
	mutex_lock(&document_mutex);
	if (root)
		seq_printf(m, "%s of %u, %lu objects, %zu bytes\n", type_names[root->type],
			   json_children(root), document.objects, document.bytes);
	else if (parser.why)
		seq_printf(m, "%s at byte %zd\n", parser.why, parser.pos - parser.text);
	else
		seq_puts(m, "nothing\n");
	mutex_unlock(&document_mutex);
	return 0;
}

static int parse_open(struct inode *inode, struct file *file)
{
	return single_open(file, parse_show, NULL);
}

static const struct file_operations parse_fops = {
	.owner		= THIS_MODULE,
	.open		= parse_open,
	.read		= seq_read,
	.write		= parse_write,
	.llseek		= seq_lseek,
	.release	= single_release,
};

/*
 * Replaces the path in @buffer by the value; returns the length of the value or a negative errno.
 */
static int answer(char *buffer, size_t max)
{
	const struct json_node *node;
	int len;

	if (!root)
		return -ENODATA;
	node = json_find(root, buffer);
	if (!node)
		return -ENOENT;
	if (node->type == JSON_ARRAY || node->type == JSON_OBJECT)
		len = snprintf(buffer, max, "%s %u\n", type_names[node->type],
			       json_children(node));
	else
		len = snprintf(buffer, max, "%s\n", node->text ?: type_names[node->type]);
	return len < max ? len : -EMSGSIZE;
}

static ssize_t query_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	char *buffer = simple_transaction_get(file, from, size);
	int len;

	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	buffer[strcspn(buffer, "\n")] = '\0';
	if (mutex_lock_interruptible(&document_mutex))
		return -EINTR;
	len = answer(buffer, SIMPLE_TRANSACTION_LIMIT);
	mutex_unlock(&document_mutex);
	if (len < 0)
		return len;
	simple_transaction_set(file, len);
	return size;
}

static const struct file_operations query_fops = {
	.owner		= THIS_MODULE,
	.read		= simple_transaction_read,
	.write		= query_write,
	.release	= simple_transaction_release,
};

/* Leaves the position of the file at 0, from where the results are read. */
static ssize_t compare_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	struct seq_file *m = file->private_data;
	char *text = take_text(from, size, *pos);
	int err;

	if (IS_ERR(text))
		return PTR_ERR(text);
	err = compare_run(m->private, text, size);
	kvfree(text);
	return err ?: size;
}

static int compare_file_show(struct seq_file *m, void *unused)
{
	compare_show(m, m->private);
	return 0;
}

static int compare_open(struct inode *inode, struct file *file)
{
	struct comparison *comparison = compare_new();
	int err;

	if (!comparison)
		return -ENOMEM;
	err = single_open(file, compare_file_show, comparison);
	if (err)
		kfree(comparison);
	return err;
}

static int compare_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;

	kfree(m->private);
	return single_release(inode, file);
}

static const struct file_operations compare_fops = {
	.owner		= THIS_MODULE,
	.open		= compare_open,
	.read		= seq_read,
	.write		= compare_write,
	.llseek		= seq_lseek,
	.release	= compare_release,
};

static int __init consumer_init(void)
{
	int err = document.ops->open(&document);

	if (err)
		return err;
	dir = debugfs_create_dir("arena_consumer", NULL);
	debugfs_create_file("parse", 0600, dir, NULL, &parse_fops);
	debugfs_create_file("query", 0600, dir, NULL, &query_fops);
	debugfs_create_file("compare", 0600, dir, NULL, &compare_fops);
	debugfs_create_file("produce", 0200, dir, NULL, &produce_fops);
	return 0;
}
module_init(consumer_init);

static void __exit consumer_exit(void)
{
	debugfs_remove(dir);
	document.ops->close(&document);
}
module_exit(consumer_exit);

MODULE_DESCRIPTION("JSON in an arena");
MODULE_LICENSE("GPL");
