/* What both listeners of control do when a connection cannot be accepted. */
#pragma once

struct evconnlistener;

/* For evconnlistener_set_error_cb. Without descriptors the waiting connection would wake the loop at once
 * again, for ever: looks away for 100 ms. The listener must live as long as the loop runs. */
void accept_pause(struct evconnlistener *listener, void *arg);
