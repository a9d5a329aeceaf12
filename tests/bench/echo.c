/* The floor: a server that sends each message back with QR set, and does nothing else. What an answer costs
 * above this is ours; what this costs is the kernel's. Usage: echo [batch]; prints "port N". */
#include "lictor/err.h"
#include "lictor/sockets.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define BATCH_MAX 128

int main(int argc, char **argv)
{
    static struct mmsghdr message[BATCH_MAX];
    static struct iovec at[BATCH_MAX];
    static struct sockaddr_in peer[BATCH_MAX];
    static uint8_t data[BATCH_MAX][512 + 64];
    unsigned batch = argc > 1 ? (unsigned)atoi(argv[1]) : 32;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(own);

    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (batch < 1 || batch > BATCH_MAX || fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0 ||
        getsockname(fd, (struct sockaddr *)&own, &len) != 0) {
        fprintf(stderr, "echo: cannot bind a UDP socket, or the batch is not from 1 to %d\n", BATCH_MAX);
        return 1;
    }
    printf("port %u\n", ntohs(own.sin_port));
    fflush(stdout);
    for (unsigned i = 0; i < batch; i++)
        message[i].msg_hdr = (struct msghdr){.msg_name = &peer[i], .msg_iov = &at[i], .msg_iovlen = 1};
    for (;;) {
        for (unsigned i = 0; i < batch; i++) {
            at[i] = (struct iovec){data[i], 512};
            message[i].msg_hdr.msg_namelen = sizeof(peer[i]);
        }
        int count = recvmmsg(fd, message, batch, MSG_WAITFORONE, NULL);
        for (int i = 0; i < count; i++) {
            data[i][2] |= 0x80;
            at[i].iov_len = message[i].msg_len;
        }
        for (int sent = 0, n; sent < count; sent += n)
            if ((n = sendmmsg(fd, message + sent, (unsigned)(count - sent), 0)) <= 0)
                n = 1;
    }
}
