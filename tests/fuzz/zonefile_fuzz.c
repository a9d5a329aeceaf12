/* Zone text from anywhere: nothing crashes, each refusal names a line, and what is accepted is printed and
 * read back to the same zone. */
#include "lictor/log.h"
#include "lictor/zonefile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
const char *__lsan_default_suppressions(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t apex[] = "\7example\3com";
static struct zone_state state;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    log_init("zonefile_fuzz", LOG_LEVEL_ERROR);
    return 0;
}

/* ldns 1.8 loses the fields of some malformed records (IPSECKEY, HIP, ...). A record that we forgot to free
 * would still show: by its ldns_rr. */
const char *__lsan_default_suppressions(void)
{
    return "leak:ldns_rdf_new\nleak:ldns_str2rdf\nleak:ldns_dname_new\n";
}

static struct zone *parse(const void *text, size_t len, struct err *err)
{
    *err = (struct err){.text = ""};
    return zonefile_parse("z", text, len, apex, ZONE_AUTHORITATIVE, &state, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct zone *zone = parse(data, size, &err);
    if (!zone) {
        if (strncmp(err.text, "z:", 2))
            abort();
        return 0;
    }
    struct buf once = {0}, twice = {0};
    zonefile_print(zone, &once);
    zone_unref(zone);
    zone = parse(buf_str(&once), once.len, &err);
    if (!zone)
        abort();
    zonefile_print(zone, &twice);
    zone_unref(zone);
    if (once.len != twice.len || memcmp(once.data, twice.data, once.len))
        abort();
    buf_free(&once);
    buf_free(&twice);
    return 0;
}
