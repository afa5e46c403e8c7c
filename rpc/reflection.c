/* reflection: grpc.reflection.v1alpha.ServerReflection over a FileDescriptorSet, plus the files
 * of the standard services themselves. */
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"
#include "rpc/internal.h"
#include "rpc/standard_descriptors.h"

#define METHOD "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

typedef Google__Protobuf__FileDescriptorProto File;
typedef Google__Protobuf__DescriptorProto Message;
typedef Google__Protobuf__FieldDescriptorProto Field;
typedef Grpc__Reflection__V1alpha__ServerReflectionRequest Request;
typedef Grpc__Reflection__V1alpha__ServerReflectionResponse Response;

struct file {
    const File *file;
    ProtobufCBinaryData bytes; /* the same, serialized */
};

struct session {
    struct session *next;
    struct rpc_stream *stream;
};

struct rpc_reflection {
    struct rpc_server *server;
    Google__Protobuf__FileDescriptorSet *sets[2]; /* the user's, and ours */
    struct file *files;
    size_t files_n;
    pthread_mutex_t mutex; /* guards all below; taken before a stream's */
    struct session *sessions;
    bool stopping;
};

/* ---- What the files hold ------------------------------------------------------------------- */

/* When `text` begins with `name` and then ends or goes on with a '.', what is behind; else NULL. */
static const char *behind(const char *text, const char *name) {
    size_t n = strlen(name);
    if (strncmp(text, name, n) != 0) {
        return NULL;
    }
    if (text[n] == '\0') {
        return text + n;
    }
    return text[n] == '.' ? text + n + 1 : NULL;
}

static bool enums_have(Google__Protobuf__EnumDescriptorProto **enums, size_t n,
                       const char *symbol) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(enums[i]->name, symbol) == 0) {
            return true;
        }
    }
    return false;
}

static bool fields_have(Field **fields, size_t n, const char *symbol) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(fields[i]->name, symbol) == 0) {
            return true;
        }
    }
    return false;
}

static bool messages_have(Message **messages, size_t n, const char *symbol) {
    for (size_t i = 0; i < n; i++) {
        const Message *message = messages[i];
        const char *rest = behind(symbol, message->name);
        if (rest != NULL && (*rest == '\0' || fields_have(message->field, message->n_field, rest) ||
                             fields_have(message->extension, message->n_extension, rest) ||
                             enums_have(message->enum_type, message->n_enum_type, rest) ||
                             messages_have(message->nested_type, message->n_nested_type, rest))) {
            return true;
        }
    }
    return false;
}

static bool services_have(const File *file, const char *symbol) {
    for (size_t i = 0; i < file->n_service; i++) {
        const Google__Protobuf__ServiceDescriptorProto *service = file->service[i];
        const char *rest = behind(symbol, service->name);
        if (rest == NULL) {
            continue;
        }
        if (*rest == '\0') {
            return true;
        }
        for (size_t j = 0; j < service->n_method; j++) {
            if (strcmp(service->method[j]->name, rest) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool file_has(const File *file, const char *symbol) {
    const char *rest = symbol;
    if (file->package != NULL && file->package[0] != '\0') {
        rest = behind(symbol, file->package);
    }
    return rest != NULL && *rest != '\0' &&
           (services_have(file, rest) ||
            messages_have(file->message_type, file->n_message_type, rest) ||
            enums_have(file->enum_type, file->n_enum_type, rest) ||
            fields_have(file->extension, file->n_extension, rest));
}

static const struct file *find_symbol(const struct rpc_reflection *reflection, const char *symbol) {
    for (size_t i = 0; i < reflection->files_n; i++) {
        if (file_has(reflection->files[i].file, symbol)) {
            return &reflection->files[i];
        }
    }
    return NULL;
}

static const struct file *find_file(const struct rpc_reflection *reflection, const char *name) {
    for (size_t i = 0; i < reflection->files_n; i++) {
        if (strcmp(reflection->files[i].file->name, name) == 0) {
            return &reflection->files[i];
        }
    }
    return NULL;
}

/* ---- Answers ------------------------------------------------------------------------------- */

static void send_response(struct rpc_stream *stream, const Response *response) {
    int err = rpc_stream_send(stream, &response->base);
    if (err != 0 && err != TROTH_ERR_CLOSED) {
        rpc_stream_finish(stream, RPC_RESOURCE_EXHAUSTED, troth_err_text(err));
    }
}

static void send_error(struct rpc_stream *stream, Response *response, int status, char *text) {
    Grpc__Reflection__V1alpha__ErrorResponse error =
        GRPC__REFLECTION__V1ALPHA__ERROR_RESPONSE__INIT;
    error.error_code = status;
    error.error_message = text;
    response->message_response_case =
        GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    response->error_response = &error;
    send_response(stream, response);
}

/* The file and all that it imports, each once. */
static void send_file(const struct rpc_reflection *reflection, struct rpc_stream *stream,
                      Response *response, const struct file *file) {
    if (file == NULL) {
        send_error(stream, response, RPC_NOT_FOUND, (char[]){"not found"});
        return;
    }
    const struct file **found = calloc(reflection->files_n, sizeof *found);
    ProtobufCBinaryData *bytes = calloc(reflection->files_n, sizeof *bytes);
    bool *seen = calloc(reflection->files_n, sizeof *seen);
    if (found != NULL && bytes != NULL && seen != NULL) {
        size_t n = 0;
        found[n++] = file;
        seen[file - reflection->files] = true;
        for (size_t i = 0; i < n; i++) {
            bytes[i] = found[i]->bytes;
            for (size_t j = 0; j < found[i]->file->n_dependency; j++) {
                const struct file *import = find_file(reflection, found[i]->file->dependency[j]);
                if (import != NULL && !seen[import - reflection->files]) {
                    seen[import - reflection->files] = true;
                    found[n++] = import;
                }
            }
        }
        Grpc__Reflection__V1alpha__FileDescriptorResponse files =
            GRPC__REFLECTION__V1ALPHA__FILE_DESCRIPTOR_RESPONSE__INIT;
        files.n_file_descriptor_proto = n;
        files.file_descriptor_proto = bytes;
        response->message_response_case =
            GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
        response->file_descriptor_response = &files;
        send_response(stream, response);
    } else {
        rpc_stream_finish(stream, RPC_RESOURCE_EXHAUSTED, "out of memory");
    }
    free(found);
    free(bytes);
    free(seen);
}

#define SERVICES_MAX     64
#define SERVICE_NAME_MAX 128

struct services {
    size_t n;
    char names[SERVICES_MAX][SERVICE_NAME_MAX];
    Grpc__Reflection__V1alpha__ServiceResponse messages[SERVICES_MAX];
    Grpc__Reflection__V1alpha__ServiceResponse *pointers[SERVICES_MAX];
};

static void add_service(void *arg, const char *name, size_t n) {
    struct services *services = arg;
    for (size_t i = 0; i < services->n; i++) {
        if (strlen(services->names[i]) == n && memcmp(services->names[i], name, n) == 0) {
            return;
        }
    }
    if (services->n == SERVICES_MAX || n >= SERVICE_NAME_MAX) {
        return;
    }
    size_t i = services->n++;
    memcpy(services->names[i], name, n);
    services->names[i][n] = '\0';
    grpc__reflection__v1alpha__service_response__init(&services->messages[i]);
    services->messages[i].name = services->names[i];
    services->pointers[i] = &services->messages[i];
}

static void send_services(const struct rpc_reflection *reflection, struct rpc_stream *stream,
                          Response *response) {
    struct services *services = calloc(1, sizeof *services);
    if (services == NULL) {
        rpc_stream_finish(stream, RPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    rpc_server_each_service(reflection->server, add_service, services);
    Grpc__Reflection__V1alpha__ListServiceResponse list =
        GRPC__REFLECTION__V1ALPHA__LIST_SERVICE_RESPONSE__INIT;
    list.n_service = services->n;
    list.service = services->pointers;
    response->message_response_case =
        GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    response->list_services_response = &list;
    send_response(stream, response);
    free(services);
}

static void answer(const struct rpc_reflection *reflection, struct rpc_stream *stream,
                   Request *request) {
    Response response = GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_RESPONSE__INIT;
    response.valid_host = request->host;
    response.original_request = request;
    switch (request->message_request_case) {
    case GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        send_file(reflection, stream, &response, find_file(reflection, request->file_by_filename));
        return;
    case GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        send_file(reflection, stream, &response,
                  find_symbol(reflection, request->file_containing_symbol));
        return;
    case GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        send_services(reflection, stream, &response);
        return;
    case GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
    case GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        send_error(stream, &response, RPC_UNIMPLEMENTED,
                   (char[]){"the protocols served here are proto3 and have no extensions"});
        return;
    case GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__NOT_SET:
    case _GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__CASE_IS_INT_SIZE:
        break;
    }
    send_error(stream, &response, RPC_INVALID_ARGUMENT, (char[]){"the request asks for nothing"});
}

/* ---- Sessions ------------------------------------------------------------------------------ */

static void end_stopping(struct rpc_stream *stream) {
    rpc_stream_finish(stream, RPC_UNAVAILABLE, "the server stops");
}

static void on_opened(void *arg, struct rpc_stream *stream) {
    struct rpc_reflection *reflection = arg;
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        rpc_stream_finish(stream, RPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    session->stream = stream;
    rpc_stream_set_data(stream, session);
    pthread_mutex_lock(&reflection->mutex);
    session->next = reflection->sessions;
    reflection->sessions = session;
    if (reflection->stopping) {
        end_stopping(stream);
    }
    pthread_mutex_unlock(&reflection->mutex);
}

static void on_received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    Request *request = grpc__reflection__v1alpha__server_reflection_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT,
                          "the request is no ServerReflectionRequest");
        return;
    }
    answer(arg, stream, request);
    grpc__reflection__v1alpha__server_reflection_request__free_unpacked(request, NULL);
}

static void on_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    struct rpc_reflection *reflection = arg;
    struct session *session = rpc_stream_data(stream);
    (void)status;
    (void)text;
    if (session == NULL) {
        return;
    }
    pthread_mutex_lock(&reflection->mutex);
    struct session **place = &reflection->sessions;
    while (*place != session) {
        place = &(*place)->next;
    }
    *place = session->next;
    pthread_mutex_unlock(&reflection->mutex);
    free(session);
}

void rpc_reflection_stop(struct rpc_reflection *reflection) {
    pthread_mutex_lock(&reflection->mutex);
    reflection->stopping = true;
    for (struct session *s = reflection->sessions; s != NULL; s = s->next) {
        end_stopping(s->stream);
    }
    pthread_mutex_unlock(&reflection->mutex);
}

/* ---- Loading ------------------------------------------------------------------------------- */

static int load_file(struct rpc_reflection *reflection, const File *file) {
    if (file->name == NULL || find_file(reflection, file->name) != NULL) {
        return 0;
    }
    struct file *loaded = &reflection->files[reflection->files_n];
    size_t n = google__protobuf__file_descriptor_proto__get_packed_size(file);
    loaded->bytes.data = malloc(n + 1);
    if (loaded->bytes.data == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    loaded->bytes.len = google__protobuf__file_descriptor_proto__pack(file, loaded->bytes.data);
    loaded->file = file;
    reflection->files_n++;
    return 0;
}

static int load(struct rpc_reflection *reflection) {
    size_t n = reflection->sets[0]->n_file + reflection->sets[1]->n_file;
    reflection->files = calloc(n + 1, sizeof *reflection->files);
    if (reflection->files == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    reflection->files_n = 0;
    for (int set = 0; set < 2; set++) {
        for (size_t i = 0; i < reflection->sets[set]->n_file; i++) {
            int err = load_file(reflection, reflection->sets[set]->file[i]);
            if (err != 0) {
                return err;
            }
        }
    }
    return 0;
}

int rpc_reflection_new(struct rpc_reflection **out, struct rpc_server *server,
                       const uint8_t *descriptor_set, size_t n) {
    static const struct rpc_stream_handler handler = {
        .opened = on_opened, .received = on_received, .closed = on_closed};
    struct rpc_reflection *reflection = calloc(1, sizeof *reflection);
    if (reflection == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    reflection->server = server;
    pthread_mutex_init(&reflection->mutex, NULL);
    reflection->sets[0] = google__protobuf__file_descriptor_set__unpack(NULL, n, descriptor_set);
    reflection->sets[1] = google__protobuf__file_descriptor_set__unpack(
        NULL, rpc_standard_descriptors_size, rpc_standard_descriptors);
    int err = TROTH_ERR_INVALID;
    if (reflection->sets[0] != NULL && reflection->sets[1] != NULL) {
        err = load(reflection);
    }
    if (err == 0) {
        err = rpc_server_stream_unpacked(server, METHOD, false, &handler, reflection);
    }
    if (err != 0) {
        rpc_reflection_free(reflection);
        return err;
    }
    *out = reflection;
    return 0;
}

void rpc_reflection_free(struct rpc_reflection *reflection) {
    if (reflection == NULL) {
        return;
    }
    for (size_t i = 0; i < reflection->files_n; i++) {
        free(reflection->files[i].bytes.data);
    }
    free(reflection->files);
    for (int set = 0; set < 2; set++) {
        if (reflection->sets[set] != NULL) {
            google__protobuf__file_descriptor_set__free_unpacked(reflection->sets[set], NULL);
        }
    }
    pthread_mutex_destroy(&reflection->mutex);
    free(reflection);
}
