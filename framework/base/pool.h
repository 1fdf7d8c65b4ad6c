// The one way in which the program uses several cores: a pool of threads that share out the pieces of a
// loop. Its threads spin for a while between two loops, then sleep, so that a loop of a few microseconds is
// worth sharing (decoding), and a program that has its cores to itself does not wait for threads to wake.
#ifndef RUNEXP_BASE_POOL_H
#define RUNEXP_BASE_POOL_H

// Pieces [begin, end) of a loop, and the number of the thread that does them, from 0 (the caller): for
// scratch memory, never for a result.
typedef struct pool_share {
    int begin, end, thread;
} pool_share;

enum { POOL_THREADS = 1024 }; // at most

typedef void pool_work(const void *context, pool_share share);

// Does pieces 0 .. pieces-1, each exactly once, on at most `threads` threads, and returns when all are
// done. Every thread starts with the same range of the pieces from call to call, so that its cache still
// holds what they read; it takes half of what is left of it at a time, but at least `least` pieces
// (`pieces`: all of it). A thread that has finished its own takes from the others', so that nobody waits
// for a thread that sleeps or whose core is taken, except for the pieces it is in the middle of.
//
// A thread that other programs keep from its core in the middle of its pieces is left alone for a while.
//
// Threads are made when first needed, and stay. One thread of the program may call this at a time. Within a
// loop that is being shared out, it does all pieces on the thread that calls.
void pool_run(int threads, int pieces, int least, pool_work *work, const void *context);

#endif
