#include "base/machine.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CPUS = CPU_SETSIZE };

static int number_in(const char *format, int cpu) {
    char path[128];
    int number = -1;
    snprintf(path, sizeof path, format, cpu);
    FILE *f = fopen(path, "r");
    if (!f) return -1;
    if (fscanf(f, "%d", &number) != 1) number = -1;
    fclose(f);
    return number;
}

// Cores granted by the control group (cpu.max of cgroup v2), rounded up; 0 when there is no limit.
static int quota_cores(void) {
    long quota, period;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (!f) return 0;
    int got = fscanf(f, "%ld %ld", &quota, &period);
    fclose(f);
    return got == 2 && quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

int machine_cores(void) {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
    static int seen[MOST_CPUS]; // package and core of each physical core met
    int cores = 0;
    for (int cpu = 0; cpu < MOST_CPUS; cpu++) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        int package = number_in("/sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
        int core = number_in("/sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
        int identity = core < 0 ? -1 - cpu : package * 65536 + core;
        bool met = false;
        for (int i = 0; i < cores; i++) met |= seen[i] == identity;
        if (!met) seen[cores++] = identity;
    }
    int quota = quota_cores();
    if (quota && quota < cores) cores = quota;
    return cores > 0 ? cores : 1;
}

int machine_processors(void) {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
    const int processors = CPU_COUNT(&allowed), quota = quota_cores();
    return quota && quota < processors ? quota : processors;
}

char *machine_cpu(char *buffer, size_t size) {
    snprintf(buffer, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f) return buffer;
    char line[512];
    while (fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, "model name", 10) != 0) continue;
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(buffer, size, "%s", colon + 2);
        break;
    }
    fclose(f);
    return buffer;
}

char *machine_host(char *buffer, size_t size) {
    if (gethostname(buffer, size) != 0) snprintf(buffer, size, "unknown");
    buffer[size - 1] = '\0';
    return buffer;
}

char *machine_time(char *buffer, size_t size) {
    time_t now = time(NULL);
    struct tm parts;
    localtime_r(&now, &parts);
    strftime(buffer, size, "%Y-%m-%dT%H:%M:%S%z", &parts);
    return buffer;
}
