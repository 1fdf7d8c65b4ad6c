#include "base/file.h"
#include "store/checkpoint_format.h"
#include "store/h5.h"

#include <unistd.h>

typedef struct writer {
    hid_t file, links;
} writer;

// One array. A single chunk as large as the array lets HDF5 keep a checksum (Fletcher-32) of it; a single
// number lies in the object header, which has one.
static bool write_array(const writer *w, hid_t group, const checkpoint_array *a) {
    hsize_t shape[H5S_MAX_RANK];
    checkpoint_shape(a, shape);
    hid_t space = a->rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(a->rank, shape, NULL);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(creation, false);
    if (a->rank > 0) {
        H5Pset_chunk(creation, a->rank, shape);
        H5Pset_fletcher32(creation);
    } else {
        H5Pset_layout(creation, H5D_COMPACT);
    }
    hid_t set = H5Dcreate2(group, a->name, H5T_IEEE_F32LE, space, w->links, creation, H5P_DEFAULT);
    bool good =
        set >= 0 && H5Dwrite(set, checkpoint_real_type(), H5S_ALL, H5S_ALL, H5P_DEFAULT, a->data) >= 0;
    if (set >= 0 && H5Dclose(set) < 0) good = false;
    H5Pclose(creation);
    H5Sclose(space);
    return good;
}

static bool write_group(const writer *w, const checkpoint_group *g) {
    hid_t group = H5Gcreate2(w->file, g->path, w->links, H5P_DEFAULT, H5P_DEFAULT);
    bool good = group >= 0;
    for (int i = 0; good && i < g->count; i++) good = write_array(w, group, &g->arrays[i]);
    if (group >= 0) H5Gclose(group);
    return good;
}

static bool write_numbers(const writer *w, const checkpoint_contents *contents) {
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_attr_phase_change(creation, 64, 32); // keep them in the object header
    hid_t group = H5Gcreate2(w->file, "/state", H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Pclose(creation);
    bool good = group >= 0;
    for (int i = 0; good && i < contents->number_count; i++) {
        const checkpoint_number *n = &contents->numbers[i];
        const hid_t type = checkpoint_number_type(n);
        good = h5_put_attribute(group, n->name, type, type, checkpoint_number_value(n));
    }
    if (group >= 0) H5Gclose(group);
    return good;
}

static status write_file(const char *path, const checkpoint_contents *contents,
                         const checkpoint_texts *texts, const run_facts *facts, error *err) {
    writer w;
    const int version = CHECKPOINT_VERSION;
    TRY(h5_create(path, H5_FORMAT_SEALED, &w.file, err));
    w.links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(w.links, 1);
    bool good = h5_put_attribute(w.file, "runexp_checkpoint", H5T_STD_I32LE, H5T_NATIVE_INT, &version) &&
                h5_put_facts(w.file, facts) && write_numbers(&w, contents) &&
                h5_put_text(w.file, "/tokenizer", texts->tokenizer, texts->tokenizer_length) &&
                h5_put_text(w.file, "/config", texts->config, texts->config_length);
    for (int i = 0; good && i < contents->group_count; i++) good = write_group(&w, &contents->groups[i]);
    H5Pclose(w.links);
    if (H5Fclose(w.file) < 0) good = false;
    return good ? OK : h5_fail(err, ERR_IO, "write", path);
}

// A file that HDF5 could not close stays open in it: give the disk its space back before the name goes.
static void discard_file(const char *path) {
    if (truncate(path, 0) == 0) unlink(path);
}

status checkpoint_write(const char *path, const checkpoint_contents *contents,
                        const checkpoint_texts *texts, const run_facts *facts, error *err) {
    h5_begin();
    arena *a = arena_new();
    // A name without the process id: what a killed process left is overwritten by the next checkpoint, and
    // only one process at a time trains into a run.
    char *temporary = arena_format(a, "%s.tmp", path);
    status result = write_file(temporary, contents, texts, facts, err);
    if (result == OK)
        result = file_commit(temporary, path, err);
    else
        discard_file(temporary);
    arena_free(a);
    return result;
}
