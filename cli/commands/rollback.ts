import { rollbackInputSchema } from '../../schemas/inputs.ts';
import { countOf } from '../../rules/report.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import type { Claims, RollbackLine, RollbackScope } from '../../stores/claims/claims.ts';
import { actorOf, agreed, CHANGE_OPTIONS, reasonOf } from '../approve.ts';
import { profileNamed, withClaims } from '../claims.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { momentOption } from '../moment.ts';
import { refText, valueText } from '../profile-words.ts';
import { withTemporal } from '../temporal-client.ts';

const LINES_MAX = 10_000;
const LINES_SHOWN_MAX = 30;

export const rollback: Command = {
  name: 'rollback',
  summary: 'Take values back, so that the next poll does not bring them again',
  usage: '[profile | record | identifier] [field]',
  example: 'rollback ann@example.com jobTitle --source salesforce --dry-run',
  about:
    'Every condition that is given must hold; at least a profile, --source or --run. The preview shows\nreal customer data. Nothing is removed from the log: a rollback can be released again.',
  options: {
    source: { type: 'string', value: '<connection>', help: 'Only what this system said' },
    run: { type: 'string', value: '<workflow id>', help: 'Only what this run brought' },
    since: { type: 'string', value: '<time>', help: 'Only what was learned after this moment' },
    hold: { type: 'boolean', help: 'New values do not count either, until released' },
    release: { type: 'boolean', help: 'End rollback, hold and override of the field instead' },
    ...CHANGE_OPTIONS,
  },
  arguments: { min: 0, max: 2 },
  run: (call) =>
    withClaims(call, async (claims, config) => {
      const [given, field] = call.arguments;
      const profile = given === undefined ? undefined : await profileNamed(claims, config, given);
      if (call.options.flag('release')) return release(call, claims, profile, field);
      const scope = scopeOf(call, profile, field);
      const lines = await claims.previewRollback(scope, { limit: LINES_MAX });
      const dry = call.options.flag('dry-run');
      if (dry || !call.json) show(call, lines, dry);
      if (dry || lines.length === 0) return EXIT.ok;
      const input = rollbackInputSchema.parse({
        ...scope,
        actor: actorOf(call),
        reason: reasonOf(call),
        approved: true,
      });
      if (!(await agreed(call, 'Take these values back?'))) return EXIT.ok;
      return start(call, input);
    }),
};

function scopeOf(call: Call, profile: string | undefined, field: string | undefined): RollbackScope {
  const source = call.options.text('source');
  const run = call.options.text('run');
  const since = momentOption(call, 'since');
  if (profile === undefined && source === undefined && run === undefined) {
    throw new HeadwaterError('INPUT_INVALID', 'everything would be taken back', {
      remedy: 'Name a profile, --source or --run.',
    });
  }
  return {
    hold: call.options.flag('hold'),
    ...(profile === undefined ? {} : { profile }),
    ...(field === undefined ? {} : { field }),
    ...(source === undefined ? {} : { source }),
    ...(run === undefined ? {} : { run }),
    ...(since === undefined ? {} : { since }),
  };
}

function show({ output, json }: Call, lines: readonly RollbackLine[], dry: boolean): void {
  if (json) return output.json({ dryRun: true, lines });
  if (lines.length === 0) return output.line('Nothing would change.');
  output.table(
    [
      { title: 'profile' },
      { title: 'field' },
      { title: 'holds now' },
      { title: 'would hold' },
      { title: 'taken back from' },
    ],
    lines
      .slice(0, LINES_SHOWN_MAX)
      .map(({ profile, field, before, after, ref }) => [
        profile,
        field,
        valueText(before),
        valueText(after),
        refText(ref),
      ]),
  );
  const more = lines.length > LINES_SHOWN_MAX ? ` (${LINES_SHOWN_MAX} shown)` : '';
  output.line(`\n${countOf(lines.length, 'value')}${more}.${dry ? ' Nothing was changed.' : ''}`);
}

async function start(call: Call, input: { profile?: string | undefined }): Promise<number> {
  const loaded = await call.load();
  const result = await withTemporal(loaded, call.environment, ({ client, taskQueue }) =>
    client.workflow.execute('rollback', {
      workflowId: `rollback/${input.profile ?? 'scope'}/${new Date().toISOString()}`,
      taskQueue,
      staticSummary: 'rollback by hand',
      args: [input],
    }),
  );
  if (call.json) call.output.json(result);
  else {
    const { retracted = 0, profiles = 0 } = counts(result);
    call.output.line(`Took back ${countOf(retracted, 'value')} in ${countOf(profiles, 'profile')}.`);
  }
  return EXIT.ok;
}

function counts(result: unknown): { retracted?: number; profiles?: number } {
  return typeof result === 'object' && result !== null ? result : {};
}

async function release(
  call: Call,
  claims: Claims,
  profile: string | undefined,
  field: string | undefined,
): Promise<number> {
  if (profile === undefined || field === undefined) {
    throw new HeadwaterError('INPUT_INVALID', 'a release needs the profile and the field', {
      remedy: 'Write `npx headwater rollback <profile> <field> --release --reason "why"`.',
    });
  }
  const cause = {
    via: 'operator' as const,
    run: null,
    actor: actorOf(call),
    reason: reasonOf(call),
    at: new Date().toISOString(),
  };
  const released = await claims.release(profile, field, cause);
  if (call.json) call.output.json({ profile, field, released });
  else
    call.output.line(
      released === 0 ? 'There was nothing to release.' : `${field} follows its sources again.`,
    );
  return EXIT.ok;
}
