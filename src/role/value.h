/* The JSON in Consul's KV: the lock's value and a member's. Pure; every octet read is hostile. */
#pragma once

#include "lictor/buf.h"
#include "lictor/failsafe.h"
#include "lictor/role.h"

#define VALUE_NODE    256
#define VALUE_ADDRESS 64
#define VALUE_MAX     4096 /* octets; more is unreadable */

/* `leader`: who holds the lock, and what its successor must know. */
struct lock_value {
    struct election_value election;
    char node[VALUE_NODE];
    char address[VALUE_ADDRESS]; /* "" when none is advertised */
    uint32_t write;              /* counts, so that writing again always changes the value */
    /* Failsafe: whom the holder may ask for consent, itself included. Nobody else may stand after it. */
    size_t named_count;
    char named[FAILSAFE_MEMBERS][ELECTION_ID_SIZE];
};

/* `members/<instance>` */
struct member_value {
    char node[VALUE_NODE];
    char instance[ELECTION_ID_SIZE];
    char address[VALUE_ADDRESS];
    char reason[256]; /* why it is not ready */
    bool ready;       /* may be given the lock */
    bool primary;
    int priority;
    uint64_t epoch;
    struct role_mirror mirror; /* all zero where the key has none: no zones, or an older version */
};

/* Appends. */
void lock_value_encode(const struct lock_value *value, struct buf *out);
/* What is not a well-formed value leaves all of out zero, election.readable included. */
void lock_value_decode(const void *data, size_t len, struct lock_value *out);

enum request_ask { REQUEST_HANDOVER, REQUEST_RESIGN };

/* `requests/<id>`: what was asked on another instance. */
struct request_value {
    enum request_ask ask;
    char of[ELECTION_ID_SIZE]; /* the session that held the lock: its successor is not asked; "": nobody known
                                */
    char to[VALUE_NODE];       /* of a hand-over; "": any ready standby */
    char from[VALUE_NODE];     /* who asks, or who answered */
    int64_t at;                /* CLOCK_REALTIME, seconds */
    bool answered;
    char error[512]; /* of the answer; "" when it was done */
};

void request_value_encode(const struct request_value *value, struct buf *out);
bool request_value_decode(const void *data, size_t len, struct request_value *out);

void member_value_encode(const struct member_value *value, struct buf *out);
bool member_value_decode(const void *data, size_t len, struct member_value *out);

/* `control/pause`: no automatic takeover. */
struct pause_value {
    char who[VALUE_NODE]; /* the instance that was told so */
    char why[256];
    int64_t at, until; /* CLOCK_REALTIME, seconds; until 0: until somebody resumes */
};

void pause_value_encode(const struct pause_value *value, struct buf *out);
bool pause_value_decode(const void *data, size_t len, struct pause_value *out);

/* KV's `epoch`: decimal text. false if it is none. */
bool epoch_decode(const void *data, size_t len, uint64_t *out);
