/* lictord.conf from anywhere: nothing crashes, and each refusal says something, in printable lines that begin
 * with the file's name. */
#include "lictor/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf faults = {0};
    struct config *config = config_parse("/fuzz/lictord.conf", (const char *)data, size, &faults);
    if (!config == !faults.len)
        abort();
    for (char *line = buf_str(&faults); *line; line = strchr(line, '\n') + 1)
        if (strncmp(line, "/fuzz/lictord.conf:", 19) || !strchr(line, '\n'))
            abort();
    if (config) {
        if (config_needs_restart(config, config))
            abort();
        config_service_ttl(&config->services, "web");
    }
    config_free(config);
    buf_free(&faults);
    return 0;
}
