// Threads that stand by: for work in pieces of a microsecond, one after the other, as in decoding, where
// starting and joining OpenMP's threads would cost more than the work.
#ifndef RUNEXP_BASE_TEAM_H
#define RUNEXP_BASE_TEAM_H

// One part of a piece of work; parts are numbered from 0.
typedef void team_part(const void *what, int part, int parts);

// Does parts 0 .. parts-1 of the work and returns when all are done. The caller does part 0, each other
// part belongs to a thread that stays the same from call to call, so that what a part reads stays in the
// cache of its core; parts whose thread is not there in time (it sleeps, its core is taken) are done by the
// caller. Threads are made when first needed; between two pieces of work they spin for some tens of
// microseconds, then sleep. A thread that other programs keep from its core is left alone for a while: with
// as many programs as cores, each soon goes on with one.
//
// Only one thread of the program may call this, and not from within a part.
void team_run(int parts, team_part *work, const void *what);

#endif
