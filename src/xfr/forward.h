/* UPDATEs to the primary and its replies back: the wire form, pure (forward_message.c), and the connection
 * (forward.c). A message of ours is an UPDATE itself, of a zone that cannot be:
 *
 *   zone <cluster>.update.lictor. SOA IN; additional: . TYPE65421 ANY 0 <content>, TSIG with `peer-key`
 *
 * Its content is the client's address and the client's message, octet for octet; of the reply, the reply to
 * the client. The MAC of a reply covers that of the message. */
#pragma once

#include "lictor/config.h"
#include "lictor/tsig.h"
#include "lictor/update.h"

#include <sys/socket.h>

#define FORWARD_MAX   65535
#define FORWARD_FRAME 1024 /* more than all around the content takes */

struct forward_frame {
    uint8_t zone[NAME_MAX_WIRE]; /* <cluster>.update.lictor. */
    struct tsig_key key;
};

/* Returns 0, or -1 with err: the configuration's `peer-key`, which is there, cannot be read. */
int forward_frame_init(struct forward_frame *frame, const struct config *config, struct err *err);

/* Is it of the form above, whoever it may be from, for whatever cluster? */
bool forward_is_ours(const uint8_t *msg, size_t len);
/* Appends to out the message around a client's. False: it is too long. mac: for the reply. */
bool forward_wrap(const struct forward_frame *frame, uint16_t id, const struct sockaddr_storage *client,
                  bool tcp, const uint8_t *msg, size_t len, struct buf *out, struct tsig_mac *mac);
/* Of a message that was received: the client and where in msg its message stands. Returns NOERROR; or
 * FORMERR, NOTAUTH (the signature: *error) or REFUSED (not signed, another cluster). */
enum dns_rcode forward_unwrap(const struct forward_frame *frame, const uint8_t *msg, size_t len,
                              struct sockaddr_storage *client, bool *tcp, size_t *at, size_t *end,
                              struct tsig *tsig, enum tsig_error *error);
/* The reply around the one to the client. rcode not NOERROR: without content. */
void forward_wrap_reply(const struct forward_frame *frame, const uint8_t *msg, const struct tsig *tsig,
                        enum tsig_error error, enum dns_rcode rcode, const uint8_t *reply, size_t len,
                        struct buf *out);
/* Returns 0 with where in msg the reply stands, or -1 with err. */
int forward_unwrap_reply(const struct forward_frame *frame, const uint8_t *msg, size_t len,
                         const struct tsig_mac *mac, size_t *at, size_t *end, struct err *err);

/* --- the connection (main) ------------------------------------------------------------------------------ */

struct forward;

/* reply NULL: there is none, why says so, and done whether it may have been done nevertheless. */
typedef void forward_done_fn(void *arg, void *what, const uint8_t *reply, size_t len, bool maybe,
                             const char *why);

/* primary: see updates_config. */
struct forward *forward_new(struct event_base *base, const struct forward_frame *frame,
                            void (*primary)(void *arg, struct update_primary *out), void *primary_arg,
                            forward_done_fn *done, void *arg);
void forward_free(struct forward *forward); /* everything that waits is done, with maybe. NULL is allowed */
/* To the primary, which is another instance. done is called once for `what`, from within or later. */
void forward_send(struct forward *forward, const struct update_primary *primary,
                  const struct sockaddr_storage *client, bool tcp, const uint8_t *msg, size_t len,
                  void *what);
