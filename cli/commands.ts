import type { Command } from './command.ts';
import { audit } from './commands/audit.ts';
import { backfill } from './commands/backfill.ts';
import { change } from './commands/change.ts';
import { check } from './commands/check.ts';
import { conflicts } from './commands/conflicts.ts';
import { discover } from './commands/discover.ts';
import { doctor } from './commands/doctor.ts';
import { erase } from './commands/erase.ts';
import { explain, history } from './commands/explain.ts';
import { freshness } from './commands/freshness.ts';
import { identity } from './commands/identity.ts';
import { inbox } from './commands/inbox.ts';
import { init } from './commands/init.ts';
import { keys } from './commands/keys.ts';
import { logs } from './commands/logs.ts';
import { mcp } from './commands/mcp.ts';
import { migrate } from './commands/migrate.ts';
import { pause, resume } from './commands/pause.ts';
import { plan } from './commands/plan.ts';
import { preview } from './commands/preview.ts';
import { profile, profiles } from './commands/profiles.ts';
import { quarantine } from './commands/quarantine.ts';
import { receipts } from './commands/receipts.ts';
import { repair } from './commands/repair.ts';
import { retry } from './commands/retry.ts';
import { rollback } from './commands/rollback.ts';
import { rules } from './commands/rules.ts';
import { runs } from './commands/runs.ts';
import { schedule } from './commands/schedule.ts';
import { exportCommand, sql } from './commands/sql.ts';
import { serve } from './commands/serve.ts';
import { start } from './commands/start.ts';
import { status } from './commands/status.ts';
import { sync } from './commands/sync.ts';
import { temporal } from './commands/temporal.ts';

/** Every command, in the order of the help. */
export const GROUPS: Record<string, readonly Command[]> = {
  'Set up': [start, init, check, discover, preview, doctor],
  'Move data': [plan, sync, backfill, migrate, retry, repair],
  'Run it': [schedule, pause, resume, serve, mcp, keys, temporal],
  'Know the customer': [
    profiles,
    profile,
    explain,
    history,
    conflicts,
    change,
    rollback,
    identity,
    rules,
    erase,
  ],
  'Look at it': [status, freshness, audit, runs, logs, receipts, quarantine, inbox, sql, exportCommand],
};

export const COMMANDS: readonly Command[] = Object.values(GROUPS).flat();
