#include "support/kernels.h"

static int32_t *new_ids(int rows, int vocabulary) {
    const rng_stream stream = {3, RNG_DATA, 0, 0, 0};
    int32_t *ids = malloc((size_t)rows * sizeof *ids);
    assert_non_null(ids);
    // Squared, so that some ids are frequent and others never come up.
    for (int r = 0; r < rows; r++)
        ids[r] = (int32_t)(pow(rng_uniform(&stream, (uint64_t)r), 2) * vocabulary);
    return ids;
}

static void check_embedding(int batch, int time, int columns, int vocabulary) {
    const int rows = batch * time;
    const size_t n = (size_t)rows * (size_t)columns, table_size = (size_t)vocabulary * (size_t)columns;
    const size_t positions_size = (size_t)time * (size_t)columns;
    const double scale = 1.5;
    int32_t *ids = new_ids(rows, vocabulary);
    real *table = new_normals(table_size, 1, 1), *y = new_reals(n);
    real *dy = new_normals(n, 3, 1), *dtable = new_normals(table_size, 4, 1),
         *dpositions = new_reals(positions_size);
    double *wanted = new_doubles(n), *wanted_table = new_doubles(table_size),
           *wanted_positions = new_doubles(positions_size);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++)
            wanted[r * columns + c] = scale * (double)table[ids[r] * columns + c];
    kernels->embedding_forward(rows, columns, (real)scale, ids, table, y);
    check_close("embedding_forward", y, wanted, n, 1e-6);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            wanted_table[ids[r] * columns + c] += scale * (double)dy[r * columns + c];
            wanted_positions[r % time * columns + c] += (double)dy[r * columns + c];
        }
    void *workspace = new_workspace(kernels->embedding_workspace(rows, vocabulary));
    kernels->embedding_backward(rows, columns, vocabulary, (real)scale, ids, dy, dtable, false, workspace);
    check_close("embedding_backward", dtable, wanted_table, table_size, 1e-6);
    for (size_t i = 0; i < table_size; i++) wanted_table[i] += (double)dtable[i];
    kernels->embedding_backward(rows, columns, vocabulary, (real)scale, ids, dy, dtable, true, workspace);
    check_close("embedding_backward, accumulating", dtable, wanted_table, table_size, 1e-6);
    kernels->positions_backward(batch, time, columns, dy, dpositions, false);
    check_close("positions_backward", dpositions, wanted_positions, positions_size, 1e-6);
    for (size_t i = 0; i < positions_size; i++) wanted_positions[i] += (double)dpositions[i];
    kernels->positions_backward(batch, time, columns, dy, dpositions, true);
    check_close("positions_backward, accumulating", dpositions, wanted_positions, positions_size, 1e-6);
    free(ids), free(table), free(y), free(dy), free(dtable), free(dpositions), free(workspace);
    free(wanted), free(wanted_table), free(wanted_positions);
}

static void embeddings(void) {
    check_embedding(1, 1, 1, 2);
    check_embedding(3, 5, 7, 300);
    check_embedding(2, 17, 33, 11);
    check_embedding(12, 64, 128, 65);
    check_embedding(40, 50, 20, 3);
}

static void check_rotation(int batch, int time, int heads, int head_size, int rope_dim, int ld) {
    const int rows = batch * time, half = rope_dim / 2;
    const size_t n = (size_t)rows * (size_t)ld, table_size = (size_t)time * (size_t)half;
    real *x = new_normals(n, 1, 1), *cosine = new_reals(table_size), *sine = new_reals(table_size),
         *y = new_copy(x, n);
    double *wanted = new_doubles(n);
    for (int t = 0; t < time; t++)
        for (int i = 0; i < half; i++) {
            const double angle = t * pow(10000, -2.0 * i / rope_dim);
            cosine[t * half + i] = (real)cos(angle), sine[t * half + i] = (real)sin(angle);
        }
    for (int sign = -1; sign <= 1; sign += 2) {
        for (size_t i = 0; i < n; i++) wanted[i] = (double)x[i];
        for (int r = 0; r < rows; r++)
            for (int h = 0; h < heads; h++)
                for (int i = 0; i < half; i++) {
                    const int u = r * ld + h * head_size + i, w = u + half, at = r % time * half + i;
                    const double c = (double)cosine[at], s = sign * (double)sine[at];
                    wanted[u] = (double)x[u] * c - (double)x[w] * s;
                    wanted[w] = (double)x[u] * s + (double)x[w] * c;
                }
        // To another place: the rest of the row is not written, so it is given what is wanted there.
        memcpy(y, x, n * sizeof *y);
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < heads * head_size; i++) y[r * ld + i] = -1;
        kernels->rotate(rows, time, heads, head_size, rope_dim, sign, cosine, sine, x, y, ld);
        check_close("rotate", y, wanted, n, 1e-6);
        memcpy(y, x, n * sizeof *y);
        kernels->rotate(rows, time, heads, head_size, rope_dim, sign, cosine, sine, y, y, ld);
        check_close("rotate in place", y, wanted, n, 1e-6);
    }
    free(x), free(y), free(cosine), free(sine), free(wanted);
}

static void rotations(void) {
    check_rotation(1, 3, 1, 2, 2, 2);
    check_rotation(2, 5, 3, 17, 6, 60);
    check_rotation(2, 20, 4, 32, 32, 384);
    check_rotation(1, 9, 2, 80, 40, 200);
}

static void the_same_for_any_number_of_threads(void) {
    const int rows = 2000, columns = 96, vocabulary = 40;
    const size_t n = (size_t)rows * columns, table_size = (size_t)vocabulary * columns;
    int32_t *ids = new_ids(rows, vocabulary);
    real *dy = new_normals(n, 1, 1), *dtable = new_reals(table_size), *first = new_reals(table_size);
    void *workspace = new_workspace(kernels->embedding_workspace(rows, vocabulary));
    for (int threads = 1; threads <= 4; threads++) {
        kernels_set_threads(threads);
        kernels->embedding_backward(rows, columns, vocabulary, 1, ids, dy, dtable, false, workspace);
        if (threads == 1)
            memcpy(first, dtable, table_size * sizeof *dtable);
        else
            check_same("embedding_backward", first, dtable, table_size);
    }
    free(ids), free(dy), free(dtable), free(first), free(workspace);
}

static void test_embeddings(void **state) {
    (void)state;
    on_every_isa(embeddings);
}

static void test_rotations(void **state) {
    (void)state;
    on_every_isa(rotations);
}

static void test_threads(void **state) {
    (void)state;
    on_every_isa(the_same_for_any_number_of_threads);
}

int main(void) {
    if (kernels_select("auto", NULL) != OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_rotations),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
