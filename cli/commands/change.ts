import { randomUUID } from 'node:crypto';
import { entitiesOf } from '../../config/profiles.ts';
import type { Config } from '../../config/schema.ts';
import { writeTargets } from '../../config/write-back.ts';
import { phoneNormaliser } from '../../mapping/normalise.ts';
import { checked } from '../../mapping/unmap.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import type { Change } from '../../schemas/change.ts';
import type { ClaimValue } from '../../schemas/observation.ts';
import type { GoldenProfile } from '../../schemas/profile.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import { actorOf, reasonOf } from '../approve.ts';
import { profileNamed, profilesConfig, withClaims } from '../claims.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withTemporal } from '../temporal-client.ts';

const FIELDS_MAX = 50;

export const change: Command = {
  name: 'change',
  summary: 'Change values of a customer in the systems that are in charge of them',
  usage: '<profile | record | identifier> <field=value> …',
  example: 'change ann@example.com jobTitle="Head of Sales" --reason "told on the telephone"',
  about:
    'Which systems those are says `profiles.writeBack`. The value stands at once, as pending, and is taken\nback when a system refuses. An empty value empties the field.',
  options: {
    reason: { type: 'string', value: '<text>', help: 'Why; kept in the log for ever' },
    override: { type: 'boolean', help: 'Above all rules until released; no system hears of it' },
  },
  arguments: { min: 2, max: FIELDS_MAX + 1 },
  run: (call) =>
    withClaims(call, async (claims, config) => {
      const [given = '', ...pairs] = call.arguments;
      const golden = await claims.profile(await profileNamed(claims, config, given));
      if (golden === null) throw new HeadwaterError('INPUT_INVALID', 'there is no profile with this id');
      const id = await propose(call, claims, config, golden, valuesOf(config, golden, pairs));
      const proposed = await claims.change(id);
      if (proposed?.state === 'pending') await write(call, id);
      const settled = await claims.change(id);
      if (settled === null) throw new HeadwaterError('INPUT_INVALID', 'this profile has been erased');
      show(call, settled);
      return settled.state === 'refused' ? EXIT.failed : EXIT.ok;
    }),
};

/** I5: a mistake names the field and what is expected, never the value. */
function valuesOf(
  config: Config,
  golden: GoldenProfile,
  pairs: readonly string[],
): Record<string, ClaimValue> {
  const profiles = profilesConfig(config);
  const fields = entitiesOf(profiles).get(golden.entity)?.fields ?? {};
  const values: Record<string, ClaimValue> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const field = at < 1 ? pair : pair.slice(0, at);
    const about = at < 1 || !Object.hasOwn(fields, field) ? undefined : fields[field];
    if (about === undefined) {
      throw new HeadwaterError('INPUT_INVALID', `${field} is no field of ${golden.entity}`, {
        remedy: 'Write <field>=<value>; `npx headwater profile <profile>` shows the fields.',
      });
    }
    const value = checked(about, pair.slice(at + 1), phoneNormaliser(profiles.region));
    if (!value.ok) throw new HeadwaterError('INPUT_INVALID', `${field} ${value.reason}`);
    values[field] = value.value;
  }
  return values;
}

async function propose(
  call: Call,
  claims: Claims,
  config: Config,
  golden: GoldenProfile,
  values: Record<string, ClaimValue>,
): Promise<string> {
  const kind = call.options.flag('override') ? 'override' : 'explicit';
  const id = `ch_${randomUUID().replaceAll('-', '')}`;
  const { targets, refused } = writeTargets(config, profilesConfig(config), golden, Object.keys(values));
  const [first] = refused;
  if (kind === 'explicit' && first !== undefined) {
    throw new HeadwaterError('INPUT_INVALID', `${first.field} ${first.reason}`, {
      remedy: 'Name its systems under `profiles.writeBack`, or use --override.',
    });
  }
  const cause = {
    ...{ via: 'operator' as const, run: `change/${id}`, actor: actorOf(call), reason: reasonOf(call) },
    at: new Date().toISOString(),
  };
  const proposal = { id, kind, values, targets: kind === 'explicit' ? targets : [], version: golden.version };
  await claims.propose(golden.profile, { ...proposal, kind }, cause);
  return id;
}

/** Ctrl-C leaves it to the worker; `npx headwater history` tells what became of it. */
async function write(call: Call, id: string): Promise<void> {
  const loaded = await call.load();
  await withTemporal(loaded, call.environment, ({ client, taskQueue }) =>
    client.workflow.execute('writeBack', {
      workflowId: `change/${id}`,
      taskQueue,
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: 'a change by hand',
      args: [{ change: id }],
    }),
  );
}

function show({ output, json }: Call, settled: Change): void {
  if (json) return output.json(settled);
  const why =
    settled.code === null ? '' : ` (${settled.code}${settled.field === null ? '' : ` ${settled.field}`})`;
  output.line(`${settled.fields.join(', ')}: ${settled.state}${why}`);
  for (const { source, object, state, adjusted, code } of settled.targets) {
    const note = adjusted.length === 0 ? '' : `, kept in another form: ${adjusted.join(', ')}`;
    output.line(`  ${source}.${object}: ${state}${code === null ? '' : ` (${code})`}${note}`);
  }
}
