/* The runner's own side: what runs in the forked process. */
#pragma once

#include <sys/types.h>

/* Serves the daemon on the socket until it is gone and the last run has ended. Returns the exit status. */
int runner_main(int socket, const char *config_path, const char *hash);
