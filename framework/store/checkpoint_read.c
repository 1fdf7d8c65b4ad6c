#include "store/checkpoint_format.h"
#include "store/h5.h"

#include <stdio.h>
#include <string.h>

static status not_the_model(error *err) {
    return error_hint(err,
                      "the experiment's model is not the one that was trained: sample and evaluate with "
                      "the configuration that the checkpoint carries, or train under another name");
}

static status damaged_hint(error *err) {
    return error_hint(err, "use the run's other checkpoint (last.h5, best.h5) or train again");
}

static status names_hint(error *err) {
    return error_hint(err, "a run's checkpoints are last.h5 and best.h5 in its folder");
}

bool checkpoint_name(const char *path) {
    const size_t length = strlen(path);
    return length > 3 && strcmp(path + length - 3, ".h5") == 0;
}

static status open_checkpoint(const char *path, hid_t *file, error *err) {
    h5_begin();
    status result = h5_open(path, false, file, err);
    if (result == ERR_DATA) return checkpoint_name(path) ? damaged_hint(err) : names_hint(err);
    TRY(result);
    int version = 0;
    bool known = h5_get_attribute(*file, "runexp_checkpoint", H5T_NATIVE_INT, &version);
    if (known && version == CHECKPOINT_VERSION) return OK;
    H5Fclose(*file);
    if (!known) {
        fail(err, ERR_DATA, "%s is not a checkpoint", path);
        return names_hint(err);
    }
    fail(err, ERR_DATA, "%s is a checkpoint of format %d; this program reads format %d", path, version,
         CHECKPOINT_VERSION);
    return error_hint(err, "use the version of the program that wrote it");
}

static status damaged(const char *path, const char *what, error *err) {
    fail(err, ERR_DATA, "%s is damaged: its %s is missing or incomplete", path, what);
    return damaged_hint(err);
}

status checkpoint_read_texts(const char *path, arena *a, checkpoint_texts *out, error *err) {
    hid_t file;
    *out = (checkpoint_texts){0};
    TRY(open_checkpoint(path, &file, err));
    const char *missing = NULL;
    if (!h5_get_text(file, "/tokenizer", a, &out->tokenizer, &out->tokenizer_length))
        missing = "/tokenizer";
    else if (!h5_get_text(file, "/config", a, &out->config, &out->config_length))
        missing = "/config";
    H5Fclose(file);
    return missing ? damaged(path, missing, err) : OK;
}

status checkpoint_read_facts(const char *path, arena *a, run_facts *out, error *err) {
    hid_t file;
    TRY(open_checkpoint(path, &file, err));
    h5_get_facts(file, out, a);
    H5Fclose(file);
    return OK;
}

static bool read_numbers(hid_t file, const checkpoint_contents *contents) {
    if (H5Lexists(file, "/state", H5P_DEFAULT) <= 0) return false;
    hid_t state = H5Gopen2(file, "/state", H5P_DEFAULT);
    bool good = state >= 0;
    for (int i = 0; good && i < contents->number_count; i++) {
        const checkpoint_number *n = &contents->numbers[i];
        good = h5_get_attribute(state, n->name, checkpoint_number_type(n), checkpoint_number_value(n));
    }
    if (state >= 0) H5Gclose(state);
    return good;
}

typedef struct reader {
    const char *path;
    hid_t file;
    const checkpoint_group *group; // the one being read
    error *err;
} reader;

static char *shape_text(int rank, const hsize_t *shape, char *buffer, size_t size) {
    size_t used = (size_t)snprintf(buffer, size, "(");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(buffer + used, size - used, i ? ", %llu" : "%llu",
                                 (unsigned long long)shape[i]);
    if (used < size) snprintf(buffer + used, size - used, ")");
    return buffer;
}

static bool same_shape(const reader *r, const checkpoint_array *a, hid_t set) {
    hsize_t stored[H5S_MAX_RANK], wanted[H5S_MAX_RANK];
    char stored_text[256], wanted_text[128];
    hid_t space = H5Dget_space(set);
    int rank = H5Sget_simple_extent_dims(space, stored, NULL);
    H5Sclose(space);
    checkpoint_shape(a, wanted);
    if (rank == a->rank && memcmp(stored, wanted, (size_t)rank * sizeof *stored) == 0) return true;
    fail(r->err, ERR_DATA, "%s: %s/%s has shape %s; the model's has %s", r->path, r->group->path, a->name,
         shape_text(rank < 0 ? 0 : rank, stored, stored_text, sizeof stored_text),
         shape_text(a->rank, wanted, wanted_text, sizeof wanted_text));
    not_the_model(r->err);
    return false;
}

// Whether a path exists below group, looked up part by part as H5Lexists wants it.
static bool path_exists(hid_t group, const char *path) {
    char part[512];
    for (const char *slash = path; slash;) {
        slash = strchr(slash, '/');
        size_t length = slash ? (size_t)(slash++ - path) : strlen(path);
        if (length >= sizeof part) return false;
        memcpy(part, path, length);
        part[length] = '\0';
        if (H5Lexists(group, part, H5P_DEFAULT) <= 0) return false;
    }
    return true;
}

static bool read_array(const reader *r, hid_t group, const checkpoint_array *a) {
    if (!path_exists(group, a->name)) {
        fail(r->err, ERR_DATA, "%s has no %s/%s, which the model has", r->path, r->group->path, a->name);
        not_the_model(r->err);
        return false;
    }
    hid_t set = H5Dopen2(group, a->name, H5P_DEFAULT);
    bool good = set >= 0;
    if (good && !same_shape(r, a, set)) {
        H5Dclose(set);
        return false;
    }
    good = good && H5Dread(set, checkpoint_real_type(), H5S_ALL, H5S_ALL, H5P_DEFAULT, a->data) >= 0;
    if (set >= 0) H5Dclose(set);
    if (!good) {
        h5_fail(r->err, ERR_DATA, "read", r->path);
        error_context(r->err, "%s/%s", r->group->path, a->name);
        damaged_hint(r->err);
    }
    return good;
}

static bool is_listed(const checkpoint_group *g, const char *name) {
    for (int i = 0; i < g->count; i++)
        if (strcmp(g->arrays[i].name, name) == 0) return true;
    return false;
}

// Stops (1) at the first dataset that the group does not list, -1 when the file is damaged.
static herr_t find_stranger(hid_t group, const char *name, const H5L_info_t *link, void *context) {
    const reader *r = context;
    if (link->type != H5L_TYPE_HARD) return 0;
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) return -1;
    bool is_dataset = H5Iget_type(object) == H5I_DATASET;
    H5Oclose(object);
    if (!is_dataset || is_listed(r->group, name)) return 0;
    fail(r->err, ERR_DATA, "%s has %s/%s, which the model does not have", r->path, r->group->path, name);
    not_the_model(r->err);
    return 1;
}

static bool read_arrays(reader *r, hid_t group) {
    for (int i = 0; i < r->group->count; i++)
        if (!read_array(r, group, &r->group->arrays[i])) return false;
    herr_t found = H5Lvisit(group, H5_INDEX_NAME, H5_ITER_NATIVE, find_stranger, r);
    if (found < 0) {
        h5_fail(r->err, ERR_DATA, "read", r->path);
        damaged_hint(r->err);
    }
    return found == 0;
}

static bool read_group(reader *r, const checkpoint_group *g) {
    r->group = g;
    if (!path_exists(r->file, g->path + 1)) {
        fail(r->err, ERR_DATA, "%s has no %s", r->path, g->path);
        error_hint(r->err, "it was written with another optimizer, or without averaged weights");
        return false;
    }
    hid_t group = H5Gopen2(r->file, g->path, H5P_DEFAULT);
    if (group < 0) {
        h5_fail(r->err, ERR_DATA, "read", r->path);
        damaged_hint(r->err);
        return false;
    }
    bool good = read_arrays(r, group);
    H5Gclose(group);
    return good;
}

status checkpoint_read(const char *path, const checkpoint_contents *contents, error *err) {
    reader r = {.path = path, .err = err};
    TRY(open_checkpoint(path, &r.file, err));
    bool good = read_numbers(r.file, contents);
    if (!good) damaged(path, "/state", err);
    for (int i = 0; good && i < contents->group_count; i++) good = read_group(&r, &contents->groups[i]);
    H5Fclose(r.file);
    return good ? OK : err->code;
}

bool checkpoint_has(const char *path, const char *group) {
    error ignored;
    hid_t file;
    if (open_checkpoint(path, &file, &ignored) != OK) return false;
    bool has = path_exists(file, group + 1);
    H5Fclose(file);
    return has;
}
