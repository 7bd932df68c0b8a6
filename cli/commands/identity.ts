import { HeadwaterError } from '../../rules/errors.ts';
import type { RecordRef } from '../../schemas/observation.ts';
import { entitiesOf } from '../../config/profiles.ts';
import type { Config } from '../../config/schema.ts';
import { countOf } from '../../rules/report.ts';
import type { Claims, LinkChange } from '../../stores/claims/claims.ts';
import { actorOf, agreed, CHANGE_OPTIONS, reasonOf } from '../approve.ts';
import { oneOf } from '../chosen.ts';
import { profilesConfig, withClaims } from '../claims.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { nameOf, refText } from '../profile-words.ts';

export const identity: Command = {
  name: 'identity',
  summary: 'Which records are one customer: look, link, or keep apart for ever',
  usage: 'preview | apply [entity] | preview | link | unlink <record> <record>',
  example: 'identity preview crm:Contact:003… hubspot:contacts:51…',
  about:
    'Links are events and can be taken back: `unlink` splits exactly what was one, `link` joins it again.',
  options: CHANGE_OPTIONS,
  arguments: { min: 1, max: 3 },
  run: (call) =>
    withClaims(call, async (claims, config) => {
      const [given = '', first = '', second] = call.arguments;
      const action = oneOf('identity', given, ['preview', 'apply', 'link', 'unlink']);
      if (second === undefined && (action === 'preview' || action === 'apply'))
        return guards(call, claims, config, action === 'apply', first === '' ? undefined : first);
      if (second === undefined || action === 'apply') {
        throw new HeadwaterError(
          'INPUT_INVALID',
          `${action} needs ${action === 'apply' ? 'no' : 'two'} records`,
          {
            remedy:
              'Write `npx headwater identity link <record> <record>`, or `npx headwater identity apply`.',
          },
        );
      }
      const a = await recordNamed(claims, first);
      const b = await recordNamed(claims, second);
      const together = a.profile === b.profile;
      const look = {
        a: refText(a.ref),
        b: refText(b.ref),
        profiles: [...new Set([a.profile, b.profile])],
        together,
      };
      if (action === 'preview' || call.options.flag('dry-run') || !call.json) {
        await show(call, claims, look);
        if (action === 'preview' || call.options.flag('dry-run')) return EXIT.ok;
      }
      const cause = {
        via: 'operator' as const,
        run: null,
        actor: actorOf(call),
        reason: reasonOf(call),
        at: new Date().toISOString(),
      };
      if (!(await agreed(call, action === 'link' ? 'Make them one customer?' : 'Keep them apart for ever?')))
        return EXIT.ok;
      await (action === 'link' ? claims.link(a.ref, b.ref, cause) : claims.unlink(a.ref, b.ref, cause));
      const after = [await claims.profileOf(a.ref), await claims.profileOf(b.ref)];
      if (call.json) call.output.json({ ...look, after });
      else
        call.output.line(
          after[0] === after[1] ? `They are ${after[0] ?? ''} now.` : `They are ${after.join(' and ')} now.`,
        );
      return EXIT.ok;
    }),
};

async function recordNamed(claims: Claims, given: string): Promise<{ ref: RecordRef; profile: string }> {
  const [source = '', object = '', ...rest] = given.split(':');
  const ref = { source, object, record: rest.join(':') };
  const profile = rest.length === 0 ? null : await claims.profileOf(ref);
  if (profile !== null) return { ref, profile };
  throw new HeadwaterError('INPUT_INVALID', `there is no record ${JSON.stringify(given)}`, {
    remedy: 'Write it as crm:Contact:003…; `npx headwater profile` shows the records of a profile.',
  });
}

interface Look {
  a: string;
  b: string;
  profiles: string[];
  together: boolean;
}

async function show({ output, json }: Call, claims: Claims, look: Look): Promise<void> {
  if (json) return output.json(look);
  const found = await Promise.all(look.profiles.map((id) => claims.profile(id)));
  output.line(look.together ? 'They are one customer:' : 'They are two customers:');
  for (const profile of found) {
    if (profile === null) continue;
    output.line(`  ${profile.profile} · ${nameOf(profile)} · ${profile.records.map(refText).join(', ')}`);
  }
}

const CHANGES_SHOWN_MAX = 50;

/** Links as the configured guards decide them, against links as they are. */
async function guards(
  call: Call,
  claims: Claims,
  config: Config,
  apply: boolean,
  given: string | undefined,
): Promise<number> {
  const names = [...entitiesOf(profilesConfig(config)).keys()];
  const entity = given === undefined ? undefined : oneOf('entity', given, names);
  const shown: LinkChange[] = [];
  let count = 0;
  for await (const page of claims.previewLinks(entity)) {
    count += page.length;
    shown.push(...page.slice(0, CHANGES_SHOWN_MAX - shown.length));
    call.output.progress([`comparing: ${countOf(count, 'record')} would move …`]);
  }
  call.output.endProgress();
  const only = !apply || call.options.flag('dry-run');
  if (call.json && only) call.output.json({ records: count, changes: shown });
  else if (!call.json) showChanges(call, shown, count);
  if (only || count === 0) return EXIT.ok;
  const cause = {
    via: 'operator' as const,
    run: null,
    actor: actorOf(call),
    reason: reasonOf(call),
    at: new Date().toISOString(),
  };
  if (!(await agreed(call, 'Move these records?'))) return EXIT.ok;
  const { moved } = await claims.applyLinks(cause, entity);
  if (call.json) call.output.json({ moved });
  else call.output.line(`Moved ${countOf(moved, 'record')}; the next run publishes it.`);
  return EXIT.ok;
}

function showChanges({ output }: Call, shown: readonly LinkChange[], count: number): void {
  if (count === 0) return output.line('Every link is as the configuration decides it.');
  output.table(
    [{ title: 'entity' }, { title: 'record' }, { title: 'belongs to' }, { title: 'would belong to' }],
    shown.map(({ entity, ref, from, to }) => [entity, refText(ref), from, to ?? 'a profile of its own']),
  );
  const more = count > shown.length ? ` (${shown.length} shown)` : '';
  output.line(`\n${countOf(count, 'record')} would move${more}.`);
}
