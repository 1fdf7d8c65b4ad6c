#include "store/h5.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char first_reason[512];

static herr_t keep_innermost(unsigned n, const H5E_error2_t *frame, void *unused) {
    (void)unused;
    if (n == 0 && frame->desc) snprintf(first_reason, sizeof first_reason, "%s", frame->desc);
    return 0;
}

// Called by HDF5 whenever one of its functions fails. The first failure is the cause; later ones come from
// cleaning up.
static herr_t on_failure(hid_t stack, void *unused) {
    (void)unused;
    if (!first_reason[0]) H5Ewalk2(stack, H5E_WALK_UPWARD, keep_innermost, NULL);
    return 0;
}

void h5_begin(void) {
    // HDF5 1.10 loops or crashes in its exit handler after a file could not be closed (a full disk) or
    // opened (a damaged one). Every file is closed here when it is done with, so nothing needs the handler.
    // Only the first call of the process, before HDF5 starts, has an effect.
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, on_failure, NULL);
    first_reason[0] = '\0';
}

status h5_fail(error *err, status code, const char *what, const char *path) {
    // The file driver reports "file write failed: ..., errno = 28, error message = '...', ...".
    const char *number = strstr(first_reason, "errno = ");
    unsigned long long there, whole;
    int value = 0;
    if (number && sscanf(number, "errno = %d", &value) == 1 && value != 0) {
        errno = value;
        fail_errno(err, what, path);
    } else if (sscanf(first_reason, "truncated file: eof = %llu, sblock->base_addr = 0, stored_eof = %llu",
                      &there, &whole) == 2) {
        fail(err, code, "cannot %s %s: only %llu of its %llu bytes are there", what, path, there, whole);
    } else {
        fail(err, code, "cannot %s %s: %s", what, path, first_reason[0] ? first_reason : "HDF5 failed");
    }
    first_reason[0] = '\0';
    return err->code;
}

static hid_t access_properties(h5_format format) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5F_libver_t version = format == H5_FORMAT_LIVE ? H5F_LIBVER_V18 : H5F_LIBVER_V110;
    H5Pset_libver_bounds(access, version, version);
    H5Pset_file_locking(access, false, true);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG); // closing the file closes what is still open in it
    return access;
}

status h5_create(const char *path, h5_format format, hid_t *file, error *err) {
    hid_t access = access_properties(format), creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_attr_phase_change(creation, 64, 32); // keep the attributes of the root in its header
    *file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    H5Pclose(creation);
    H5Pclose(access);
    return *file < 0 ? h5_fail(err, ERR_IO, "create", path) : OK;
}

status h5_open(const char *path, bool write, hid_t *file, error *err) {
    *file = H5I_INVALID_HID;
    if (access(path, R_OK | (write ? W_OK : 0)) != 0) return fail_errno(err, write ? "open" : "read", path);
    if (file_is_folder(path)) {
        errno = EISDIR;
        return fail_errno(err, "read", path);
    }
    hid_t properties = access_properties(H5_FORMAT_LIVE);
    // Writing keeps the format of the file's objects; reading accepts every format.
    if (!write) H5Pset_libver_bounds(properties, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
    htri_t is_hdf5 = H5Fis_hdf5(path);
    if (is_hdf5 > 0) *file = H5Fopen(path, write ? H5F_ACC_RDWR : H5F_ACC_RDONLY, properties);
    H5Pclose(properties);
    if (is_hdf5 == 0) return fail(err, ERR_DATA, "cannot read %s: it is not an HDF5 file", path);
    return *file < 0 ? h5_fail(err, ERR_DATA, "read", path) : OK;
}

bool h5_put_attribute(hid_t object, const char *name, hid_t file_type, hid_t memory_type,
                      const void *value) {
    htri_t exists = H5Aexists(object, name);
    if (exists < 0 || (exists > 0 && H5Adelete(object, name) < 0)) return false;
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = attribute >= 0 && H5Awrite(attribute, memory_type, value) >= 0;
    if (attribute >= 0) H5Aclose(attribute);
    H5Sclose(space);
    return good;
}

// Variable length, so that h5py gives a str and not bytes.
static hid_t text_attribute_type(void) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

bool h5_put_text_attribute(hid_t object, const char *name, const char *value) {
    if (!value) return true;
    hid_t type = text_attribute_type();
    bool good = h5_put_attribute(object, name, type, type, &value);
    H5Tclose(type);
    return good;
}

static bool is_scalar(hid_t space) {
    return space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
}

bool h5_get_attribute(hid_t object, const char *name, hid_t memory_type, void *value) {
    if (H5Aexists(object, name) <= 0) return false;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0) return false;
    hid_t space = H5Aget_space(attribute);
    bool good = is_scalar(space) && H5Aread(attribute, memory_type, value) >= 0;
    if (space >= 0) H5Sclose(space);
    H5Aclose(attribute);
    return good;
}

const char *h5_get_text_attribute(hid_t object, const char *name, arena *a) {
    char *value = NULL, *copy = NULL;
    hid_t type = text_attribute_type();
    if (h5_get_attribute(object, name, type, &value) && value) copy = arena_copy_text(a, value);
    if (value) H5free_memory(value);
    H5Tclose(type);
    return copy;
}

static const char *const digest_names[SPLIT_COUNT] = {"train_sha256", "val_sha256", "test_sha256"};

bool h5_put_facts(hid_t file, const run_facts *f) {
    int64_t threads = f->threads;
    for (int s = 0; s < SPLIT_COUNT; s++)
        if (!h5_put_text_attribute(file, digest_names[s], f->texts.of[s])) return false;
    return h5_put_text_attribute(file, "name", f->name) &&
           h5_put_text_attribute(file, "version", f->version) &&
           h5_put_text_attribute(file, "git_commit", f->git_commit) &&
           h5_put_text_attribute(file, "hostname", f->hostname) &&
           h5_put_text_attribute(file, "cpu", f->cpu) &&
           h5_put_text_attribute(file, "instruction_set", f->instruction_set) &&
           h5_put_text_attribute(file, "started", f->started) &&
           h5_put_attribute(file, "seed", H5T_STD_I64LE, H5T_NATIVE_INT64, &f->seed) &&
           h5_put_attribute(file, "parameters", H5T_STD_I64LE, H5T_NATIVE_INT64, &f->parameters) &&
           h5_put_attribute(file, "steps_per_epoch", H5T_STD_I64LE, H5T_NATIVE_INT64,
                            &f->steps_per_epoch) &&
           h5_put_attribute(file, "threads", H5T_STD_I64LE, H5T_NATIVE_INT64, &threads);
}

void h5_get_facts(hid_t file, run_facts *f, arena *a) {
    *f = (run_facts){.name = h5_get_text_attribute(file, "name", a),
                     .version = h5_get_text_attribute(file, "version", a),
                     .git_commit = h5_get_text_attribute(file, "git_commit", a),
                     .hostname = h5_get_text_attribute(file, "hostname", a),
                     .cpu = h5_get_text_attribute(file, "cpu", a),
                     .instruction_set = h5_get_text_attribute(file, "instruction_set", a),
                     .started = h5_get_text_attribute(file, "started", a)};
    for (int s = 0; s < SPLIT_COUNT; s++) f->texts.of[s] = h5_get_text_attribute(file, digest_names[s], a);
    h5_get_attribute(file, "seed", H5T_NATIVE_INT64, &f->seed);
    h5_get_attribute(file, "parameters", H5T_NATIVE_INT64, &f->parameters);
    h5_get_attribute(file, "steps_per_epoch", H5T_NATIVE_INT64, &f->steps_per_epoch);
    h5_get_attribute(file, "threads", H5T_NATIVE_INT, &f->threads);
}

// A string type of length bytes; HDF5 knows no empty one, so that "" is one zero byte.
static hid_t text_type(size_t length) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, length ? length : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

bool h5_put_text(hid_t file, const char *name, const char *value, size_t length) {
    enum { COMPACT_BYTES = 60000 };
    hid_t type = text_type(length), space = H5Screate(H5S_SCALAR);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(creation, false);
    // A compact text lies inside the object header and shares its checksum.
    if (length < COMPACT_BYTES) H5Pset_layout(creation, H5D_COMPACT);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    bool good = set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, length ? value : "") >= 0;
    if (set >= 0) H5Dclose(set);
    H5Pclose(creation);
    H5Sclose(space);
    H5Tclose(type);
    return good;
}

bool h5_get_text(hid_t file, const char *name, arena *a, const char **value, size_t *length) {
    if (H5Lexists(file, name, H5P_DEFAULT) <= 0) return false;
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    if (set < 0) return false;
    hid_t stored = H5Dget_type(set), space = H5Dget_space(set);
    size_t size =
        H5Tget_class(stored) == H5T_STRING && H5Tis_variable_str(stored) == 0 ? H5Tget_size(stored) : 0;
    bool good = false;
    if (size > 0 && is_scalar(space) && H5Dget_storage_size(set) == size) {
        char *bytes = arena_alloc(a, size + 1);
        hid_t type = text_type(size);
        good = H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) >= 0;
        H5Tclose(type);
        *value = bytes;
        *length = size == 1 && bytes[0] == '\0' ? 0 : size;
    }
    H5Sclose(space);
    H5Tclose(stored);
    H5Dclose(set);
    return good;
}
