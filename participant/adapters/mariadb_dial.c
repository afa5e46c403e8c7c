#include "participant/adapters/mariadb_dial.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <pthread.h>

#include "base/troth_err.h"

bool mariadb_error_is_loss(unsigned error) {
    return (error >= CR_MIN_ERROR && error <= CR_MAX_ERROR) || error == ER_SERVER_SHUTDOWN ||
           error == ER_CONNECTION_KILLED || error == ER_NORMAL_SHUTDOWN;
}

static const char *or_null(const char *text) {
    return text[0] == '\0' ? NULL : text;
}

static void set_options(MYSQL *session, const struct mariadb_dsn *dsn, unsigned timeout_s) {
    my_bool verify = dsn->ssl == MARIADB_SSL_VERIFY;
    my_bool enforce = dsn->ssl != MARIADB_SSL_OFF;
    my_bool reconnect = 0; /* a lost session must be seen */
    mysql_options(session, MYSQL_OPT_CONNECT_TIMEOUT, &dsn->connect_timeout_s);
    if (timeout_s > 0) {
        mysql_options(session, MYSQL_OPT_READ_TIMEOUT, &timeout_s);
        mysql_options(session, MYSQL_OPT_WRITE_TIMEOUT, &timeout_s);
    }
    mysql_options(session, MYSQL_OPT_RECONNECT, &reconnect);
    mysql_options(session, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (enforce) {
        mysql_ssl_set(session, or_null(dsn->ssl_key), or_null(dsn->ssl_cert), or_null(dsn->ssl_ca),
                      NULL, NULL);
        mysql_options(session, MYSQL_OPT_SSL_ENFORCE, &enforce);
        mysql_options(session, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    }
}

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

/* Done by mysql_init, too, but not safely from several threads at once. It is never ended, as the
 * program may use the library itself. */
static void init_library(void) {
    (void)mysql_library_init(0, NULL, NULL);
}

int mariadb_dial(MYSQL **session, const struct mariadb_dsn *dsn, unsigned timeout_s,
                 unsigned long flags) {
    pthread_once(&library_once, init_library);
    *session = mysql_init(NULL);
    if (*session == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    set_options(*session, dsn, timeout_s);
    const char *host = dsn->host[0] == '\0' ? MARIADB_HOST_DEFAULT : dsn->host;
    bool is_connected =
        mysql_real_connect(*session, dsn->socket[0] != '\0' ? NULL : host, or_null(dsn->user),
                           dsn->password, or_null(dsn->database), dsn->port, or_null(dsn->socket),
                           flags) != NULL;
    return is_connected ? 0 : TROTH_ERR_UNAVAILABLE;
}
