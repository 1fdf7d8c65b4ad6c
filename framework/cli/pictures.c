#include "cli/pictures.h"

#include "base/log.h"
#include "report/plot.h"

void draw_run(const char *folder, const char *plots, arena *a) {
    report_run run;
    error err;
    if (report_run_load(folder, a, &run, &err) == OK &&
        report_plot_run(&run, plots, &(gnuplot){0}, &err) == OK)
        return;
    log_warning("the plots of %s are missing: %s", folder, err.message);
}
