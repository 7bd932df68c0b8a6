import { createHash } from 'node:crypto';
import { mappingsOf } from '../../config/profiles.ts';
import type { Config } from '../../config/schema.ts';
import { compileMapping } from '../../mapping/compile.ts';
import { phoneNormaliser } from '../../mapping/normalise.ts';
import type { ClaimValue } from '../../schemas/observation.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import { sourceDefinition } from '../../sources/registry.ts';
import type { InboxRow } from '../../stores/inbox/inbox.ts';
import type { Supposed } from '../../stores/claims/serving.ts';
import type { Ledger } from '../../stores/ledger/ledger.ts';
import type { Model, ModelRecord } from './model.ts';
import type { Unread } from './unread.ts';

/** Records of one profile whose events are looked at. */
const RECORDS_MAX = 20;
const EVENTS_PER_RECORD_MAX = 50;
/** A description of an object that was read so long ago is read again. */
const SCHEMA_MS = 60_000;
const SCHEMAS_MAX = 1_000;

/**
 * What unread events say that records hold: values that a CRM sent with a change, under the shared schema's names. Only where the
 * source's own field is text, because an event writes every value as text; the rest waits until the record is read.
 */
export class Suppositions {
  readonly #config: Config;
  readonly #ledger: () => Promise<Pick<Ledger, 'schema'>>;
  readonly #unread: Pick<Unread, 'of'>;
  readonly #schemas = new Map<string, { atMs: number; schema: ObjectSchema | null }>();

  constructor(config: Config, ledger: () => Promise<Pick<Ledger, 'schema'>>, unread: Pick<Unread, 'of'>) {
    this.#config = config;
    this.#ledger = ledger;
    this.#unread = unread;
  }

  /** Null: nothing is supposed. `tag` changes with what is. */
  async of({ records }: Pick<Model, 'records'>): Promise<{ supposed: Supposed[]; tag: string } | null> {
    const supposed: Supposed[] = [];
    const positions: number[] = [];
    for (const record of records.slice(0, RECORDS_MAX)) {
      for (const event of this.#unread.of(record).slice(-EVENTS_PER_RECORD_MAX)) {
        const said = event.kind === 'deleted' || event.at === null ? [] : await this.#said(record, event);
        supposed.push(...said);
        if (said.length > 0) positions.push(event.position);
      }
    }
    if (supposed.length === 0) return null;
    const tag = createHash('sha256').update(positions.join(' ')).digest('base64url').slice(0, 8);
    return { supposed, tag };
  }

  async #said({ source, object }: ModelRecord, { record, values, at }: InboxRow): Promise<Supposed[]> {
    const { profiles, connections } = this.#config;
    if (values === null || at === null || profiles === undefined) return [];
    const schema = await this.#schema(source, object);
    if (schema === null) return [];
    const named = schema.fields.filter(({ name, type }) => type.kind === 'string' && isText(values[name]));
    const phone = phoneNormaliser(profiles.region);
    const kind = connections[source]?.kind;
    const ready = kind === undefined ? {} : (sourceDefinition(kind)?.mappings ?? {});
    return mappingsOf(profiles, ready, source, object).flatMap((mapping): Supposed[] => {
      const compiled = compileMapping(mapping, source, { ...schema, fields: named }, phone);
      const mapped = compiled.map(compiled.reads.map((name) => textOf(values[name])));
      if (!mapped.ok) return [];
      const fields = ofEvent(mapped.fields, mapping.fields);
      if (Object.keys(fields).length === 0) return [];
      return [{ ref: { source, object: compiled.object, record }, at, fields }];
    });
  }

  async #schema(source: string, object: string): Promise<ObjectSchema | null> {
    const key = `${source}\0${object}`;
    const known = this.#schemas.get(key);
    if (known !== undefined && performance.now() - known.atMs < SCHEMA_MS) return known.schema;
    const ledger = await this.#ledger();
    const schema = (await ledger.schema(source, object))?.schema ?? null;
    if (this.#schemas.size >= SCHEMAS_MAX) this.#schemas.clear();
    this.#schemas.set(key, { atMs: performance.now(), schema });
    return schema;
  }
}

const isText = (value: unknown): boolean => typeof value === 'string';
const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);

/** A constant of the mapping is no word of the event. */
function ofEvent(
  fields: Record<string, ClaimValue>,
  sources: Readonly<Record<string, unknown>>,
): Record<string, ClaimValue> {
  return Object.fromEntries(
    Object.entries(fields).filter(([name]) => {
      const from = sources[name];
      return !(typeof from === 'object' && from !== null && 'constant' in from);
    }),
  );
}
