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

static status open_checkpoint(const char *path, hid_t *file, error *err) {
    h5_begin();
    status result = h5_open(path, false, file, err);
    if (result == ERR_DATA) return damaged_hint(err);
    TRY(result);
    int version = 0;
    bool known = h5_get_attribute(*file, "runexp_checkpoint", H5T_NATIVE_INT, &version);
    if (known && version == CHECKPOINT_VERSION) return OK;
    H5Fclose(*file);
    if (!known) {
        fail(err, ERR_DATA, "%s is not a checkpoint", path);
        return error_hint(err, "a run's checkpoints are last.h5 and best.h5 in its folder");
    }
    fail(err, ERR_DATA, "%s is a checkpoint of format %d; this program reads format %d", path, version,
         CHECKPOINT_VERSION);
    return error_hint(err, "use the version of the program that wrote it");
}

static bool read_state(hid_t file, run_state *state) {
    if (H5Lexists(file, "/state", H5P_DEFAULT) <= 0) return false;
    hid_t group = H5Gopen2(file, "/state", H5P_DEFAULT);
    bool good = group >= 0;
    for (const state_field *f = checkpoint_state_fields; good && f->name; f++)
        good = h5_get_attribute(group, f->name, checkpoint_state_memory_type(f->type),
                                (char *)state + f->offset);
    if (group >= 0) H5Gclose(group);
    return good;
}

status checkpoint_read_info(const char *path, arena *a, checkpoint_info *out, error *err) {
    hid_t file;
    *out = (checkpoint_info){0};
    TRY(open_checkpoint(path, &file, err));
    const char *missing = NULL;
    if (!read_state(file, &out->state))
        missing = "/state";
    else if (!h5_get_text(file, "/tokenizer", a, &out->tokenizer_text, &out->tokenizer_length))
        missing = "/tokenizer";
    else if (!h5_get_text(file, "/config", a, &out->config_text, &out->config_length))
        missing = "/config";
    H5Fclose(file);
    if (!missing) return OK;
    fail(err, ERR_DATA, "%s is damaged: its %s is missing or incomplete", path, missing);
    return damaged_hint(err);
}

typedef struct reader {
    const char *path;
    hid_t file;
    const parameter_set *parameters;
    const char *group; // the one being read
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

static bool same_shape(const reader *r, const parameter *p, hid_t set) {
    hsize_t stored[H5S_MAX_RANK], wanted[TENSOR_MAX_RANK];
    char stored_text[256], wanted_text[128];
    hid_t space = H5Dget_space(set);
    int rank = H5Sget_simple_extent_dims(space, stored, NULL);
    H5Sclose(space);
    checkpoint_array_shape(p, wanted);
    if (rank == p->about.rank && memcmp(stored, wanted, (size_t)rank * sizeof *stored) == 0) return true;
    fail(r->err, ERR_DATA, "%s: %s/%s has shape %s; the model's has %s", r->path, r->group, p->name,
         shape_text(rank < 0 ? 0 : rank, stored, stored_text, sizeof stored_text),
         shape_text(p->about.rank, wanted, wanted_text, sizeof wanted_text));
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

static bool read_array(const reader *r, hid_t group, const parameter *p, real *values) {
    if (!path_exists(group, p->name)) {
        fail(r->err, ERR_DATA, "%s has no %s/%s, which the model has", r->path, r->group, p->name);
        not_the_model(r->err);
        return false;
    }
    hid_t set = H5Dopen2(group, p->name, H5P_DEFAULT);
    bool good = set >= 0;
    if (good && !same_shape(r, p, set)) {
        H5Dclose(set);
        return false;
    }
    good = good &&
           H5Dread(set, checkpoint_real_type(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values + p->offset) >= 0;
    if (set >= 0) H5Dclose(set);
    if (!good) {
        h5_fail(r->err, ERR_DATA, "read", r->path);
        error_context(r->err, "%s/%s", r->group, p->name);
        damaged_hint(r->err);
    }
    return good;
}

// Stops (1) at the first dataset that is no parameter of the model, -1 when the file is damaged.
static herr_t find_stranger(hid_t group, const char *name, const H5L_info_t *link, void *context) {
    const reader *r = context;
    if (link->type != H5L_TYPE_HARD) return 0;
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) return -1;
    bool is_dataset = H5Iget_type(object) == H5I_DATASET;
    H5Oclose(object);
    if (!is_dataset || parameters_find(r->parameters, name)) return 0;
    fail(r->err, ERR_DATA, "%s has %s/%s, which the model has not", r->path, r->group, name);
    not_the_model(r->err);
    return 1;
}

static bool read_block(void *context, const char *name, real *values) {
    reader *r = context;
    r->group = name;
    if (!path_exists(r->file, name + 1)) {
        fail(r->err, ERR_DATA, "%s has no %s", r->path, name);
        error_hint(r->err,
                   "it was written with other settings (optimizer, weight averaging) than those asked "
                   "for now");
        return false;
    }
    hid_t group = H5Gopen2(r->file, name, H5P_DEFAULT);
    bool good = group >= 0;
    for (int i = 0; good && i < r->parameters->count; i++) {
        good = read_array(r, group, r->parameters->items[i], values);
        if (!good) {
            H5Gclose(group);
            return false;
        }
    }
    herr_t found = good ? H5Lvisit(group, H5_INDEX_NAME, H5_ITER_NATIVE, find_stranger, r) : -1;
    if (group >= 0) H5Gclose(group);
    if (found < 0) {
        h5_fail(r->err, ERR_DATA, "read", r->path);
        damaged_hint(r->err);
    }
    return found == 0;
}

status checkpoint_read_arrays(const char *path, const checkpoint_arrays *arrays, error *err) {
    reader r = {.path = path, .parameters = arrays->parameters, .err = err};
    TRY(open_checkpoint(path, &r.file, err));
    bool good = checkpoint_each_block(arrays, read_block, &r);
    H5Fclose(r.file);
    return good ? OK : err->code;
}

bool checkpoint_has_average(const char *path) {
    error ignored;
    hid_t file;
    if (open_checkpoint(path, &file, &ignored) != OK) return false;
    bool has = H5Lexists(file, "/average", H5P_DEFAULT) > 0;
    H5Fclose(file);
    return has;
}
