/* The lexical half of the syntax. libconfuse parses the grammar, but its lexer does things that a
 * configuration of a daemon must not do, or does them wrongly:
 *   - `${NAME}` puts the environment into any string, also into a shell command of an action;
 *   - characters that it does not know are skipped (an unquoted `db-*` would become `db-`);
 *   - it counts one line too many after each comment in slash and star;
 *   - a NUL octet cuts a string short without a word;
 *   - an unclosed quote leaves its lexer inside a string for the next file, that is: the next reload;
 *   - it knows neither the line where a section begins nor that a key stands twice.
 * So the text is checked and rewritten first. */
#include "config/text.h"

#include "lictor/strmap.h"
#include "lictor/xalloc.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DEPTH_MAX 8 /* the deepest that means something is a list in a record in a zone: 3 */

enum token { TOKEN_NONE, TOKEN_WORD, TOKEN_STRING, TOKEN_EQUALS, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_COMMA };

struct brace {
    uint32_t section; /* number of the section, or 0 for a list */
    int line;
};

struct scan {
    const char *text;
    size_t len, at;
    int line;
    struct buf *out;
    size_t end; /* of the last token in out */
    struct faults *faults;
    struct strmap *seen; /* section number and key -> line */
    struct brace braces[DEPTH_MAX];
    unsigned depth;
    uint32_t sections; /* how many have begun; the top level is number 0 */
    /* The last two tokens: a section is `word {` or `word "title" {`. */
    enum token last, before;
    size_t last_start, last_len, before_start, before_len;
};

static char peek(const struct scan *scan, size_t ahead)
{
    return scan->at + ahead < scan->len ? scan->text[scan->at + ahead] : '\0';
}

static void took(struct scan *scan, enum token token, size_t start)
{
    if (token == TOKEN_WORD && scan->last == TOKEN_EQUALS)
        token = TOKEN_STRING; /* a value without quotes: it names no section */
    scan->before = scan->last;
    scan->before_start = scan->last_start;
    scan->before_len = scan->last_len;
    scan->last = token;
    scan->last_start = start;
    scan->last_len = scan->at - start;
    scan->end = scan->out->len;
}

/* Consul writes the same keys with underscores: `udp_answer_limit` is `udp-answer-limit`. No key of ours has
 * an underscore. */
static void use_dashes(uint8_t *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (word[i] == '_')
            word[i] = '-';
}

/* Notes a key or a section (kind `=` or `{`) in its section; a second one is a fault. */
static void note(struct scan *scan, char kind, size_t start, size_t len, const char *title, size_t title_len)
{
    struct buf key = {0};
    uint32_t section = scan->depth ? scan->braces[scan->depth - 1].section : 0;
    buf_append(&key, &section, sizeof(section));
    buf_append(&key, &kind, 1);
    buf_append(&key, scan->text + start, len);
    use_dashes(key.data + key.len - len, len);
    if (title) {
        buf_append(&key, " ", 1);
        buf_append(&key, title, title_len);
    }
    void *before = strmap_put(scan->seen, key.data, key.len, (void *)(intptr_t)scan->line);
    if (before && kind == '=')
        fault_add(scan->faults, scan->line, "`%.*s` is set a second time; keep this or line %d", (int)len,
                  scan->text + start, (int)(intptr_t)before);
    else if (before)
        fault_add(scan->faults, scan->line,
                  "`%.*s%s%.*s` stands a second time; put all of it into the one at line %d", (int)len,
                  scan->text + start, title ? " " : "", (int)title_len, title ? title : "",
                  (int)(intptr_t)before);
    buf_free(&key);
}

static void skip_line_comment(struct scan *scan)
{
    while (scan->at < scan->len && scan->text[scan->at] != '\n')
        scan->at++;
}

static int skip_block_comment(struct scan *scan)
{
    int begun = scan->line;
    for (scan->at += 2; scan->at < scan->len; scan->at++) {
        if (peek(scan, 0) == '*' && peek(scan, 1) == '/') {
            scan->at += 2;
            buf_append(scan->out, " ", 1);
            return 0;
        }
        if (peek(scan, 0) == '\n') {
            scan->line++;
            buf_append(scan->out, "\n", 1);
        }
    }
    fault_add(scan->faults, begun, "the comment that begins here is not closed; end it with `*/`");
    return -1;
}

/* In double quotes libconfuse knows C's escapes. Numeric ones are refused: they could hide a NUL. */
static int take_escape(struct scan *scan, char quote)
{
    char next = peek(scan, 1);
    if (quote == '\'' ? next != '\'' && next != '\\' : !next || !strchr("\"\\$nt", next)) {
        fault_add(scan->faults, scan->line,
                  "`\\%c` is no escape sequence; write `\\\\` for a backslash, `\\%c` for a quote",
                  next ? next : ' ', quote);
        return -1;
    }
    buf_append(scan->out, scan->text + scan->at, 2);
    scan->at += 2;
    return 0;
}

static int take_string(struct scan *scan)
{
    size_t start = scan->at;
    char quote = scan->text[scan->at++];
    buf_append(scan->out, &quote, 1);
    while (scan->at < scan->len) {
        char c = peek(scan, 0);
        if (c == quote) {
            buf_append(scan->out, &c, 1);
            scan->at++;
            took(scan, TOKEN_STRING, start);
            return 0;
        }
        if (c == '\n')
            break;
        if (c == '\\') {
            if (take_escape(scan, quote))
                return -1;
            continue;
        }
        if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f) {
            fault_add(scan->faults, scan->line,
                      "a control character (octet 0x%02x) in a string; is this a text file?",
                      (unsigned char)c);
            return -1;
        }
        if (c == '$' && quote == '"' && peek(scan, 1) == '{')
            buf_append(scan->out, "\\", 1); /* literal: see the head of this file */
        buf_append(scan->out, &c, 1);
        scan->at++;
    }
    fault_add(scan->faults, scan->line, "the string that begins here has no closing %c on its line", quote);
    return -1;
}

static bool is_word_char(const struct scan *scan, size_t ahead)
{
    char c = peek(scan, ahead), next = peek(scan, ahead + 1);
    if (c == '/')
        return next != '/' && next != '*'; /* these begin comments */
    return isascii((unsigned char)c) && (isalnum((unsigned char)c) || (c && strchr("_.:-", c)));
}

static void take_word(struct scan *scan)
{
    size_t start = scan->at;
    while (scan->at < scan->len && is_word_char(scan, 0))
        scan->at++;
    buf_append(scan->out, scan->text + start, scan->at - start);
    took(scan, TOKEN_WORD, start);
}

static int open_brace(struct scan *scan)
{
    if (scan->depth == DEPTH_MAX) {
        fault_add(scan->faults, scan->line, "braces are nested %d deep; nothing here goes deeper than 3",
                  DEPTH_MAX + 1);
        return -1;
    }
    bool list = scan->last == TOKEN_EQUALS;
    if (!list) {
        if (scan->last == TOKEN_STRING && scan->before == TOKEN_WORD)
            note(scan, '{', scan->before_start, scan->before_len, scan->text + scan->last_start,
                 scan->last_len);
        else if (scan->last == TOKEN_WORD)
            note(scan, '{', scan->last_start, scan->last_len, NULL, 0);
        else {
            fault_add(scan->faults, scan->line,
                      "`{` does not follow the name of a section; write `name {` or `name \"title\" {`");
            return -1;
        }
        scan->sections++;
    }
    scan->braces[scan->depth++] = (struct brace){.section = list ? 0 : scan->sections, .line = scan->line};
    buf_append(scan->out, "{", 1);
    if (!list)
        buf_printf(scan->out, " " TEXT_LINE_KEY " = \"%d\" ", scan->line);
    scan->at++;
    took(scan, TOKEN_OPEN, scan->at - 1);
    return 0;
}

static int take_mark(struct scan *scan)
{
    char c = peek(scan, 0);
    switch (c) {
    case '{':
        return open_brace(scan);
    case '}':
        if (scan->depth)
            scan->depth--; /* else libconfuse says so */
        break;
    case '=':
        if (scan->last == TOKEN_WORD) {
            note(scan, '=', scan->last_start, scan->last_len, NULL, 0);
            use_dashes(scan->out->data + scan->end - scan->last_len, scan->last_len);
        } else {
            fault_add(scan->faults, scan->line, "`=` does not follow a key; write `key = value`");
            return -1;
        }
        break;
    case ',':
        break;
    case '\0':
        fault_add(scan->faults, scan->line, "a NUL octet; this is not a text file");
        return -1;
    default:
        if (isprint((unsigned char)c))
            fault_add(scan->faults, scan->line,
                      "`%c` has no meaning here; put text with such characters in \"quotes\"", c);
        else
            fault_add(scan->faults, scan->line,
                      "octet 0x%02x outside of a string; put text with such characters in \"quotes\"",
                      (unsigned char)c);
        return -1;
    }
    buf_append(scan->out, &c, 1);
    scan->at++;
    took(scan, c == '}' ? TOKEN_CLOSE : c == '=' ? TOKEN_EQUALS : TOKEN_COMMA, scan->at - 1);
    return 0;
}

static int take_token(struct scan *scan)
{
    char c = peek(scan, 0);
    if (c == '\n' || c == ' ' || c == '\t' || c == '\r') {
        scan->line += c == '\n';
        buf_append(scan->out, c == '\n' ? "\n" : " ", 1);
        scan->at++;
        return 0;
    }
    if (c == '#' || (c == '/' && peek(scan, 1) == '/')) {
        skip_line_comment(scan);
        return 0;
    }
    if (c == '/' && peek(scan, 1) == '*')
        return skip_block_comment(scan);
    if (c == '"' || c == '\'')
        return take_string(scan);
    if (is_word_char(scan, 0)) {
        take_word(scan);
        return 0;
    }
    return take_mark(scan);
}

int text_prepare(const char *text, size_t len, struct buf *out, struct faults *faults)
{
    struct scan scan = {.text = text, .len = len, .line = 1, .out = out, .faults = faults};
    scan.seen = strmap_new();
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        scan.at = 3; /* a byte order mark, as some editors leave it */

    int result = 0;
    while (!result && scan.at < scan.len)
        result = take_token(&scan);
    if (!result && scan.depth) {
        fault_add(faults, scan.braces[scan.depth - 1].line, "the `{` of this line is not closed; add `}`");
        result = -1;
    }
    strmap_free(scan.seen, NULL);
    /* So that an end in the middle of something is reported at the line of that. */
    out->len = scan.end;
    buf_append(out, " ", 1);
    return result;
}
