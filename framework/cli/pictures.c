#include "cli/pictures.h"

#include "base/log.h"
#include "report/plot.h"

status draw_run(report_run *run, const char *plots, const volatile int *stop, arena *a, error *err) {
    error of_filters;
    if (report_run_load_filters(run, a, &of_filters) != OK)
        log_warning("the filters of %s are not drawn: %s", run->folder, of_filters.message);
    return report_plot_run(run, plots, &(gnuplot){.stop = stop}, err);
}
