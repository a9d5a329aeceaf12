#include "finding.h"

#include "lictor/json.h"

#include <stdarg.h>
#include <stdio.h>

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
    json_object_set_new(finding, "what", json_clean(text));
    json_object_set_new(finding, "why", json_clean(why));
    json_object_set_new(finding, "do", json_clean(remedy));
    json_array_append_new(findings->list, finding);
    findings->count[level]++;
}
