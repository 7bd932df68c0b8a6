/** /__sandbox: the test controls for other processes. It needs no token and binds to this machine only. README.md lists them. */
import type { Json } from './body.ts';
import type { ChangeTimes, RowRef } from './data.ts';
import type { Exchange } from '../exchange.ts';
import type { FaultAction, FaultMatch } from '../faults.ts';
import type { Behaviour, Hub } from './hub.ts';
import { HubError, notFound } from './hub-error.ts';
import type { Living } from './living.ts';
import type { PropertyType, Value } from './property.ts';

interface ControlBody extends ChangeTimes {
  readonly object?: string;
  readonly row?: RowRef;
  readonly other?: RowRef;
  readonly to?: string;
  readonly typeIds?: readonly number[];
  readonly values?: Readonly<Record<string, Value>>;
  readonly share?: number;
  readonly advanceMs?: number;
  readonly setMs?: number;
  readonly steps?: number;
  readonly changesPerMinute?: number;
  readonly name?: string;
  readonly type?: PropertyType;
  readonly filled?: boolean;
  readonly archived?: boolean;
  readonly redirectUri?: string;
  readonly behaviour?: Partial<Behaviour>;
  readonly rule?: number;
  readonly match?: FaultMatch;
  readonly action?: FaultAction;
}

const LINES_PER_CHUNK = 500;

export async function answerControl(exchange: Exchange, hub: Hub, living: Living): Promise<void> {
  const name = exchange.path.slice('/__sandbox/'.length);
  if (exchange.method === 'GET') {
    await answerRead(exchange, hub, name);
    return;
  }
  const body: ControlBody = JSON.parse((await exchange.text()) || '{}');
  try {
    const result = perform(name, body, hub, living);
    await exchange.sendJson(200, result ?? { ok: true });
  } catch (error) {
    if (error instanceof HubError) throw error;
    throw new HubError(400, 'SANDBOX', error instanceof Error ? error.message : String(error));
  }
}

async function answerRead(exchange: Exchange, hub: Hub, name: string): Promise<void> {
  const object = exchange.params.get('object') ?? 'contacts';
  const { clock } = hub.store;
  hub.store.settle();
  if (name === 'stats') {
    const calls = Object.fromEntries(hub.stats);
    await exchange.sendJson(200, { dailyCalls: hub.limits.daily, calls, waiting: hub.store.waitingCount() });
  } else if (name === 'clock') await exchange.sendJson(200, { nowMs: clock.now(), offsetMs: clock.offsetMs });
  else if (name === 'count') await exchange.sendJson(200, hub.data.count(object));
  else if (name === 'faults') await exchange.sendJson(200, hub.faults.list());
  else if (name === 'truth') await exchange.stream(200, 'application/x-ndjson', truthLines(hub, object));
  else throw notFound();
}

async function* truthLines(hub: Hub, object: string): AsyncGenerator<Buffer> {
  let lines: string[] = [];
  for await (const row of hub.data.truth(object)) {
    lines.push(JSON.stringify(row));
    if (lines.length < LINES_PER_CHUNK) continue;
    yield Buffer.from(`${lines.join('\n')}\n`);
    lines = [];
  }
  if (lines.length > 0) yield Buffer.from(`${lines.join('\n')}\n`);
}

type RecordControl = (hub: Hub, object: string, row: RowRef, body: ControlBody) => Json | void;

const ON_RECORDS: Readonly<Record<string, RecordControl>> = {
  create: ({ data }, object, _row, body) => ({ id: data.create(object, body.values ?? {}, body) }),
  update: ({ data }, object, row, body) => data.update(object, row, body.values ?? {}, body),
  archive: ({ data }, object, row, body) => data.archive(object, row, body),
  restore: ({ data }, object, row, body) => data.restore(object, row, body),
  purge: ({ data }, object, row, body) => data.purge(object, row, body),
  merge: ({ data }, object, row, body) => ({ id: data.merge(object, row, body.other ?? 1, body) }),
  associate: ({ data }, object, row, body) =>
    data.associate(object, row, body.to ?? 'companies', body.other ?? 0, body.typeIds),
  dissociate: ({ data }, object, row, body) =>
    data.dissociate(object, row, body.to ?? 'companies', body.other ?? 0),
  touch: ({ data }, object, _row, body) => ({ touched: data.touchMany(object, body.share ?? 0.01, body) }),
  'add-property': ({ data }, object, _row, body) =>
    data.addProperty(object, body.name ?? 'added', body.type ?? 'string', body.filled),
  'archive-property': ({ data }, object, _row, body) =>
    data.setPropertyArchived(object, body.name ?? '', body.archived ?? true),
};

type AccountControl = (hub: Hub, body: ControlBody, living: Living) => Json | void;

const ON_ACCOUNT: Readonly<Record<string, AccountControl>> = {
  behaviour: (hub, body) => ({ ...Object.assign(hub.behaviour, body.behaviour) }),
  clock: ({ store, onClock }, body) => {
    if (body.setMs !== undefined) store.clock.set(body.setMs);
    store.clock.advance(body.advanceMs ?? 0);
    onClock(store.clock.offsetMs);
    return { nowMs: store.clock.now() };
  },
  living: (_hub, body, living) => {
    if (body.steps !== undefined) living.run(body.steps);
    if (body.changesPerMinute !== undefined) living.start(body.changesPerMinute);
  },
  expire: ({ tokens }) => tokens.expireAll(),
  revoke: ({ tokens }) => tokens.revokeAll(),
  'authorization-code': ({ tokens }, body) => ({
    code: tokens.issueCode(body.redirectUri ?? 'http://127.0.0.1/callback'),
  }),
  'reset-stats': ({ stats, limits }) => {
    stats.clear();
    limits.reset();
  },
  faults: ({ faults }, body) => {
    if (body.action === undefined) throw new Error('a fault needs an action');
    return { rule: faults.add({ match: matchOf(body.match ?? {}), action: body.action }) };
  },
  'clear-faults': ({ faults }, body) => (body.rule === undefined ? faults.clear() : faults.remove(body.rule)),
};

function perform(name: string, body: ControlBody, hub: Hub, living: Living): Json | undefined {
  const onRecord = Object.hasOwn(ON_RECORDS, name) ? ON_RECORDS[name] : undefined;
  const onAccount = Object.hasOwn(ON_ACCOUNT, name) ? ON_ACCOUNT[name] : undefined;
  if (onRecord !== undefined)
    return onRecord(hub, body.object ?? 'contacts', body.row ?? 0, body) ?? undefined;
  if (onAccount === undefined) throw notFound();
  return onAccount(hub, body, living) ?? undefined;
}

/** A path like "/batch\/read/i" is a pattern when it both starts with a slash and ends with one plus flags. */
function matchOf(match: FaultMatch): FaultMatch {
  const pattern = typeof match.path === 'string' ? /^\/(.+)\/([a-z]*)$/.exec(match.path) : null;
  return pattern === null ? match : { ...match, path: new RegExp(pattern[1]!, pattern[2]) };
}
