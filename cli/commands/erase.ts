import { erasurePreviewSchema } from '../../schemas/erasure.ts';
import { eraseInputSchema, type EraseInput } from '../../schemas/inputs.ts';
import { formatCount } from '../../rules/report.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { actorOf, agreed, CHANGE_OPTIONS, reasonOf } from '../approve.ts';
import { profileNamed, withClaims } from '../claims.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { showOverdue } from '../overdue.ts';
import { withTemporal } from '../temporal-client.ts';
import { z } from 'zod';

const resultSchema = z.object({
  places: erasurePreviewSchema,
  outcome: z.string(),
  remains: z.array(z.string()),
});
type Result = z.infer<typeof resultSchema>;

export const erase: Command = {
  name: 'erase',
  summary: 'Erase a customer everywhere, for ever, and keep it out',
  usage: '[profile | record | identifier]',
  example: 'erase ann@example.com --dry-run',
  about:
    'Shows first what goes where. The keys of its records are destroyed, its rows, files and values removed;\nlater reads leave it out and count it. The source itself is not touched. docs/erasure.md has the rest.',
  options: {
    ...CHANGE_OPTIONS,
    reason: {
      type: 'string',
      value: '<text>',
      help: 'Why, without naming anybody; kept in the log for ever',
    },
    retention: { type: 'boolean', help: 'With --dry-run: what the retention of entities is about to erase' },
  },
  arguments: { min: 0, max: 1 },
  async run(call) {
    if (call.options.flag('retention')) return retention(call);
    const [given] = call.arguments;
    if (given === undefined) {
      throw new HeadwaterError('INPUT_INVALID', 'erase needs a profile, a record or an identifier', {
        remedy: 'Write for example `npx headwater erase ann@example.com --dry-run`.',
      });
    }
    const dry = call.options.flag('dry-run');
    const reason = dry ? (call.options.text('reason') ?? 'preview') : reasonOf(call);
    const profile = await withClaims(call, (claims, config) => profileNamed(claims, config, given));
    // I5: what was typed finds the profile here; only its id goes to Temporal.
    const input = { profile, actor: actorOf(call), reason };
    const seen = await run(call, { ...input, dryRun: true });
    if (dry || !call.json) show(call, seen, dry ? 'Nothing was changed.' : '');
    if (dry || seen.outcome === 'nothing to do') return EXIT.ok;
    if (!(await agreed(call, 'Erase this for ever?'))) return EXIT.ok;
    const done = await run(call, { ...input, approved: true });
    show(call, done, 'Erased, and kept out from now on.');
    return EXIT.ok;
  },
};

async function retention(call: Call): Promise<number> {
  if (!call.options.flag('dry-run') || call.arguments.length > 0) {
    throw new HeadwaterError('INPUT_INVALID', 'the retention erases by itself after a run', {
      remedy: 'Look with `npx headwater erase --retention --dry-run`.',
    });
  }
  return showOverdue(call);
}

async function run(call: Call, input: EraseInput): Promise<Result> {
  const loaded = await call.load();
  const part = input.dryRun === true ? '/preview' : '';
  const result: unknown = await withTemporal(loaded, call.environment, ({ client, taskQueue }) =>
    client.workflow.execute('erase', {
      workflowId: `erase/${input.profile}${part}`,
      taskQueue,
      // Asked again, it joins the erasure that is under way.
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: 'erasure by hand',
      args: [eraseInputSchema.parse(input)],
    }),
  );
  return resultSchema.parse(result);
}

function show({ output, json }: Call, { places, outcome, remains }: Result, last: string): void {
  if (json) return output.json({ outcome, ...places, remains });
  if (outcome === 'nothing to do') return output.line('Nothing is held of this customer any more.');
  const from = Object.entries(places.sources).map(([object, count]) => `${formatCount(count)} of ${object}`);
  output.line(`${formatCount(places.records)} records: ${from.join(', ')}\n`);
  output.table(
    [{ title: 'place' }, { title: 'what' }, { title: 'count', align: 'right' }],
    places.places.map(({ place, what, count }) => [place, what, formatCount(count)]),
  );
  output.line('\nWhat stays:');
  for (const line of remains) output.line(`- ${line}`);
  if (last !== '') output.line(`\n${last}`);
}
