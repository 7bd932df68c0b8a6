import { applySchedules, nextTimes, specOf, type ScheduleChange } from '../schedules.ts';
import { formatDuration } from '../../config/quantities.ts';
import { formatInstant } from '../../rules/report.ts';
import { chosenConnections, oneOf, wholeNumber } from '../chosen.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withTemporal } from '../temporal-client.ts';

const TIMES_MAX = 1_000;
const SCHEDULES_MAX = 1_000;

const MARKS: Record<ScheduleChange['change'], string> = {
  create: '+',
  update: '~',
  remove: '-',
  unlisted: '?',
  same: ' ',
};

export const schedule: Command = {
  name: 'schedule',
  summary: 'Compare, apply and list the schedules in Temporal',
  usage: 'apply|list|times [connection]',
  example: 'schedule apply --yes',
  about: '`apply` shows what differs from the configuration, and changes it with --yes.',
  options: {
    yes: { type: 'boolean', help: 'apply: make the changes' },
    remove: { type: 'boolean', help: 'apply: also remove schedules that the configuration no longer has' },
    count: { type: 'string', value: '<n>', help: 'times: how many; default 10' },
  },
  arguments: { min: 1, max: 2 },
  async run(call) {
    const action = oneOf('schedule', call.arguments[0] ?? '', ['apply', 'list', 'times']);
    if (action === 'apply') return apply(call);
    return action === 'list' ? list(call) : times(call);
  },
};

async function apply(call: Call): Promise<number> {
  const loaded = await call.load();
  const options = { remove: call.options.flag('remove'), dryRun: !call.options.flag('yes') };
  const changes = await withTemporal(loaded, call.environment, ({ client }) =>
    applySchedules(client, loaded.config, options),
  );
  if (call.json) {
    call.output.json({ applied: !options.dryRun, changes });
    return EXIT.ok;
  }
  for (const { id, change, differences } of changes) {
    const told =
      change === 'unlisted' ? 'not in the configuration; --remove removes it' : differences.join(', ');
    call.output.line(`${MARKS[change]} ${id}  ${change === 'same' ? 'as configured' : told}`.trimEnd());
  }
  const pending = changes.some(({ change }) => change !== 'same' && change !== 'unlisted');
  if (pending && options.dryRun)
    call.output.line('Nothing was changed. Apply it with `npx headwater schedule apply --yes`.');
  return EXIT.ok;
}

async function list(call: Call): Promise<number> {
  const loaded = await call.load();
  const names = new Set(chosenConnections(loaded.config, call.arguments[1]).map(({ name }) => name));
  const found = await withTemporal(loaded, call.environment, async ({ client }) => {
    const ids = [...names]
      .flatMap((name) => [`sync/${name}`, `backfill/${name}`, `audit/${name}`])
      .slice(0, SCHEDULES_MAX);
    const described = await Promise.all(
      ids.map((id) =>
        client.schedule
          .getHandle(id)
          .describe()
          .catch(() => undefined),
      ),
    );
    return described.filter((one) => one !== undefined);
  });
  const rows = found.map((one) => ({
    ...specOf(one),
    note: one.state.note ?? '',
    next: one.state.paused ? null : (one.info.nextActionTimes[0]?.toISOString() ?? null),
    taken: one.info.numActionsTaken,
    missed: one.info.numActionsMissedCatchupWindow,
    skipped: one.info.numActionsSkippedOverlap,
  }));
  if (call.json) call.output.json(rows);
  else {
    call.output.table(
      [
        { title: 'schedule' },
        { title: 'every' },
        { title: 'overlap' },
        { title: 'state' },
        { title: 'next (UTC)' },
        { title: 'taken', align: 'right' },
        { title: 'missed', align: 'right' },
        { title: 'skipped', align: 'right' },
        { title: 'note' },
      ],
      rows.map((row) => [
        row.id,
        formatDuration(row.everyMs),
        row.overlap,
        row.paused ? 'paused' : 'active',
        row.next === null ? '–' : formatInstant(row.next),
        String(row.taken),
        String(row.missed),
        String(row.skipped),
        row.note,
      ]),
    );
    if (rows.length === 0)
      call.output.note('There are none yet. Make them with `npx headwater schedule apply --yes`.');
  }
  return EXIT.ok;
}

async function times(call: Call): Promise<number> {
  const { config } = await call.load();
  const count = wholeNumber('--count', call.options.text('count'), { min: 1, max: TIMES_MAX, or: 10 });
  const found = chosenConnections(config, call.arguments[1]).map(
    ({ name, schedule: { everyMs, jitterMs } }) => ({
      connection: name,
      jitterMs,
      times: nextTimes(everyMs, Date.now(), count),
    }),
  );
  if (call.json) call.output.json(found);
  for (const { connection, jitterMs, times: next } of call.json ? [] : found) {
    const jitter = jitterMs === 0 ? '' : `, each up to ${formatDuration(jitterMs)} later`;
    call.output.line(call.output.style('bold', `${connection} (UTC${jitter})`));
    for (const time of next) call.output.line(`  ${formatInstant(time)}`);
  }
  return EXIT.ok;
}
