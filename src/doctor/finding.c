#include "finding.h"

#include <stdarg.h>
#include <stdio.h>

/* Texts of Consul and of other instances stand in findings: what is not UTF-8 is shown as ASCII. */
static json_t *text_json(const char *text)
{
    if (!text)
        return json_null();
    json_t *json = json_string(text);
    if (json)
        return json;
    char ascii[1024];
    size_t n = 0;
    for (; text[n] && n < sizeof(ascii) - 1; n++)
        ascii[n] = (unsigned char)text[n] < 0x80 ? text[n] : '?';
    ascii[n] = '\0';
    return json_string(ascii);
}

void finding_add(struct findings *findings, enum level level, const char *why, const char *remedy,
                 const char *what, ...)
{
    static const char *const names[] = {"ok", "note", "warn", "fault"};
    char text[1024];
    va_list args;
    va_start(args, what);
    vsnprintf(text, sizeof(text), what, args);
    va_end(args);
    json_t *finding = json_object();
    json_object_set_new(finding, "level", json_string(names[level]));
    json_object_set_new(finding, "check", json_string(findings->check));
    json_object_set_new(finding, "what", text_json(text));
    json_object_set_new(finding, "why", text_json(why));
    json_object_set_new(finding, "do", text_json(remedy));
    json_array_append_new(findings->list, finding);
    findings->count[level]++;
}
