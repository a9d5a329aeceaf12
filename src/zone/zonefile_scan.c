#include "zone/zonefile_scan.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

struct parentheses {
    int depth, line; /* where the outermost was opened */
};

void scan_end(struct scan *scan)
{
    buf_free(&scan->entry);
}

static int fail(const struct scan *scan, int line, struct err *err, const char *what)
{
    return err_set(err, "%s:%d: %s", scan->name, line, what);
}

static int peek(const struct scan *scan, size_t ahead)
{
    return scan->at + ahead < scan->len ? (uint8_t)scan->text[scan->at + ahead] : -1;
}

/* The end of a line may be LF, or CR LF. */
static bool at_newline(const struct scan *scan)
{
    return peek(scan, 0) == '\n' || (peek(scan, 0) == '\r' && peek(scan, 1) == '\n');
}

static void skip_newline(struct scan *scan)
{
    scan->at += peek(scan, 0) == '\r' ? 2 : 1;
    scan->line++;
}

static void skip_comment(struct scan *scan)
{
    const char *end = memchr(scan->text + scan->at, '\n', scan->len - scan->at);
    scan->at = end ? (size_t)(end - scan->text) : scan->len;
}

static int bad_octet(const struct scan *scan, int c, struct err *err)
{
    return err_set(err, "%s:%d: %s (octet 0x%02x); write it as \\%03d", scan->name, scan->line,
                   c ? "a control character" : "a NUL; is this a text file?", (unsigned)c, c);
}

static bool is_control(int c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

/* Copies one escape whole: what it means depends on where it stands. */
static int take_escape(struct scan *scan, struct err *err)
{
    int next = peek(scan, 1);
    if (next < 0 || next == '\n' || next == '\r')
        return fail(scan, scan->line, err, "a line ends in a backslash; remove it, or write \\\\");
    if (is_control(next) || next == '\t')
        return bad_octet(scan, next, err);
    buf_append(&scan->entry, scan->text + scan->at, 2);
    scan->at += 2;
    return 0;
}

static int take_quoted(struct scan *scan, struct err *err)
{
    buf_append(&scan->entry, "\"", 1);
    scan->at++;
    for (;;) {
        int c = peek(scan, 0);
        if (c < 0 || at_newline(scan))
            return fail(scan, scan->line, err, "the quote that begins here is not closed; end it with \"");
        if (c == '\\') {
            if (take_escape(scan, err))
                return -1;
            continue;
        }
        if (is_control(c))
            return bad_octet(scan, c, err);
        buf_append(&scan->entry, scan->text + scan->at++, 1);
        if (c == '"')
            return 0;
    }
}

static int take_token(struct scan *scan, struct err *err)
{
    if (scan->entry.len)
        buf_append(&scan->entry, " ", 1);
    if (scan->tokens < ENTRY_TOKENS)
        scan->starts[scan->tokens] = scan->entry.len;
    scan->tokens++;
    for (;;) {
        /* The common case, a run of plain characters, is copied at once. */
        size_t from = scan->at;
        int c;
        while ((c = peek(scan, 0)) > ' ' && c != '"' && c != '\\' && c != '(' && c != ')' && c != ';' &&
               c != 0x7f)
            scan->at++;
        buf_append(&scan->entry, scan->text + from, scan->at - from);
        if (scan->entry.len > ENTRY_MAX)
            return fail(scan, scan->entry_line, err,
                        "the record that begins here is longer than any record can be; is a parenthesis or a "
                        "line end missing?");
        if (c == '\\') {
            if (take_escape(scan, err))
                return -1;
        } else if (c == '"') {
            if (take_quoted(scan, err))
                return -1;
        } else if (c >= 0 && is_control(c) && !at_newline(scan)) {
            return bad_octet(scan, c, err);
        } else {
            return 0;
        }
    }
}

static int take_parenthesis(struct scan *scan, struct parentheses *open, struct err *err)
{
    if (scan->text[scan->at++] == '(') {
        if (!open->depth++)
            open->line = scan->line;
        return 0;
    }
    return open->depth-- ? 0 : fail(scan, scan->line, err, "`)` without `(`; remove it, or add the `(`");
}

int scan_next(struct scan *scan, struct err *err)
{
    struct parentheses open = {0};
    scan->entry.len = scan->tokens = 0;
    scan->leading_blank = peek(scan, 0) == ' ' || peek(scan, 0) == '\t';
    scan->entry_line = scan->line;
    while (scan->at < scan->len) {
        int c = peek(scan, 0);
        if (at_newline(scan)) {
            skip_newline(scan);
            if (open.depth)
                continue;
            if (scan->tokens)
                break;
            scan->leading_blank = peek(scan, 0) == ' ' || peek(scan, 0) == '\t';
            scan->entry_line = scan->line;
        } else if (c == ' ' || c == '\t') {
            scan->at++;
        } else if (c == ';') {
            skip_comment(scan);
        } else if (c == '(' || c == ')') {
            if (take_parenthesis(scan, &open, err))
                return -1;
        } else if (take_token(scan, err)) {
            return -1;
        }
    }
    if (open.depth)
        return fail(scan, open.line, err, "the `(` of this line is not closed; add `)`");
    buf_str(&scan->entry);
    return scan->tokens > 0;
}

char *scan_token(struct scan *scan, size_t i)
{
    assert(i < scan->tokens && i < ENTRY_TOKENS);
    char *text = (char *)scan->entry.data;
    if (i + 1 < scan->tokens) {
        assert(i + 1 < ENTRY_TOKENS); /* else its end is not known */
        text[scan->starts[i + 1] - 1] = '\0';
    }
    return text + scan->starts[i];
}

char *scan_rest(struct scan *scan, size_t i)
{
    assert(i < ENTRY_TOKENS);
    return i < scan->tokens ? (char *)scan->entry.data + scan->starts[i]
                            : (char *)scan->entry.data + scan->entry.len;
}
