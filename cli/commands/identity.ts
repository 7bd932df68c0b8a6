import { HeadwaterError } from '../../rules/errors.ts';
import type { RecordRef } from '../../schemas/observation.ts';
import type { Claims } from '../../stores/claims/claims.ts';
import { actorOf, agreed, CHANGE_OPTIONS, reasonOf } from '../approve.ts';
import { oneOf } from '../chosen.ts';
import { withClaims } from '../claims.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { nameOf, refText } from '../profile-words.ts';

export const identity: Command = {
  name: 'identity',
  summary: 'Which records are one customer: look, link, or keep apart for ever',
  usage: 'preview | link | unlink <record> <record>',
  example: 'identity preview crm:Contact:003… hubspot:contacts:51…',
  about:
    'Links are events and can be taken back: `unlink` splits exactly what was one, `link` joins it again.',
  options: CHANGE_OPTIONS,
  arguments: { min: 3, max: 3 },
  run: (call) =>
    withClaims(call, async (claims) => {
      const [given = '', first = '', second = ''] = call.arguments;
      const action = oneOf('identity', given, ['preview', 'link', 'unlink']);
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
