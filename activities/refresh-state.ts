// Part of plan and commit: remembers what an object needs beside its windows, as a small fact in the ledger.
import { addedFields, NOTHING_DUE, refreshKey, settled, withAdded } from '../rules/refresh.ts';
import { fromMs } from '../rules/time.ts';
import { ORIGIN, type Instant } from '../schemas/instant.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import { refreshStateSchema, type RefreshState } from '../schemas/refresh.ts';
import type { Window } from '../schemas/window.ts';
import type { Ledger } from '../stores/ledger/ledger.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';

export async function readRefresh(ledger: Ledger, connection: string, object: string): Promise<RefreshState> {
  const text = await ledger.meta(refreshKey(connection, object));
  return text === null ? NOTHING_DUE : refreshStateSchema.parse(JSON.parse(text));
}

/** Read and written without anything in between; a lost update is found again by the next run's description or reading. */
export async function changeRefresh(
  ledger: Ledger,
  connection: string,
  object: string,
  change: (state: RefreshState) => RefreshState,
): Promise<void> {
  const before = await readRefresh(ledger, connection, object);
  const after = change(before);
  if (JSON.stringify(after) !== JSON.stringify(before))
    await ledger.setMeta(refreshKey(connection, object), JSON.stringify(after));
}

/**
 * Called with every new description, before it is stored: fields that rows of before lack are kept until they have them. `since`
 * is where the first window begins that reads with this description. Returns the new ones.
 */
export async function noteDescription(
  { ledger, now }: Pick<Dependencies, 'ledger' | 'now'>,
  settings: ConnectionSettings,
  described: ObjectSchema,
  known: ObjectSchema | undefined,
  found: { since: Instant; run: string },
): Promise<string[]> {
  // Where the policy makes no column, or each window reads everything, there is nothing to fill.
  const fills = settings.policy.columns === 'evolve' && described.stamp !== null;
  const fields = fills ? addedFields(described, known) : [];
  await changeRefresh(ledger, settings.name, described.object, (state) => ({
    ...withAdded(state, fields, found.since, found.run),
    describedAt: fromMs(now()),
    choice: settings.choiceOf(described.object),
  }));
  return fields;
}

/** The end of all that was planned so far: windows from here on are described anew. */
export async function plannedUntil(ledger: Ledger, connection: string, object: string): Promise<Instant> {
  const open = (await ledger.openWindows(connection)).filter(
    (one) => one.object === object && one.fields === undefined,
  );
  const known = [...(await ledger.coverage(connection, object)), ...open];
  return known.reduce<Instant>((last, one) => (one.until > last ? one.until : last), ORIGIN);
}

/** After a window has landed: what it read of every record is not due any more. Repeating it changes nothing. */
export async function settleRefresh(
  { ledger }: Pick<Dependencies, 'ledger'>,
  window: Window,
  read: { schema: ObjectSchema; readAt: Instant; absentFound: boolean },
): Promise<void> {
  if (window.from !== ORIGIN) return;
  const { connection, object, fields, until } = window;
  await changeRefresh(ledger, connection, object, (state) => settled(state, { ...read, fields, until }));
}
