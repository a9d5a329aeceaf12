/* The TLS files, checked before the first handshake: a wrong path or a key that does not fit is said at
 * start, with the file's name. */
#include "client.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static FILE *open_file(const char *option, const char *path, struct err *err)
{
    FILE *file = fopen(path, "re");
    if (!file)
        err_set(err, "consul: %s %s: %s", option, path, strerror(errno));
    return file;
}

/* Otherwise OpenSSL asks on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing;
    *(bool *)arg = true;
    return -1;
}

static X509 *read_certificate(const char *option, const char *path, struct err *err)
{
    FILE *file = open_file(option, path, err);
    if (!file)
        return NULL;
    bool encrypted = false;
    X509 *certificate = PEM_read_X509(file, NULL, no_passphrase, &encrypted);
    if (!certificate)
        err_set(err, "consul: %s %s: no certificate in PEM form in it", option, path);
    fclose(file);
    return certificate;
}

static EVP_PKEY *read_key(const char *path, struct err *err)
{
    FILE *file = open_file("key-file", path, err);
    if (!file)
        return NULL;
    bool encrypted = false;
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, no_passphrase, &encrypted);
    if (!key)
        err_set(err, "consul: key-file %s: %s", path,
                encrypted ? "protected by a passphrase; a daemon needs one without"
                          : "no private key in PEM form in it");
    fclose(file);
    return key;
}

static int check_pair(const struct config_consul *config, struct err *err)
{
    const char *key_path = config->key_file ? config->key_file : config->cert_file;
    X509 *certificate = read_certificate("cert-file", config->cert_file, err);
    EVP_PKEY *key = certificate ? read_key(key_path, err) : NULL;
    int result = key ? 0 : -1;
    if (key && X509_check_private_key(certificate, key) != 1)
        result =
            err_set(err, "consul: key-file %s is not the key of cert-file %s", key_path, config->cert_file);
    EVP_PKEY_free(key);
    X509_free(certificate);
    return result;
}

int tls_check_files(const struct config_consul *config, struct err *err)
{
    int result = 0;
    if (config->ca_file) {
        X509 *ca = read_certificate("ca-file", config->ca_file, err);
        result = ca ? 0 : -1;
        X509_free(ca);
    }
    if (result == 0 && config->ca_path) {
        struct stat st;
        if (stat(config->ca_path, &st) != 0 || access(config->ca_path, R_OK | X_OK) != 0)
            result = err_set(err, "consul: ca-path %s: %s", config->ca_path, strerror(errno));
        else if (!S_ISDIR(st.st_mode))
            result =
                err_set(err, "consul: ca-path %s: not a folder; a file is named by ca-file", config->ca_path);
    }
    if (result == 0 && config->cert_file)
        result = check_pair(config, err);
    else if (result == 0 && config->key_file)
        result = err_set(err, "consul: key-file %s without a cert-file", config->key_file);
    ERR_clear_error(); /* libcurl reads the same queue */
    return result;
}
