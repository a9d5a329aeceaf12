/* Carries requests of the state machines to Consul and replies back: bodies are made and parsed on the
 * builder, main only sends. */
#pragma once

#include "store/core.h"

#include "lictor/builder.h"
#include "lictor/gate.h"

struct courier;

/* On the builder: the reply to what core asked. reply is freed by the caller of this. */
typedef void courier_reply_fn(void *arg, struct core *core, const struct kv_reply *reply);

/* prefix: "lictor/<cluster>/". gate: what begins with check-session is sent only while this instance may act.
 */
struct courier *courier_new(struct builder *builder, struct consul_client *client, const struct gate *gate,
                            const char *prefix, courier_reply_fn *reply, void *arg);
/* Builder: sends it, with this session for KV_CHECK_SESSION, and frees it. */
void courier_send(struct courier *courier, struct core *core, struct kv_request *request,
                  const char *session);
/* Main: what is on its way is dropped without a reply, and so is what comes after. */
void courier_stop(struct courier *courier);
void courier_free(struct courier *courier); /* when the builder has ended */

/* The entries of a KV answer with their keys below prefix, in *reply. Returns 0, or -1 with err. Any thread.
 */
int courier_parse(const char *prefix, enum kv_kind kind, const struct buf *body, struct kv_reply *reply,
                  struct err *err);
