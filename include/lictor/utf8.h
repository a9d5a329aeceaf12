/* Texts from files and the network that go into JSON, which holds UTF-8 only. Any thread. */
#pragma once

/* Puts a '?' in place of each octet that is no part of well-formed UTF-8 (RFC 3629). Returns text. */
char *utf8_clean(char *text);
