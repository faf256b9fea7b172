/*
 * sections.h - the sections of the contract, each run in a process of its own
 * with a module freshly loaded.
 */
#ifndef WEIR_TOOLS_MODTEST_SECTIONS_H
#define WEIR_TOOLS_MODTEST_SECTIONS_H

#include "tools/modtest/host.h"

/* Any stage: section_module.c. */
void section_load(struct host *h);
void section_directives(struct host *h);
void section_check(struct host *h);
void section_open(struct host *h);
void section_no_fds(struct host *h);

/* With tables: section_table.c. */
void section_tables(struct host *h);
void section_table_leaks(struct host *h);

/* Filters and transforms: section_rows.c. */
void section_pure(struct host *h);

/* Sinks: section_sink.c. */
void section_write(struct host *h);
void section_values(struct host *h);
void section_again(struct host *h);
void section_cut(struct host *h);
void section_write_leaks(struct host *h);

/* Sinks that keep checkpoints: section_checkpoint.c. */
void section_restore(struct host *h);
void section_slots(struct host *h);
void section_fence(struct host *h);
void section_killed(struct host *h);
void section_uncommitted(struct host *h);

/* Sources: section_source.c. */
void section_run(struct host *h);

/* For sinks: a batch of ordinary inserts with a checkpoint, put. */
enum weir_status put_rows(struct unit *u, struct made_table *t, size_t n,
                          int64_t first, uint32_t slot, const char *data);
/* open() and table(); NULL, and a failed point, if that can't be. */
struct unit *start_with(struct host *h, struct made_table *t,
                        const char *what);
/* restore() of all slots, as a start does it; false if it is refused. */
bool restored(struct unit *u, const char *id);

#endif
