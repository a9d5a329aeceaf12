#include "lictor/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int identity_lookup(const char *user, struct identity *out, struct err *err)
{
    char text[16384];
    struct passwd entry, *found = NULL;
    int code = getpwnam_r(user, &entry, text, sizeof(text), &found);
    if (code)
        return err_set(err, "user \"%s\" cannot be looked up: %s", user, strerror(code));
    if (!found)
        return err_set(err, "user \"%s\" does not exist; create it or name another in `user`", user);
    out->uid = found->pw_uid;
    out->gid = found->pw_gid;
    out->group_count = PRIVILEGES_GROUPS;
    if (getgrouplist(user, found->pw_gid, out->groups, &out->group_count) < 0)
        return err_set(err, "user \"%s\" is in %d groups; at most %d are supported", user, out->group_count,
                       PRIVILEGES_GROUPS);
    snprintf(out->home, sizeof(out->home), "%s",
             found->pw_dir && found->pw_dir[0] == '/' ? found->pw_dir : "/");
    return 0;
}

int identity_assume(const struct identity *identity)
{
    if (setgroups((size_t)identity->group_count, identity->groups) < 0 || setgid(identity->gid) < 0 ||
        setuid(identity->uid) < 0)
        return -1;
    if (identity->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0)) {
        errno = EPERM; /* a kernel or a sandbox that let us keep the way back */
        return -1;
    }
    return 0;
}

int privileges_drop(const char *user, struct err *err)
{
    if (user && geteuid() == 0) {
        struct identity identity;
        if (identity_lookup(user, &identity, err) < 0)
            return -1;
        if (identity_assume(&identity) < 0)
            return err_set(err, "cannot become user \"%s\": %s", user, strerror(errno));
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(err, "cannot renounce new privileges: %s", strerror(errno));
    return 0;
}
