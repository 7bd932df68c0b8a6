// Part of shape: rows of erased subjects are left out before anything of them lands, and counted.
import { rm } from 'node:fs/promises';
import { Context } from '@temporalio/activity';
import { compileMapping, type CompiledMapping } from '../mapping/compile.ts';
import { normaliseDomain, normaliseEmail } from '../mapping/normalise.ts';
import type { Mapping } from '../mapping/mapping.ts';
import { fromMs } from '../rules/time.ts';
import type { Identifier, RecordRef } from '../schemas/observation.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { Window } from '../schemas/window.ts';
import type { ShapedRow, ShapeResult } from '../shaper/shaper.ts';
import type { Cause } from '../stores/claims/claims.ts';
import type { Dependencies, Profiles } from './dependencies.ts';

/** Parts of one line that are compared: a longer one is no record. */
const WORDS_MAX = 10_000;

export interface Screened {
  shaped: ShapeResult;
  /** Something of an erased subject was there: the pages that brought it must not stay either. */
  found: boolean;
}

interface Screen {
  dependencies: Dependencies;
  profiles: Profiles;
  window: Window;
  schema: ObjectSchema;
  /** One per identifying field, so that a value that fits no schema hides no other. */
  finders: CompiledMapping[];
}

/** Mappings that stand for the whole record; one of a part, such as consent, does not decide about the others. */
export function mainMappings(profiles: Profiles, connection: string, object: string): readonly Mapping[] {
  const mappings = profiles.mappings(connection, object);
  const main = mappings.filter(({ part }) => part === '');
  return main.length === 0 ? mappings : main;
}

/** Names under which the claims store knows a record of this object: itself and its parts. */
export function objectNames(profiles: Profiles, connection: string, object: string): string[] {
  const parts = profiles.mappings(connection, object).map(({ part }) => part);
  return [...new Set([object, ...parts.filter((part) => part !== '').map((part) => `${object}/${part}`)])];
}

/**
 * I2: what is left out is counted as suppressed, so the transport receipt adds up and the destination is not asked for it.
 * Where nobody was ever erased it costs one look at the claims store.
 */
export async function leaveOutErased(
  dependencies: Dependencies,
  window: Window,
  slice: number,
  schema: ObjectSchema,
  shaped: ShapeResult,
): Promise<Screened> {
  const { profiles } = dependencies;
  if (profiles === undefined || !(await profiles.claims.suppressing())) return { shaped, found: false };
  const finders = mainMappings(profiles, window.connection, window.object).flatMap((mapping) =>
    findersOf(mapping, window.connection, schema, profiles),
  );
  const screen: Screen = { dependencies, profiles, window, schema, finders };
  const prefix = `${window.id}/${slice}`;
  const column = schema.fields.find(({ name }) => name === schema.key)?.column ?? schema.key;
  const counts = { ...shaped.counts };
  const rows: string[] = [];
  let found = false;
  const screened = async (file: string, hashed: boolean, name: string) => {
    const records = await erasedRecords(screen, file, column, hashed);
    const kept = await rewritten(dependencies, file, `${prefix}/${name}`, column, records);
    found ||= kept.left > 0;
    return kept;
  };
  for (const file of shaped.files.rows) {
    const { path, left, deleted } = await screened(file, true, 'rows');
    if (path !== null) rows.push(path);
    counts.shaped -= left;
    counts.suppressed += left;
    counts.deleted -= deleted;
  }
  let { tombstones, quarantine } = shaped.files;
  if (tombstones !== null) {
    const { path, left } = await screened(tombstones, false, 'tombstones');
    tombstones = path;
    counts.tombstones -= left;
  }
  if (quarantine !== null) {
    const raw = await erasedLines(screen, quarantine);
    const lines = { texts: raw, deleted: 0 };
    const { path, left } = await rewritten(dependencies, quarantine, `${prefix}/quarantine`, 'raw', lines);
    quarantine = path;
    counts.quarantined -= left;
    counts.suppressed += left;
    found ||= left > 0;
  }
  return { shaped: { ...shaped, counts, files: { rows, tombstones, quarantine } }, found };
}

function findersOf(
  mapping: Mapping,
  connection: string,
  schema: ObjectSchema,
  { phone }: Profiles,
): CompiledMapping[] {
  const { entity, fields, part } = mapping;
  return Object.keys(entity.identifiers).flatMap((name) => {
    const field = fields[name];
    if (field === undefined) return [];
    const one = compileMapping({ entity, part, fields: { [name]: field } }, connection, schema, phone);
    return one.absent.length > 0 ? [] : [one];
  });
}

interface Erased {
  texts: string[];
  /** Of them: rows that the source marks deleted. */
  deleted: number;
}

async function erasedRecords(screen: Screen, file: string, key: string, hashed: boolean): Promise<Erased> {
  const { dependencies, profiles, window, schema } = screen;
  const finders = hashed ? screen.finders : [];
  const reads = finders.flatMap((finder) => [...finder.reads]);
  const columns = reads.flatMap((name) => schema.fields.find((field) => field.name === name) ?? []);
  const erased: Erased = { texts: [], deleted: 0 };
  const signal = Context.current().cancellationSignal;
  for await (const rows of dependencies.shaper.rows({ files: [file], key, columns, hashed })) {
    signal.throwIfAborted();
    const records = rows.map(({ record }) => record);
    const known = await profiles.claims.suppressed(window.connection, window.object, records);
    const alike = await byIdentifier(
      screen,
      rows.map((row, at) => (known[at] === true ? null : identifiersOf(finders, row))),
    );
    const news = records.filter((_, at) => alike.has(at));
    if (news.length > 0) await keepOut(screen, news);
    for (const [at, row] of rows.entries()) {
      if (known[at] !== true && !alike.has(at)) continue;
      erased.texts.push(row.record);
      if (row.deleted) erased.deleted += 1;
    }
  }
  return erased;
}

type Found = Identifier & { entity: string };

function identifiersOf(finders: readonly CompiledMapping[], row: ShapedRow): Found[] {
  if (finders.length === 0) return [];
  const values = row.values();
  const found: Found[] = [];
  let at = 0;
  for (const finder of finders) {
    const mapped = finder.map(values.slice(at, at + finder.reads.length));
    at += finder.reads.length;
    if (mapped.ok) found.push(...mapped.identifiers.map((one) => ({ ...one, entity: finder.entity.name })));
  }
  return found;
}

/** Positions of those that have an identifier of an erased subject. */
async function byIdentifier({ profiles }: Screen, of: (Found[] | null)[]): Promise<Set<number>> {
  const all = of.flatMap((found, at) => (found ?? []).map((one) => ({ ...one, at })));
  const erased = new Set<number>();
  for (const [entity, group] of Map.groupBy(all, (one) => one.entity)) {
    const flags = await profiles.claims.suppressedIdentifiers(entity, group);
    for (const [index, { at }] of group.entries()) if (flags[index] === true) erased.add(at);
  }
  return erased;
}

/** Once known by an identifier, the record stays out by its own name too: also where only its id is read. */
async function keepOut({ dependencies, profiles, window }: Screen, records: string[]): Promise<void> {
  const { connection: source, object } = window;
  const names = objectNames(profiles, source, object);
  const refs: RecordRef[] = records.flatMap((record) =>
    names.map((name) => ({ source, object: name, record })),
  );
  await profiles.claims.suppress(refs, [], pollCause(dependencies));
}

function pollCause({ now }: Dependencies): Cause {
  const run = Context.current().info.workflowExecution?.workflowId ?? null;
  return { via: 'poll', run, actor: null, reason: null, at: fromMs(now()) };
}

/** A row that was set aside fits no type, so it is compared by its texts, whole and word by word. */
async function erasedLines(screen: Screen, file: string): Promise<Erased['texts']> {
  const { dependencies, profiles, window } = screen;
  const kinds = mainMappings(profiles, window.connection, window.object).flatMap(({ entity }) =>
    [...new Set(Object.values(entity.identifiers))].map((kind) => ({
      entity: entity.name,
      kind: String(kind),
    })),
  );
  const erased: string[] = [];
  for await (const lines of dependencies.shaper.setAside(file)) {
    for (const { record, raw } of lines) {
      const words = wordsOf(raw ?? '', record);
      const known = await profiles.claims.suppressed(window.connection, window.object, words);
      const alike = await byIdentifier(screen, [words.flatMap((word) => candidates(word, kinds, profiles))]);
      if (raw !== null && (known.includes(true) || alike.size > 0)) erased.push(raw);
    }
  }
  return erased;
}

function wordsOf(raw: string, record: string | null): string[] {
  const words = new Set(record === null ? [] : [record]);
  const collect = (value: unknown): void => {
    if (words.size >= WORDS_MAX) return;
    if (typeof value === 'string') {
      words.add(value);
      for (const part of value.split(/[,;|"]+/)) words.add(part.trim());
      for (const part of value.split(/[\s,;|"<>()]+/)) words.add(part);
    } else if (typeof value === 'object' && value !== null) Object.values(value).forEach(collect);
  };
  try {
    collect(JSON.parse(raw));
  } catch {
    collect(raw);
  }
  words.delete('');
  return [...words];
}

function candidates(
  word: string,
  kinds: readonly { entity: string; kind: string }[],
  { phone }: Profiles,
): Found[] {
  const values = [normaliseEmail(word), /\d{5}/.test(word.replaceAll(/\D/g, '')) ? phone(word) : null];
  const texts = [...new Set([word, ...values, normaliseDomain(word)])].filter((text) => text !== null);
  return kinds.flatMap((one) => texts.map((value) => ({ ...one, value })));
}

async function rewritten(
  { stage, shaper, lanes }: Dependencies,
  file: string,
  prefix: string,
  column: string,
  { texts, deleted }: Erased,
): Promise<{ path: string | null; left: number; deleted: number }> {
  if (texts.length === 0) return { path: file, left: 0, deleted: 0 };
  const out = await stage.reserve(prefix, 'parquet');
  const { stay, left } = await lanes('shape', () => shaper.leaveOut({ file, column, texts, out }));
  await rm(file, { force: true });
  return { path: stay > 0 ? out : null, left, deleted };
}
