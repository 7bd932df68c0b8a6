import { rulesOf } from '../../config/profiles.ts';
import type { Config } from '../../config/schema.ts';
import { canonicalJson } from '../../rules/golden/canonical.ts';
import { countOf } from '../../rules/report.ts';
import type { ConflictRules } from '../../schemas/conflicts.ts';
import type { ClaimValue } from '../../schemas/observation.ts';
import type { Claims, GoldenChange } from '../../stores/claims/claims.ts';
import { actorOf, agreed, CHANGE_OPTIONS, reasonOf } from '../approve.ts';
import { oneOf, wholeNumber } from '../chosen.ts';
import { profilesConfig, withClaims } from '../claims.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { valueText } from '../profile-words.ts';
import { withTemporal } from '../temporal-client.ts';

const CHANGES_MAX = 100_000;

export const rules: Command = {
  name: 'rules',
  summary: 'Which profiles changed conflict rules would alter, and putting them into force',
  usage: 'plan | apply [entity]',
  example: 'rules plan contact',
  about:
    'Edit `conflicts` in headwater.config.ts, look with `rules plan`, restart the worker, then `rules apply`.\nNo source is read again: claims are kept. The preview shows real customer data.',
  options: {
    limit: { type: 'string', value: '<n>', help: 'plan: changes to show; default 50' },
    ...CHANGE_OPTIONS,
  },
  arguments: { min: 1, max: 2 },
  run: (call) =>
    withClaims(call, async (claims, config) => {
      const [given = '', entity] = call.arguments;
      const action = oneOf('rules', given, ['plan', 'apply']);
      const limit = wholeNumber('--limit', call.options.text('limit'), { min: 1, max: CHANGES_MAX, or: 50 });
      const changed = await changedRules(claims, config, entity);
      const changes: GoldenChange[] = [];
      let count = 0;
      for (const one of changed) {
        for await (const page of claims.previewRules(one, { limit: CHANGES_MAX })) {
          count += page.length;
          changes.push(...page.slice(0, Math.max(0, limit - changes.length)));
          call.output.progress([`comparing ${one.profile}: ${countOf(count, 'value')} would change …`]);
        }
      }
      call.output.endProgress();
      const names = changed.map(({ profile }) => profile);
      const only = action === 'plan' || call.options.flag('dry-run');
      if (call.json && only) call.output.json({ entities: names, values: count, changes });
      else if (!call.json) print(call, names, changes, count);
      if (only || names.length === 0) return EXIT.ok;
      const reason = reasonOf(call);
      if (!(await agreed(call, 'Put these rules into force?'))) return EXIT.ok;
      return apply(call, reason, entity);
    }),
};

/** Rules of the configuration that are not the ones in force. */
async function changedRules(claims: Claims, config: Config, entity?: string): Promise<ConflictRules[]> {
  const all = rulesOf(profilesConfig(config), config.conflicts);
  const names = all.map(({ profile }) => profile);
  const asked = entity === undefined ? undefined : oneOf('entity', entity, names);
  const found: ConflictRules[] = [];
  for (const one of all) {
    if (asked !== undefined && one.profile !== asked) continue;
    const active = await claims.rules(one.profile);
    if (active !== null && canonicalJson(plain(active.rules)) !== canonicalJson(plain(one))) found.push(one);
  }
  return found;
}

/** As it is stored: without keys that hold nothing. */
function plain(rules: ConflictRules): ClaimValue {
  return JSON.parse(JSON.stringify(rules));
}

function print({ output }: Call, names: string[], changes: GoldenChange[], count: number): void {
  if (names.length === 0) return output.line('The rules in force are those of the configuration.');
  output.table(
    [
      { title: 'profile' },
      { title: 'field' },
      { title: 'holds now' },
      { title: 'would hold' },
      { title: 'because' },
    ],
    changes.map(({ profile, field, before, after }) => [
      profile,
      field,
      valueText(before?.value),
      valueText(after?.value),
      after?.decidedBy ?? '–',
    ]),
  );
  const more = count > changes.length ? ` (${changes.length} shown)` : '';
  output.line(`\nRules of ${names.join(', ')}: ${countOf(count, 'value')} would change${more}.`);
}

async function apply(call: Call, reason: string, entity: string | undefined): Promise<number> {
  const loaded = await call.load();
  const input = { actor: actorOf(call), reason, approved: true, ...(entity === undefined ? {} : { entity }) };
  const result = await withTemporal(loaded, call.environment, ({ client, taskQueue }) =>
    client.workflow.execute('applyRules', {
      workflowId: `rules/${entity ?? 'all'}`,
      taskQueue,
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: 'conflict rules by hand',
      args: [input],
    }),
  );
  if (call.json) call.output.json(result);
  else {
    const changed =
      typeof result === 'object' && result !== null && 'changed' in result ? Number(result.changed) : 0;
    call.output.line(`In force. ${countOf(changed, 'profile')} changed.`);
  }
  return EXIT.ok;
}
