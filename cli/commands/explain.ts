import { HeadwaterError } from '../../rules/errors.ts';
import { nearest } from '../../config/nearest.ts';
import { profileNamed, withClaims } from '../claims.ts';
import type { Command } from '../command.ts';
import { wholeNumber } from '../chosen.ts';
import { EXIT } from '../exit-codes.ts';
import {
  CLAIM_COLUMNS,
  claimRow,
  EVENT_COLUMNS,
  eventRow,
  FIELD_COLUMNS,
  fieldRow,
  nameOf,
  valueText,
} from '../profile-words.ts';

const EVENTS_MAX = 10_000;

export const explain: Command = {
  name: 'explain',
  summary: 'Why a field has its value: which claim holds, by which rule, and what lost',
  usage: '<profile | record | identifier> [field]',
  example: 'explain ann@example.com jobTitle',
  about: 'Without a field, every field with the reason. Values are real customer data.',
  options: {},
  arguments: { min: 1, max: 2 },
  run: (call) =>
    withClaims(call, async (claims, config) => {
      const [given = '', field] = call.arguments;
      const id = await profileNamed(claims, config, given);
      const golden = await claims.profile(id);
      if (golden === null) throw new HeadwaterError('INPUT_INVALID', 'there is no profile with this id');
      if (field === undefined) {
        if (call.json) call.output.json(golden);
        else {
          call.output.line(`${golden.entity} ${golden.profile} · ${nameOf(golden)}\n`);
          call.output.table(FIELD_COLUMNS, Object.entries(golden.fields).map(fieldRow));
        }
        return EXIT.ok;
      }
      const why = await claims.explain(id, field);
      if (why === null || (why.golden === null && why.considered.length === 0)) {
        const guess = nearest(field, Object.keys(golden.fields));
        throw new HeadwaterError('INPUT_INVALID', `nothing is claimed about ${field}`, {
          remedy: guess
            ? `Did you mean ${guess}?`
            : `This profile has: ${Object.keys(golden.fields).join(', ')}.`,
        });
      }
      if (call.json) call.output.json({ profile: id, field, ...why });
      else {
        const holds =
          why.golden === null
            ? 'has no value'
            : `is ${valueText(why.golden.value)} · ${why.golden.decidedBy}`;
        call.output.line(`${golden.entity} ${id} · ${field} ${holds}\n`);
        call.output.table(CLAIM_COLUMNS, why.considered.map(claimRow));
      }
      return EXIT.ok;
    }),
};

export const history: Command = {
  name: 'history',
  summary: 'Everything that happened to a profile, oldest first',
  usage: '<profile | record | identifier> [field]',
  example: 'history ann@example.com',
  about: 'The log is append-only: what is taken back or merged stays in it. Values are real customer data.',
  options: { limit: { type: 'string', value: '<n>', help: 'Events to show; default 100' } },
  arguments: { min: 1, max: 2 },
  run: (call) =>
    withClaims(call, async (claims, config) => {
      const [given = '', field] = call.arguments;
      const id = await profileNamed(claims, config, given);
      const limit = wholeNumber('--limit', call.options.text('limit'), { min: 1, max: EVENTS_MAX, or: 100 });
      const events = await claims.history(id, { limit, ...(field === undefined ? {} : { field }) });
      const shown =
        field === undefined
          ? events
          : events.map((event) => ({ ...event, fields: only(event.fields, field) }));
      if (call.json) call.output.json(shown);
      else call.output.table(EVENT_COLUMNS, shown.map(eventRow));
      return EXIT.ok;
    }),
};

function only<T>(fields: Record<string, T> | null, field: string): Record<string, T> | null {
  const value = fields?.[field];
  return value === undefined ? null : { [field]: value };
}
