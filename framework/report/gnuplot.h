// Running gnuplot.
#ifndef RUNEXP_REPORT_GNUPLOT_H
#define RUNEXP_REPORT_GNUPLOT_H

#include "base/error.h"
#include "base/memory.h"

typedef struct gnuplot {
    const char *program;      // a path, or a name to look for in PATH; NULL: "gnuplot"
    double timeout_seconds;   // for one script; 0: 60
    const volatile int *stop; // not 0 any more: drawing is to end; may be NULL
} gnuplot;

// Runs a script (script.h) without the user's start-up file. The picture is drawn beside the present one
// and takes its place when it is whole. *picture becomes its absolute path (from a), or NULL when there is
// no gnuplot, which is not an error. ERR_IO, with what gnuplot said, when it failed or took too long;
// ERR_INTERRUPTED, without a message, when g->stop asked to end.
status gnuplot_run(const gnuplot *g, const char *script_path, arena *a, const char **picture, error *err);

// Writes scripts and draws them: the common end of all reports.
typedef struct gnuplot_script {
    const char *path; // ends with ".gp"
    const char *content;
    size_t length;
} gnuplot_script;

// Creates the folder and writes every script; draws them unless there is no gnuplot; says in one line of
// the log where the pictures or scripts are. A script that fails is a warning. ERR_IO when one cannot be
// written; ERR_INTERRUPTED, without a message, when g->stop asked to end: the log then says how many
// there are.
status gnuplot_draw_all(const gnuplot *g, const char *folder, const gnuplot_script *scripts, int count,
                        error *err);

#endif
