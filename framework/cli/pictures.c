#include "cli/pictures.h"

#include "base/log.h"
#include "report/plot.h"

status load_for_plots(const char *folder, arena *a, report_run *out, error *err) {
    error of_filters;
    TRY(report_run_load(folder, a, out, err));
    if (report_run_load_filters(out, a, &of_filters) != OK)
        log_warning("the filters of %s are not drawn: %s", folder, of_filters.message);
    return OK;
}

void draw_run(const char *folder, const char *plots, arena *a) {
    report_run run;
    error err;
    if (load_for_plots(folder, a, &run, &err) == OK &&
        report_plot_run(&run, plots, &(gnuplot){0}, &err) == OK)
        return;
    log_warning("the plots of %s are missing: %s", folder, err.message);
}
