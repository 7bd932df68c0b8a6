import { entitiesOf } from '../../config/profiles.ts';
import type { Config } from '../../config/schema.ts';
import type { Entity } from '../../schemas/entities/entity.ts';
import type { GoldenProfile } from '../../schemas/profile.ts';
import { oneOf, wholeNumber } from '../chosen.ts';
import { profileNamed, profilesConfig, withClaims } from '../claims.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { FIELD_COLUMNS, fieldRow, nameOf, refText } from '../profile-words.ts';
import { momentOption } from '../moment.ts';
import { formatCount } from '../../rules/report.ts';

const PROFILES_MAX = 1_000;

export const profiles: Command = {
  name: 'profiles',
  summary: 'Golden profiles: one per customer, whatever the systems say',
  usage: '[entity]',
  example: 'profiles contact --contested',
  about: 'Values are real customer data.',
  options: {
    contested: { type: 'boolean', help: 'Only those where systems disagree, newest first' },
    limit: { type: 'string', value: '<n>', help: 'Profiles to show; default 20' },
  },
  arguments: { min: 0, max: 1 },
  run: (call) =>
    withClaims(call, async (claims, config) => {
      const [given] = call.arguments;
      const names = [...entitiesOf(profilesConfig(config)).keys()];
      const filter = {
        ...(given === undefined ? {} : { entity: oneOf('entity', given, names) }),
        limit: wholeNumber('--limit', call.options.text('limit'), { min: 1, max: PROFILES_MAX, or: 20 }),
      };
      const found = call.options.flag('contested')
        ? await claims.contested(filter)
        : await claims.profiles(filter);
      if (call.json) call.output.json({ counts: await claims.counts(), profiles: found });
      else {
        print(call, found, config);
        const counts = await claims.counts();
        const lines = Object.entries(counts.profiles).map(
          ([entity, count]) => `${formatCount(count)} ${entity}`,
        );
        call.output.line(
          `\n${lines.join(' · ') || 'no profiles'} · from ${formatCount(counts.records)} records`,
        );
      }
      return EXIT.ok;
    }),
};

function print({ output }: Call, found: readonly GoldenProfile[], config: Config): void {
  output.table(
    [
      { title: 'profile' },
      { title: 'entity' },
      { title: 'who' },
      { title: 'records', align: 'right' },
      { title: 'version', align: 'right' },
      { title: 'contested' },
    ],
    found.map((profile) => [
      profile.profile,
      profile.deleted ? `${profile.entity} (deleted)` : profile.entity,
      nameOf(profile),
      String(profile.records.filter(({ deleted }) => !deleted).length),
      String(profile.version),
      contestedFields(profile, entitiesOf(profilesConfig(config))).join(', '),
    ]),
  );
}

/** Each system names its own records, so references to them always differ. */
function contestedFields({ entity, fields }: GoldenProfile, entities: ReadonlyMap<string, Entity>): string[] {
  const references = entities.get(entity)?.references ?? {};
  return Object.entries(fields)
    .filter(([field, { contested }]) => contested && !(field in references))
    .map(([field]) => field);
}

export const profile: Command = {
  name: 'profile',
  summary: 'One profile: what holds, where it is from and why',
  usage: '<profile | record | identifier>',
  example: 'profile ann@example.com',
  about:
    'A record is written crm:Contact:003…; identifiers are e-mail addresses, telephone numbers, domains.',
  options: {
    'as-of': { type: 'string', value: '<time>', help: 'What was known then, by the rules of then' },
  },
  arguments: { min: 1, max: 1 },
  run: (call) =>
    withClaims(call, async (claims, config) => {
      const id = await profileNamed(claims, config, call.arguments[0] ?? '');
      const asOf = momentOption(call, 'as-of');
      const found = await claims.profile(id, asOf === undefined ? {} : { asOf });
      if (call.json) call.output.json(found);
      else if (found === null) call.output.line('Nothing was known of it then.');
      else {
        const { output } = call;
        const state = found.deleted ? ' · deleted' : '';
        output.line(
          `${found.entity} ${output.style('bold', found.profile)} · version ${found.version}${state}\n`,
        );
        output.table(FIELD_COLUMNS, Object.entries(found.fields).map(fieldRow));
        output.line(
          `\nRecords: ${found.records.map((ref) => refText(ref) + (ref.deleted ? ' (deleted)' : '')).join(', ')}`,
        );
      }
      return EXIT.ok;
    }),
};
