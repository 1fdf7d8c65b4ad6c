#include "base/file.h"
#include "store/checkpoint_format.h"
#include "store/h5.h"

#include <string.h>
#include <unistd.h>

typedef struct writer {
    hid_t file, links;
    const parameter_set *parameters;
} writer;

// One array. A single chunk as large as the array lets HDF5 keep a checksum (Fletcher-32) of it.
static bool write_array(const writer *w, hid_t group, const parameter *p, const real *values) {
    hid_t space = checkpoint_array_space(p), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(creation, false);
    if (p->about.rank > 0) {
        hsize_t shape[TENSOR_MAX_RANK];
        checkpoint_array_shape(p, shape);
        H5Pset_chunk(creation, p->about.rank, shape);
        H5Pset_fletcher32(creation);
    }
    hid_t set = H5Dcreate2(group, p->name, H5T_IEEE_F32LE, space, w->links, creation, H5P_DEFAULT);
    bool good = set >= 0 && H5Dwrite(set, checkpoint_real_type(), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                     values + p->offset) >= 0;
    if (set >= 0 && H5Dclose(set) < 0) good = false;
    H5Pclose(creation);
    H5Sclose(space);
    return good;
}

static bool write_block(void *context, const char *name, real *values) {
    const writer *w = context;
    hid_t group = H5Gcreate2(w->file, name, w->links, H5P_DEFAULT, H5P_DEFAULT);
    bool good = group >= 0;
    for (int i = 0; good && i < w->parameters->count; i++)
        good = write_array(w, group, w->parameters->items[i], values);
    if (group >= 0) H5Gclose(group);
    return good;
}

static bool write_state(hid_t file, const run_state *state) {
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_attr_phase_change(creation, 64, 32); // keep them in the object header
    hid_t group = H5Gcreate2(file, "/state", H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Pclose(creation);
    bool good = group >= 0;
    for (const state_field *f = checkpoint_state_fields; good && f->name; f++) {
        hid_t type = checkpoint_state_memory_type(f->type);
        good = h5_put_attribute(group, f->name, type, type, (const char *)state + f->offset);
    }
    if (group >= 0) H5Gclose(group);
    return good;
}

static status write_file(const char *path, const checkpoint_arrays *arrays, const run_state *state,
                         const char *tokenizer_text, const char *config_text, const run_facts *facts,
                         error *err) {
    writer w = {.parameters = arrays->parameters};
    const int version = CHECKPOINT_VERSION;
    TRY(h5_create(path, H5_FORMAT_SEALED, &w.file, err));
    w.links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(w.links, 1);
    bool good = h5_put_attribute(w.file, "runexp_checkpoint", H5T_STD_I32LE, H5T_NATIVE_INT, &version) &&
                h5_put_facts(w.file, facts) && write_state(w.file, state) &&
                h5_put_text(w.file, "/tokenizer", tokenizer_text, strlen(tokenizer_text)) &&
                h5_put_text(w.file, "/config", config_text, strlen(config_text)) &&
                checkpoint_each_block(arrays, write_block, &w);
    H5Pclose(w.links);
    if (H5Fclose(w.file) < 0) good = false;
    return good ? OK : h5_fail(err, ERR_IO, "write", path);
}

// A file that HDF5 could not close stays open in it: give the disk its space back before the name goes.
static void discard_file(const char *path) {
    if (truncate(path, 0) == 0) unlink(path);
}

status checkpoint_write(const char *path, const checkpoint_arrays *arrays, const run_state *state,
                        const char *tokenizer_text, const char *config_text, const run_facts *facts,
                        error *err) {
    h5_begin();
    arena *a = arena_new();
    // A name without the process id: what a killed process left is overwritten by the next checkpoint, and
    // only one process at a time trains into a run.
    char *temporary = arena_format(a, "%s.tmp", path);
    status result = write_file(temporary, arrays, state, tokenizer_text, config_text, facts, err);
    if (result == OK)
        result = file_commit(temporary, path, err);
    else
        discard_file(temporary);
    arena_free(a);
    return result;
}
