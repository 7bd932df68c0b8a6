import type { Command } from './command.ts';
import { backfill } from './commands/backfill.ts';
import { logs } from './commands/logs.ts';
import { pause, resume } from './commands/pause.ts';
import { receipts } from './commands/receipts.ts';
import { retry } from './commands/retry.ts';
import { runs } from './commands/runs.ts';
import { schedule } from './commands/schedule.ts';
import { status } from './commands/status.ts';
import { sync } from './commands/sync.ts';
import { temporal } from './commands/temporal.ts';

/** Every command, in the order of the help. */
export const GROUPS: Record<string, readonly Command[]> = {
  'Move data': [sync, backfill, retry],
  'Run it': [schedule, pause, resume, temporal],
  'Look at it': [status, runs, logs, receipts],
};

export const COMMANDS: readonly Command[] = Object.values(GROUPS).flat();
